"""Trainings and agents on a device that has no double precision and lacks operators."""

import importlib
import pkgutil

import pytest
import torch
from stand_in import DEVICE, DeviceTensor, stand_in_device

import aif_atari
from aif_atari.active_learning import train_agent
from aif_atari.agent import TrainAgentConfig
from aif_atari.checkpoints import find_device
from aif_atari.config import make_config
from aif_atari.eval import frame_errors
from aif_atari.train import TrainVAEConfig, train_vae
from aif_atari.train_transition import TrainTransitionConfig, train_transition


@pytest.fixture
def device(monkeypatch):
    "All modules compute on the stand-in."
    for m in pkgutil.iter_modules(aif_atari.__path__):
        if not m.name.startswith('_'):
            module = importlib.import_module(f'aif_atari.{m.name}')
            if getattr(module, 'find_device', None) is find_device:
                monkeypatch.setattr(module, 'find_device', lambda name='auto': DEVICE)
    with stand_in_device() as device:
        yield device


GAMES = dict(num_episodes=2, max_steps=60, frame_size=32, num_envs=2)
VAE = dict(width=4, latent_dim=4)
ROUND = dict(rounds=1, first_steps=150, total_timesteps=2000, max_steps=40, num_envs=2, width=4, hidden=8)
EPOCHS = dict(vae_epochs=1, transition_epochs=1, transition_epochs_last=1, transition_steps=1, transition_horizon=4)
EPOCHS |= dict(transition_batch_size=8)
UPDATES = dict(updates_first=1, updates_last=1, num_rollouts=4, horizon=2, update_epochs=1)
UPDATES |= dict(replay_ratio=0.05, play_ratio=1.0)


def test_the_device_refuses_what_it_lacks(device):
    x = torch.ones(3, device=device)
    assert isinstance(x, DeviceTensor)
    assert x.sum().item() == 3
    assert type(x.cpu()) is torch.Tensor
    with pytest.raises(TypeError, match='no double precision'):
        x.double()
    with pytest.raises(NotImplementedError, match='linalg_svd'):
        torch.linalg.svd(torch.eye(3, device=device))


def test_a_vae_is_trained_and_measured(device, tmp_path):
    cfg = make_config(TrainVAEConfig, GAMES | VAE, epochs=2, batch_size=32, output_dir=str(tmp_path))
    vae, log = train_vae(cfg)
    assert next(vae.parameters()).device == device
    assert len(log) == 2
    o = torch.rand(4, 3, 32, 32, device=device)
    with torch.no_grad():
        assert frame_errors(o, vae.reconstruct(o), o).shape == (4, 4)


def test_a_transition_model_is_trained(device, tmp_path):
    sizes = dict(num_episodes=3, max_steps=40, hidden=8, epochs=1, steps=2, outcome_epochs=1)
    cfg = make_config(TrainTransitionConfig, sizes, output_dir=str(tmp_path))
    model, log = train_transition(cfg)
    assert model.scale.device == device
    assert len(log) == 1


@pytest.mark.parametrize('learn_from', ['imagination', 'replay', 'both'])
def test_an_agent_is_trained(learn_from, device, tmp_path):
    repeat = 2 if learn_from == 'imagination' else 1
    from_play = dict(play_from=0, segment_steps=5, rollout_batches=1, rounds=2 if learn_from == 'both' else 1)
    settings = (
        ROUND | EPOCHS | UPDATES | dict(learn_from=learn_from, repeat=repeat, output_dir=str(tmp_path)) | from_play
    )
    agent = train_agent(make_config(TrainAgentConfig, settings))
    assert (tmp_path / 'agent.pt').exists()
    assert all(p.isfinite().all() for p in agent.parameters())
