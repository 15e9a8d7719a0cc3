"""What nbdev and the renderer leave out of the site.

`_quarto.yml` names this as `pre-render`, so Quarto and smalldocs run it among the processed notebooks. A chapter gets
its exported code back, a line that says what it needs and how to open it, and a text for each figure. The gallery,
the page of the paper's figures and the index of symbols are filled in.
"""

import ast
import base64
import io
import json
import math
import re
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

import yaml
from execnb.nbio import mk_cell, read_nb, write_nb
from nbdev.config import get_config
from nbdev.doclinks import _nbpath2html
from PIL import Image

from aif_atari.paper_figures import FIGURES, ours

ROOT = Path(__file__).resolve().parent.parent


def directives(cell):
    "The `#|` lines of a code cell: key -> what follows; a value after `>-` goes on in the lines below it."
    if cell.cell_type != 'code':
        return {}
    found, folded = {}, None
    for line in re.findall(r'^#\|(.*)$', cell.source, re.M):
        key, _, value = line.strip().partition(' ')
        if folded and line.startswith('   '):
            found[folded] = f'{found[folded]} {line.strip()}'.strip()
        elif re.fullmatch(r'[\w-]+:?', key):
            name, folded = key.rstrip(':'), None
            if value.strip() in ('>-', '>'):
                folded, value = name, ''
            found[name] = value.strip().strip('"')
    return found


def is_exported(cell):
    "Whether a cell's code goes into the package."
    return bool({'export', 'exports'} & set(directives(cell)))


@dataclass
class Chapter:
    "A notebook of the book."

    path: Path  # the notebook in nbs/
    text: str  # how the sidebar names it

    def __post_init__(self):
        self.cells = read_nb(self.path).cells
        self.number = re.match(r'(\d+[a-z]?\d?|)', self.path.stem)[0]
        self.name = self.path.name

    @property
    def html(self):
        "The name of its page."
        return _nbpath2html(self.path).name

    @property
    def title(self):
        return re.match(r'# (.*)', self.cells[0].source)[1]

    @property
    def module(self):
        "The module that it exports, or nothing."
        found = (re.match(r'#\| default_exp (\w+)', c.source) for c in self.cells)
        return next((m[1] for m in found if m), '')

    @property
    def code(self):
        return '\n'.join(c.source for c in self.cells if c.cell_type == 'code')

    @property
    def needs(self):
        "The package's modules that it imports."
        return set(re.findall(r'^from aif_atari\.(\w+) import', self.code, re.M))


def in_order(items):
    "The notebooks below a sidebar's entries, as chapters."
    for item in items:
        if 'contents' in item:
            yield from in_order(item['contents'])
        elif item['href'].endswith('.ipynb'):
            yield Chapter(ROOT / 'nbs' / item['href'], item['text'])


def chapters():
    "The notebooks in their order, as the sidebar in `_quarto.yml` has them: the one place that holds it."
    site = yaml.safe_load((ROOT / '_quarto.yml').read_text(encoding='utf-8'))['website']
    return list(in_order(site['sidebar']['contents']))


def minutes(seconds):
    "A time in round words, rounded up; nothing where none was measured."
    if seconds is None:
        return ''
    if seconds <= 50:
        return f'{10 * math.ceil(seconds / 10)} s'
    return f'{math.ceil(seconds / 60)} min'


def duration(chapter):
    "How long a notebook takes, as `tools/times.py` measured it."
    file = ROOT / 'results' / 'chapters.json'
    if not file.exists():
        return ''
    return minutes(json.loads(file.read_text(encoding='utf-8'))['seconds'].get(chapter.path.stem))


def needed(chapter, book):
    "What a chapter needs, in words: earlier chapters and shipped weights."
    modules = chapter.needs - {'core', chapter.module}
    links = [f'[{c.number or c.title}]({c.html})' for c in book if c.module in modules]
    words = f'chapter{"s" if len(links) > 1 else ""} {", ".join(links)}' if links else 'nothing else of the book'
    return words + (' and shipped weights' if 'load_pretrained(' in chapter.code else '')


def bar(chapter, book):
    "The line under a chapter's title."
    cfg = get_config()
    time = duration(chapter)
    colab = f'https://colab.research.google.com/github/{cfg.user}/{cfg.repo}/blob/{cfg.branch}/nbs/{chapter.name}'
    binder = f'https://mybinder.org/v2/gh/{cfg.user}/{cfg.repo}/{cfg.branch}?labpath=nbs%2F{chapter.name}'
    parts = [
        *([f'Runs in about {time} on a laptop'] if time else []),
        f'{"needs" if time else "Needs"} {needed(chapter, book)}',
        f'<a href="notebooks/{chapter.name}" download>download the notebook</a>',
        f'[open in Colab]({colab})',
        f'[in Binder]({binder})',
    ]
    return '::: {.chapter-bar}\n' + ' · '.join(parts) + '\n:::'


def opening(text, least=60):
    "The first sentences of a text, without its markup: as many as make `least` characters."
    return re.match(rf'.{{{least},}}?[.!?](?=\s|$)|.*', re.sub(r'[*`$]', '', text))[0]


def unfold_caption(cell, originals):
    "Put a caption of several lines, of which nbdev drops all but the first, back in one."
    caption = directives(originals[cell.id]).get('fig-cap') if cell.id in originals else None
    if caption:
        whole = f'#| fig-cap: {json.dumps(caption, ensure_ascii=False)}'
        cell.source = re.sub(r'^#\|\s*fig-cap: *>-?(\n#\|   .*)*', lambda m: whole, cell.source, flags=re.M)


def describe(cell):
    "A figure's caption says first what is seen: that is also its text for those who can't see it."
    d = directives(cell)
    if 'fig-cap' in d and 'fig-alt' not in d:
        cell.source = f'#| fig-alt: {json.dumps(opening(d["fig-cap"]), ensure_ascii=False)}\n' + cell.source


def patched(node):
    "The class that a function extends by `@patch`, or nothing."
    if not isinstance(node, ast.FunctionDef):
        return ''
    is_patch = any(getattr(d, 'id', '') == 'patch' for d in node.decorator_list)
    return node.args.args[0].annotation.id if is_patch else ''


def defined(node):
    "The names that a statement defines, the full one first."
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return []
    owner = patched(node)
    return [f'{owner}.{node.name}', node.name] if owner else [node.name]


def definitions(cell):
    "What an exported cell holds besides imports, piece by piece: the names that a piece defines, and its source."
    lines, start = cell.source.split('\n'), 0
    for node in ast.parse(cell.source).body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            piece = [line for line in lines[start : node.end_lineno] if not line.startswith('#|')]
            yield defined(node), '\n'.join(piece)
        start = node.end_lineno


def documented(cell):
    "The symbol whose documentation a cell of nbdev shows, or nothing."
    found = cell.cell_type == 'code' and re.search(r'^show_doc\((.*?)\)', cell.source, re.M)
    return found[1] if found else ''


def compact(cell, name, keep):
    """A symbol's documentation under its full name, with the link to GitHub beside it.

    Its signature is left out where the source below says the same.
    """
    for out in cell.outputs:
        text = ''.join(out['data']['text/markdown'])
        link = re.search(r'^\[source\]\((\S+?)\)', text, re.M)
        heading = f'### {name}\n\n' + (f'[source]({link[1]}){{.source-link}}' if link else '')
        text = re.sub(r'(?<=\w):(Annotated|Literal)(?==)', '', text)  # the source below has the bounds and choices
        text = re.sub(r'^---\n(.|\n)*?^### .*', heading, text, flags=re.M)
        out['data']['text/markdown'] = text if keep else re.sub(r'^```python\n.*?^```\n+', '', text, flags=re.M | re.S)
    return cell


def with_source(cell, docs):
    "The cells that show an exported cell: each piece of its code under its documentation, which is taken from `docs`."
    block = []
    for names, source in definitions(cell):
        if name := next((n for n in names if n in docs), None):
            is_config = re.search(r'^class \w+\(\w+Config', source, re.M)
            block.append(compact(docs.pop(name), names[0], keep=is_config))
        if block and not block[-1].outputs:
            block[-1].source += '\n' + source
        else:
            block.append(mk_cell(source.strip('\n')))
    return block


def show_source(cells, originals):
    """All code where the book has it.

    nbdev shows an exported cell as the documentation of what it defines, and drops the rest.
    """
    docs = {documented(c): c for c in cells if documented(c)}
    kept = {c.id: c for c in cells}
    ours = {c.id for c in originals}
    out = [c for c in cells if c.id not in ours and not documented(c)]  # what nbdev puts on top
    for cell in originals:
        if is_exported(cell):
            out += with_source(cell, docs)
        elif cell.id in kept:
            out.append(kept[cell.id])
    return out


def at_home(cell, here):
    "Leave the site's address `here` out of links, in prose and in outputs. What is private has no place to link to."
    if cell.cell_type != 'code':
        cell.source = re.sub(r'\[(`_\w+`)\]\(\S+#_\w+\)', r'\1', cell.source.replace(here, ''))
    for out in cell.get('outputs', []):
        data = out.get('data', {})
        if 'text/markdown' in data:
            data['text/markdown'] = ''.join(data['text/markdown']).replace(here, '')


def enrich(nb, chapter, book):
    "Make a chapter's processed notebook into its page."
    here = f'{get_config().doc_host}{get_config().doc_baseurl}/'
    nb.cells = show_source(nb.cells, chapter.cells)
    originals = {cell.id: cell for cell in chapter.cells}
    for cell in nb.cells:
        unfold_caption(cell, originals)
        describe(cell)
        at_home(cell, here)
    if chapter.module:
        nb.cells.insert(1, mk_cell(bar(chapter, book), 'markdown'))


def thumbnail(
    png,  # base64
    path,
    width=400,  # pixels, at most, and as high at most
):
    "Write a small copy of a figure; its width and height."
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB')
    image.thumbnail((width, width))
    path.parent.mkdir(exist_ok=True)
    image.save(path, quality=80)
    return image.size


def card(chapter, cell, width=400):
    "The thumbnail of a captioned figure, which leads to the cell that draws it; nothing for other cells."
    d = directives(cell)
    png = [o['data']['image/png'] for o in cell.get('outputs', []) if 'image/png' in o.get('data', {})]
    if 'fig-cap' not in d or not png:
        return ''
    wide = '' if width == 400 else f'-{width}'
    file = f"thumbnails/{chapter.path.stem}-{d['label']}{wide}.webp"
    width, height = thumbnail(''.join(png[0]), Path(file), width)
    seen = escape(opening(d['fig-cap']))
    image = f'<img src="{file}" width="{width}" height="{height}" loading="lazy" alt="{seen}">'
    beside = f'<span class="beside">beside {escape(d["beside"])}</span>' if 'beside' in d else ''
    link = f'{chapter.html}#{d["label"]}'
    return f'<a class="card-figure" href="{link}">{image}<span class="seen">{seen}</span>{beside}</a>'


def gallery(book):
    "The cards of all chapters."
    parts = []
    for chapter in book:
        cards = '\n'.join(filter(None, (card(chapter, cell) for cell in chapter.cells)))
        if cards:
            parts.append(f'## {chapter.text}\n\n```{{=html}}\n<div class="gallery">\n{cards}\n</div>\n```')
    return '\n\n'.join(parts)


def of_the_paper(book):
    "The cells that draw the paper's figures, with their chapters, by the figure's number."
    found = {}
    for chapter in book:
        for cell in chapter.cells:
            beside = re.fullmatch(r'Friston et al. 2024, figure (\d+)', directives(cell).get('beside', ''))
            if beside:
                found[beside[1]] = chapter, cell
    return found


def paper(book):
    "The figures of the paper in their order: thumbnail, what ours has, and what the paper reports."
    cells, parts = of_the_paper(book), []
    made = json.loads((ROOT / 'results' / 'paper_figures.json').read_text(encoding='utf-8'))['figures']
    for number, figure in FIGURES.items():
        chapter, cell = cells[number]
        rows = [('Ours', ours(number, made[number]['numbers'])), ('Paper', figure.paper)]
        words = '\n\n'.join(f'**{who}.** {text}' for who, text in rows if text)
        picture = f'```{{=html}}\n<div class="gallery one">\n{card(chapter, cell, 1000)}\n</div>\n```'
        parts.append(f'## Figure {number}: {figure.title}\n\n{picture}\n\n{words}')
    return '\n\n'.join(parts)


def summaries(body, prefix=''):
    "The first line of each docstring below some statements, by the qualified name of what it documents."
    out = {}
    for node in body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        owner = patched(node)
        name = (f'{owner}.' if owner else prefix) + node.name
        out[name] = (ast.get_docstring(node) or '').split('\n')[0]
        if isinstance(node, ast.ClassDef):
            out |= summaries(node.body, f'{name}.')
    return out


def anchors(chapter):
    "The names that a chapter's page has as headings."
    names = (names for c in chapter.cells if is_exported(c) for names, _ in definitions(c))
    return {n[0] for n in names if n and n[0][0] != '_'}


def row(name, link, what, chapter):
    "A line of the index of symbols."
    return f'| [`{name}`]({link}) | {what.replace("|", "&#124;")} | {chapter.text} |'


def is_private(name):
    return any(part.startswith('_') for part in name.split('.'))


def module_rows(
    chapter,
    links,  # address on the site by qualified name, as nbdev wrote them
):
    "The lines of the index of symbols for one chapter, by name."
    source = (ROOT / 'aif_atari' / f'{chapter.module}.py').read_text(encoding='utf-8')
    says, here, rows = summaries(ast.parse(source).body), anchors(chapter), {}
    for name, link in links.items():
        if is_private(name) or ('.' in name and not says.get(name)):
            continue
        rows[name] = row(name, link if name in here else link.rsplit('.', 1)[0], says.get(name, ''), chapter)
    for name, run in re.findall(r'^(aif_\w+) = command\([\s\S]*?\)\((\w+)\)$', source, re.M):
        link = chapter.html + (f'#{run}' if run in here else '')
        rows[name] = row(name, link, f'Command. {says[run]}', chapter)
    return rows


def indexed():
    "What the package exports, as nbdev wrote it down: module -> qualified name -> address on the site."
    scope = {}
    exec((ROOT / 'aif_atari' / '_modidx.py').read_text(encoding='utf-8'), scope)
    symbols = scope['d']['syms'].items()
    return {m: {name.removeprefix(f'{m}.'): link for name, (link, _) in found.items()} for m, found in symbols}


def letter_table(letter, rows):
    "The part of the index of symbols under one letter."
    lines = [rows[name] for name in sorted(rows, key=str.lower) if name[0].upper() == letter]
    return '\n'.join([f'## {letter}', '', '| symbol | what it is | chapter |', '|---|---|---|', *lines])


def symbols(book):
    "All public symbols, by letter, each with its place in the book."
    rows = {}
    for module, links in indexed().items():
        chapter = next(c for c in book if module == f'aif_atari.{c.module}')
        rows |= module_rows(chapter, links)
    letters = sorted({name[0].upper() for name in rows})
    jumps = ' '.join(f'[{x}](#{x.lower()})' for x in letters)
    return '\n\n'.join(['::: {.letters}\n' + jumps + '\n:::', *(letter_table(x, rows) for x in letters)])


def chapter_of(path, book):
    "The chapter that a processed notebook belongs to."
    for chapter in book:
        if path.stem in (chapter.path.stem, Path(chapter.html).stem):
            return chapter
    sys.exit(f'{path.name} is not in the sidebar of _quarto.yml, which holds the order of the book.')


def main():
    book = chapters()
    for path in Path().glob('*.ipynb'):
        nb = read_nb(path)
        if '.chapter-bar' not in nb.cells[1].source:  # else it was done before
            enrich(nb, chapter_of(path, book), book)
            write_nb(nb, path)
    for name, fill in dict(gallery=gallery, paper=paper, api=symbols).items():
        page = Path(f'{name}.qmd')
        page.write_text(page.read_text(encoding='utf-8').replace(f'<!-- {name} -->', fill(book)), encoding='utf-8')


if __name__ == '__main__':
    main()
