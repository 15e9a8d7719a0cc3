"""What nbdev and the renderer leave out of the site. `_quarto.yml` names this as `pre-render`, so Quarto and smalldocs run it among the processed notebooks.

A chapter gets its exported code back, a line that says what it needs and how to open it, and a text for each figure; the gallery and the index of symbols are filled in.
"""
import ast, base64, io, json, math, re, sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

import yaml
from execnb.nbio import mk_cell, read_nb, write_nb
from nbdev.config import get_config
from nbdev.doclinks import _nbpath2html
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


def directives(cell):
    "The `#|` lines of a code cell: key -> what follows."
    return {k: v.strip().strip('"') for k, v in re.findall(r'^#\|\s*([\w-]+):?(.*)$', cell.source, re.M)} if cell.cell_type == 'code' else {}


@dataclass
class Chapter:
    path:Path       # the notebook in nbs/
    text:str        # how the sidebar names it

    def __post_init__(self): self.cells, self.number, self.name = read_nb(self.path).cells, re.match(r'(\d+[a-z]?|)', self.path.stem)[0], self.path.name
    html = property(lambda self: _nbpath2html(self.path).name)
    title = property(lambda self: re.match(r'# (.*)', self.cells[0].source)[1])
    module = property(lambda self: next((m[1] for c in self.cells if (m := re.match(r'#\| default_exp (\w+)', c.source))), ''))
    code = property(lambda self: '\n'.join(c.source for c in self.cells if c.cell_type == 'code'))
    needs = property(lambda self: set(re.findall(r'^from aif_atari\.(\w+) import', self.code, re.M)))


def chapters():
    "The notebooks in their order, as the sidebar in `_quarto.yml` has them: the one place that holds it."
    def walk(items):
        for item in items:
            if 'contents' in item: yield from walk(item['contents'])
            elif item['href'].endswith('.ipynb'): yield Chapter(ROOT/'nbs'/item['href'], item['text'])
    return list(walk(yaml.safe_load((ROOT/'_quarto.yml').read_text())['website']['sidebar']['contents']))


def minutes(seconds):
    "A time in round words, rounded up; nothing where none was measured."
    return '' if seconds is None else f'{10*math.ceil(seconds/10)} s' if seconds <= 50 else f'{math.ceil(seconds/60)} min'


def duration(chapter):
    "How long a notebook takes, as `tools/times.py` measured it."
    file = ROOT/'results'/'chapters.json'
    return minutes(json.loads(file.read_text())['seconds'].get(chapter.path.stem)) if file.exists() else ''


def bar(chapter, book):
    "The line under a chapter's title."
    cfg = get_config()
    needs = [f'[{c.number or c.title}]({c.html})' for c in book if c.module in chapter.needs and c.module not in ('core', chapter.module)]
    needs = 'chapter' + 's'*(len(needs) > 1) + ' ' + ', '.join(needs) if needs else 'nothing else of the book'
    if 'load_pretrained(' in chapter.code: needs += ' and shipped weights'
    parts = [f'Runs in about {t} on a laptop'] if (t := duration(chapter)) else []
    parts += [f'{"needs" if parts else "Needs"} {needs}', f'<a href="notebooks/{chapter.name}" download>download the notebook</a>',
              f'[open in Colab](https://colab.research.google.com/github/{cfg.user}/{cfg.repo}/blob/{cfg.branch}/nbs/{chapter.name}) ([first cell](guides.html#open-a-chapter-in-colab))']
    return '::: {.chapter-bar}\n' + ' · '.join(parts) + '\n:::'


def opening(text, least=60):
    "The first sentences of a text, without its markup: as many as make `least` characters."
    return re.match(rf'.{{{least},}}?[.!?](?=\s|$)|.*', re.sub(r'[*`$]', '', text))[0]


def describe(cell):
    "A figure's caption says first what is seen: that is also its text for those who can't see it."
    d = directives(cell)
    if 'fig-cap' in d and 'fig-alt' not in d: cell.source = f'#| fig-alt: {json.dumps(opening(d["fig-cap"]), ensure_ascii=False)}\n' + cell.source


def definitions(cell):
    "What an exported cell holds besides imports, piece by piece: the names that a piece defines, in class and function alike, and its source."
    lines, start = cell.source.split('\n'), 0
    for x in ast.parse(cell.source).body:
        if isinstance(x, (ast.Import, ast.ImportFrom)): start = x.end_lineno; continue
        names = [x.name] if isinstance(x, (ast.FunctionDef, ast.ClassDef)) else []
        if names and any(getattr(d, 'id', '') == 'patch' for d in x.decorator_list): names = [f'{x.args.args[0].annotation.id}.{x.name}', x.name]
        yield names, '\n'.join(l for l in lines[start:x.end_lineno] if not l.startswith('#|'))
        start = x.end_lineno


def show_source(cells, originals):
    "nbdev shows an exported cell as the documentation of what it defines, and drops the rest; here all code stands where the book has it, each piece under its documentation."
    shown = lambda c: c.cell_type == 'code' and (m := re.search(r'^show_doc\((.*?)\)', c.source, re.M)) and m[1]
    docs, kept, ours = {shown(c): c for c in cells if shown(c)}, {c.id: c for c in cells}, {c.id for c in originals}
    out = [c for c in cells if c.id not in ours and not shown(c)]       # what nbdev puts on top
    for cell in originals:
        d, block = directives(cell), []
        if not {'export', 'exports'} & set(d): out += [kept[cell.id]] if cell.id in kept else []; continue
        for names, source in definitions(cell):
            if name := next((n for n in names if n in docs), None): block.append(compact(docs.pop(name), names[0], re.search(r'^class \w+\(\w+Config', source, re.M)))
            if block and not block[-1].outputs: block[-1].source += '\n' + source
            else: block.append(mk_cell(source.strip('\n')))
        out += block
    return out


def compact(cell, name, keep):
    "A symbol's documentation under its full name, with the link to GitHub beside it, and without the signature where the source below says the same."
    for out in cell.outputs:
        text = ''.join(out['data']['text/markdown'])
        link = re.search(r'^\[source\]\((\S+?)\)', text, re.M)
        text = re.sub(r'(?<=\w):(Annotated|Literal)(?==)', '', text)      # the source below has the bounds and choices
        text = re.sub(r'^---\n(.|\n)*?^### .*', f'### {name}\n\n' + (f'[source]({link[1]}){{.source-link}}' if link else ''), text, flags=re.M)
        out['data']['text/markdown'] = text if keep else re.sub(r'^```python\n.*?^```\n+', '', text, flags=re.M | re.S)
    return cell


def enrich(nb, chapter, book):
    "Make a chapter's processed notebook into its page."
    here = f'{get_config().doc_host}{get_config().doc_baseurl}/'
    nb.cells = show_source(nb.cells, chapter.cells)
    for cell in nb.cells:
        if cell.cell_type == 'code': describe(cell)
        else: cell.source = re.sub(r'\[(`_\w+`)\]\(\S+#_\w+\)', r'\1', cell.source.replace(here, ''))     # what is private has no place to link to
        for out in cell.get('outputs', []):
            for kind, text in out.get('data', {}).items():
                if kind == 'text/markdown': out['data'][kind] = ''.join(text).replace(here, '')
    if chapter.module: nb.cells.insert(1, mk_cell(bar(chapter, book), 'markdown'))


def thumbnail(png, path, width=400):
    "A small copy of a figure."
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB')
    image.thumbnail((width, width))
    path.parent.mkdir(exist_ok=True); image.save(path, quality=80)
    return image.size


def gallery(book):
    "Every captioned figure of a chapter as a thumbnail that leads to the cell that draws it."
    parts = []
    for chapter in book:
        cards = []
        for cell in chapter.cells:
            d = directives(cell)
            png = [o['data']['image/png'] for o in cell.get('outputs', []) if 'image/png' in o.get('data', {})]
            if 'fig-cap' not in d or not png: continue
            file = f"thumbnails/{chapter.path.stem}-{d['label']}.webp"
            w, h = thumbnail(''.join(png[0]), Path(file))
            beside = f'<span class="beside">beside {escape(d["beside"])}</span>' if 'beside' in d else ''
            cards.append(f'<a class="card-figure" href="{chapter.html}#{d["label"]}"><img src="{file}" width="{w}" height="{h}" loading="lazy" alt="{escape(opening(d["fig-cap"]))}"><span class="seen">{escape(opening(d["fig-cap"]))}</span>{beside}</a>')
        if cards: parts.append(f'## {chapter.text}\n\n```{{=html}}\n<div class="gallery">\n' + '\n'.join(cards) + '\n</div>\n```')
    return '\n\n'.join(parts)


def summaries(source):
    "The first line of each docstring in a module, by the qualified name of what it documents."
    out = {}
    def walk(body, prefix=''):
        for x in body:
            if not isinstance(x, (ast.FunctionDef, ast.ClassDef)): continue
            me = x.args.args[0].annotation.id + '.' if isinstance(x, ast.FunctionDef) and any(getattr(d, 'id', '') == 'patch' for d in x.decorator_list) else prefix
            out[me + x.name] = (ast.get_docstring(x) or '').split('\n')[0]
            if isinstance(x, ast.ClassDef): walk(x.body, me + x.name + '.')
    walk(ast.parse(source).body)
    return out


def symbols(book):
    "All public symbols, by letter, each with its place in the book."
    syms = {}; exec((ROOT/'aif_atari'/'_modidx.py').read_text(), syms)
    rows, row = {}, lambda name, href, what, chapter: f'| [`{name}`]({href}) | {what.replace("|", "&#124;")} | {chapter.text} |'
    for module, found in syms['d']['syms'].items():
        chapter = next(c for c in book if module == f'aif_atari.{c.module}')
        anchors = {n for c in chapter.cells if 'export' in directives(c) or 'exports' in directives(c) for names, _ in definitions(c) for n in names[:1] if n[0] != '_'}
        source = (ROOT/'aif_atari'/f'{chapter.module}.py').read_text(); says = summaries(source)
        for full, (href, _) in found.items():
            name = full.removeprefix(module + '.')
            if any(part.startswith('_') for part in name.split('.')) or ('.' in name and not says.get(name)): continue
            rows[name] = row(name, href if name in anchors else href.rsplit('.', 1)[0], says.get(name, ''), chapter)
        for name, run in re.findall(r'^(aif_\w+) = command\(.*\)\((\w+)\)$', source, re.M): rows[name] = row(name, chapter.html + f'#{run}'*(run in anchors), f'Command. {says[run]}', chapter)
    letters = sorted({n[0].upper() for n in rows})
    table = lambda x: '\n'.join([f'## {x}', '', '| symbol | what it is | chapter |', '|---|---|---|', *(rows[n] for n in sorted(rows, key=str.lower) if n[0].upper() == x)])
    return '\n\n'.join(['::: {.letters}\n' + ' '.join(f'[{x}](#{x.lower()})' for x in letters) + '\n:::', *map(table, letters)])


if __name__ == '__main__':
    book = chapters()
    for path in Path().glob('*.ipynb'):
        nb = read_nb(path)
        if '.chapter-bar' in nb.cells[1].source: continue     # was done before
        chapter = next((c for c in book if path.stem in (c.path.stem, Path(c.html).stem)), None) or sys.exit(f'{path.name} is not in the sidebar of _quarto.yml, which holds the order of the book.')
        enrich(nb, chapter, book); write_nb(nb, path)
    for name, fill in dict(gallery=gallery, api=symbols).items():
        page = Path(f'{name}.qmd')
        page.write_text(page.read_text().replace(f'<!-- {name} -->', fill(book)))
