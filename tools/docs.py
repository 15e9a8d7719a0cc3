"""The site: `python tools/docs.py` writes it to `_docs`, with Quarto where that is installed, else with smalldocs. No notebook is run: the stored outputs are shown.

`python tools/docs.py smalldocs` takes smalldocs even where Quarto is installed.
"""
import os, re, shutil, subprocess, sys
from pathlib import Path

from nbdev import doclinks
from nbdev.quarto import nbdev_docs, nbdev_sidebar, refresh_quarto_yml
from nbdev.serve import proc_nbs

ROOT = Path(__file__).resolve().parent.parent
PROC, DOCS = ROOT/'_proc', ROOT/'_docs'


def with_quarto():
    "nbdev's own command, which calls Quarto."
    os.environ['QUARTO_PYTHON'] = sys.executable
    (ROOT/'README.md').touch()      # newer than its notebook, so nbdev leaves it as tools/readme.py wrote it
    nbdev_docs.__wrapped__()


def with_smalldocs():
    "What nbdev does before it calls Quarto, then smalldocs."
    smalldocs = Path(sys.executable).parent/'smalldocs'
    if not smalldocs.exists(): sys.exit('Neither quarto nor smalldocs is here: pip install -e ".[dev]" brings smalldocs, with Python 3.11 or later.')
    refresh_quarto_yml(); doclinks._build_modidx(); nbdev_sidebar.__wrapped__()
    proc_nbs()
    names = {p.name: doclinks._nbpath2html(p).with_suffix('.ipynb').name for p in (ROOT/'nbs').glob('*.ipynb')}
    for old, new in names.items(): (PROC/old).rename(PROC/new)      # Quarto names a page as its notebook asks; smalldocs names it after the file
    for file in [*PROC.glob('*.ipynb'), *PROC.glob('*.qmd'), PROC/'_quarto.yml']:
        text = re.sub(r'\s*"output-file: .*",', '', file.read_text())
        file.write_text(re.sub(r'(?<![\w/])(\w+\.ipynb)', lambda m: names.get(m[1], m[1]), text))
    subprocess.run([smalldocs, 'render', '--quiet', PROC], check=True)
    shutil.rmtree(DOCS, ignore_errors=True); shutil.move(PROC/'_docs', DOCS)


if __name__ == '__main__':
    os.chdir(ROOT)
    os.environ['TQDM_DISABLE'] = '1'
    shutil.rmtree(PROC, ignore_errors=True)
    with_quarto() if shutil.which('quarto') and sys.argv[1:] != ['smalldocs'] else with_smalldocs()
    shutil.copytree(ROOT/'nbs', DOCS/'notebooks', ignore=lambda folder, names: [n for n in names if not n.endswith('.ipynb')])
    print(f'The site is {DOCS/"index.html"}.')
