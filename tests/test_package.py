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
from common import BIN, ROOT, TINY, hashes

NOTEBOOKS = sorted((ROOT / 'nbs').glob('*.ipynb'))


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "A copy of what the package is built from."
    folder = tmp_path_factory.mktemp('copy')
    for name in ('nbs', 'aif_atari'):
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


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_was_executed_and_tells_no_errors(path):
    assert uncaptioned(path) == [], 'figures without a caption'
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        if cell['cell_type'] != 'code':
            continue
        source, outputs = ''.join(cell['source']), cell['outputs']
        assert not [o for o in outputs if o['output_type'] == 'error' or o.get('name') == 'stderr'], source
        if prints(source) and not re.search(r'^#\|\s*eval: *false', source, re.M):
            assert outputs, f'was not executed:\n{source}'


def test_wheel_works_on_its_own(copy, tmp_path):
    "Built offline, installed elsewhere, it trains where none of the tools for developers can be imported."
    wheels, target, stubs = (tmp_path / name for name in ('wheels', 'target', 'stubs'))
    pip = (sys.executable, '-m', 'pip', '--disable-pip-version-check')
    call(*pip, 'wheel', '--no-deps', '--no-build-isolation', '--no-index', '-w', wheels, '.', cwd=copy)
    call(*pip, 'install', '--no-deps', '--no-index', '--target', target, *wheels.glob('*.whl'), cwd=tmp_path)
    stubs.mkdir()
    for name in ('nbdev', 'execnb', 'pytest', 'hypothesis'):
        (stubs / f'{name}.py').write_text(f'raise ImportError("{name} is for developers")', encoding='utf-8')
    env = dict(PYTHONPATH=f'{stubs}{os.pathsep}{target}')
    modules = ['aif_atari'] + [f'aif_atari.{p.stem}' for p in (ROOT / 'aif_atari').glob('[a-z]*.py')]
    assert str(target) in call(
        sys.executable, '-c', f'import {", ".join(modules)}; print(aif_atari.__file__)', cwd=tmp_path, **env
    )
    scripts = next(target.glob('*/aif_play*')).parent
    weights = target / 'aif_atari' / 'weights'
    assert sum(f.stat().st_size for f in weights.iterdir()) <= 10e6
    names = '(load_pretrained(name).settings.collect.env_name for name in ("breakout", "pong"))'
    shipped = f'from aif_atari.train import load_pretrained; print(*{names})'
    assert 'Breakout Pong' in call(sys.executable, '-c', shipped, cwd=tmp_path, **env)
    assert 'mean return' in call(
        scripts / 'aif_play',
        '--pretrained',
        'breakout',
        '--max_steps',
        '40',
        '--num_simulations',
        '5',
        cwd=tmp_path,
        **env,
    )
    assert (tmp_path / 'outputs' / 'play' / 'play.gif').stat().st_size > 1000
    assert 'Done: run/best_model.pt' in call(
        scripts / 'aif_train_vae', *TINY.split(), '--epochs', '1', '--output_dir', 'run', cwd=tmp_path, **env
    )
