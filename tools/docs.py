"""The site: `python tools/docs.py` writes it to `_docs`, with Quarto where that is installed, else with smalldocs.

No notebook is run: the stored outputs are shown. `python tools/docs.py smalldocs` takes smalldocs even where Quarto is
installed. The built pages need no network: KaTeX, which draws the mathematics, is copied from `tools/katex`.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from nbdev import doclinks
from nbdev.config import get_config
from nbdev.quarto import nbdev_docs, nbdev_sidebar, refresh_quarto_yml
from nbdev.serve import proc_nbs

ROOT = Path(__file__).resolve().parent.parent
PROC, DOCS = ROOT / '_proc', ROOT / '_docs'

# Pages that have another name now, the old name first. A chapter's page is named after the module that it exports.
RENAMED = {
    'sight.html': 'object_recall.html',
    'remedies.html': 'ablations.html',
    'imagine.html': 'imagination.html',
}

REDIRECT = '''<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>This page is now {new}</title>
<link rel="canonical" href="{address}">
<script>location.replace("{new}" + location.search + location.hash)</script>
<noscript><meta http-equiv="refresh" content="0; url={new}"></noscript>
</head>
<body><p>This page is now <a href="{new}">{new}</a>.</p></body>
</html>
'''


def with_quarto():
    "nbdev's own command, which calls Quarto."
    os.environ['QUARTO_PYTHON'] = sys.executable
    (ROOT / 'README.md').touch()  # newer than its notebook, so nbdev leaves it as tools/readme.py wrote it
    nbdev_docs.__wrapped__()


def name_after_modules(
    folder,  # of processed notebooks
):
    "Quarto names a page as its notebook asks; smalldocs names it after the file, so the files get those names."
    names = {p.name: doclinks._nbpath2html(p).with_suffix('.ipynb').name for p in (ROOT / 'nbs').glob('*.ipynb')}
    for old, new in names.items():
        (folder / old).rename(folder / new)
    for file in [*folder.glob('*.ipynb'), *folder.glob('*.qmd'), folder / '_quarto.yml']:
        text = re.sub(r'\s*"output-file: .*",', '', file.read_text(encoding='utf-8'))
        file.write_text(re.sub(r'(?<![\w/])(\w+\.ipynb)', lambda m: names.get(m[1], m[1]), text), encoding='utf-8')


def with_smalldocs():
    "What nbdev does before it calls Quarto, then smalldocs."
    smalldocs = Path(sysconfig.get_path('scripts')) / 'smalldocs'
    if not smalldocs.exists():
        how = 'pip install -e ".[dev]" brings smalldocs, with Python 3.11 or later.'
        sys.exit(f'Neither quarto nor smalldocs is here: {how}')
    refresh_quarto_yml()
    doclinks._build_modidx()
    nbdev_sidebar.__wrapped__()
    proc_nbs()
    name_after_modules(PROC)
    subprocess.run([smalldocs, 'render', '--quiet', PROC], check=True)
    shutil.rmtree(DOCS, ignore_errors=True)
    shutil.move(PROC / '_docs', DOCS)


def rewrite(
    file,
    pattern,  # regular expression
    new,  # what stands there instead
):
    "Replace in a text file; one without the pattern is left alone."
    text = file.read_text(encoding='utf-8')
    if re.search(pattern, text):
        file.write_text(re.sub(pattern, new, text), encoding='utf-8')


def need_no_network(
    docs,  # folder of the built site
):
    "Take KaTeX from the site itself, and leave out the themes' web fonts, which `styles.css` replaces."
    shutil.copytree(ROOT / 'tools' / 'katex', docs / 'site_libs' / 'katex', dirs_exist_ok=True)
    for page in docs.rglob('*.html'):
        up = '../' * (len(page.relative_to(docs).parts) - 1)
        rewrite(page, r'https://cdn\.jsdelivr\.net/npm/katex@[^/"]+/dist/', f'{up}site_libs/katex/')
    for style in (docs / 'site_libs').rglob('*.css'):
        rewrite(style, r'''@import\s*(?:url\(\s*)?["']?https?://[^)"']*["']?\s*\)?\s*;''', '')


def write_redirects(
    docs,  # folder of the built site
    renamed=RENAMED,  # old name -> new name
):
    "Pages at old addresses that lead to the new ones, sections included; what is not renamed yet is passed over."
    home = get_config().doc_host + get_config().doc_baseurl
    due = {old: new for old, new in renamed.items() if (docs / new).exists() and not (docs / old).exists()}
    for old, new in due.items():
        (docs / old).write_text(REDIRECT.format(new=new, address=f'{home}/{new}'), encoding='utf-8')
    return list(due)


def other_than_notebooks(folder, names):
    "What `shutil.copytree` is to leave out."
    return [n for n in names if not n.endswith('.ipynb')]


def main():
    os.chdir(ROOT)
    os.environ['TQDM_DISABLE'] = '1'
    shutil.rmtree(PROC, ignore_errors=True)
    if shutil.which('quarto') and sys.argv[1:] != ['smalldocs']:
        with_quarto()
    else:
        with_smalldocs()
    need_no_network(DOCS)
    write_redirects(DOCS)
    shutil.copytree(ROOT / 'nbs', DOCS / 'notebooks', ignore=other_than_notebooks)
    print(f'The site is {DOCS / "index.html"}.')


if __name__ == '__main__':
    main()
