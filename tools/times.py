"""How long each notebook runs: `python tools/times.py [name ...]` writes it to results and into the table of chapters.

Processor time on one thread is counted, so that a busy machine makes no chapter look slow.
"""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from execnb.nbio import read_nb, write_nb
from pages import minutes

from aif_atari.core import provenance, read_json, write_json

ROOT = Path(__file__).resolve().parent.parent


def used():
    "Processor seconds of the processes that this one has started and that have ended."
    usage = os.times()
    return usage.children_user + usage.children_system


def seconds(path):
    "Processor seconds of one run of a notebook."
    before = used()
    subprocess.run(
        [Path(sysconfig.get_path('scripts')) / 'nbdev_test', '--path', path, '--n_workers', '0'],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'TQDM_DISABLE': '1', 'MPLBACKEND': 'agg'},
    )
    return round(used() - before, 1)


def fill_table(
    times,  # seconds by notebook
):
    "Put the times into the last column of the front page's table of chapters."

    def row(found):
        return f'{found[1]} | {minutes(times.get(found[2]))} |'

    path = ROOT / 'nbs' / 'index.ipynb'
    nb = read_nb(path)
    table = next(c for c in nb.cells if c.source.startswith('## The chapters'))
    table.source = re.sub(r'^(\|.*\]\((\w+)\.ipynb\) \|.*) \| .*? ?\|$', row, table.source, flags=re.M)
    write_nb(nb, path)


def main():
    file = ROOT / 'results' / 'chapters.json'
    names = sys.argv[1:] or sorted(p.stem for p in (ROOT / 'nbs').glob('*.ipynb'))
    out = read_json(file)['seconds'] if file.exists() else {}
    for name in names:
        out[name] = seconds(ROOT / 'nbs' / f'{name}.ipynb')
        print(f'{name}: {out[name]:.0f} s', flush=True)
        write_json(file, dict(seconds=dict(sorted(out.items()))) | provenance())
    fill_table(out)


if __name__ == '__main__':
    main()
