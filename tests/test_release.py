"""A release, the citation, and the places where the book runs elsewhere: the files parse and name what exists."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timezone

import pytest
from common import ROOT

from aif_atari import __version__

yaml = pytest.importorskip('yaml')


def text(name):
    return (ROOT / name).read_text(encoding='utf-8')


def setting(name):
    return re.search(rf'^{name} = (.*)$', text('settings.ini'), re.M)[1]


@pytest.fixture
def copy(tmp_path):
    "A repository with the files that a release changes, committed."
    names = (
        'nbs/core.ipynb',
        'aif_atari/__init__.py',
        'tools/release.py',
        'settings.ini',
        'CITATION.cff',
        '.gitignore',
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changes = '# Changelog\n\n## Unreleased\n\n- Something new.\n\n## 0.3.0\n\n- Something old.\n'
    (tmp_path / 'CHANGELOG.md').write_text(changes, encoding='utf-8')
    git(tmp_path, 'init', '-q')
    commit(tmp_path)
    return tmp_path


def git(folder, *args):
    subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', *args], cwd=folder, check=True)


def commit(folder):
    git(folder, 'add', '-A')
    git(folder, 'commit', '-qm', 'all', '--allow-empty')


def release(folder, *args):
    command = [sys.executable, 'tools/release.py', *args]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding='utf-8')


def written(folder):
    names = ('settings.ini', 'CITATION.cff', 'CHANGELOG.md', 'aif_atari/__init__.py')
    return {name: (folder / name).read_text(encoding='utf-8') for name in names}


def test_a_release_sets_the_version_everywhere(copy):
    done = release(copy, '99.0.0')
    assert done.returncode == 0, done.stderr
    files, today = written(copy), datetime.now(timezone.utc).date().isoformat()
    assert 'version = 99.0.0\n' in files['settings.ini']
    assert '__version__ = "99.0.0"' in files['aif_atari/__init__.py']
    assert yaml.safe_load(files['CITATION.cff'])['version'] == '99.0.0'
    assert yaml.safe_load(files['CITATION.cff'])['date-released'] == today
    assert f'## Unreleased\n\n## 99.0.0 ({today})\n\n- Something new.\n\n## 0.3.0' in files['CHANGELOG.md']
    assert release(copy, '--tag', 'v99.0.0').returncode == 0
    wrong = release(copy, '--tag', 'v99.0.1')
    assert wrong.returncode == 2
    assert wrong.stderr == 'release: The tag is v99.0.1, and settings.ini has version 99.0.0.\n'


def dirty(folder):
    (folder / 'settings.ini').write_text(text('settings.ini') + '\n', encoding='utf-8')


def tagged(folder):
    git(folder, 'tag', 'v99.0.0')


def nothing_new(folder):
    (folder / 'CHANGELOG.md').write_text('# Changelog\n\n## Unreleased\n\n## 0.3.0\n\n- Old.\n', encoding='utf-8')
    commit(folder)


def as_it_is(folder):
    pass


@pytest.mark.parametrize(
    'prepare, args, words',
    [
        (dirty, ['99.0.0'], 'has changes that are not committed'),
        (tagged, ['99.0.0'], 'exists already'),
        (nothing_new, ['99.0.0'], 'nothing under Unreleased'),
        (as_it_is, [__version__], 'is not above'),
        (as_it_is, ['0.0.1'], 'is not above'),
        (as_it_is, ['four'], 'three numbers'),
        (as_it_is, [], 'Name the version'),
    ],
)
def test_a_release_is_refused_before_anything_is_written(prepare, args, words, copy):
    prepare(copy)
    before = written(copy)
    done = release(copy, *args)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count('\n') == 1
    assert written(copy) == before


def test_versions_agree():
    assert setting('version') == __version__
    assert yaml.safe_load(text('CITATION.cff'))['version'] == __version__


def test_the_citation_has_what_cff_1_2_asks_for():
    citation = yaml.safe_load(text('CITATION.cff'))
    assert citation['cff-version'] == '1.2.0'
    assert {'message', 'title', 'authors', 'date-released', 'license'} <= citation.keys()
    assert citation['license'] == 'Apache-2.0'
    assert citation['repository-code'] == 'https://github.com/yezune/aif_atari'
    assert re.fullmatch(r'\d{4}-\d\d-\d\d', citation['date-released'])


def test_the_classifiers_name_each_python():
    "Those that setup.py would give to pip."
    run = 'import setuptools; setuptools.setup = lambda **kw: print("\\n".join(kw["classifiers"]));'
    run += 'exec(open("setup.py", encoding="utf-8").read())'
    done = subprocess.run([sys.executable, '-c', run], cwd=ROOT, capture_output=True, encoding='utf-8')
    oldest, newest = (int(setting(name).split('.')[1]) for name in ('min_python', 'newest_python'))
    for minor in range(oldest, newest + 1):
        assert f'Programming Language :: Python :: 3.{minor}\n' in done.stdout


def test_the_workflow_publishes_what_it_has_tested():
    workflow = yaml.safe_load(text('.github/workflows/release.yml'))
    build, publish = workflow['jobs']['build'], workflow['jobs']['publish']
    assert workflow[True]['push']['tags'] == ['v*']  # YAML reads "on" as true
    runs = [step.get('run', '') for step in build['steps']]
    assert 'python tools/release.py --tag "$GITHUB_REF_NAME"' in runs
    tests = next(run for run in runs if run.startswith('pytest'))
    for name in ('wheel_works_on_its_own', 'nbdev_finds_nothing'):
        assert name in tests
        assert f'def test_{name}' in text('tests/test_package.py')
    assert publish['needs'] == 'build'
    assert publish['permissions'] == {'id-token': 'write'}
    assert publish['steps'][-1]['uses'].startswith('pypa/gh-action-pypi-publish@')


@pytest.mark.parametrize('name', ['release.yml', 'test.yml', 'site.yml'])
def test_workflows_parse(name):
    assert yaml.safe_load(text(f'.github/workflows/{name}'))['jobs']


def test_the_extras_of_the_workflow_exist():
    extras = re.findall(r'\.\[([\w,]+)\]', text('.github/workflows/test.yml') + text('.devcontainer/install'))
    for extra in {name for names in extras for name in names.split(',')}:
        assert setting(f'{extra}_requirements')


def test_the_container_names_what_exists():
    lines = text('Dockerfile').splitlines()
    words = [line.partition(' ')[0] for line in lines if line and not line.startswith('#')]
    assert words[0] == 'FROM'
    assert words[-1] == 'CMD'
    assert 'USER' in words  # not as root
    user = next(line.split()[1] for line in lines if line.startswith('USER'))
    assert any('useradd' in line and line.endswith(user) for line in lines)
    assert json.loads(lines[-1].partition(' ')[2])[:2] == ['jupyter', 'lab']
    commands = set(re.findall(r'aif_\w+(?= --)', text('Dockerfile')))
    assert commands
    assert all(f'    {name}=' in text('settings.ini') for name in commands)
    python = re.search(r'^FROM python:3\.(\d+)', text('Dockerfile'), re.M)[1]
    assert int(setting('min_python')[2:]) <= int(python) <= int(setting('newest_python')[2:])


def test_the_development_container_names_what_exists():
    container = json.loads(text('.devcontainer/devcontainer.json'))
    script = shlex.split(container['postCreateCommand'])[-1]
    assert (ROOT / script).is_file()
    assert 'nbdev_install_hooks' in text(script)


def test_binder_installs_the_package():
    assert '--torch-backend cpu .' in text('.binder/postBuild')
    python = text('.binder/runtime.txt').strip().removeprefix('python-3.')
    assert int(setting('min_python')[2:]) <= int(python) <= int(setting('newest_python')[2:])
    assert text('.binder/postBuild').startswith('#!')


def test_the_buttons_name_notebooks_that_exist():
    links = re.findall(r'\((https://(?:colab\.research\.google\.com|mybinder\.org)[^)]*)\)', text('README.md'))
    assert len(links) == 2
    for link in links:
        assert 'yezune/aif_atari' in link
        notebook = link.replace('%2F', '/').partition('nbs/')[2]
        assert (ROOT / 'nbs' / notebook).is_file()
