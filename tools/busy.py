"""How much a busy process slows each command: `python tools/busy.py [rounds]` writes results/busy.json.

Each round runs the small case of every command twice in a fresh folder: alone, and beside a process that keeps one core
busy. The middle one of each command's times counts. What is done is stored after each round, and the same command goes
on. The machine should have nothing else to do. The file also holds what importing, help and a decision take, and how
fast games are played.
"""

import os
import shlex
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from tqdm.auto import tqdm

from aif_atari.core import provenance, read_json, write_json
from aif_atari.environments import CollectConfig
from aif_atari.speed import measure_playing, measure_waits

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'tests'))
from common import SMALL_CASES  # noqa: E402

FILE = ROOT / 'results' / 'busy.json'
KINDS = ('alone', 'busy')


def timed(
    line,  # a command as one would type it
    folder,  # where it runs
):  # wall-clock seconds and seconds of computing
    "Run a command with the number of threads that it chooses itself."
    name, *args = shlex.split(line)
    env = {k: v for k, v in os.environ.items() if not k.startswith(('OMP_', 'MKL_'))}
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        [Path(sysconfig.get_path('scripts')) / name, *args],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**env, 'TQDM_DISABLE': '1', 'MPLBACKEND': 'agg'},
    )
    wall, after = time.perf_counter() - start, os.times()
    computing = after.children_user + after.children_system - before.children_user - before.children_system
    return round(wall, 2), round(computing, 2)


def measure(
    kind,  # alone or busy
    bar,  # of progress
):  # name of a command -> [wall-clock seconds, seconds of computing]
    "Run all small cases once, in a folder of their own."
    other = subprocess.Popen([sys.executable, '-c', 'while True: pass']) if kind == 'busy' else None
    times = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for line in SMALL_CASES.strip().splitlines():
                times[line.split()[0]] = timed(line, folder)
                bar.update()
    finally:
        if other:
            other.kill()
            other.wait()
    return times


def summary(
    rounds,  # as they are stored
):  # name of a command -> its middle times, and how many times longer it took beside a busy process
    "The table of the measurement."
    rows = {}
    for name in rounds[0]['alone']:
        row = {}
        for kind in KINDS:
            wall, computing = (statistics.median(r[kind][name][i] for r in rounds) for i in (0, 1))
            row[kind] = dict(wall=wall, computing=computing)
        rows[name] = row | dict(slowdown=round(row['busy']['wall'] / row['alone']['wall'], 2))
    return rows


def keep(
    rounds,  # all so far
    cases,  # the lines that are run
    everyday,  # what was measured besides
):
    "Write the result."
    about = dict(cores=os.cpu_count(), cases=cases, commands=summary(rounds), rounds=rounds)
    write_json(FILE, about | everyday | provenance())


def main():
    wanted = int(sys.argv[1]) if sys.argv[1:] else 5
    cases = SMALL_CASES.strip().splitlines()
    rounds = read_json(FILE)['rounds'] if FILE.exists() else []
    rates = measure_playing(CollectConfig())[1]
    everyday = dict(waits=measure_waits(), steps_per_second=rates._asdict())
    print(everyday, flush=True)
    with tqdm(total=wanted * len(KINDS) * len(cases), initial=len(rounds) * len(KINDS) * len(cases)) as bar:
        while len(rounds) < wanted:
            rounds.append({kind: measure(kind, bar) for kind in KINDS})
            keep(rounds, cases, everyday)
    keep(rounds, cases, everyday)
    for name, row in summary(rounds).items():
        print(f"{name:<24}{row['alone']['wall']:8.1f} s alone{row['busy']['wall']:8.1f} s busy{row['slowdown']:6.2f}")


if __name__ == '__main__':
    main()
