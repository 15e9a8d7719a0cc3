"""Run notebooks and store their outputs: `python tools/execute.py [nbs/01_vae.ipynb ...] [--slow]`.

Cells marked `#| slow` keep the outputs that they have, unless `--slow` is given.
"""
import os, sys, time
from pathlib import Path

from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from fastcore.xtras import working_directory
from nbdev.clean import nbdev_clean
from nbdev.process import NBProcessor


def execute(path, slow=False):
    path, start = Path(path).absolute(), time.time()
    nb = NBProcessor(path, process=True).nb
    def skip(cell):
        flags = getattr(cell, 'directives_', None) or {}
        return cell.cell_type != 'code' or 'nbdev_export(' in cell.source or flags.get('eval:') == ['false'] or ('slow' in flags and not slow)
    shell = CaptureShell(path, mpl_format='png')
    with working_directory(path.parent):
        try: shell.run_all(nb, exc_stop=True, preproc=skip)
        except Exception: sys.exit(shell.prettytb(fname=path)[-3000:])
    raw = read_nb(path)   # the processed cells lack their directives: copy the outputs only
    for cell, done in zip(raw.cells, nb.cells):
        if not skip(done): cell.outputs, cell.execution_count = done.outputs, done.execution_count
    write_nb(raw, path)
    nbdev_clean(fname=str(path))
    print(f'{path.name}: {time.time()-start:.0f} s, {path.stat().st_size//1024} kB')


if __name__ == '__main__':
    os.environ.setdefault('TQDM_DISABLE', '1')
    names = [a for a in sys.argv[1:] if not a.startswith('--')] or sorted(Path('nbs').glob('*.ipynb'))
    for name in names: execute(name, slow='--slow' in sys.argv)
