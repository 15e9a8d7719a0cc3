"""pytest runs each notebook as one test, through nbdev's own runner, and several tests side by side, one thread each.

`--slow` and `--gpu` add the cells and tests with those flags.
"""

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / 'tests'))
from notebooks import run_notebook  # noqa: E402

FLAGS = dict(slow='takes minutes', gpu='needs a GPU')  # as `tst_flags` in settings.ini

# What tests start has one thread: threads of PyTorch that wait for a busy core cost more than they bring.
os.environ.setdefault('OMP_NUM_THREADS', '1')
# And it prints UTF-8, which is what tests read, where a system would choose another encoding.
os.environ.setdefault('PYTHONIOENCODING', 'utf-8')


def pytest_addoption(parser):
    for flag, why in FLAGS.items():
        help = f'also run what {why}: tests and notebook cells marked {flag}'
        parser.addoption(f'--{flag}', action='store_true', help=help)


def pytest_configure(config):
    for flag, why in FLAGS.items():
        config.addinivalue_line('markers', f'{flag}: {why}; runs with --{flag} only')


def seconds_of_notebooks():
    "How long each notebook takes, by name, where that was measured."
    file = ROOT / 'results' / 'chapters.json'
    return json.loads(file.read_text(encoding='utf-8'))['seconds'] if file.exists() else {}


def pytest_collection_modifyitems(config, items):
    # the short notebooks come last, so that the processes end together
    seconds = seconds_of_notebooks()
    items.sort(key=lambda item: (item.path.suffix == '.ipynb', -seconds.get(item.path.stem, 1e9)))
    for item in items:
        for flag, why in FLAGS.items():
            if item.get_closest_marker(flag) and not config.getoption(flag):
                item.add_marker(pytest.mark.skip(reason=f'{why}: add --{flag}'))


def pytest_collect_file(file_path, parent):
    in_book = file_path.suffix == '.ipynb' and ROOT / 'nbs' in file_path.parents
    hidden = file_path.name.startswith('_') or '.ipynb_checkpoints' in file_path.parts
    if in_book and not hidden:
        return NotebookFile.from_parent(parent, path=file_path)


class NotebookFile(pytest.File):
    def collect(self):
        yield Notebook.from_parent(self, name='notebook')


class Notebook(pytest.Item):
    "One notebook, run from top to bottom in a process of its own."

    def runtest(self):
        flags = ' '.join(f for f in FLAGS if self.config.getoption(f))
        succeeded, printed = run_notebook(self.path, flags)
        if not succeeded:
            raise NotebookFailed(printed)

    def repr_failure(self, excinfo):
        if excinfo.errisinstance(NotebookFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, str(self.path.relative_to(ROOT))


class NotebookFailed(Exception):
    "What nbdev's runner printed."
