"""Notebooks, modules, README and wheel say the same, and the wheel works on its own."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from common import BIN, ROOT, SMALL_CASES, TINY, hashes
from IPython.core.inputtransformer2 import TransformerManager

from aif_atari.game_sets import RECIPE_AGENTS

SCRIPTS = 'Scripts' if os.name == 'nt' else 'bin'  # where pip puts them under a target
NOTEBOOKS = sorted((ROOT / 'nbs').glob('*.ipynb'))

# What "Run All" does in Jupyter and VS Code: `python -c RUN_ALL notebook working_directory`.
RUN_ALL = '''
import sys
import nbformat
from nbclient import NotebookClient

where = {'metadata': {'path': sys.argv[2]}}
NotebookClient(nbformat.read(sys.argv[1], 4), timeout=None, kernel_name='python3', resources=where).execute()
'''


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "A copy of what the package is built from."
    folder = tmp_path_factory.mktemp('copy')
    for name in ('nbs', 'aif_atari', 'results'):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints', '_proc')
        )
    for name in ('settings.ini', 'pyproject.toml', 'setup.py', 'MANIFEST.in', 'README.md'):
        shutil.copy(ROOT / name, folder)
    return folder


def call(*args, cwd, **env):
    done = subprocess.run(
        args,
        cwd=cwd,
        env={**os.environ, 'TQDM_DISABLE': '1', 'MPLBACKEND': 'agg', **env},
        encoding='utf-8',
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_readme_says_what_index_says():
    spec = importlib.util.spec_from_file_location('readme', ROOT / 'tools' / 'readme.py')
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    assert (ROOT / 'README.md').read_text(encoding='utf-8') == readme.readme_text(), 'run python tools/readme.py'


@pytest.mark.parametrize('command, folder', [('nbdev_export', 'aif_atari'), ('nbdev_clean', 'nbs')])
def test_nbdev_finds_nothing_to_do(command, folder, copy):
    "The modules are what the notebooks export; the notebooks are clean."
    before = hashes(copy / folder)
    call(BIN / command, cwd=copy)
    after = hashes(copy / folder)
    assert [name for name in before | after if before.get(name) != after.get(name)] == [], f'run {command}'


def prints(source):
    "Whether a cell prints at its top level, so that an executed notebook has output there."
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False  # a magic
    return any(
        isinstance(x, ast.Expr) and isinstance(x.value, ast.Call) and getattr(x.value.func, 'id', '') == 'print'
        for x in body
    )


def uncaptioned(path):
    "The cells of a notebook that draw a figure and don't say what it shows."
    cells = [c for c in json.loads(path.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code']
    return [
        ''.join(c['source'])
        for c in cells
        if any(k.startswith('image/') for o in c['outputs'] for k in o.get('data', {}))
        and not re.search(r'^#\|\s*fig-cap: *\S', ''.join(c['source']), re.M)
    ]


def only_defines(source):
    "Whether a cell imports and defines, and does nothing else."
    code = '\n'.join(line for line in source.split('\n') if not line.startswith('%'))
    silent = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return all(isinstance(statement, silent) for statement in ast.parse(code).body)


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.name)
def test_a_cell_that_only_defines_has_no_output(path):
    "Such an output is left over from another version of the cell."
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    shown = [''.join(c['source']) for c in cells if c['cell_type'] == 'code' and c['outputs']]
    assert [source for source in shown if only_defines(source)] == []


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_was_executed_and_tells_no_errors(path):
    assert uncaptioned(path) == [], 'figures without a caption'
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        if cell['cell_type'] != 'code':
            continue
        source, outputs = ''.join(cell['source']), cell['outputs']
        assert not [o for o in outputs if o['output_type'] == 'error' or o.get('name') == 'stderr'], source
        texts = [''.join(o.get('text', o.get('data', {}).get('text/plain', ''))) for o in outputs]
        assert not [text for text in texts if re.search(r'/tmp/|/home/|/root/', text)], f'names a path:\n{source}'
        if prints(source) and not re.search(r'^#\|\s*eval: *false', source, re.M):
            assert outputs, f'was not executed:\n{source}'


def test_results_name_no_path_of_a_machine():
    "The command that a result names can be typed anywhere."
    named = re.compile(r'(?:/tmp|/home|/root)/|"command": "[^"]* /')
    files = sorted((ROOT / 'results').rglob('*.json'))
    assert files
    assert [f.name for f in files if named.search(f.read_text(encoding='utf-8'))] == []


@pytest.fixture(scope='module')
def installed(copy, tmp_path_factory):
    "The wheel, built offline and installed elsewhere: its folder, and an environment without the developers' tools."
    wheels, target, stubs = (tmp_path_factory.mktemp(name) for name in ('wheels', 'target', 'stubs'))
    pip = (sys.executable, '-m', 'pip', '--disable-pip-version-check')
    call(*pip, 'wheel', '--no-deps', '--no-build-isolation', '--no-index', '-w', wheels, '.', cwd=copy)
    call(*pip, 'install', '--no-deps', '--no-index', '--target', target, *wheels.glob('*.whl'), cwd=wheels)
    for name in ('nbdev', 'execnb', 'pytest', 'hypothesis'):
        (stubs / f'{name}.py').write_text(f'raise ImportError("{name} is for developers")', encoding='utf-8')
    return target, dict(
        PYTHONPATH=f'{stubs}{os.pathsep}{target}', PATH=f'{target / SCRIPTS}{os.pathsep}{os.environ["PATH"]}'
    )


def test_wheel_works_on_its_own(installed, tmp_path):
    "It trains where none of the tools for developers can be imported; what it measures names no commit of others."
    target, env = installed
    modules = ['aif_atari'] + [f'aif_atari.{p.stem}' for p in (ROOT / 'aif_atari').glob('[a-z]*.py')]
    imports = f'import sys; sys.modules["fastcore"] = None; import {", ".join(modules)}; print(aif_atari.__file__)'
    assert str(target) in call(sys.executable, '-c', imports, cwd=tmp_path, **env)
    sizes = {f.name: f.stat().st_size for f in (target / 'aif_atari' / 'weights').iterdir()}
    recipe = sum(sizes.pop(f'{name}_agent.pt') for name in RECIPE_AGENTS.values())
    assert recipe <= 12e6
    assert sum(sizes.values()) <= 10e6
    names = '(load_pretrained(name).settings.collect.env_name for name in ("breakout", "pong"))'
    shipped = f'from aif_atari.train import load_pretrained; print(*{names})'
    assert 'Breakout Pong' in call(sys.executable, '-c', shipped, cwd=tmp_path, **env)
    play = 'aif_play --pretrained breakout --max_steps 40 --num_simulations 5'
    assert 'mean return' in call(target / SCRIPTS / 'aif_play', *play.split()[1:], cwd=tmp_path, **env)
    assert (tmp_path / 'outputs' / 'play' / 'play.gif').stat().st_size > 1000
    train = f'{TINY} --epochs 1 --output_dir run'
    said = call(target / SCRIPTS / 'aif_train_vae', *train.split(), cwd=tmp_path, **env)
    assert 'Done: run/best_model.pt' in said


def test_a_wheel_in_a_repository_of_others_names_its_version_and_no_commit(installed, tmp_path):
    "Not even where that repository keeps its environment, with the package, under version control."
    target, env = installed
    shutil.copytree(target, tmp_path / 'env')
    git = ('git', '-c', 'user.name=a', '-c', 'user.email=a@b')
    for args in (['init', '-q'], ['add', '-f', 'env/aif_atari'], ['commit', '-qm', 'theirs']):
        call(*git, *args, cwd=tmp_path)
    code = 'from aif_atari.core import provenance; p = provenance(); print(p["commit"], p["versions"]["aif_atari"])'
    env = env | dict(PYTHONPATH=str(tmp_path / 'env'))
    version = re.search(r'^version = (.*)', (ROOT / 'settings.ini').read_text(encoding='utf-8'), re.M)[1]
    assert call(sys.executable, '-c', code, cwd=tmp_path, **env).split() == ['None', version]


def first_code(path):
    "The source of a notebook's first code cell."
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return next(''.join(c['source']) for c in cells if c['cell_type'] == 'code')


class Shell:
    "Stands for the IPython of a notebook."

    def __init__(self, name):
        self.name, self.called = name, []

    def __str__(self):
        return self.name

    def run_line_magic(self, magic, line):
        self.called.append(f'%{magic} {line}')


def test_the_first_cell_installs_the_package_in_colab_and_nowhere_else():
    sources = {first_code(path) for path in NOTEBOOKS}
    assert len(sources) == 1, sources
    code = TransformerManager().transform_cell(sources.pop())
    colab, jupyter = Shell('<google.colab._shell.Shell object>'), Shell('<ipykernel.zmqshell object>')
    for shell in (colab, jupyter):
        exec(code, dict(get_ipython=lambda shell=shell: shell))
    assert colab.called == ['%pip install -q git+https://github.com/yezune/aif_atari']
    assert jupyter.called == []


def run_all(path, installed, tmp_path):
    "Run a downloaded notebook in a kernel that works in another folder. It leaves no file in either."
    downloads, elsewhere = tmp_path / 'downloads', tmp_path / 'elsewhere'
    for folder in (downloads, elsewhere):
        folder.mkdir()
    shutil.copy(path, downloads)
    call(sys.executable, '-c', RUN_ALL, downloads / path.name, elsewhere, cwd=tmp_path, **installed[1])
    assert [p.name for p in downloads.iterdir()] == [path.name]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize('name', ['core', '04d_expected_free_energy'])
def test_a_downloaded_chapter_runs_anywhere(name, installed, tmp_path):
    run_all(ROOT / 'nbs' / f'{name}.ipynb', installed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_every_downloaded_chapter_runs_anywhere(path, installed, tmp_path):
    run_all(path, installed, tmp_path)


@pytest.mark.slow
def test_every_command_of_the_wheel_works(installed, tmp_path):
    lines = SMALL_CASES.strip().splitlines()
    assert {line.split()[0] for line in lines} == {p.stem for p in (installed[0] / SCRIPTS).glob('aif_*')}
    for line in lines:
        name, *args = line.split()
        call(installed[0] / SCRIPTS / name, *args, cwd=tmp_path, **installed[1])


@pytest.mark.slow
def test_the_full_run_passes_its_bar(tmp_path):
    "Most of an hour."
    call(BIN / 'aif_reproduce', '--preset', 'full', '--seeds', '42', '--results_dir', 'results', cwd=tmp_path)
    run = json.loads((tmp_path / 'results' / 'vae_full.json').read_text(encoding='utf-8'))['runs']['42']
    assert run['results']['VAE']['psnr'] >= 43
    assert run['results']['VAE']['within_tolerance'] >= 0.999
    assert run['minutes'] <= 60
