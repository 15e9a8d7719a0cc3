"""kill -9 at random moments costs nothing: the same command goes on, to the result of an undisturbed run, bit for bit.

The moments are drawn over the time that the undisturbed run takes. `pytest --slow` kills a hundred times.
"""

import io
import json
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
import torch
from common import TINY, finish, run, start

SMALL = '--num_episodes 3 --max_steps 40 --frame_size 32 --checkpoint_freq 4 --output_dir run'
AGENT = '--rounds 3 --first_steps 200 --round_steps 60 --total_timesteps 600 --max_steps 60 --frame_size 32 --width 4'
AGENT += ' --latent_grid 4 --latent_dim 2 --hidden 8 --warmup_frames 3 --past_beliefs 2'
AGENT += ' --transition_horizon 5 --transition_steps 3'
AGENT += ' --vae_epochs 1 --transition_epochs 1 --transition_epochs_later 1 --transition_epochs_last 1'
AGENT += ' --num_simulations 3 --updates_first 2 --updates_later 2 --num_rollouts 8 --replay_ratio 0.2 --output_dir run'
LINES = dict(
    vae=f'aif_train_vae {SMALL} --width 4 --latent_dim 4 --batch_size 32 --epochs 8',
    transition=f'aif_train_transition {SMALL} --model_path ../vae.pt --kind vector --hidden 8 --warmup_frames 3'
    ' --length 9 --epochs 4 --steps 5 --outcome_epochs 2',
    agent=f'aif_train_agent {AGENT}',
    compare='aif_compare --pretrained breakout --conditions random,habit,search_3 --episodes 2 --max_steps 30'
    ' --results_dir run',
)
LONGER = dict(vae='--epochs 14', transition='--epochs 7', agent='--rounds 5')  # of a finished run
CLOCKS = ('seconds', 'per_second', 'core_seconds', 'ms_per_step', 'date')  # what no two runs have in common


def without_clocks(x):
    if isinstance(x, dict):
        return {k: without_clocks(v) for k, v in x.items() if k not in CLOCKS}
    return [without_clocks(v) for v in x] if isinstance(x, list) else x


def as_bytes(x):
    "Nested values, with tensors as their bytes; a log within is text."
    if isinstance(x, torch.Tensor):
        return x.numpy().tobytes()
    if isinstance(x, dict):
        return {k: as_bytes(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [as_bytes(v) for v in x]
    if isinstance(x, str) and x.startswith('[{'):
        return without_clocks(json.loads(x))
    return x


def content(file):
    "What a file holds, but for its clocks. It fails where the file is torn."
    data = file.read_bytes()
    if file.suffix == '.pt':
        return as_bytes(torch.load(io.BytesIO(data), weights_only=True))
    if file.suffix == '.json':
        return without_clocks(json.loads(data))
    if file.suffix == '.jsonl':
        return [without_clocks(json.loads(row)) for row in data.splitlines()]
    return data


def contents(folder):
    "Every file under its real name, by path."
    files = (p for p in sorted(folder.rglob('*')) if p.is_file() and not p.name.endswith(('.tmp', '.lock')))
    return {str(p.relative_to(folder)): content(p) for p in files}


def phase(folder, pid):
    "What a killed process was doing, as its folder tells."
    names = [p.name for p in folder.rglob('*')]
    notes = [p.read_text(encoding='utf-8') for p in folder.glob('*.lock')]
    if not any(note.startswith(f'process {pid} ') for note in notes):
        return 'beginning'  # imports and settings
    if any(name.endswith('.tmp') for name in names):
        return 'writing'
    rounds = sorted(folder.glob('round_*'))
    played = (rounds[-1] / 'report.json').exists() if rounds else 'episodes.npz' in names
    return 'training' if played else 'playing'


def still_runs(process, seconds):
    "Whether the process still runs after so long."
    end = time.perf_counter() + seconds
    while process.poll() is None and time.perf_counter() < end:
        time.sleep(0.005)
    return process.poll() is None


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "The undisturbed run of each command, made when it is asked for: its folder, its content, and how long it took."
    folder, done = tmp_path_factory.mktemp('whole'), {}
    assert run(f'aif_train_vae {TINY} --epochs 1 --output_dir small', folder).code == 0
    shutil.copy(folder / 'small' / 'best_model.pt', folder / 'vae.pt')

    def undisturbed(name):
        if name not in done:
            begun = time.perf_counter()
            (folder / name).mkdir()
            ended = run(LINES[name], folder / name)
            assert ended.code == 0, ended
            done[name] = contents(folder / name / 'run'), time.perf_counter() - begun
        return folder, *done[name]

    return undisturbed


def begin(folder, origin):
    "A new folder to run in, beside the VAE."
    folder.mkdir(exist_ok=True, parents=True)
    shutil.copy(origin / 'vae.pt', folder / 'vae.pt')
    shutil.rmtree(folder / 'here', ignore_errors=True)
    (folder / 'here').mkdir()
    return folder / 'here'


def goes_on(line, here, expected):
    "The same command again ends with the undisturbed result."
    done = run(line, here)
    assert done.code == 0, done
    found = contents(here / 'run')
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert not list((here / 'run').rglob('.*.tmp'))


def kill_often(name, whole, folder, kills):
    "Kill a command so many times, again and again in one folder until it ends; each tenth time as it is installed."
    origin, expected, seconds = whole(name)
    rng, phases, here = np.random.default_rng(list(name.encode())), Counter(), begin(folder, origin)
    while phases.total() < kills:
        installed = phases.total() % 10 == 9
        process = start(LINES[name], here, installed=installed)
        if still_runs(process, rng.uniform(0, seconds + 3 * installed)):
            process.send_signal(signal.SIGKILL)
        done = finish(process)
        if done.code == -signal.SIGKILL:
            phases[phase(here / 'run', process.pid)] += 1
            contents(here / 'run')
        else:
            assert done.code == 0, done
            goes_on(LINES[name], here, expected)
            here = begin(folder, origin)
    goes_on(LINES[name], here, expected)
    print(f'{name}: {dict(phases)}')
    return phases


@pytest.mark.parametrize('name', LINES)
def test_a_kill_at_a_random_moment_costs_nothing(name, whole, tmp_path):
    kill_often(name, whole, tmp_path, 1)


@pytest.mark.slow
@pytest.mark.parametrize('name', LINES)
def test_many_kills_at_random_moments_cost_nothing(name, whole, tmp_path):
    kill_often(name, whole, tmp_path, 25)


@pytest.fixture(scope='module')
def longer(whole):
    "The undisturbed run of each command that then went on: its content, and how long the second part took."
    done = {}

    def undisturbed(name):
        if name not in done:
            origin, *_ = whole(name)
            shutil.copytree(origin / name, origin / f'{name}_longer')
            begun = time.perf_counter()
            ended = run(f'{LINES[name]} {LONGER[name]}', origin / f'{name}_longer')
            assert ended.code == 0, ended
            done[name] = contents(origin / f'{name}_longer' / 'run'), time.perf_counter() - begun
        return done[name]

    return undisturbed


def kill_longer(name, whole, longer, folder, kills):
    "Kill a command that makes a finished run longer; each time it goes on, to the undisturbed result."
    (origin, *_), (expected, seconds), rng = whole(name), longer(name), np.random.default_rng(len(name))
    for _ in range(kills):
        here = begin(folder, origin)
        shutil.copytree(origin / name / 'run', here / 'run')
        for _ in range(2):
            process = start(f'{LINES[name]} {LONGER[name]}', here)
            if still_runs(process, rng.uniform(0.3, 1) * seconds):
                process.send_signal(signal.SIGKILL)
            finish(process)
            contents(here / 'run')
        goes_on(f'{LINES[name]} {LONGER[name]}', here, expected)


@pytest.mark.parametrize('name', LONGER)
def test_a_kill_in_a_run_that_goes_on_longer_costs_nothing(name, whole, longer, tmp_path):
    kill_longer(name, whole, longer, tmp_path, 1)


@pytest.mark.slow
@pytest.mark.parametrize('name', LONGER)
def test_many_kills_in_a_run_that_goes_on_longer_cost_nothing(name, whole, longer, tmp_path):
    kill_longer(name, whole, longer, tmp_path, 10)


def share_a_folder(name, whole, folder, rng):
    "Two processes start at once in one folder, and one of them is killed: the other ends or refuses; nothing is lost."
    origin, expected, seconds = whole(name)
    here = begin(folder, origin)
    both = [start(LINES[name], here) for _ in range(2)]
    if still_runs(both[0], rng.uniform(0, seconds)):
        with suppress(ProcessLookupError):
            both[0].send_signal(signal.SIGKILL)
    ended = [finish(process) for process in both]
    assert {done.code for done in ended} <= {0, 2, -signal.SIGKILL}, ended
    assert all(done.code != 2 or 'in use by' in done.err for done in ended), ended
    goes_on(LINES[name], here, expected)


def test_two_at_once_in_one_folder(whole, tmp_path):
    share_a_folder('vae', whole, tmp_path, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize('name', LINES)
def test_many_pairs_in_one_folder(name, whole, tmp_path):
    rng = np.random.default_rng(1)
    for _ in range(5):
        share_a_folder(name, whole, tmp_path, rng)
