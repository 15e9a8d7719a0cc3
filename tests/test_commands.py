"""The installed commands, as a user meets them: help, mistakes, full disks, kills and Ctrl-C."""

import argparse
import inspect
import json
import os
import pickle
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from common import BIN, FRESH, TINY, death, finish, hashes, run, start, unix_only
from PIL import Image
from test_configs import SCRIPTS

from aif_atari.checkpoints import load_checkpoint, save_checkpoint
from aif_atari.config import setting_names, setting_paths
from aif_atari.core import read_json
from aif_atari.episodes import load_episodes
from aif_atari.train import load_vae

TRAIN, EVAL, RESUME = (
    f'aif_train_vae {TINY} --output_dir new',
    f'aif_eval_vae {FRESH} --frame_size 32 --model_path',
    f'aif_train_vae {TINY} --output_dir',
)


OWN_GAME = '''
import gymnasium
import numpy as np

class Grey(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (40, 48), np.uint8)
    action_space = gymnasium.spaces.Discrete(2, start=1)

    def reset(self, seed=None, options=None):
        return np.zeros((40, 48), np.uint8), {}

    def step(self, action):
        assert action in (1, 2)
        return np.full((40, 48), 100, np.uint8), 1.0, False, False, {}

gymnasium.register('Grey-v0', Grey)
'''


@pytest.mark.parametrize('name', SCRIPTS)
def test_help_names_every_setting_with_its_comment(name, tmp_path):
    done, config = run(f'{name} --help', tmp_path, installed=True), SCRIPTS[name].config
    text = ' '.join(done.out.split())
    assert done.code == 0
    assert not done.err
    for path, setting in setting_paths(config).items():
        assert setting.comment, path
        assert f'--{setting.name}' in text, path
        home = setting_names(config)[setting.name][0]
        assert ' '.join(setting_paths(config)[home].comment.split()) in text, path


def test_version_and_presets(tmp_path):
    assert 'aif_atari 0.' in run('aif_train_agent --version', tmp_path, installed=True).out
    assert 'pong: Pong as the shipped agent was trained' in ' '.join(
        run('aif_train_agent --help', tmp_path).out.split()
    )
    (tmp_path / 'settings.json').write_text('{"collect": {"num_episodes": 0}}', encoding='utf-8')
    done = run('aif_collect --config settings.json', tmp_path)
    assert_one_sentence(done, 'aif_collect', 'num_episodes must be at least 1, not 0')


# What one types by mistake, and what the answer has to name; every path is one of `place`
MISTAKES = {
    'aif_collect --env_name Breakuot': "no game 'breakuot'|breakout",
    'aif_train_vae --env_name Pnog': 'no game|pong',
    'aif_reproduce --env_name MsPacmann': 'no game|mspacman',
    'aif_speed --env_name CartPole-v1': 'ALE games',
    'aif_collect --num_episodes 0': 'num_episodes must be at least 1, not 0',
    'aif_train_vae --num_episodes -3': 'num_episodes must be at least 0, not -3',
    'aif_train_vae --val_split 0': 'val_split must be above 0 and below 1, not 0.0',
    'aif_train_vae --val_split 1': 'val_split|not 1.0',
    'aif_train_vae --val_split 1.5': 'val_split|not 1.5',
    'aif_train_vae --latent_dim 0': 'latent_dim must be between 1 and 4096, not 0',
    'aif_train_vae --lr nan': 'lr must be finite, not nan',
    'aif_train_vae --frame_size 40': 'frame_size must be a multiple of 16, not 40',
    'aif_train_vae --likelihood gausian': "likelihood must be|gaussian|not 'gausian'",
    'aif_train_vae --epochs ten': "--epochs|'ten'|aif_train_vae --help",
    'aif_train_vae --epoches 10': '--epoches|aif_train_vae --help',
    'aif_train_vae --device gpu9': "no device 'gpu9'|cpu",
    'aif_speed --seconds 0': 'seconds must be above 0, not 0.0',
    'aif_reproduce --preset quik': "preset must be quick, founding_quick or full, not 'quik'",
    'aif_reproduce --figure 29': "figure must be empty, 1, 2|25, 26, 27 or 28, not '29'",
    'aif_rgm --what cots': "what must be|cost|not 'cots'",
    'aif_train_transition --prioritized_fraction 1': 'prioritized_fraction must be at least 0 and below 1, not 1.0',
    'aif_reproduce --seeds 1;2': 'seeds should look like 42 or 42,43',
    'aif_reproduce --output_dir file/run': "Can't write|file/run|directory",
    'aif_collect --num_episodes 1 --max_steps 5 --output_file file/e.npz': "Can't write file: ",
    f'{RESUME} file/run': "Can't write|file/run",
    f'{TRAIN} --seed 99999999999999999999': 'seed must be at most 9223372036854775807, not 99999999999999999999',
    'aif_reproduce --seeds 4²': 'seeds should look like 42 or 42,43',
    'aif_collect --num_episodes 1 --max_steps 5 --output_file ""': 'name of the output_file|empty',
    f'{RESUME} ""': 'output folder is empty',
    f'{RESUME} run --lr 0.5': 'run holds a run with other settings|lr 0.001, not 0.5',
    f'{RESUME} torn_config': 'torn_config/config.json|no valid JSON',
    f'{RESUME} torn_episodes': 'torn_episodes/episodes.npz|no whole episodes file',
    f'{RESUME} torn_checkpoint_last': 'torn_checkpoint_last/checkpoint_last.pt|torn',
    f'{RESUME} weights_only': 'weights_only/checkpoint_last.pt holds weights only',
    f'{RESUME} misfit_run': "misfit_run/checkpoint_last.pt|fit",
    'aif_eval_vae': '--model_path',
    f'{EVAL} run': 'run is a folder|best_model.pt',
    f'{EVAL} missing.pt': 'no checkpoint missing.pt',
    f'{EVAL} torn.pt': 'torn.pt is torn or no checkpoint',
    f'{EVAL} text.pt': 'text.pt is torn or no checkpoint',
    f'{EVAL} pickle.pt': 'pickle.pt is torn or no checkpoint',
    f'{EVAL} foreign.pt': 'foreign.pt is no checkpoint of this package',
    f'{EVAL} other.pt': 'other.pt holds a Planner, not a VAE',
    f'{EVAL} misfit.pt': "weights in misfit.pt don't fit its settings",
    f'aif_eval_vae {FRESH} --model_path run/best_model.pt': '32x32 frames, not 64x64|--frame_size 32',
    f'{EVAL} run/best_model.pt --seed 42': 'seed 42|fresh',
    f'{EVAL} run/best_model.pt --output_dir file/x': "Can't write file/x",
    'aif_collect --hold 0': 'hold must be at least 1, not 0',
    'aif_train_vae --latent_grid 5': 'latent_grid must be 0, 4, 8 or 16, not 5',
    'aif_train_vae --latent_grid 8': 'linear start is for a Gaussian vector',
    'aif_train_vae --latent categorical --latent_dim 10 --start mean': 'multiple of 16, not 10',
    'aif_train_vae --foreground_weight -1': 'foreground_weight must be at least 0, not -1.0',
    'aif_train_vae --collage 2': 'collage must be between 0 and 1, not 2.0',
    'aif_object_recall': 'Name one model: --model_path|--pretrained',
    'aif_object_recall --model_path torn.pt': 'torn.pt is torn or no checkpoint',
    'aif_object_recall --pretrained brakeout': "no pretrained VAE 'brakeout'|breakout",
    'aif_object_recall --pretrained breakout --player robot': "player must be random or scripted, not 'robot'",
    'aif_object_recall --pretrained breakout --env_name Freeway --player scripted': 'no script for the game|breakout',
    'aif_ablations --variant gridd': "variant must be|grid|not 'gridd'",
    'aif_ablations --env_name Freeway': 'game with labels and a scripted player|breakout',
    'aif_train_transition --env_name Breakuot': "no game 'breakuot'|breakout",
    'aif_train_transition --env_name Freeway': "no pretrained VAE 'freeway'",
    'aif_train_transition --kind gird': "kind must be grid or vector, not 'gird'",
    'aif_train_transition --length 5': 'length must be more than warmup_frames (5), not 5',
    'aif_train_transition --pretrained breakout --model_path torn.pt': 'Name one VAE',
    'aif_train_transition --model_path torn.pt': 'torn.pt is torn or no checkpoint',
    'aif_train_transition --curriculum_grow_epochs 0': 'curriculum_grow_epochs must be at least 1, not 0',
    'aif_train_transition --frame_size 32': '64x64 frames, not 32x32|--frame_size 64',
    'aif_eval_transition': 'Name one model: --model_path|--pretrained',
    'aif_eval_transition --model_path other.pt': 'other.pt holds a Planner, not a TransitionModel',
    'aif_eval_transition --pretrained brakeout': 'no pretrained TransitionModel',
    'aif_eval_transition --model_path torn.pt --player robot': "player must be random or scripted, not 'robot'",
    'aif_eval_transition --model_path torn.pt --hold -1': 'hold must be at least 0, not -1',
    'aif_train_transition --outcome_epochs -1': 'outcome_epochs must be at least 0, not -1',
    'aif_train_transition --curriculum_short_epochs -1': 'curriculum_short_epochs must be at least 0, not -1',
    'aif_train_agent --rounds 0': 'rounds must be at least 1, not 0',
    'aif_train_agent --env_name Breakuot': "no game 'breakuot'|breakout",
    'aif_train_agent --total_timesteps 100': 'total_timesteps must be more than first_steps (20000), not 100',
    'aif_train_agent --preset pnog': 'no preset|pong',
    'aif_train_agent --choose_by luck': "choose_by must be|search|not 'luck'",
    'aif_play': 'Name one agent: --pretrained|--model_path',
    'aif_play --model_path torn.pt': 'torn.pt is torn or no checkpoint',
    'aif_play --model_path other.pt': 'other.pt holds a Planner, not an Agent',
    'aif_play --model_path missing.pt --episodes 0': 'episodes must be at least 1, not 0',
    'aif_compare': 'Name one agent: --pretrained|--model_path',
    'aif_compare --model_path other.pt --action_precision 0': 'action_precision must be above 0, not 0.0',
    'aif_search_speed --num_envs 0': 'num_envs must be between 1 and 4096, not 0',
    'aif_ablations --core_minutes 0': 'core_minutes must be above 0, not 0.0',
}
if not torch.cuda.is_available():
    MISTAKES |= {
        'aif_train_vae --device cuda': 'cuda is not there|cpu',
        f'{EVAL} run/best_model.pt --device cuda': 'cuda is not there|cpu',
    }


@pytest.fixture(scope='session')
def place(trained, tmp_path_factory):
    "A folder with a finished run and everything that can be wrong with one; no mistake may change it."
    place, run_ = tmp_path_factory.mktemp('place'), trained[0] / 'run'
    state, whole = load_checkpoint(run_ / 'best_model.pt', 'VAE'), (run_ / 'best_model.pt').read_bytes()
    (place / 'file').write_text('a regular file', encoding='utf-8')
    (place / 'text.pt').write_text('no weights here', encoding='utf-8')
    (place / 'pickle.pt').write_bytes(pickle.dumps(dict(weights=[1, 2, 3])))
    (place / 'torn.pt').write_bytes(whole[: len(whole) // 2])
    torch.save(dict(weights=torch.ones(3)), place / 'foreign.pt')
    save_checkpoint(place / 'other.pt', 'Planner', {}, {})
    save_checkpoint(
        place / 'misfit.pt',
        'VAE',
        {**state['config'], 'vae': {**state['config']['vae'], 'latent_dim': 5}},
        state['model'],
    )
    for name in ('run', 'torn_config', 'torn_episodes', 'torn_checkpoint_last', 'weights_only', 'misfit_run'):
        shutil.copytree(run_, place / name)
        (place / name / 'config.json').write_text(
            (run_ / 'config.json').read_text(encoding='utf-8').replace('"run"', f'"{name}"'), encoding='utf-8'
        )
    for name in ('config.json', 'episodes.npz', 'checkpoint_last.pt'):
        file = place / f'torn_{Path(name).stem}' / name
        file.write_bytes(file.read_bytes()[:-60])
    shutil.copy(run_ / 'best_model.pt', place / 'weights_only' / 'checkpoint_last.pt')
    last = load_checkpoint(run_ / 'checkpoint_last.pt', 'VAE')
    last['model'].pop('mean_frame')
    torch.save(last, place / 'misfit_run' / 'checkpoint_last.pt')
    return place


@pytest.fixture(scope='session')
def answers(place, request):
    "What each selected mistake is answered with, a few at a time; and the files of `place` before and after."
    lines = {
        item.callspec.params['line']: None
        for item in request.session.items
        if 'answers' in getattr(item, 'fixturenames', ()) and hasattr(item, 'callspec')
    }
    before = hashes(place)
    with ThreadPoolExecutor(min(4, os.cpu_count())) as pool:
        done = dict(zip(lines, pool.map(lambda line: run(line, place), lines)))
    return done, before, hashes(place)


def assert_one_sentence(done, line, words):
    assert done.code == 2, done
    assert done.err.startswith(f'{line.split()[0]}: ') and done.err.count('\n') == 1 and done.err.endswith('\n'), (
        done.err
    )
    said = done.err.replace(os.sep, '/')
    for word in words.split('|'):
        assert word in said


@pytest.mark.parametrize('line, words', MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_sentence(line, words, answers):
    assert_one_sentence(answers[0][line], line, words)


@pytest.mark.parametrize('line', ['aif_collect --epoches 1', f'{EVAL} torn.pt', f'{RESUME} run'])
def test_an_installed_command_answers_as_its_fork(line, place):
    "Most tests here run forks of a process that has imported the commands."
    assert run(line, place, installed=True) == run(line, place)


def test_no_mistake_changes_a_file(answers):
    assert answers[1] == answers[2]


def test_a_mended_command_goes_on(tmp_path):
    "A batch can be seen to be too large only when the games are played; the mended command then uses them."
    assert_one_sentence(
        run(f'{TRAIN} --batch_size 5000', tmp_path),
        'aif_train_vae',
        'batch_size 5000 is larger than the 61 training frames',
    )
    mended = run(f'{TRAIN} --epochs 1', tmp_path)
    assert mended.code == 0 and 'Using the episodes' in mended.out


@unix_only
@pytest.mark.parametrize(
    'line, limit, words',
    [
        (
            'aif_collect --num_episodes 2 --max_steps 60 --frame_size 32 --output_file run/episodes.npz',
            1000,
            "Can't write run/episodes.npz: file too large",
        ),
        (f'{RESUME} new_1', 100, "Can't write new_1/episodes.npz: file too large"),
        (f'{RESUME} new_2', 20_000, "Can't write new_2/best_model.pt: file too large"),
        (f'{EVAL} run/best_model.pt --output_dir new_3', 3000, "Can't write new_3/|.png: file too large"),
    ],
)
def test_a_full_disk_is_told_in_one_sentence_and_spoils_no_file(line, limit, words, place):
    "A limit on the size of files lets writing fail as a full disk does. No half-written file gets a real name."
    import resource

    before = hashes(place)
    assert_one_sentence(
        run(line, place, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))), line, words
    )
    after = hashes(place)
    assert before.items() <= after.items() and not any(name.endswith('.tmp') for name in after)
    assert_readable(*place.glob('new_*'))


def assert_readable(*folders):
    "Every file under its real name is whole."
    readers = {
        '.json': read_json,
        '.jsonl': lambda p: [json.loads(row) for row in p.read_text(encoding='utf-8').splitlines()],
        '.npz': load_episodes,
        '.pt': load_vae,
        '.png': lambda p: Image.open(p).load(),
        '.txt': lambda p: p.read_text(encoding='utf-8'),
    }
    for folder in folders:
        for p in folder.rglob('*'):
            if p.is_file() and not p.name.endswith(('.tmp', '.lock')):
                readers[p.suffix](p)


def same_as_uninterrupted(folder, trained):
    "The weights are equal bit for bit, and so is the log but for its clock."

    def log(f):
        rows = map(json.loads, (f / 'run' / 'metrics.jsonl').read_text(encoding='utf-8').splitlines())
        return [{k: v for k, v in row.items() if k not in ('seconds', 'per_second')} for row in rows]

    assert all(
        (folder / 'run' / name).read_bytes() == (trained[0] / 'run' / name).read_bytes()
        for name in ('final_model.pt', 'best_model.pt', 'episodes.npz')
    )
    return log(folder) == log(trained[0])


def interrupted(folder, rows, how, pause=0.0):
    "Train until the log has `rows` epochs, wait a moment, and send the signal `how`."
    metrics, process = folder / 'run' / 'metrics.jsonl', start(f'{RESUME} run', folder)
    while process.poll() is None and not (metrics.exists() and metrics.read_text(encoding='utf-8').count('\n') >= rows):
        time.sleep(0.005)
    time.sleep(pause)
    process.send_signal(how)
    return finish(process)


@unix_only
def test_kill_9_and_ctrl_c_at_any_moment_cost_nothing(trained, tmp_path):
    for rows, pause in ((1, 0.05), (4, 0.01)):
        assert interrupted(tmp_path, rows, signal.SIGKILL, pause).code == -signal.SIGKILL
        assert_readable(tmp_path / 'run')
    stopped = interrupted(tmp_path, 7, signal.SIGINT)
    assert (
        stopped.code == 130
        and 'The same command again goes on from there.' in stopped.err
        and len(stopped.err.splitlines()) == 2
    )  # the first has the terminal's ^C
    assert_readable(tmp_path / 'run')
    done = run(f'{RESUME} run', tmp_path)
    assert done.code == 0 and 'Going on after epoch' in done.out and same_as_uninterrupted(tmp_path, trained)


@unix_only
def test_kill_9_between_any_two_files_costs_nothing(trained, tmp_path):
    "Each time the process dies just before the named file would get its name; each time the same command goes on."
    for moment in (
        'episodes.npz:1',
        'config.json:1',
        'best_model.pt:1',
        'checkpoint_last.pt:1',
        'checkpoint_epoch_20.pt:1',
        'final_model.pt:1',
        'checkpoint_last.pt:1',
    ):
        assert run(f'{RESUME} run', tmp_path, first=death(moment)).code == -signal.SIGKILL, moment
        assert_readable(tmp_path / 'run')
    assert run(f'{RESUME} run', tmp_path).code == 0 and same_as_uninterrupted(tmp_path, trained)


def test_a_finished_run_trains_nothing(trained, tmp_path):
    shutil.copytree(trained[0] / 'run', tmp_path / 'run')
    before = hashes(tmp_path)
    done = run(f'{RESUME} run', tmp_path)
    assert done.code == 0 and 'This run is finished; nothing was trained.' in done.out and 'epoch  ' not in done.out
    assert hashes(tmp_path) == before


def test_a_run_killed_at_its_end_says_that_it_trained(trained, tmp_path):
    shutil.copytree(trained[0] / 'run', tmp_path / 'run')
    shutil.copy(tmp_path / 'run' / 'checkpoint_epoch_20.pt', tmp_path / 'run' / 'checkpoint_last.pt')
    done = run(f'{RESUME} run', tmp_path)
    assert 'Going on after epoch 20' in done.out and 'nothing was trained' not in done.out


def test_a_moved_run_goes_on_by_any_name_of_its_folder(trained, tmp_path):
    "From another folder, by an absolute path, by a relative one, and by its own configuration."
    shutil.copytree(trained[0] / 'run', tmp_path / 'there' / 'run')
    moved, here = tmp_path / 'there' / 'run', tmp_path / 'here'
    here.mkdir()
    shutil.copy(moved / 'checkpoint_epoch_20.pt', moved / 'checkpoint_last.pt')
    assert 'Going on after epoch 20' in run(f'{RESUME} {moved}', here).out
    for line, cwd in (('aif_train_vae --config ../there/run/config.json', here), (f'{RESUME} .', moved)):
        assert 'This run is finished' in run(line, cwd).out
    assert list(here.iterdir()) == []
    assert same_as_uninterrupted(moved.parent, trained)


def test_a_run_folder_has_one_process_at_a_time(tmp_path):
    "The second of two trainings that share a new folder is refused; the first is not disturbed."
    long = f'{RESUME} run --epochs 3000'
    first = start(long, tmp_path)
    while first.poll() is None and not (tmp_path / 'run' / 'metrics.jsonl').exists():
        time.sleep(0.01)
    who = 'another process' if os.name == 'nt' else f'process {first.pid} on'  # Windows lets nobody read a locked file
    in_use = f'in use by {who}'
    for line in (f'{long} --lr 0.5', f'aif_train_vae {TINY} --output_dir ../{tmp_path.name}/run'):
        assert_one_sentence(run(line, tmp_path), 'aif_train_vae', in_use)
    first.terminate()
    assert finish(first).code == (1 if os.name == 'nt' else 130)


def test_what_a_killed_process_left_half_written_is_removed(trained, tmp_path):
    shutil.copytree(trained[0] / 'run', tmp_path / 'run')
    (tmp_path / 'run' / '.best_model.pt.4711.tmp').write_bytes(b'half')
    assert run(f'{RESUME} run', tmp_path).code == 0
    assert not list((tmp_path / 'run').glob('.*.tmp'))


@unix_only
@pytest.mark.parametrize(
    'line, code',
    [
        ('aif_train_agent --help', int('OSError' not in inspect.getsource(argparse.ArgumentParser._print_message))),
        ('aif_collect --num_episodes 1 --max_steps 5 --output_file e.npz', 1),
    ],
)
def test_a_reader_that_leaves_is_no_error(line, code, tmp_path):
    "Nobody reads the output. Newer versions of argparse let help pass; a run ends at the first line that it prints."
    reading, writing = os.pipe()
    os.close(reading)
    name, *args = line.split()
    done = subprocess.run([BIN / name, *args], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, encoding='utf-8')
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, '')


def test_a_terminal_without_letters_is_no_error(tmp_path):
    done = run('aif_train_vae --likelihood größer', tmp_path, PYTHONIOENCODING='ascii')
    assert_one_sentence(done, 'aif_train_vae', "not 'gr")


def test_an_environment_of_ones_own_is_played(tmp_path):
    "A grey game whose module lies in the working directory, with actions that begin at 1."
    (tmp_path / 'my_games.py').write_text(OWN_GAME, encoding='utf-8')
    line = 'aif_collect --env_name my_games:Grey-v0 --num_episodes 1 --max_steps 5 --frame_size 32 --output_file e.npz'
    assert run(line, tmp_path).code == 0
    eps = load_episodes(tmp_path / 'e.npz')
    assert eps.config['env_name'] == 'my_games:Grey-v0'
    assert eps.frames.shape[1:] == (32, 32, 3)


def test_no_network_is_needed(trained):
    "`trained` was made where no socket connects; here is the proof that none would have, and that all came out."
    folder, train, evaluate = trained
    assert (
        'this test has no network'
        in run(
            'python -c "import socket; socket.create_connection((\'127.0.0.1\', 9))"', folder, site=folder / 'offline'
        ).err
    )
    assert (train.code, train.err, evaluate.code, evaluate.err) == (0, '', 0, '')
    assert_readable(folder / 'run')
    assert read_json(folder / 'run' / 'evaluation' / 'metrics.json')['results'].keys() == {
        'VAE',
        'linear',
        'frame before',
        'mean frame',
    }


def test_the_suggested_next_command_works(trained):
    folder, train, _ = trained
    line = train.out.split('Next: ')[1].strip()
    assert run(f'{line} {FRESH} --output_dir {folder}/next', folder).code == 0
