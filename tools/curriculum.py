"""How long should training windows be? `python tools/curriculum.py RUN` trains transition models on a run's own play.

RUN is the folder of `aif_train_agent --env_name Breakout`. Each variant trains the same model on all its rounds, with
the VAE of its last round; what is measured is how often the imagined ball is within 3 pixels of the real one, on new
games of the run's last agent. Writes results/agent/curriculum.json. The same command goes on where it stopped.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aif_atari.active_learning import encode_rounds
from aif_atari.agent import Agent, agent_file, fresh_game, load_agent
from aif_atari.beliefs import BeliefData, Beliefs, WindowConfig
from aif_atari.config import make_config
from aif_atari.core import provenance, read_json, write_json
from aif_atari.data import play, with_ram
from aif_atari.episodes import Episodes, load_episodes
from aif_atari.imagination import ball_events, imagine_windows, position_errors, shares
from aif_atari.mcts_agent import AgentConfig
from aif_atari.object_labels import labels_of
from aif_atari.train import TrainConfig, fit
from aif_atari.train_transition import TrainTransitionConfig
from aif_atari.transition import TransitionConfig, TransitionModel

STEPS = (1, 3, 5, 10, 15)
# name -> epochs, those with three imagined steps, those in which windows grow to 15, and the model's own settings
VARIANTS: dict[str, tuple[int, int, int, dict[str, Any]]] = {
    'long soon': (6, 2, 1, dict(rarity_exponent=0.0)),
    'long soon, rare errors weighed more': (6, 2, 1, dict(rarity_exponent=1.0)),
    'short throughout': (12, 12, 1, dict(rarity_exponent=1.0)),
    'long at last': (12, 8, 2, dict(rarity_exponent=1.0)),
    'long at last, wider': (12, 8, 2, dict(rarity_exponent=1.0, hidden=96)),
}


def train_variant(name: str, beliefs: Beliefs) -> tuple[TransitionModel, dict]:
    "Train one variant in outputs/curriculum, or read it; and its settings."
    epochs, short, grow, own = VARIANTS[name]
    order = np.random.default_rng(0).permutation(len(beliefs.lengths))
    val, train = (beliefs.subset(np.sort(ids)) for ids in np.split(order, [len(order) // 20]))
    windows = WindowConfig(steps=400, length=20, curriculum_short_epochs=short, curriculum_grow_epochs=grow)
    training = TrainConfig(epochs=epochs, batch_size=16, lr=3e-3, grad_clip=50.0, checkpoint_freq=10**6)
    cfg = make_config(
        TrainTransitionConfig,
        dict(output_dir=f'outputs/curriculum/{name.replace(",", "").replace(" ", "_")}'),
        train=training,
        windows=windows,
        transition=TransitionConfig(**own),
    )
    torch.manual_seed(0)
    model = TransitionModel(cfg.transition)
    model.fit_normalizer(train.mu)
    data = BeliefData(train, val, windows, 16, cfg.transition.warmup_frames + 3, 0, model, recent=30000)
    fit(model, TransitionModel.surprise, data, cfg, 'TransitionModel')
    steps = sum(400 * 16 * (data.length_at(epoch + 1) - 1) for epoch in range(epochs))
    return model.eval(), dict(epochs=epochs, short=short, grow=grow, **own, model_steps=steps)


def measure(model: TransitionModel, agent: Agent, eps: Episodes) -> dict:
    "Shares of imagined balls and paddles at the right place, of all windows and by event."
    d, objects, out = imagine_windows(model, agent.vae, eps, max(STEPS), 1500), labels_of('Breakout'), {}
    for event, windows in dict(all=None, **ball_events(d, 'breakout')).items():
        errors = position_errors(d, agent.vae, objects['ball'], STEPS, only=windows)
        out[event] = shares(errors)['imagined']
        if event == 'all':
            out['constant velocity, all'] = shares(errors)['constant velocity, field']
    out['paddle, all'] = shares(position_errors(d, agent.vae, objects['paddle'], STEPS))['imagined']
    return out


def main(run: Path) -> None:
    "Train and measure all variants."
    torch.set_num_threads(1)
    folders = sorted(run.glob('round_*'), key=lambda folder: int(folder.name[len('round_') :]))
    folders = [folder for folder in folders if agent_file(folder).exists()]
    agent, rounds = load_agent(agent_file(folders[-1])).eval(), [load_episodes(f / 'episodes.npz') for f in folders]
    beliefs = encode_rounds(agent.settings, rounds, agent.vae, {})
    act = replace(AgentConfig(choose_by='habit'), search=agent.settings.act.search)
    game = fresh_game(agent, 5_000_043, num_episodes=12, max_steps=3000, num_envs=12)
    fresh = with_ram(play(game, agent.mcts_agent(act, 1)))
    file = Path('results/agent/curriculum.json')
    out = read_json(file)['variants'] if file.exists() else {}
    for name in VARIANTS:
        model, settings = train_variant(name, beliefs)
        out[name] = dict(settings=settings, right=measure(model, agent, fresh))
        own = dict(run=read_json(run / 'config.json')['seed'], frames=len(beliefs.mu), batches_an_epoch=400)
        write_json(file, dict(env_name='Breakout', **own, variants=out) | provenance())
        print(name, {k: round(x['value'], 2) for k, x in out[name]['right']['all'].items()}, flush=True)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
