"""Shared weights: commands take them wherever they take a checkpoint, and the calls fit the hub's real client."""

import shutil
from unittest.mock import Mock, create_autospec, patch

import pytest
from common import run
from safetensors.torch import save_file
from test_commands import assert_one_sentence

from aif_atari.checkpoints import pretrained_path, weights_hash
from aif_atari.core import InputError, package_folder, read_json
from aif_atari.share_weights import index_scores, load_shared, push_to_hub, share_model
from aif_atari.train import load_vae
from aif_atari.weight_folders import FOLDER_FILES, WEIGHTS_FILE, hub_folder

TRANSITION = '--max_steps 30 --num_episodes 2 --hidden 8 --epochs 1 --steps 2 --outcome_epochs 0 --length 9'
TRANSITION += ' --batch_size 4 --warmup_frames 3 --output_dir t'


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    "A folder of each kind of model."
    home = tmp_path_factory.mktemp('shared')
    for kind in ('VAE', 'TransitionModel', 'Agent'):
        share_model(pretrained_path('breakout', kind), home / kind)
    return home


def test_the_index_of_weights_agrees_with_the_results():
    index = read_json(package_folder() / 'weights' / 'index.json')
    assert {file: {k: entry[k] for k in ('protocol', 'scores')} for file, entry in index.items()} == index_scores()


def test_commands_take_a_shared_folder(shared, tmp_path):
    play = f'aif_play --model_path {shared}/Agent --max_steps 20 --num_simulations 2 --gif_frames 3 --output_dir p'
    assert run(play, tmp_path).code == 0
    evaluate = f'aif_eval_vae --model_path {shared}/VAE --num_episodes 2 --max_steps 40 --num_samples 50 --output_dir e'
    assert run(evaluate, tmp_path).code == 0
    done = run(f'aif_eval_transition --model_path {shared}/TransitionModel --max_steps 5 --output_dir i', tmp_path)
    assert 'max_steps must be at least' in done.err  # the model was read, with its VAE


def test_a_run_keeps_a_shared_model_that_it_begins_with(shared, tmp_path):
    assert run(f'aif_train_transition --model_path {shared}/VAE {TRANSITION}', tmp_path).code == 0
    kept = load_vae(tmp_path / 't' / 'vae.pt')
    assert weights_hash(kept) == weights_hash(load_shared(shared / 'VAE'))


def test_a_transition_model_brings_its_vae_into_a_run(shared, tmp_path):
    from aif_atari.train_transition import keep_transition, load_transition, resolve_vae_path

    kept = keep_transition(shared / 'TransitionModel', tmp_path / 'initial')
    shutil.move(tmp_path / 'initial', tmp_path / 'moved')
    found = resolve_vae_path(load_transition(tmp_path / 'moved' / kept.name).settings)
    assert found.parent == tmp_path / 'moved'
    assert weights_hash(load_vae(found)) == weights_hash(load_shared(shared / 'VAE'))


def torn(folder):
    whole = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(whole[: len(whole) // 2])


def foreign(folder):
    weights = load_shared(folder).state_dict()
    save_file({name: values.clone().contiguous() for name, values in weights.items()}, folder / WEIGHTS_FILE)


def empty(folder):
    (folder / WEIGHTS_FILE).unlink()


@pytest.mark.parametrize(
    'change, words',
    [(torn, 'torn or no checkpoint'), (foreign, 'no weights of this package'), (empty, 'is a folder')],
)
def test_a_folder_that_is_damaged_or_foreign_is_refused_in_one_sentence(change, words, shared, tmp_path):
    shutil.copytree(shared / 'Agent', tmp_path / 'agent')
    change(tmp_path / 'agent')
    assert_one_sentence(run('aif_play --model_path agent --output_dir p', tmp_path), 'aif_play', words)
    assert not (tmp_path / 'p').exists()


def test_the_command_refuses_before_it_writes(tmp_path):
    line = 'aif_share_weights --pretrained breakout --output_dir s --push_to nobody'
    assert_one_sentence(run(line, tmp_path), 'aif_share_weights', 'such as user/breakout-agent')
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def client(shared):
    "A stand-in for the hub's client that takes the arguments of the real one only."
    hub = pytest.importorskip('huggingface_hub')
    api = create_autospec(hub.HfApi, instance=True)
    download = create_autospec(hub.snapshot_download, return_value=str(shared / 'Agent'))
    with patch.multiple(hub, HfApi=Mock(return_value=api), snapshot_download=download):
        yield hub, api


def test_an_upload_fits_the_real_client(shared, client):
    hub, api = client
    assert push_to_hub(shared / 'Agent', 'user/agent', private=True) == 'hub:user/agent'
    api.create_repo.assert_called_once_with('user/agent', private=True, exist_ok=True)
    sent = dict(repo_id='user/agent', folder_path=str(shared / 'Agent'), allow_patterns=list(FOLDER_FILES))
    api.upload_folder.assert_called_once_with(**sent)


def test_a_download_fits_the_real_client(shared, client):
    hub, api = client
    agent = load_shared('hub:user/agent@v1')
    assert weights_hash(agent) == weights_hash(load_shared(shared / 'Agent'))
    hub.snapshot_download.assert_called_with('user/agent', revision='v1', allow_patterns=list(FOLDER_FILES))


def test_what_the_real_client_refuses_is_one_sentence():
    hub = pytest.importorskip('huggingface_hub')
    refused = pytest.importorskip('huggingface_hub.errors').HFValidationError('Repo id must be so.\nAnd more')
    with patch.object(hub, 'snapshot_download', side_effect=refused), pytest.raises(InputError) as said:
        hub_folder('user/agent')
    assert str(said.value) == "Can't get user/agent from the hub: Repo id must be so."


def test_the_real_library_reads_the_model_card(shared):
    hub = pytest.importorskip('huggingface_hub')
    for kind in ('VAE', 'TransitionModel', 'Agent'):
        card = hub.ModelCard.load(shared / kind / 'README.md')
        assert card.data.license == 'apache-2.0'
        assert card.data.library_name == 'aif_atari'
        assert 'Breakout' in card.data.tags
        assert card.data.eval_results
    score = read_json(package_folder() / 'weights' / 'index.json')['breakout_agent.pt']['scores'][0]
    assert card.data.eval_results[0].metric_value == score['value']


def test_an_interrupted_share_can_be_repeated(tmp_path):
    source = pretrained_path('breakout', 'TransitionModel')
    with patch('aif_atari.share_weights.write_json', side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        share_model(source, tmp_path / 's')
    assert list(tmp_path.iterdir()) == []
    share_model(source, tmp_path / 's')
    (tmp_path / 's' / 'vae.safetensors').unlink()  # as if it was stopped while it replaced files
    share_model(source, tmp_path / 's')
    assert {file.name for file in (tmp_path / 's').iterdir()} == set(FOLDER_FILES)


@pytest.mark.parametrize(
    'flags, words',
    {
        '--pretrained breakout --results_dir nowhere': 'there is none at nowhere',
        '--pretrained breakout --private': 'name it by --push_to',
        '--pretrained breakout --model_path x': 'not both',
    }.items(),
)
def test_flags_that_would_be_ignored_are_refused(flags, words, tmp_path):
    assert_one_sentence(run(f'aif_share_weights {flags} --output_dir s', tmp_path), 'aif_share_weights', words)
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_the_model_is_not_is_refused(shared, tmp_path):
    line = f'aif_share_weights --model_path {shared}/VAE --kind Agent --output_dir s'
    assert_one_sentence(run(line, tmp_path), 'aif_share_weights', 'holds a VAE, not an Agent')


def test_a_card_that_is_there_is_kept_and_said_to_be(tmp_path):
    line = 'aif_share_weights --pretrained breakout --kind VAE --output_dir s'
    assert 'README.md' in run(line, tmp_path).out
    (tmp_path / 's' / 'README.md').write_text('mine', encoding='utf-8')
    done = run(line, tmp_path)
    assert 'Kept: s/README.md' in done.out.replace('\\', '/')
    assert (tmp_path / 's' / 'README.md').read_text(encoding='utf-8') == 'mine'
