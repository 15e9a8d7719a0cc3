"""Run notebooks and store their outputs: `python tools/execute.py [nbs/01_vae.ipynb ...] [--slow]`.

Cells marked `#| slow` keep the outputs that they have, unless `--slow` is given.
"""

import os
import sys
import time
from functools import partial
from pathlib import Path

from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from fastcore.xtras import working_directory
from nbdev.clean import nbdev_clean
from nbdev.process import NBProcessor


def is_skipped(
    cell,  # processed by nbdev
    slow,  # whether slow cells run
):
    "Whether a cell is not run."
    flags = getattr(cell, 'directives_', None) or {}
    return cell.cell_type != 'code' or flags.get('eval:') == ['false'] or ('slow' in flags and not slow)


def run(
    path,
    slow,  # whether slow cells run
):
    "A notebook's processed cells, after they ran in its folder."
    nb = NBProcessor(path, process=True).nb
    shell = CaptureShell(path, mpl_format='png')
    with working_directory(path.parent):
        try:
            shell.run_all(nb, exc_stop=True, preproc=partial(is_skipped, slow=slow))
        except Exception:
            sys.exit(shell.prettytb(fname=path)[-3000:])
    return nb.cells


def execute(path, slow=False):
    "Run a notebook and store its outputs in it."
    path, start = Path(path).absolute(), time.time()
    cells = run(path, slow)
    raw = read_nb(path)  # the processed cells lack their directives: copy the outputs only
    for cell, done in zip(raw.cells, cells):
        if not is_skipped(done, slow):
            cell.outputs = done.outputs
            cell.execution_count = done.execution_count
    write_nb(raw, path)
    nbdev_clean(fname=str(path))
    print(f'{path.name}: {time.time() - start:.0f} s, {path.stat().st_size // 1024} kB')


def main():
    os.environ.setdefault('TQDM_DISABLE', '1')
    names = [a for a in sys.argv[1:] if not a.startswith('--')] or sorted(Path('nbs').glob('*.ipynb'))
    for name in names:
        execute(name, slow='--slow' in sys.argv)


if __name__ == '__main__':
    main()
