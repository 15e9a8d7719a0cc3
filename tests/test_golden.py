"Values of other packages, computed anew where those are installed: pip install inferactively-pymdp==1.0.4 mctx"

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def test_pymdp_says_what_the_golden_file_says(tmp_path):
    pytest.importorskip('pymdp')
    subprocess.run([sys.executable, ROOT / 'tools/pymdp_values.py', tmp_path / 'pymdp.json'], check=True, timeout=600)
    stored, anew = (
        json.loads(f.read_text(encoding='utf-8'))['problems']
        for f in (ROOT / 'results/pymdp.json', tmp_path / 'pymdp.json')
    )
    for a, b in zip(stored, anew, strict=True):
        for k in a:
            np.testing.assert_allclose(a[k], b[k], atol=1e-9)


def test_the_network_in_jax_is_the_same(tmp_path):
    jnp = pytest.importorskip('jax.numpy')
    pytest.importorskip('mctx')
    import torch

    from aif_atari.expected_free_energy import Preferences
    from aif_atari.mcts_agent import HabitNetwork, ImaginationEnv
    from aif_atari.search_speed import jax_world, time_mctx
    from aif_atari.transition import TransitionConfig, TransitionModel
    from aif_atari.tree_search import SearchConfig

    torch.manual_seed(0)
    model = TransitionModel(TransitionConfig('vector', latent_dim=32, latent_grid=0)).eval()
    habit = HabitNetwork(model)
    for layer in (habit.policy, habit.critic):
        torch.nn.init.normal_(layer.weight)
    root, a = (torch.randn(5, 32), torch.randn(5, 64)), torch.arange(5) % 4
    state, G, continue_prob = ImaginationEnv(model, torch.zeros(32))(root, a)
    ours = (*state, G, continue_prob, habit.evaluate(state)[1])
    (z, h), G, continue_prob, _, value = jax_world(model, habit, Preferences())(
        tuple(jnp.asarray(x.numpy()) for x in root), jnp.asarray(a.numpy())
    )
    for x, y in zip(ours, (z, h, G, continue_prob, value)):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), atol=1e-5)
    assert time_mctx(model, habit, Preferences(), root, SearchConfig(4), repeats=1) > 0


@pytest.mark.slow
def test_mctx_visits_are_those_of_the_golden_file(tmp_path):
    pytest.importorskip('mctx')
    subprocess.run([sys.executable, ROOT / 'tools/mctx_values.py', tmp_path / 'mctx.json'], check=True, timeout=900)
    stored, anew = (
        json.loads(f.read_text(encoding='utf-8')) for f in (ROOT / 'results/mctx.json', tmp_path / 'mctx.json')
    )
    assert anew['problems'] == stored['problems']


@pytest.mark.slow
def test_pymdp_infers_the_states_of_the_golden_file(tmp_path):
    pytest.importorskip('pymdp')
    from aif_atari.rgm import TOYS, learn_structure, select_play
    from aif_atari.rgm_pymdp import save_pymdp

    model, anew = tmp_path / 'pong.npz', tmp_path / 'pymdp_pong.json'
    save_pymdp(learn_structure(select_play(TOYS['pong'], 256, seed=1).o, K=5)[0], model)
    subprocess.run([sys.executable, ROOT / 'tools/pymdp_states.py', model, anew], check=True, timeout=600)
    stored, anew = (
        json.loads(f.read_text(encoding='utf-8'))['levels'] for f in (ROOT / 'results/pymdp_pong.json', anew)
    )
    for a, b in zip(sum(stored, []), sum(anew, []), strict=True):
        for k in a:
            np.testing.assert_allclose(a[k], b[k], atol=1e-6)
