"""The site, built from this checkout and read in a real browser; and what it must be in step with.

Each checker is also tried on a planted fault.
"""

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import pytest
from common import ROOT, unix_only
from execnb.nbio import read_nb
from execnb.shell import CaptureShell
from test_package import uncaptioned

from aif_atari.cli import command_specs, spec_parser

sys.path.insert(0, str(ROOT / 'tools'))
from docs import RENAMED, write_redirects
from pages import chapters, directives, gallery, minutes
from readme import readme_text

BOOK = chapters()

# What is on a page, and what is wrong with it: images without a text or a picture, mathematics that is not drawn.
LOOK = '''() => {
    const all = (what, of) => [...document.querySelectorAll(what)].map(of);
    const formulas = [...document.querySelectorAll('main .math')];
    const isRed = x => x.style.color === 'rgb(204, 0, 0)';  // as KaTeX shows a command that it does not know
    const undrawn = formulas.filter(x => !(x.querySelector('.katex-html')?.getBoundingClientRect().width > 0));
    return {
        title: document.title,
        ids: all('[id]', x => x.id),
        links: all('a[href]', x => x.href),
        formulas: formulas.length,
        undrawn: undrawn.map(x => x.textContent.slice(0, 80)),
        unknown: all('main .katex-html [style]', x => x).filter(isRed).map(x => x.textContent),
        misspelt: all('main .katex-error', x => x.title),
        dumb: all('main img', x => x).filter(x => !x.alt).map(x => x.src.slice(0, 80)),
        empty: all('img', x => x).filter(x => x.complete && !x.naturalWidth).map(x => x.src.slice(0, 80)),
        cards: all('a.card-figure', x => x.getAttribute('href')),
        figures: all('[id^="fig-"]', x => [x.id, ...['img', 'pre'].map(y => x.querySelectorAll(y).length),
            [...x.querySelectorAll('figcaption')].map(y => y.innerText.trim())]),
        previous: all('.nav-page-previous a', x => x.getAttribute('href')),
        next: all('.nav-page-next a', x => x.getAttribute('href')),
        bars: all('.chapter-bar', x => x.innerText),
        downloads: all('.chapter-bar a[download]', x => x.getAttribute('href')),
        ways: all('.chapter-bar a', x => x.getAttribute('href')),
    }
}'''

# The beginnings of code blocks with something that can't be seen, not even after they are scrolled to their right end.
CUT = '''() => [...document.querySelectorAll('main pre')].filter(pre => {
    const text = document.createRange(), around = [];
    text.selectNodeContents(pre);
    for (let x = pre.querySelector('code') || pre; x !== document.body; x = x.parentElement) around.push(x);
    const overflow = x => getComputedStyle(x).overflowX;
    const scrolling = around.filter(x => ['auto', 'scroll'].includes(overflow(x)));
    scrolling.forEach(x => x.scrollLeft = 1e6);
    const right = text.getBoundingClientRect().right;
    const edges = around.filter(x => overflow(x) !== 'visible').map(x => x.getBoundingClientRect().right);
    scrolling.forEach(x => x.scrollLeft = 0);
    return right > Math.min(innerWidth, ...edges) + 1;
}).map(x => x.innerText.slice(0, 80))'''


# Takes out each text that looks like one of an earlier page or place, and the elements that are then empty: axe takes
# minutes for ten thousands of them. What a text looks like follows from its element and from those around it, since
# all pages have the same styles. What KaTeX writes for screen readers is not seen. Says whether a text is left.
ONE_OF_EACH = '''() => {
  const seen = new Set(JSON.parse(localStorage.getItem('looks') || '[]'));
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  let isNew = false;
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (text.textContent.trim() && !text.parentElement.matches('script, style')) texts.push(text);
  }
  for (const text of texts) {
    let look = '';
    for (let e = text.parentElement; e; e = e.parentElement)
      look += `${e.tagName} ${e.id.startsWith('quarto') ? e.id : ''} ${e.className} ${e.getAttribute('style')};`;
    if (seen.has(look) || text.parentElement.closest('.katex-mathml')) text.textContent = '';
    else isNew = true;
    seen.add(look);
  }
  for (const e of [...document.body.querySelectorAll('*')].reverse())
    if (e.matches('a, code, div, li, p, pre, span, td, tr') && !e.childElementCount && !e.textContent.trim())
      e.remove();
  localStorage.setItem('looks', JSON.stringify([...seen]));
  return isNew;
}'''

# The first texts that do not stand out from what is behind them: by 4.5 to 1, or 3 to 1 where they are large (WCAG 2).
FAINT = '''async () => {
    const options = {runOnly: ['color-contrast'], preload: false, resultTypes: ['violations']};
    const found = (await axe.run(options)).violations.flatMap(x => x.nodes);
    return found.slice(0, 3).map(x => [x.target, x.any[0].message.slice(0, 160)]);
}'''

# Whether a scheme's styles are there, and only they.
IS_SHOWN = '''scheme => {
    const isDark = document.documentElement.classList.contains('quarto-dark');
    const used = [...document.querySelectorAll('link.quarto-color-scheme')].filter(x => matchMedia(x.media).matches);
    return isDark === (scheme === 'dark') && used.length > 0 && used.every(x => x.sheet);
}'''

WIDTHS = (1400, 390)  # of a desktop's and a phone's window, in pixels
SCHEMES = ('light', 'dark')


# ---- in step with the results, the notebooks and the commands


def stale(root):
    "What the front page and README say that is not what the results, or the notebook, say now."
    out = []
    if (root / 'README.md').read_text(encoding='utf-8') != readme_text(root):
        out.append('README.md is not what nbs/index.ipynb says: run python tools/readme.py')
    shell = CaptureShell()
    with patch('aif_atari.core.results_folder', return_value=root / 'results'):
        pages = [
            (name, cell) for name in ('index', 'results') for cell in read_nb(root / 'nbs' / f'{name}.ipynb').cells
        ]
        for name, cell in pages:
            if directives(cell).get('echo') != 'false':
                continue
            new = [
                ''.join(o['data']['text/markdown'])
                for o in shell.run(cell.source)
                if 'text/markdown' in o.get('data', {})
            ]
            assert not shell.exc, shell.exc
            if new != [''.join(o['data']['text/markdown']) for o in cell.outputs]:
                how = f'run python tools/execute.py nbs/{name}.ipynb'
                out.append(f'a table of nbs/{name}.ipynb is not what results/ say: {how}\n{cell.source[:200]}')
    return out


@pytest.fixture
def front(tmp_path):
    "A copy of what the front page is made from."
    for name in ('nbs/index.ipynb', 'nbs/results.ipynb', 'README.md', 'results'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    return tmp_path


def test_front_page_says_what_the_results_say():
    assert stale(ROOT) == []


@pytest.mark.parametrize(
    'file, said',
    [('README.md', 'README.md is not'), ('nbs/index.ipynb', 'a table of'), ('nbs/results.ipynb', 'a table of')],
)
def test_a_stale_number_is_found(file, said, front):
    "One digit of one measured number is another."
    text = (front / file).read_text(encoding='utf-8')
    number = re.search(r'\| (\d+\.\d) \(', text)[1]
    changed = text.replace(f'| {number} (', f'| {float(number) + 0.1:.1f} (')
    (front / file).write_text(changed, encoding='utf-8')
    assert any(x.startswith(said) for x in stale(front))


def test_new_results_make_the_front_page_stale(front):
    "An agent's returns that are measured later must appear."
    conditions = {
        name: dict(mean=2.0, interval=[1.0, 3.0], returns=[1.0, 3.0], steps=9, ms_per_step=1.0)
        for name in ('random', 'search')
    }
    (front / 'results' / 'agent').mkdir(exist_ok=True)
    (front / 'results' / 'agent' / 'breakout_99.json').write_text(
        json.dumps(dict(env_name='Breakout', seed=99, training=[], conditions=conditions)), encoding='utf-8'
    )
    assert any(x.startswith('a table of') for x in stale(front))


def test_a_figure_without_caption_is_found(tmp_path):
    nb = json.loads((ROOT / 'nbs' / '00_data.ipynb').read_text(encoding='utf-8'))
    for cell in nb['cells']:
        cell['source'] = [line for line in cell['source'] if 'fig-cap' not in line]
    (tmp_path / 'nb.ipynb').write_text(json.dumps(nb), encoding='utf-8')
    assert uncaptioned(tmp_path / 'nb.ipynb') and not uncaptioned(ROOT / 'nbs' / '00_data.ipynb')


def test_a_widget_comes_with_a_figure():
    "A site has no Python behind it: each widget that a chapter shows is soon followed by a captioned picture."
    boxes = [
        name
        for c in BOOK
        for cell in c.cells
        for name in re.findall(r'def (\w+)\((?:(?!def )[\s\S])*?-> widgets\.\w+', cell.source)
    ]
    shown = [
        (c, i)
        for c in BOOK
        for i, cell in enumerate(c.cells)
        if cell.cell_type == 'code' and re.search(rf'^({"|".join(boxes)})\(', cell.source, re.M)
    ]
    assert len(shown) >= 3
    for c, i in shown:
        assert any('fig-cap' in directives(cell) for cell in c.cells[i + 1 : i + 7]), (c.name, c.cells[i].source)


def test_a_figure_that_stands_beside_one_of_a_paper_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chapter = chapters()[1]
    assert 'class="beside"' not in gallery([chapter])
    cell = next(c for c in chapter.cells if 'fig-cap' in directives(c))
    cell.source = '#| beside: A paper, figure 1\n' + cell.source
    assert '>beside A paper, figure 1<' in gallery([chapter])


def test_every_notebook_is_in_the_sidebar_and_the_table_of_chapters():
    assert sorted(c.name for c in BOOK) == sorted(p.name for p in (ROOT / 'nbs').glob('*.ipynb'))
    times = json.loads((ROOT / 'results' / 'chapters.json').read_text(encoding='utf-8'))['seconds']
    table = next(c.source for c in BOOK[0].cells if c.source.startswith('## The chapters'))
    rows = re.findall(r'^\| (\w*) ?\| \[(.*?)\]\((\w+\.ipynb)\) \|.*\| (.*?) \|$', table, re.M)
    due = [(c.number, c.title, c.name, minutes(times.get(c.path.stem))) for c in BOOK if c.module]
    assert rows == due, 'the table of chapters in nbs/index.ipynb; python tools/times.py measures the times'
    numbered = [c for c in BOOK if c.number]
    assert [c.text for c in numbered] == [f'{c.number} {c.title}' for c in numbered], 'the sidebar in _quarto.yml'
    mixed = [c.name for c in BOOK if not re.fullmatch(r'# .*\n\n> .*', c.cells[0].source)]
    assert mixed == [], 'the first cell holds title and subtitle alone: nbdev drops the rest of it'


def flags(name):
    "The flags of a command."
    return set(re.findall(r'--\w+', spec_parser(command_specs()[name]['spec']).format_help()))


def prose(chapter):
    return '\n'.join(cell.source for cell in chapter.cells if cell.cell_type == 'markdown')


def test_commands_in_prose_exist_with_their_flags():
    text = '\n'.join(map(prose, BOOK)).replace('\\\n', ' ')
    lines = re.findall(r'^ *(aif_(?!atari)\w+ .*)$', text, re.M)
    lines += re.findall(r'`(aif_(?!atari)\w+(?: [^`]*)?)`', text)
    assert len(lines) > 20
    for line in lines:
        command, passed_on = line.split()[0], re.search(r'--command (aif_\w+)', line)
        known = flags(command) | (flags(passed_on[1]) if passed_on else set())
        assert set(re.findall(r'(?<= )--\w+', line)) <= known, line
    tools = {f'tools/{p.name}' for p in (ROOT / 'tools').glob('*.py')}
    assert set(re.findall(r'python (tools/\w+\.py)', text)) <= tools


def anchor_of(section):
    "The anchor that a section's heading gets."
    heading = section.split('\n')[0].lstrip('# ').lower()
    return re.sub(r'[^\w\s-]', '', heading).replace(' ', '-')


def test_a_term_is_explained_where_it_first_appears():
    "Each entry of the glossary leads to the first chapter that uses the term, and to a section that does."
    texts = {c.name: prose(c) for c in BOOK if c.number}
    glossary = (ROOT / 'nbs' / 'glossary.qmd').read_text(encoding='utf-8')
    terms = re.findall(r'^### (.+)\n\n.*\((\w+\.ipynb)#?([\w-]*)\)$', glossary, re.M)
    assert len(terms) > 40
    for term, name, anchor in terms:
        used = re.compile(r'\b' + re.escape(term.rstrip('s')), re.I)
        first = next(n for n in texts if used.search(texts[n]))
        how = 'explain it there and let nbs/glossary.qmd lead there, or use another word'
        assert name == first, f'{term} appears in {first}: {how}'
        sections = re.split(r'^(?=#+ )', texts[name], flags=re.M)
        opening = texts[name].split('\n## ')[0]
        section = next(s for s in sections if anchor_of(s) == anchor) if anchor else opening
        assert used.search(section), f'{term}: not in {name}#{anchor}'


# ---- built


def build(root, *args, **env):
    start = time.time()
    done = subprocess.run(
        [sys.executable, root / 'tools' / 'docs.py', *args],
        cwd=root,
        env={**os.environ, **env},
        encoding='utf-8',
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout, time.time() - start


def git_status():
    "What differs in the checkout from its last commit."
    return subprocess.run(['git', 'status', '--porcelain'], cwd=ROOT, capture_output=True, encoding='utf-8').stdout


@pytest.fixture(scope='session')
def docs():
    "The site as smalldocs builds it from this checkout."
    if sys.version_info < (3, 11):
        pytest.skip('smalldocs needs Python 3.11')
    before = git_status()
    out, seconds = build(ROOT, 'smalldocs')
    assert git_status() == before, 'the build changed the checkout'
    assert 'broken link' not in out and seconds < 180, (out, seconds)
    return ROOT / '_docs'


QUARTO = '''#!/bin/sh
echo "$@" >> {folder}/calls
"$QUARTO_PYTHON" ../tools/pages.py && mkdir _docs
echo '<script src="https://cdn.jsdelivr.net/npm/katex@0.15.1/dist/katex.min.js"></script>' > _docs/index.html
'''


@pytest.fixture
def checkout(tmp_path):
    "A copy of what the site is built from, with a stand-in for Quarto."
    for name in ('nbs', 'aif_atari', 'tools', 'results'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__'), symlinks=True)
    for name in ('settings.ini', '_quarto.yml', 'README.md'):
        shutil.copy2(ROOT / name, tmp_path)
    program = tmp_path / 'bin' / 'quarto'
    program.parent.mkdir()
    program.write_text(QUARTO.format(folder=tmp_path), encoding='utf-8')
    program.chmod(0o755)
    return tmp_path


@unix_only
def test_quarto_is_used_where_it_is_installed(checkout):
    "nbdev_docs calls it, the pages are prepared for it and need no network, and the README stays as it is."
    build(checkout, PATH=f'{checkout}/bin{os.pathsep}{os.environ["PATH"]}')
    assert (checkout / 'calls').read_text(encoding='utf-8') == 'render --no-cache\n'
    assert (checkout / '_docs' / 'index.html').read_text(
        encoding='utf-8'
    ) == '<script src="site_libs/katex/katex.min.js"></script>\n'
    assert (checkout / '_docs' / 'site_libs' / 'katex' / 'katex.min.js').exists()
    assert (checkout / '_docs' / 'notebooks' / '00_data.ipynb').exists()
    assert (checkout / 'README.md').read_text(encoding='utf-8') == (ROOT / 'README.md').read_text(encoding='utf-8')
    assert '.chapter-bar' in (checkout / '_proc' / '00_data.ipynb').read_text(encoding='utf-8')
    assert 'card-figure' in (checkout / '_proc' / 'gallery.qmd').read_text(encoding='utf-8')


def test_llms_txt_lists_the_pages(docs):
    text = (docs / 'llms.txt').read_text(encoding='utf-8')
    for page in re.findall(r'\((?:https://\S+/)?(\S+\.md)\)', text):
        assert (docs / page).exists(), page
    assert all(f'[{c.title}]' in text for c in BOOK)


# ---- read in a browser


@pytest.fixture(scope='session')
def browser():
    path = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not path:
        pytest.skip('no Chromium or Chrome on the PATH')
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        # not by `page.route`, which switches the cache off
        b = p.chromium.launch(executable_path=path, args=['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'])
        yield b
        b.close()


@contextlib.contextmanager
def served(folder):
    "An address at which a folder is served."

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args): ...

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()


def is_away(url):
    "Whether an address is not on this machine."
    return not url.startswith(('http://127.0.0.1', 'data:'))


def report(page, faults):
    "Put what goes wrong in a tab into `faults`."

    def requested(request):
        if is_away(request.url):
            faults.append(f'{page.url} wants {request.url}')

    def answered(response):
        if response.status >= 400:
            faults.append(f'{page.url}: {response.status} {response.url}')

    def logged(message):
        if message.type == 'error':
            faults.append(f'{page.url}: {message.text}')

    def failed(error):
        faults.append(f'{page.url}: {error}')

    page.on('request', requested)
    page.on('response', answered)
    page.on('console', logged)
    page.on('pageerror', failed)


@contextlib.contextmanager
def opened(browser, faults, **settings):
    "A tab without a network. What goes wrong in it, any wish for the network included, is put into `faults`."
    context = browser.new_context(**settings)
    page = context.new_page()
    report(page, faults)
    yield page
    context.close()


def pages_in(folder):
    "The names of a site's pages, without those that only lead on."
    return sorted(
        p.name for p in Path(folder).glob('*.html') if 'http-equiv="refresh"' not in p.read_text(encoding='utf-8')
    )


def broken_links(folder, home, name, seen):
    "What is wrong with a page's links within the site."
    for link in (urlsplit(x) for x in seen[name]['links'] if x.startswith(home)):
        target, place = unquote(link.path).lstrip('/') or 'index.html', unquote(link.fragment)
        if not (Path(folder) / target).exists():
            yield f'{name}: a link to {target}, which is not there'
        elif place and target in seen and place not in seen[target]['ids']:
            yield f'{name}: a link to {target}#{place}, which is not there'


def faint_texts(page):
    "The texts that do not stand out, by scheme, of those with a look that no page had before; None where none has."
    from axe_playwright_python.sync_playwright import Axe

    if not page.evaluate(ONE_OF_EACH):
        return dict.fromkeys(SCHEMES)
    page.evaluate(Axe().axe_script)
    out = {}
    for scheme in SCHEMES:  # the page opens in the first; its own button leads to the second, and back
        page.wait_for_function(IS_SHOWN, arg=scheme)
        out[scheme] = page.evaluate(FAINT)
        page.evaluate('smalldocsToggleScheme()')
    return out


def look_at(page):
    "What is on an opened page; how much width it takes, and which code is cut, in each window."
    facts = page.evaluate(LOOK) | dict(needed={}, cut={})
    for width in WIDTHS:
        page.set_viewport_size(dict(width=width, height=844))
        facts['needed'][width] = page.evaluate('document.documentElement.scrollWidth')
        facts['cut'][width] = page.evaluate(CUT)
    return facts


def read(browser, folder, names=None):
    "Look at each page of a site: what is on it, and all that is wrong with it."
    seen, faults = {}, []
    with served(folder) as home, opened(browser, faults) as page:
        for name in names or pages_in(folder):
            page.set_viewport_size(dict(width=WIDTHS[0], height=844))
            page.goto(home + name, wait_until='load')
            seen[name] = look_at(page)
            seen[name]['faint'] = faint_texts(page)
    for name, facts in seen.items():
        faults += [f'{name}: an image without a text, {x}' for x in facts['dumb']]
        faults += [f'{name}: a broken image, {x}' for x in facts['empty']]
        faults += [f'{name}: mathematics that is not drawn, {x}' for x in facts['undrawn']]
        faults += [f'{name}: mathematics with an error, {x}' for x in facts['unknown'] + facts['misspelt']]
        faults += broken_links(folder, home, name, seen)
    return seen, faults


@pytest.fixture(scope='session')
def site(browser, docs):
    return read(browser, docs)


def test_pages_load_and_links_lead_somewhere(site):
    seen, faults = site
    assert set(seen) >= {c.html for c in BOOK} | {'gallery.html', 'glossary.html', 'api.html'}
    assert faults == []


PLANTED = [
    '<a href="nowhere.html">x</a>',
    '<a href="#nowhere">x</a>',
    '<a href="data.html#nowhere">x</a>',
    '<img src="nowhere.png" alt="x">',
    '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
    '<script>console.error("x")</script>',
    '<script>nowhere()</script>',
    '<script src="https://example.org/x.js"></script>',
    '<link rel="stylesheet" href="https://cdn.jsdelivr.net/npm/katex@0.16.11/dist/katex.min.css">',
    '<span class="math inline">x</span>',
    r'<span class="math inline">\(\unknown\)</span>',
    r'<span class="math inline">\(\frac{1\)</span>',
]
WIDE = '<div style="position: absolute; left: 0; width: 1500px">x</div>'
FAINT_IN = {
    'light': '<style>:root:not(.quarto-dark) .faint { color: #ddd }</style><p class="faint">words</p>',
    'dark': '<style>.quarto-dark .dim { color: #333 }</style><p class="dim">words</p>',
}


@pytest.fixture(scope='session')
def planted(browser, docs, tmp_path_factory):
    "What is seen on copies of one page with a fault each, and what is wrong with them."
    folder = tmp_path_factory.mktemp('planted')
    shutil.copytree(docs, folder, ignore=shutil.ignore_patterns('notebooks'), dirs_exist_ok=True)
    page = (folder / 'glossary.html').read_text(encoding='utf-8')
    faults = ['', *PLANTED, WIDE, *FAINT_IN.values()]
    names = {fault: f'planted_{i}_.html' for i, fault in enumerate(faults)}
    for fault, name in names.items():
        (folder / name).write_text(page.replace('</main>', fault + '</main>'), encoding='utf-8')
    seen, found = read(browser, folder, ['data.html', *names.values()])
    about = {fault: [x for x in found if name in x] for fault, name in names.items()}
    assert about[''] == []
    return {fault: seen[name] for fault, name in names.items()}, about


@pytest.mark.parametrize('fault', PLANTED)
def test_a_planted_fault_is_found(fault, planted):
    assert planted[1][fault] != []


@pytest.mark.parametrize(
    'query, wanted',
    [('MCTSAgent', 'mcts_agent.html#mctsagent'), ('ball recall', 'object_recall.html#is-it-reconstructed')],
)
def test_search_finds(query, wanted, browser, docs):
    faults = []
    with served(docs) as home, opened(browser, faults) as page:
        page.goto(home + 'data.html')
        box = page.locator('.smalldocs-search input').first
        box.fill(query)
        page.wait_for_selector('a.search-result')
        links = [x.get_attribute('href').removeprefix('./') for x in page.query_selector_all('a.search-result')]
        assert wanted in links, links
        page.locator(f'a.search-result[href$="{wanted}"]').first.click()
        page.wait_for_url(f'**/{wanted}')
    assert faults == []


def test_thumbnails_lead_to_the_cells_that_draw_them(site, browser, docs):
    drawn = [
        (c.html, d['label'])
        for c in BOOK
        for cell in c.cells
        if 'fig-cap' in (d := directives(cell)) and any('image/png' in o.get('data', {}) for o in cell.outputs)
    ]
    cards = site[0]['gallery.html']['cards']
    assert cards == [f'{html}#{label}' for html, label in drawn] and len(cards) > 20
    for html, label in drawn:
        [(images, code, [caption])] = [rest for anchor, *rest in site[0][html]['figures'] if anchor == label]
        assert images == 1 and code and caption, (html, label)
    with served(docs) as home, opened(browser, []) as page:
        page.goto(home + 'gallery.html')
        page.click('a.card-figure >> nth=3')
        page.wait_for_url(f'**/{cards[3]}')
        page.wait_for_function(
            'at => Math.abs(document.getElementById(at).getBoundingClientRect().y) < 200', arg=cards[3].split('#')[1]
        )


def test_chapters_follow_one_another_and_say_how_to_open_them(site, docs):
    order = [c for c in BOOK if c.name != 'guides.ipynb']
    for i, c in enumerate(order):
        facts = site[0][c.html]
        for which, j in (('previous', i - 1), ('next', i + 1)):
            if 0 <= j < len(order):
                [link] = facts[which]
                assert link.endswith(order[j].html), (c.html, which)
        if not c.module:
            continue
        [text], [download] = facts['bars'], facts['downloads']
        assert 'Runs in about' in text and 'needs' in text
        assert (docs / download).read_bytes() == c.path.read_bytes()
        [colab] = [x for x in facts['ways'] if x.endswith(f'/nbs/{c.name}')]
        assert colab.startswith('https://colab.research.google.com/github/')


@pytest.mark.parametrize('scheme', SCHEMES)
def test_text_stands_out(scheme, site):
    assert {name: x for name, facts in site[0].items() if (x := facts['faint'][scheme])} == {}


@pytest.mark.parametrize('scheme', SCHEMES)
def test_faint_text_is_found(scheme, planted):
    "In the scheme in which it is faint, and in no other."
    faint = planted[0][FAINT_IN[scheme]]['faint']
    assert [where for where in SCHEMES if faint[where]] == [scheme]


@pytest.mark.parametrize('preferred', SCHEMES)
def test_a_page_follows_the_system_and_its_button(preferred, browser, docs):
    "It opens as the system prefers; the button at the top changes it, and changes it back."
    other = SCHEMES[1 - SCHEMES.index(preferred)]
    with served(docs) as home, opened(browser, [], color_scheme=preferred) as page:
        page.goto(home + 'vae.html', wait_until='load')
        behind = {}
        for scheme in (preferred, other, preferred):
            page.wait_for_function(IS_SHOWN, arg=scheme)
            colour = page.evaluate('getComputedStyle(document.body).backgroundColor')
            assert behind.setdefault(scheme, colour) == colour
            page.locator('.quarto-color-scheme-toggle').first.click()
        assert behind['light'] == 'rgb(255, 255, 255)' and behind['dark'] == 'rgb(22, 24, 29)'


@pytest.mark.parametrize('width', WIDTHS)
def test_pages_fit_the_window_and_no_code_is_cut(width, site):
    "No page is wider than a desktop's or a phone's window, and each line of code can be scrolled to its end."
    assert {name: x for name, facts in site[0].items() if (x := facts['needed'][width]) > width} == {}
    assert {name: x for name, facts in site[0].items() if (x := facts['cut'][width])} == {}


@pytest.mark.parametrize('width', WIDTHS)
def test_a_page_that_is_too_wide_is_found(width, planted):
    assert planted[0]['']['needed'][width] <= width < planted[0][WIDE]['needed'][width]


LONG = f'<div class="sourceCode"><pre class="sourceCode python" id="long"><code>{"x" * 120}</code></pre></div>'


@pytest.mark.parametrize(
    'style, is_cut',
    [
        ('#long { overflow-x: auto; }', False),
        ('#long { white-space: pre-wrap; overflow-wrap: anywhere; }', False),
        ('main #long { overflow: hidden; }', True),
        ('main #long { overflow: visible; }', True),
    ],
)
def test_cut_code_is_found(style, is_cut, browser, docs):
    with served(docs) as home, opened(browser, [], viewport=dict(width=390, height=844)) as page:
        page.goto(home + 'vae.html', wait_until='load')
        page.add_style_tag(content=style)
        page.evaluate('code => document.querySelector("main").insertAdjacentHTML("beforeend", code)', LONG)
        assert page.evaluate(CUT) == (['x' * 80] if is_cut else [])


def test_a_line_of_full_length_fits_a_desktop(browser, docs):
    "The package's lines have at most 120 characters: at 1400 pixels none of them needs scrolling."
    with served(docs) as home, opened(browser, [], viewport=dict(width=1400, height=844)) as page:
        page.goto(home + 'vae.html', wait_until='load')
        page.evaluate('code => document.querySelector("main").insertAdjacentHTML("beforeend", code)', LONG)
        needed, given = page.evaluate('(x => [x.scrollWidth, x.clientWidth])(document.getElementById("long"))')
        assert needed <= given


@pytest.mark.parametrize('name', ['vae.html', 'mcts_agent.html', 'rgm.html'])
def test_mathematics_is_drawn_without_a_network(name, browser, docs):
    "With KaTeX's own fonts, and no TeX is left to be seen."
    faults = []
    with served(docs) as home, opened(browser, faults) as page:
        page.goto(home + name, wait_until='load')
        facts = page.evaluate(LOOK)
        assert facts['formulas'] > 10
        assert facts['undrawn'] == []
        fonts = page.evaluate('document.fonts.ready.then(x => [...x].map(f => [f.family, f.status]))')
        assert ['KaTeX_Math', 'loaded'] in fonts
        assert 'error' not in [status for _, status in fonts]
        said = page.evaluate('''() => {
            document.querySelectorAll('main :is(pre, code, .katex-mathml)').forEach(x => x.remove());
            return document.querySelector('main').innerText;
        }''')
        assert re.findall(r'\$[^$\n]+\$|\\[a-z]+|\\[()\[\]]', said) == []
    assert faults == []


# ---- pages that have another name now


@pytest.fixture
def renamed(tmp_path):
    "A small site with one page under a new name, and a table that also has a page that stays and one still to come."
    for name in ('new.html', 'kept.html'):
        (tmp_path / name).write_text(f'<title>{name}</title><h2 id="place">{name}</h2>', encoding='utf-8')
    table = {'old.html': 'new.html', 'kept.html': 'new.html', 'early.html': 'later.html'}
    assert write_redirects(tmp_path, table) == ['old.html']
    return tmp_path


def test_only_what_is_renamed_leads_on(renamed):
    assert pages_in(renamed) == ['kept.html', 'new.html']
    assert sorted(p.name for p in renamed.iterdir()) == ['kept.html', 'new.html', 'old.html']
    page = (renamed / 'old.html').read_text(encoding='utf-8')
    assert '<link rel="canonical" href="https://yezune.github.io/aif_atari/new.html">' in page
    assert '<a href="new.html">' in page


@pytest.mark.parametrize('with_scripts, place', [(True, '#place'), (False, '')])
def test_an_old_address_leads_to_the_new_page(with_scripts, place, renamed, browser):
    "To the section too, where scripts run."
    faults = []
    with served(renamed) as home, opened(browser, faults, java_script_enabled=with_scripts) as page:
        page.goto(f'{home}old.html{place}', wait_until='commit')
        page.wait_for_url(f'**/new.html{place}')
        assert page.title() == 'new.html'
    assert [x for x in faults if 'favicon' not in x and 'Failed to load' not in x] == []


def test_old_addresses_of_this_site_lead_on(docs):
    for old, new in RENAMED.items():
        assert (docs / old).exists(), f'{old} is nowhere, neither as a page nor as one that leads to {new}'
