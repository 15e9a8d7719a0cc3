"""Nothing that was measured is lost; needs are checked before the work; a model plays its own game."""

import shutil

import numpy as np
import pytest
from common import ROOT, run, start
from test_commands import assert_one_sentence

from aif_atari.cli import command_specs
from aif_atari.core import InputError, read_json
from aif_atari.data import play
from aif_atari.environments import CollectConfig, GymGames
from aif_atari.episodes import load_episodes

PLAY = 'aif_play --pretrained breakout --num_simulations 2 --gif_frames 3 --output_dir p'
LOOK = 'aif_object_recall --pretrained breakout --num_episodes 2 --max_steps 30 --probe_episodes 0 --output_dir s'
EVAL = 'aif_eval_vae --model_path {run}/best_model.pt --frame_size 32 --max_steps 40 --num_samples 50 --output_dir e'
IMAGINE = 'aif_eval_transition --pretrained breakout --num_episodes 2 --num_windows 20 --output_dir i --results_dir r'
# a result: what it is measured with, then with what else, and its files
TWICE = {
    'aif_play': (PLAY, '--max_steps 20', '--max_steps 30', ('p/play.json', 'p/play.gif')),
    'aif_object_recall': (LOOK, '--per_episode 10', '--per_episode 20', ('s/sight.json', 's/sight.txt')),
    'aif_eval_vae': (EVAL, '--num_episodes 2', '--num_episodes 3', ('e/metrics.json', 'e/latent_space.png')),
    'aif_eval_transition': (
        IMAGINE,
        '--max_steps 60',
        '--max_steps 70',
        ('i/imagination.json', 'i/imagined.gif', 'r/breakout_grid_0.json'),
    ),
}


SLOW = ['aif_eval_transition']


@pytest.mark.parametrize('name', [pytest.param(x, marks=[pytest.mark.slow] * (x in SLOW)) for x in TWICE])
def test_a_result_of_other_settings_is_kept_beside(name, trained, tmp_path):
    line, first, second, files = TWICE[name]
    line = line.format(run=trained[0] / 'run')
    assert run(f'{line} {first}', tmp_path).code == 0
    again = run(f'{line} {first}', tmp_path)
    assert again.code == 0
    assert 'is kept as' not in again.out
    assert not list(tmp_path.rglob('earlier_*'))
    asked = read_json(tmp_path / files[0])['asked']
    before = [(tmp_path / file).read_bytes() for file in files]
    other = run(f'{line} {second}', tmp_path)
    assert other.code == 0, other
    assert f'{files[0]} holds a result of other settings; it is kept as ' in other.out
    kept = [(tmp_path / file).parent / 'earlier_1' / (tmp_path / file).name for file in files]
    assert [file.read_bytes() for file in kept] == before
    assert read_json(tmp_path / files[0])['asked'] != asked


def test_every_command_that_measures_holds_its_result():
    "A module whose command writes a result does it in the one way; training and comparing have run folders of theirs."
    own = {'aif_train_vae', 'aif_train_transition', 'aif_train_agent', 'aif_compare', 'aif_collect', 'aif_sweep'}
    own.add('aif_share_weights')
    own |= {'aif_status', 'aif_train_levels'}
    for name, entry in command_specs().items():
        source = (ROOT / 'aif_atari' / f'{entry["module"].removeprefix("aif_atari.")}.py').read_text(encoding='utf-8')
        assert name in own or 'open_result(' in source, name


def test_one_result_is_measured_by_one_process(tmp_path):
    first = start(f'{PLAY} --episodes 8 --max_steps 2000', tmp_path)
    while first.poll() is None and not (tmp_path / 'p' / '.play.json.lock').exists():
        first.poll(0.01)
    assert_one_sentence(run(PLAY, tmp_path), 'aif_play', f'in use by process {first.pid} on')
    first.send_signal(9)
    first.communicate(10)


def test_episodes_of_other_settings_are_not_replaced(tmp_path):
    line = 'aif_collect --num_episodes 1 --max_steps 5 --output_file e.npz'
    assert run(line, tmp_path).code == 0
    stored = (tmp_path / 'e.npz').read_bytes()
    assert_one_sentence(run(f'{line} --seed 3', tmp_path), 'aif_collect', 'other settings|another output_file')
    assert run(line, tmp_path).code == 0
    assert (tmp_path / 'e.npz').read_bytes() == stored
    assert run(f'{line} --ram', tmp_path).code == 0
    assert_one_sentence(run(line, tmp_path), 'aif_collect', 'other settings')
    assert load_episodes(tmp_path / 'e.npz').ram is not None


# What can be known before any play, and the words of the answer
EARLY = {
    'aif_collect --ram --noop_max 3': 'without no-ops',
    'aif_collect --ram --fire_reset': 'without no-ops',
    'aif_train_vae --num_episodes 1': 'num_episodes must be at least 2',
    'aif_train_transition --num_episodes 1': 'num_episodes must be at least 2',
    'aif_train_transition --max_steps 20': 'max_steps must be at least 24',
    'aif_train_transition --max_steps 20 --outcome_epochs 0': 'max_steps must be at least 21',
    'aif_train_agent --max_steps 10': 'max_steps must be at least 19',
    'aif_train_agent --noop_max 3 --measure_steps 100': 'measure_steps must be 0',
    'aif_train_agent --latent categorical --latent_dim 16': 'needs a Gaussian latent',
    'aif_train_agent --latent_grid 0': 'needs a VAE whose latent is a grid',
    'aif_train_agent --play_length 500': 'play_length must be 0, not 500',
    'aif_train_agent --transition_horizon 1 --prioritized_fraction 0.5': 'two imagined steps',
    'aif_train_agent --learn_from imagination --transition_epochs_last 0': 'give --transition_epochs_later 1',
    'aif_train_agent --pretrained pong --env_name Seaquest': 'Pong is the game of the model|not Seaquest',
    'aif_eval_transition --pretrained breakout --max_steps 20': 'max_steps must be at least 24',
    'aif_calibrate --pretrained breakout --max_steps 20': 'max_steps must be at least 24',
    'aif_reproduce --seeds 1000042': 'seed of the games to measure on',
    'aif_compare --pretrained breakout --choose_by habit': 'they take posterior or search, not habit',
    'aif_compare --pretrained breakout --export_dir file/x': "Can't write file/x",
}


@pytest.mark.parametrize('line', EARLY)
def test_what_can_be_known_is_told_before_the_work(line, tmp_path):
    (tmp_path / 'file').write_text('', encoding='utf-8')
    assert_one_sentence(run(line, tmp_path), line, EARLY[line])
    assert not list(tmp_path.rglob('*.npz'))
    assert not list(tmp_path.rglob('*.pt'))


def test_too_short_play_is_told_before_the_training(tmp_path):
    "Games that end by themselves may be shorter than a window: 600 skipped frames are most of a game of Breakout."
    line = 'aif_train_agent --first_steps 30 --frame_skip 100 --max_steps 500 --num_envs 2 --transition_horizon 400'
    assert_one_sentence(run(f'{line} --output_dir a', tmp_path), 'aif_train_agent', 'A window has 4|another output_dir')
    assert not list(tmp_path.rglob('*.pt'))


@pytest.mark.parametrize('line', ['--pretrained pong', '--pretrained breakout --env_name Freeway'])
def test_a_model_plays_its_own_game_or_says_that_it_is_another(line, tmp_path):
    done = run(f'aif_object_recall {line} --num_episodes 1 --max_steps 10 --probe_episodes 0', tmp_path)
    assert done.code == 0, done
    assert ('The game is Freeway; the model was trained on Breakout.' in done.out) == ('Freeway' in line)


def test_a_transition_model_is_trained_on_the_game_of_its_vae(tmp_path):
    line = 'aif_train_transition --pretrained pong --max_steps 30 --num_episodes 2 --hidden 8 --epochs 1 --steps 2'
    line += ' --outcome_epochs 0 --length 9 --batch_size 4 --warmup_frames 3 --output_dir t'
    done = run(line, tmp_path)
    assert done.code == 0, done
    assert read_json(tmp_path / 't' / 'config.json')['collect']['env_name'] == 'Pong'
    shutil.rmtree(tmp_path / 't')
    done = run(f'{line} --env_name Breakout', tmp_path)
    assert 'The game is Breakout; the model was trained on Pong.' in done.out
    assert read_json(tmp_path / 't' / 'config.json')['collect']['env_name'] == 'Breakout'


@pytest.mark.parametrize('games', [None, GymGames])
@pytest.mark.parametrize(
    'give, said',
    [
        (lambda n: np.zeros(n - 1, int), 'shape (1,)'),
        (lambda n: np.full(n, -1), '[-1, -1]'),
        (lambda n: np.full(n, 4), '[4, 4]'),
        (lambda n: np.zeros(n), 'float64'),
        (lambda n: None, 'dtype object'),
    ],
)
def test_a_policy_that_gives_no_actions_is_refused(games, give, said):
    cfg = CollectConfig('Breakout', num_episodes=2, max_steps=5)
    with pytest.raises(InputError) as refused:
        play(cfg, lambda frames: give(len(frames)), games=games, progress=False)
    assert said in str(refused.value)
    assert 'a whole number from 0 to 3 for each of the 2 games' in str(refused.value)


@pytest.mark.parametrize(
    'line',
    [
        'aif_train_vae --num_episodes 2 --max_steps 60 --frame_size 32 --width 4 --latent_dim 4 --epochs 3 --lr 1e30'
        ' --batch_size 32',
        'aif_train_transition --pretrained breakout --num_episodes 2 --max_steps 40 --hidden 8 --epochs 2 --steps 4'
        ' --batch_size 4 --lr 1e30',
    ],
)
def test_a_training_that_stops_being_numbers_ends_in_one_sentence(line, tmp_path):
    assert_one_sentence(run(f'{line} --output_dir d', tmp_path), line, 'stopped being a number|smaller learning rate')
    assert not list((tmp_path / 'd').glob('final_model.pt'))
