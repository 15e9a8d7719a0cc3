"""Given play: trained on as a run's own, refused in a sentence, copied into the run; and exchanged with Minari."""

import json
import re
import shutil

import numpy as np
import pytest
from common import ROOT, death, run, unix_only
from test_commands import assert_one_sentence

from aif_atari.core import read_json
from aif_atari.data import play
from aif_atari.environments import CollectConfig
from aif_atari.episodes import load_episodes
from aif_atari.object_labels import WatchedGames
from aif_atari.train import load_vae

VAE = '--width 4 --latent_dim 4 --batch_size 32 --epochs 6'
TRAIN = f'aif_train_vae --episodes_file pong.npz --frame_size 32 {VAE}'
# a wrong use of given play, and the words of the answer
MISTAKES = {
    'aif_train_vae --episodes_file none.npz': 'no episodes file none.npz',
    'aif_train_vae --episodes_file torn.npz': 'torn.npz is no whole episodes file',
    'aif_train_vae --episodes_file pong.npz --frame_size 48': 'frame_size is 32|not 48',
    'aif_train_vae --episodes_file pong.npz --frame_size 32 --env_name Freeway': "not 'Freeway'|leave env_name out",
    'aif_train_vae --episodes_file pong.npz --frame_size 32 --sticky 0.5': 'sticky is 0.25|not 0.5',
    'aif_train_vae --episodes_file pong.npz,pong.npz --frame_size 32': 'names Pong twice',
    'aif_train_transition --episodes_file pong.npz': 'sees 64x64 frames, not 32x32',
    'aif_train_transition --episodes_file pong.npz,boxing.npz': 'one game',
    'aif_train_agent --episodes_file pong.npz --env_name Freeway': "not 'Freeway'",
    'aif_train_agent --episodes_file pong.npz --frame_size 32 --total_timesteps 60': 'total_timesteps must be more|60',
    'aif_train_agent --episodes_file pong.npz,boxing.npz --frame_size 32': 'one game',
    'aif_train_agent --episodes_file pong.npz --pretrained pong': 'the model or episodes_file, not both',
}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    "A folder with play of Pong and of Boxing, and a torn file."
    folder = tmp_path_factory.mktemp('files')
    for name in ('Pong', 'Boxing'):
        cfg = CollectConfig(name, num_episodes=3, max_steps=40, frame_size=32)
        play(cfg, progress=False).save(folder / f'{name.lower()}.npz')
    (folder / 'torn.npz').write_bytes((folder / 'pong.npz').read_bytes()[:-100])
    return folder


@pytest.fixture
def here(files, tmp_path):
    "A folder of its own with copies of these files."
    return shutil.copytree(files, tmp_path / 'here')


@pytest.mark.parametrize('line', MISTAKES)
def test_play_that_does_not_fit_is_refused_before_anything_is_written(line, files):
    before = sorted(files.rglob('*'))
    assert_one_sentence(run(f'{line} --output_dir out', files), line, MISTAKES[line])
    assert sorted(files.rglob('*')) == before


def test_given_play_is_trained_on_as_a_runs_own(here):
    "The same games, played by the run itself or given, make the same weights."
    own = f'aif_train_vae --env_name Pong --num_episodes 3 --max_steps 40 --frame_size 32 {VAE} --output_dir own'
    assert run(own, here).code == 0
    assert run(f'{TRAIN} --output_dir given', here).code == 0
    assert (here / 'given/episodes.npz').read_bytes() == (here / 'pong.npz').read_bytes()
    assert read_json(here / 'given/config.json')['episodes_file'] == 'episodes.npz'
    own, given = (load_vae(here / name / 'best_model.pt').state_dict() for name in ('own', 'given'))
    for name, weights in own.items():
        assert np.array_equal(given[name], weights), name


@unix_only
def test_a_killed_run_goes_on_elsewhere_without_the_file(here, tmp_path):
    assert run(f'{TRAIN} --output_dir whole', here).code == 0
    assert run(f'{TRAIN} --output_dir out', here, first=death('checkpoint_last.pt:3')).code == -9
    (here / 'pong.npz').unlink()
    shutil.move(here / 'out', tmp_path / 'moved')
    done = run('aif_train_vae --config moved/config.json', tmp_path)
    assert 'Going on after epoch 2' in done.out, done
    whole, moved = (load_vae(f / 'best_model.pt').state_dict() for f in (here / 'whole', tmp_path / 'moved'))
    for name, weights in whole.items():
        assert np.array_equal(moved[name], weights), name


def test_a_run_keeps_to_the_play_that_it_began_with(here):
    assert run(f'{TRAIN} --output_dir out', here).code == 0
    other = CollectConfig('Pong', num_episodes=3, max_steps=40, frame_size=32, seed=7)
    play(other, progress=False).save(here / 'other.npz')
    line = TRAIN.replace('pong.npz', 'other.npz') + ' --output_dir out'
    assert_one_sentence(run(line, here), line, 'other settings')
    assert (here / 'out/episodes.npz').read_bytes() == (here / 'pong.npz').read_bytes()
    assert_one_sentence(run(f'{TRAIN} --width 8 --output_dir out', here), TRAIN, 'other settings (width 4, not 8)')


def test_an_agent_begins_with_given_play(here):
    small = '--rounds 2 --round_steps 60 --total_timesteps 400 --frame_size 32 --max_steps 40 --num_envs 2'
    small += ' --vae_epochs 1 --transition_epochs 1 --transition_epochs_later 1 --transition_steps 2'
    small += ' --width 8 --hidden 8 --replay_ratio 0.1 --transition_epochs_last 1'
    line = f'aif_train_agent --episodes_file pong.npz {small} --output_dir agent'
    done = run(line, here)
    assert done.code == 0, done
    first, second = (read_json(here / f'agent/round_{k}/report.json') for k in range(2))
    assert first['source'] == 'episodes_file'
    assert first['steps_made'] == load_episodes(here / 'pong.npz').steps_made
    assert 'source' not in second
    assert (here / 'agent/round_0/episodes.npz').read_bytes() == (here / 'pong.npz').read_bytes()


@pytest.fixture
def minari(tmp_path, monkeypatch):
    "The library, its data sets in a folder of the test, and no other home."
    library = pytest.importorskip('minari')
    pytest.importorskip('h5py')
    monkeypatch.setenv('MINARI_DATASETS_PATH', str(tmp_path / 'datasets'))
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    return library


@pytest.mark.parametrize('settings', [dict(), dict(actions='0,2,3'), dict(full_actions=True, frame_size=40)])
@pytest.mark.parametrize('ram', [False, True])
def test_minari_gives_back_what_it_was_given(settings, ram, minari, tmp_path):
    from aif_atari.own_data import from_minari, to_minari

    cfg = CollectConfig('Pong', num_episodes=3, max_steps=30, **settings)
    eps = play(cfg, games=WatchedGames if ram else None, progress=False)
    to_minari(eps, 'pong/random-v0', author='somebody')
    back = from_minari('pong/random-v0')
    for name, value in vars(eps).items():
        found = getattr(back, name)
        assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value, name
        assert getattr(found, 'dtype', None) == getattr(value, 'dtype', None), name
    eps.save(tmp_path / 'a.npz')
    back.save(tmp_path / 'b.npz')
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()
    assert not (tmp_path / 'home').exists()


def test_other_libraries_read_what_was_stored(minari):
    from aif_atari.own_data import to_minari

    eps = play(CollectConfig('Breakout', num_episodes=2, max_steps=20, sticky=0.0), progress=False)
    to_minari(eps, 'breakout/random-v0')
    stored = minari.load_dataset('breakout/random-v0')
    assert stored.observation_space.contains(stored[0].observations[0])
    assert stored.action_space.contains(stored[0].actions[0])
    assert stored.storage.jpeg_encoding is False
    env = stored.recover_environment()
    assert env.spec.kwargs['repeat_action_probability'] == 0.0
    assert env.action_space == stored.action_space


def test_a_failed_write_leaves_nothing(minari, tmp_path, monkeypatch):
    from minari.dataset._storages.hdf5_storage import HDF5Storage

    from aif_atari.own_data import to_minari

    def full(*args):
        raise OSError('the disk is full')

    monkeypatch.setattr(HDF5Storage, 'update_episodes', full)
    eps = play(CollectConfig('Breakout', num_episodes=2, max_steps=20), progress=False)
    with pytest.raises(OSError, match='full'):
        to_minari(eps, 'breakout/random-v0')
    assert not (tmp_path / 'datasets/breakout/random-v0').exists()


def test_the_guide_works_word_for_word(minari, tmp_path):
    "Its cells, then its lines for the shell, in a fresh folder."
    cells = json.loads((ROOT / 'nbs/guides.ipynb').read_text(encoding='utf-8'))['cells']
    texts = [''.join(cell['source']) for cell in cells]
    first = next(i for i, text in enumerate(texts) if text.startswith('## Train on data of your own'))
    last = next(i for i, text in enumerate(texts) if i > first and text.startswith('## '))
    section = range(first, last)
    code = [texts[i] for i in section if cells[i]['cell_type'] == 'code' and 'aif_train_vae([' not in texts[i]]
    head = 'import os\nfrom aif_atari.data import play\n'  # what the page has imported before
    (tmp_path / 'guide.py').write_text(head + '\n'.join(code), encoding='utf-8')
    lines = [line for i in section for line in re.findall(r'```sh\n(.*?)```', texts[i], re.DOTALL)]
    lines = ''.join(lines).replace('\\\n', ' ').splitlines()
    done = run('python guide.py', tmp_path, installed=True)
    assert done.code == 0, done
    assert len(lines) == 2
    for line in lines:
        done = run(line, tmp_path)
        assert done.code == 0, done
    assert read_json(tmp_path / 'outputs/expert_transition/config.json')['collect']['env_name'] == 'Breakout'


def test_the_size_of_frames_follows_what_is_given(tmp_path):
    "The play's size is the model's, and a start of another size is taken with --frame_size."
    small = '--num_episodes 2 --max_steps 40 --frame_size 32'
    assert run(f'aif_collect --env_name Pong {small} --output_file pong.npz', tmp_path).code == 0
    line = 'aif_train_vae --width 4 --latent_dim 4 --batch_size 16 --epochs 1'
    done = run(f'{line} --episodes_file pong.npz --output_dir first', tmp_path)
    assert done.code == 0, done
    begin = f'aif_train_vae --epochs 1 --batch_size 16 --init_path first/best_model.pt {small} --output_dir second'
    done = run(begin, tmp_path)
    assert done.code == 0, done
