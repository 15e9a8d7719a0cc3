"""The package on other systems, with other versions, and where someone waits for an import."""

import ast
import json
import re
import subprocess
import sys
from functools import cache

import pytest
from common import ROOT

PACKAGE = sorted((ROOT / 'aif_atari').glob('*.py'))
PROGRAMS = [*sorted((ROOT / 'tests').glob('*.py')), *sorted((ROOT / 'tools').glob('*.py'))]
PROGRAMS += [ROOT / 'conftest.py', ROOT / 'setup.py']
NOTEBOOKS = sorted((ROOT / 'nbs').glob('*.ipynb'))
UNIX_ONLY = {
    'crypt',
    'curses',
    'fcntl',
    'grp',
    'posix',
    'pty',
    'pwd',
    'readline',
    'resource',
    'syslog',
    'termios',
    'tty',
}
FORBIDDEN = r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)'  # in a name, on Windows


def python(code):
    "What a fresh interpreter prints."
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, encoding='utf-8')
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def trees():
    "Place and syntax tree of each module, test and tool, and of each code cell of a notebook."
    found = [(path.name, ast.parse(path.read_text(encoding='utf-8'))) for path in PACKAGE + PROGRAMS]
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
            source = ''.join(cell['source'])
            if cell['cell_type'] == 'code' and not re.search(r'^\s*[%!]', source, re.M):
                found.append((f'{path.name} {cell["id"]}', ast.parse(source)))
    return found


# ---- other systems


def test_every_module_is_imported_without_what_only_unix_has():
    names = [f'aif_atari.{p.stem}' for p in PACKAGE if p.stem != '__init__']
    others = 'ale_py, filelock, gymnasium, ipywidgets, IPython.display, matplotlib.pyplot, torch, tqdm.auto'
    hide = f'import sys, {others}; sys.modules.update(dict.fromkeys({sorted(UNIX_ONLY)}))'
    python(f'{hide}; import {", ".join(names)}')


def imports(body):
    "The modules that are imported on the way through `body`, not within a function."
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_tests_and_tools_can_be_read_without_what_only_unix_has():
    found = [f'{place}: {name}' for place, tree in trees() for name in imports(tree.body) if name in UNIX_ONLY]
    assert found == []


def opens_text_in_any_encoding(call):
    "Whether a call opens a text file, or reads what a program prints, without saying how it is encoded."
    given = {k.arg for k in call.keywords}
    if 'encoding' in given:
        return False
    if isinstance(call.func, ast.Attribute) and call.func.attr in ('read_text', 'write_text'):
        return True
    if getattr(call.func, 'id', '') == 'open':
        modes = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == 'mode')]
        return not (modes and 'b' in getattr(modes[0], 'value', ''))
    return bool(given & {'text', 'universal_newlines'})


@pytest.mark.parametrize(
    'call, found',
    [
        ("open('a')", True),
        ("open('a', 'rb')", False),
        ("open('a', mode='wb')", False),
        ("open('a', 'w', encoding='utf-8')", False),
        ('path.read_text()', True),
        ("path.write_text('a', encoding='utf-8')", False),
        ('subprocess.run(line, text=True)', True),
        ("write_text(path, 'a')", False),  # of `core`, which writes UTF-8
    ],
)
def test_a_text_file_without_encoding_is_found(call, found):
    assert opens_text_in_any_encoding(ast.parse(call).body[0].value) == found


def test_every_text_file_has_its_encoding():
    calls = [(place, node) for place, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [f'{place}: {ast.unparse(call)}' for place, call in calls if opens_text_in_any_encoding(call)] == []


def test_files_have_names_that_every_system_takes():
    listed = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, encoding='utf-8').stdout
    names = list(filter(None, listed.split('\0')))
    parts = {part for name in names for part in name.split('/')}
    assert [name for name in names if name.endswith('.lock')] == []
    assert [part for part in parts if re.search(FORBIDDEN, part, re.I)] == []
    assert len({name.lower() for name in names}) == len(names)
    assert max(map(len, names), default=0) <= 120  # Windows takes 260, with the folders above


# ---- other versions


def test_the_versions_of_python_are_the_same_everywhere():
    "Those that are declared are those that are tested, from the oldest to the newest."
    settings = (ROOT / 'settings.ini').read_text(encoding='utf-8')
    oldest = re.search(r'^min_python = (.*)$', settings, re.M)[1]
    newest = re.search(r'^newest_python = (.*)$', settings, re.M)[1]
    jobs = (ROOT / '.github' / 'workflows' / 'test.yml').read_text(encoding='utf-8')
    assert re.search(rf'resolution: lowest-direct, python: "{oldest}"', jobs)
    assert re.search(rf'resolution: highest, python: "{newest}"', jobs)
    assert f'Python {oldest} to {newest}' in (ROOT / 'README.md').read_text(encoding='utf-8')


# ---- someone waits

AGENT = '''
import sys, time
start = time.process_time()
import torch
middle = time.process_time()
import aif_atari.agent
print(middle - start, time.process_time() - middle, *sys.modules)
'''


def test_an_agent_is_imported_in_little_more_than_torch():
    "Nothing that draws, shows or trains comes along; the rest costs a fraction of torch's seconds of computing."
    theirs, ours, *modules = python(AGENT).split()
    roots = {name.partition('.')[0] for name in modules}
    assert roots & {'matplotlib', 'IPython', 'ipywidgets', 'PIL', 'pandas', 'scipy'} == set()
    assert {'aif_atari.train', 'aif_atari.data', 'aif_atari.plotting'} & set(modules) == set()
    assert float(ours) <= 0.3 * float(theirs)
