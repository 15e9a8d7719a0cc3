"""Runs a notebook through nbdev's own runner, as a fork of a process that has imported what all notebooks import."""

import multiprocessing
import os
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
# torch._dynamo is imported by each process that makes an optimiser
PRELOADED = ['torch', 'torch._dynamo', 'matplotlib.pyplot', 'ipywidgets', 'gymnasium', 'ale_py', 'fastcore.test']
PRELOADED += ['nbdev.test', 'tqdm', 'filelock', 'PIL.PngImagePlugin']


def _run(path, flags, log):
    "Run a notebook in this process; what it prints goes into the file `log`."
    os.chdir(ROOT)
    os.environ.update(TQDM_DISABLE='1', MPLBACKEND='agg')
    with open(log, 'w', encoding='utf-8') as f:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(f.fileno(), stream.fileno())
    from nbdev.test import nbdev_test

    try:
        nbdev_test(path=str(path), n_workers=0, flags=flags)
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def run_notebook(
    path,  # of the notebook
    flags,  # of the cells to run too, separated by spaces
):  # whether it succeeded, and what was printed
    "Run the cells of a notebook from top to bottom, in a process of its own."
    context = multiprocessing.get_context(
        'forkserver' if 'forkserver' in multiprocessing.get_all_start_methods() else 'spawn'
    )
    context.set_forkserver_preload(PRELOADED)
    with TemporaryDirectory() as folder:
        log = Path(folder) / 'log.txt'
        process = context.Process(target=_run, args=(path, flags, log))
        process.start()
        process.join()
        printed = log.read_text(encoding='utf-8', errors='replace') if log.exists() else ''
    # nbdev also exits with 0 when it found nothing to run
    return process.exitcode == 0 and 'Success.' in printed, printed
