"""Sweeps that are killed and go on, on processes and on Ray; and trainings that share their batches between ranks."""

import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from common import BIN, KILL, run, site, surroundings, unix_only
from test_commands import assert_one_sentence

from aif_atari.core import read_json

TINY = '--num_episodes 2 --max_steps 40 --frame_size 16 --width 4 --latent_dim 4 --batch_size 16'
FOUR = f'aif_sweep --command aif_train_vae --seed 0,1,2,3 {TINY} --epochs 4'
has_ray = pytest.mark.skipif(importlib.util.find_spec('ray') is None, reason='needs the extra ray')


def measures(folder):
    "What a sweep measured, by run."
    return {r['name']: r['measures'] for r in read_json(folder / 'results.json')['runs']}


def start(line, folder):
    "An installed command in a process of its own; Ctrl-C at pytest's terminal is not for it."
    name, *words = line.split()
    return subprocess.Popen(
        [BIN / name, *words],
        cwd=folder,
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding='utf-8',
        start_new_session=True,
        # as at a terminal: where pytest runs in the background of a script, its children ignore Ctrl-C
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "Four runs on the local engine that nobody disturbs: their folder."
    folder = tmp_path_factory.mktemp('whole')
    done = run(f'{FOUR} --output_dir sweep', folder)
    assert done.code == 0, done
    return folder


def workers_of(process):
    "The runs of a sweep that run now, as process numbers."
    listed = subprocess.run(['pgrep', '-P', str(process.pid)], capture_output=True, encoding='utf-8').stdout
    return [int(pid) for pid in listed.split()]


def wait_for(condition, seconds=120):
    "Wait until something holds."
    end = time.perf_counter() + seconds
    while not (found := condition()):
        assert time.perf_counter() < end
        time.sleep(0.02)
    return found


@unix_only
def test_a_sweep_survives_kill_9_of_a_worker_and_of_itself(whole, tmp_path):
    line = f'{FOUR} --workers 2 --output_dir sweep'
    first = start(line, tmp_path)
    worker = wait_for(lambda: workers_of(first))[0]
    wait_for(lambda: list(tmp_path.glob('sweep/seed-*/metrics.jsonl')))
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: list(tmp_path.glob('sweep/done/*.json')))
    left = workers_of(first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    wait_for(lambda: not any(Path(f'/proc/{pid}').exists() for pid in left), 60)  # runs end with their sweep
    done = run(line, tmp_path)
    assert done.code == 0, done
    assert 'of them done before' in done.out
    assert measures(tmp_path / 'sweep') == measures(whole / 'sweep')


@unix_only
def test_ctrl_c_stops_all_runs_and_says_how_to_go_on(whole, tmp_path):
    line = f'{FOUR} --output_dir sweep'
    process = start(line, tmp_path)
    wait_for(lambda: list(tmp_path.glob('sweep/seed-*/metrics.jsonl')))
    left = workers_of(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert 'Run the same command again to go on' in err
    assert not any(Path(f'/proc/{pid}').exists() for pid in left)
    assert run(line, tmp_path).code == 0
    assert measures(tmp_path / 'sweep') == measures(whole / 'sweep')


def test_a_run_that_fails_leaves_the_others_and_one_report(tmp_path):
    line = f'aif_sweep --command aif_train_vae --lr 0.001,0.002,0.003,1e30 {TINY} --epochs 2 --output_dir sweep'
    done = run(line, tmp_path, first='from aif_atari import many_runs; many_runs.PATIENCE = 0.5')
    assert done.code == 2
    assert '1 of 4 runs failed: lr-1e30.' in done.err
    assert done.out.count('failed twice; its log ends:') == 1
    assert 'stopped being a number' in done.out
    assert sorted(measures(tmp_path / 'sweep')) == ['lr-0.001', 'lr-0.002', 'lr-0.003']


@pytest.mark.parametrize(
    'line, sentence',
    {
        '--command aif_train_vea --seed 0': "no command 'aif_train_vea'|aif_train_vae",
        '--command aif_train_vae --seed 0,,1': 'empty value',
        '--command aif_train_vae --sead 0': 'There is no flag --sead|--seed',
        '--command aif_train_vae --seed 0,x': "whole number, not 'x'",
        '--command aif_collect --seed 0': 'aif_collect has no output_dir',
        '--command aif_train_vae --grid_file none.json': 'none.json|read as JSON',
    }.items(),
)
def test_a_sweep_that_cannot_be_made_is_told_in_one_sentence(line, sentence, tmp_path):
    done = run(f'aif_sweep {line} --output_dir sweep', tmp_path)
    assert_one_sentence(done, 'aif_sweep', sentence)
    assert not list(tmp_path.glob('sweep/seed-*'))


def test_two_sweeps_do_not_share_a_folder(whole):
    done = run(f'{FOUR} --lr 0.1 --output_dir sweep', whole)
    assert_one_sentence(done, 'aif_sweep', 'a sweep of other runs')


def test_a_cluster_that_does_not_answer_is_told(tmp_path):
    there = importlib.util.find_spec('ray')
    done = run('aif_sweep --command aif_train_vae --seed 0 --engine ray --address 127.0.0.1:1', tmp_path)
    assert_one_sentence(done, 'aif_sweep', 'no Ray cluster at 127.0.0.1:1' if there else 'pip install "aif_atari[ray]"')


@has_ray
def test_ray_gives_the_same_results(whole, tmp_path):
    done = run(f'{FOUR} --engine ray --workers 2 --output_dir sweep', tmp_path)
    assert done.code == 0, done
    assert measures(tmp_path / 'sweep') == measures(whole / 'sweep')


@pytest.mark.slow
def test_two_workers_are_faster_than_one(tmp_path):
    "Eight tiny trainings in at most 0.6 of one worker's time, medians of three."
    line = f'aif_sweep --command aif_train_vae --seed 0,1,2,3,4,5,6,7 {TINY} --epochs 60'
    seconds = {1: [], 2: []}
    for turn in range(3):
        for workers, taken in seconds.items():
            begun = time.perf_counter()
            assert run(f'{line} --workers {workers} --output_dir sweep_{turn}_{workers}', tmp_path).code == 0
            taken.append(time.perf_counter() - begun)
    one, two = (statistics.median(taken) for taken in seconds.values())
    assert two <= 0.6 * one, (one, two)


def torchrun(line, folder, ranks=2, **env):
    "A command in several ranks; how it ended."
    words = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--no-python', f'--nproc_per_node={ranks}']
    name, *rest = line.split()
    return subprocess.run(
        [*words, BIN / name, *rest],
        cwd=folder,
        env={**surroundings(**env), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        encoding='utf-8',
        timeout=600,
    )


def losses(folder):
    "Training and held-out losses of each epoch."
    rows = [json.loads(row) for row in (folder / 'metrics.jsonl').read_text(encoding='utf-8').splitlines()]
    return np.array([[*row['train'].values(), *row['val'].values()] for row in rows])


VAE = f'aif_train_vae {TINY.replace("--batch_size 16", "--batch_size 10")} --max_steps 60'
MODEL = 'aif_train_transition --model_path ../vae/best_model.pt --num_episodes 4 --max_steps 60 --frame_size 16'
MODEL += ' --kind vector --hidden 8 --warmup_frames 3 --length 9 --batch_size 8 --prioritized_fraction 0.5'
MODEL += ' --steps 10 --outcome_epochs 2'


DEATH = dict(KILL_AT='checkpoint_last.pt:2')  # each rank dies before its second epoch is kept


@unix_only
@pytest.mark.parametrize('line, epochs', [(VAE, 4), (MODEL, 3)], ids=['vae', 'transition'])
def test_two_ranks_train_as_one_process_does(line, epochs, tmp_path):
    "Equal in loss to 1e-4 after at least 20 steps, and a run of two ranks goes on with one."
    (tmp_path / 'here').mkdir()
    assert run(f'{VAE} --epochs 1 --output_dir vae', tmp_path).code == 0
    here = tmp_path / 'here'
    assert run(f'{line} --epochs {epochs} --output_dir one', here).code == 0
    done = torchrun(f'{line} --epochs {epochs} --output_dir two', here)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(losses(here / 'two'), losses(here / 'one'), rtol=1e-4)
    assert done.stdout.count('Done:') == 1
    deadly = dict(site=site(tmp_path / 'deadly', KILL), **DEATH)
    assert torchrun(f'{line} --epochs {epochs} --output_dir three', here, **deadly).returncode
    assert not (here / 'three' / 'final_model.pt').exists()
    assert run(f'{line} --epochs {epochs} --output_dir three', here).code == 0
    np.testing.assert_allclose(losses(here / 'three'), losses(here / 'one'), rtol=1e-4)
