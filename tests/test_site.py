"""The site, built from this checkout and read in a real browser; and what it must be in step with. Each checker is also tried on a planted fault."""

import contextlib, functools, http.server, importlib, io, json, os, re, shutil, subprocess, sys, threading, time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from execnb.nbio import read_nb
from execnb.shell import CaptureShell

from common import ROOT
from test_package import uncaptioned

sys.path.insert(0, str(ROOT / 'tools'))
from pages import chapters, directives, gallery, minutes
from readme import readme_text

BOOK = chapters()
ELSEWHERE = (
    'https://fonts.googleapis.com/',
    'https://fonts.gstatic.com/',
    'https://cdn.jsdelivr.net/npm/katex@',
)  # fonts and the math renderer: all that may want a network
LOOK = '''() => ({
    title: document.title, ids: [...document.querySelectorAll('[id]')].map(x => x.id),
    links: [...document.querySelectorAll('a[href]')].map(x => x.href), dumb: [...document.querySelectorAll('main img')].filter(x => !x.alt).map(x => x.src.slice(0, 80)),
    empty: [...document.querySelectorAll('img')].filter(x => x.complete && !x.naturalWidth).map(x => x.src.slice(0, 80))})'''


# ---- in step with the results, the notebooks and the commands


def stale(root):
    "What the front page and README say that is not what the results, or the notebook, say now."
    out, index = [], root / 'nbs' / 'index.ipynb'
    if (root / 'README.md').read_text(encoding='utf-8') != readme_text(root):
        out.append('README.md is not what nbs/index.ipynb says: run python tools/readme.py')
    shell, folder = CaptureShell(), os.getcwd()
    os.chdir(root / 'nbs')
    try:
        for cell in read_nb(index).cells:
            if directives(cell).get('echo') != 'false':
                continue
            new = [
                ''.join(o['data']['text/markdown'])
                for o in shell.run(cell.source)
                if 'text/markdown' in o.get('data', {})
            ]
            assert not shell.exc, shell.exc
            if new != [''.join(o['data']['text/markdown']) for o in cell.outputs]:
                out.append(
                    f'a table of nbs/index.ipynb is not what results/ say: run python tools/execute.py nbs/index.ipynb\n{cell.source[:200]}'
                )
    finally:
        os.chdir(folder)
    return out


@pytest.fixture
def front(tmp_path):
    "A copy of what the front page is made from."
    for name in ('nbs/index.ipynb', 'README.md', 'results'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    return tmp_path


def test_front_page_says_what_the_results_say():
    assert stale(ROOT) == []


@pytest.mark.parametrize('file, said', [('README.md', 'README.md is not'), ('nbs/index.ipynb', 'a table of')])
def test_a_stale_number_is_found(file, said, front):
    "One digit of one measured number is another."
    text = (front / file).read_text(encoding='utf-8')
    number = re.search(r'\| (\d\d\.\d\d) \(', text)[1]
    (front / file).write_text(text.replace(number, f'{float(number) + 0.01:.2f}', 1), encoding='utf-8')
    assert any(x.startswith(said) for x in stale(front))


def test_new_results_make_the_front_page_stale(front):
    "An agent's returns that are measured later must appear."
    arms = {
        name: dict(mean=2.0, interval=[1.0, 3.0], returns=[1.0, 3.0], steps=9, ms_per_step=1.0)
        for name in ('random', 'search')
    }
    (front / 'results' / 'agent').mkdir(exist_ok=True)
    (front / 'results' / 'agent' / 'breakout_99.json').write_text(
        json.dumps(dict(env_name='Breakout', seed=99, training=[], arms=arms))
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
        for name in re.findall(r'def (\w+)\((?:(?!def )[\s\S])*?# an ipywidgets box', cell.source)
    ]
    shown = [
        (c, i)
        for c in BOOK
        for i, cell in enumerate(c.cells)
        if cell.cell_type == 'code' and re.match(rf'({"|".join(boxes)})\(', cell.source.split('\n')[-1])
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
    times = json.loads((ROOT / 'results' / 'chapters.json').read_text())['seconds']
    table = next(c.source for c in BOOK[0].cells if c.source.startswith('## The chapters'))
    rows = re.findall(r'^\| (\w*) ?\| \[(.*?)\]\((\w+\.ipynb)\) \|.*\| (.*?) \|$', table, re.M)
    assert rows == [(c.number, c.title, c.name, minutes(times.get(c.path.stem))) for c in BOOK if c.module], (
        'the table of chapters in nbs/index.ipynb: numbers, titles, order, and times as python tools/times.py measured them'
    )
    assert [c.text for c in BOOK if c.number] == [f'{c.number} {c.title}' for c in BOOK if c.number], (
        'the sidebar in _quarto.yml'
    )
    assert [c.name for c in BOOK if not re.fullmatch(r'# .*\n\n> .*', c.cells[0].source)] == [], (
        'the first cell holds title and subtitle alone: nbdev drops the rest of it'
    )


def test_commands_in_prose_exist_with_their_flags():
    commands = dict(re.findall(r'^ *(aif_\w+)=(\S+)$', (ROOT / 'settings.ini').read_text(), re.M))

    @functools.cache
    def flags(name):
        module, main = commands[name].split(':')
        out = io.StringIO()
        with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
            getattr(importlib.import_module(module), main)(['--help'])
        return set(re.findall(r'--\w+', out.getvalue()))

    prose = '\n'.join(c.source for chapter in BOOK for c in chapter.cells if c.cell_type == 'markdown').replace(
        '\\\n', ' '
    )
    lines = re.findall(r'^ *(aif_(?!atari)\w+ .*)$', prose, re.M) + re.findall(
        r'`(aif_(?!atari)\w+(?: [^`]*)?)`', prose
    )
    assert len(lines) > 20
    for line in lines:
        assert set(re.findall(r'(?<= )--\w+', line)) <= flags(line.split()[0]), line
    assert set(re.findall(r'python (tools/\w+\.py)', prose)) <= {
        f'tools/{p.name}' for p in (ROOT / 'tools').glob('*.py')
    }


def test_a_term_is_explained_where_it_first_appears():
    "Each entry of the glossary leads to the first chapter that uses the term, and to a section that does."
    prose = {c.name: '\n'.join(x.source for x in c.cells if x.cell_type == 'markdown') for c in BOOK if c.number}
    terms = re.findall(r'^### (.+)\n\n.*\((\w+\.ipynb)#?([\w-]*)\)$', (ROOT / 'nbs' / 'glossary.qmd').read_text(), re.M)
    assert len(terms) > 40
    for term, name, anchor in terms:
        used = re.compile(r'\b' + re.escape(term.rstrip('s')), re.I)
        first = next(n for n in prose if used.search(prose[n]))
        assert name == first, (
            f'{term} appears in {first}: explain it there and let nbs/glossary.qmd lead there, or use another word'
        )
        section = next(
            s
            for s in re.split(r'^(?=#+ )', prose[name], flags=re.M)
            if not anchor or re.sub(r'[^\w\s-]', '', s.split('\n')[0].lstrip('# ').lower()).replace(' ', '-') == anchor
        )
        assert used.search(section if anchor else prose[name].split('\n## ')[0]), f'{term}: not in {name}#{anchor}'


# ---- built


def build(root, *args, **env):
    start = time.time()
    done = subprocess.run(
        [sys.executable, root / 'tools' / 'docs.py', *args],
        cwd=root,
        env={**os.environ, **env},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout, time.time() - start


@pytest.fixture(scope='session')
def docs():
    "The site as smalldocs builds it from this checkout."
    if sys.version_info < (3, 11):
        pytest.skip('smalldocs needs Python 3.11')
    status = lambda: subprocess.run(['git', 'status', '--porcelain'], cwd=ROOT, capture_output=True, text=True).stdout
    before = status()
    out, seconds = build(ROOT, 'smalldocs')
    assert status() == before, 'the build changed the checkout'
    assert 'broken link' not in out and seconds < 180, (out, seconds)
    return ROOT / '_docs'


def test_quarto_is_used_where_it_is_installed(tmp_path):
    "A stand-in for the program, in a copy: nbdev_docs calls it, the pages are prepared for it, and the README stays as it is."
    for name in ('nbs', 'aif_atari', 'tools', 'results'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__'), symlinks=True)
    for name in ('settings.ini', '_quarto.yml', 'README.md'):
        shutil.copy2(ROOT / name, tmp_path)
    (tmp_path / 'bin').mkdir()
    program = tmp_path / 'bin' / 'quarto'
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n"$QUARTO_PYTHON" ../tools/pages.py && mkdir _docs && touch _docs/index.html\n'
    )
    program.chmod(0o755)
    build(tmp_path, PATH=f'{tmp_path}/bin{os.pathsep}{os.environ["PATH"]}')
    assert (tmp_path / 'calls').read_text() == 'render --no-cache\n'
    assert (tmp_path / '_docs' / 'index.html').exists() and (
        tmp_path / '_docs' / 'notebooks' / '00_data.ipynb'
    ).exists()
    assert (tmp_path / 'README.md').read_text() == (ROOT / 'README.md').read_text()
    assert (
        '.chapter-bar' in (tmp_path / '_proc' / '00_data.ipynb').read_text()
        and 'card-figure' in (tmp_path / '_proc' / 'gallery.qmd').read_text()
    )


def test_llms_txt_lists_the_pages(docs):
    text = (docs / 'llms.txt').read_text()
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
        b = p.chromium.launch(executable_path=path)
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


@contextlib.contextmanager
def opened(browser, faults, **kw):
    "A tab without a network. What goes wrong in it is put into `faults`."
    context = browser.new_context(**kw)
    page = context.new_page()
    away = lambda url: not url.startswith(('http://127.0.0.1', 'data:'))
    page.route(away, lambda route: route.abort())
    page.on(
        'request',
        lambda r: away(r.url) and not r.url.startswith(ELSEWHERE) and faults.append(f'{page.url} wants {r.url}'),
    )
    page.on('response', lambda r: r.status >= 400 and faults.append(f'{page.url}: {r.status} {r.url}'))
    page.on(
        'console',
        lambda m: (
            m.type == 'error'
            and not m.location.get('url', '').startswith(ELSEWHERE)
            and faults.append(f'{page.url}: {m.text}')
        ),
    )
    page.on('pageerror', lambda e: faults.append(f'{page.url}: {e}'))
    yield page
    context.close()


def read(browser, folder, names=None):
    "Look at each page of a site: what is on it, and all that is wrong with it."
    seen, faults = {}, []
    with served(folder) as home, opened(browser, faults) as page:
        for name in names or sorted(p.name for p in Path(folder).glob('*.html')):
            page.goto(home + name, wait_until='load')
            seen[name] = page.evaluate(LOOK)
    for name, facts in seen.items():
        faults += [f'{name}: an image without a text, {x}' for x in facts['dumb']] + [
            f'{name}: a broken image, {x}' for x in facts['empty']
        ]
        for link in (urlsplit(x) for x in facts['links'] if x.startswith(home)):
            target = unquote(link.path).lstrip('/') or 'index.html'
            if not (Path(folder) / target).exists():
                faults.append(f'{name}: a link to {target}, which is not there')
            elif link.fragment and target in seen and unquote(link.fragment) not in seen[target]['ids']:
                faults.append(f'{name}: a link to {target}#{link.fragment}, which is not there')
    return seen, faults


@pytest.fixture(scope='session')
def site(browser, docs):
    return read(browser, docs)


def test_pages_load_and_links_lead_somewhere(site):
    seen, faults = site
    assert set(seen) >= {c.html for c in BOOK} | {'gallery.html', 'glossary.html', 'api.html'}
    assert faults == []


@pytest.mark.parametrize(
    'fault',
    [
        '<a href="nowhere.html">x</a>',
        '<a href="#nowhere">x</a>',
        '<a href="data.html#nowhere">x</a>',
        '<img src="nowhere.png" alt="x">',
        '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
        '<script>console.error("x")</script>',
        '<script>nowhere()</script>',
        '<script src="https://example.org/x.js"></script>',
    ],
)
def test_a_planted_fault_is_found(fault, browser, docs, tmp_path):
    for name in ('glossary.html', 'data.html', 'index.html'):
        shutil.copy(docs / name, tmp_path)
    for name in ('site_libs', 'pictures'):
        shutil.copytree(docs / name, tmp_path / name)
    shutil.copy(docs / 'styles.css', tmp_path)
    known = set(read(browser, tmp_path, ['glossary.html', 'data.html'])[1])
    page = tmp_path / 'glossary.html'
    page.write_text(page.read_text().replace('</main>', fault + '</main>'))
    strip = lambda faults: {re.sub(r':\d{4,5}/', '/', x) for x in faults}
    assert strip(read(browser, tmp_path, ['glossary.html', 'data.html'])[1]) - strip(known) != set()


@pytest.mark.parametrize(
    'query, wanted', [('MCTSAgent', 'mcts_agent.html#mctsagent'), ('ball recall', 'sight.html#is-it-drawn')]
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


def test_thumbnails_lead_to_the_cells_that_draw_them(browser, docs):
    drawn = [
        (c.html, d['label'])
        for c in BOOK
        for cell in c.cells
        if 'fig-cap' in (d := directives(cell)) and any('image/png' in o.get('data', {}) for o in cell.outputs)
    ]
    with served(docs) as home, opened(browser, []) as page:
        page.goto(home + 'gallery.html')
        cards = [x.get_attribute('href') for x in page.query_selector_all('a.card-figure')]
        assert cards == [f'{html}#{label}' for html, label in drawn] and len(cards) > 20
        for link in cards:
            page.goto(home + link)
            cell = page.locator(f'[id="{link.split("#")[1]}"]')
            assert (
                cell.locator('img').count() == 1
                and cell.locator('figcaption').inner_text().strip()
                and cell.locator('pre').count()
            ), link
        page.goto(home + 'gallery.html')
        page.click('a.card-figure >> nth=3')
        page.wait_for_url(f'**/{cards[3]}')
        page.wait_for_function(
            'at => Math.abs(document.getElementById(at).getBoundingClientRect().y) < 200', arg=cards[3].split('#')[1]
        )


def test_chapters_follow_one_another_and_say_how_to_open_them(browser, docs):
    order = [c for c in BOOK if c.name != 'guides.ipynb']
    with served(docs) as home, opened(browser, []) as page:
        for i, c in enumerate(order):
            page.goto(home + c.html)
            for which, j in (('previous', i - 1), ('next', i + 1)):
                if 0 <= j < len(order):
                    assert page.locator(f'.nav-page-{which} a').get_attribute('href').endswith(order[j].html), (
                        c.html,
                        which,
                    )
            if not c.module:
                continue
            bar = page.locator('.chapter-bar')
            assert 'Runs in about' in bar.inner_text() and 'needs' in bar.inner_text()
            assert (docs / bar.locator('a[download]').get_attribute('href')).read_bytes() == c.path.read_bytes()
            assert (
                bar.locator(f'a[href$="/nbs/{c.name}"]')
                .get_attribute('href')
                .startswith('https://colab.research.google.com/github/')
            )


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_pages_fit_a_phone_and_can_be_read(scheme, browser, docs):
    "No page is wider than a phone, and text stands out from what is behind it: by 4.5 to 1, or 3 to 1 where it is large (WCAG 2, as axe measures it)."
    from axe_playwright_python.sync_playwright import Axe

    axe, wide, faint = Axe(), {}, {}
    with served(docs) as home, opened(browser, [], viewport=dict(width=390, height=844), color_scheme=scheme) as page:
        for path in sorted(docs.glob('*.html')):
            page.goto(home + path.name, wait_until='load')
            if (w := page.evaluate('document.documentElement.scrollWidth')) > 390:
                wide[path.name] = w
            found = axe.run(
                page, options=dict(runOnly=['color-contrast'], preload=False, resultTypes=['violations'])
            ).response['violations']
            if found:
                faint[path.name] = [(n['target'], n['any'][0]['message'][:160]) for n in found[0]['nodes'][:3]]
    assert (wide, faint) == ({}, {})
