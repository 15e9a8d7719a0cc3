"""The animations of the site, in which shipped agents play.

`python tools/animation.py` writes nbs/pictures/agent.gif, the front page's, and nbs/pictures/games.gif, with the
agents of several games: of each the stretch of one game in which most points are made.
"""

from pathlib import Path

import numpy as np

from aif_atari.agent import Agent, AsTrainedConfig, acting_config, load_agent, training_game
from aif_atari.animation import GAP, draw_panels
from aif_atari.checkpoints import pretrained_path
from aif_atari.core import write_bytes
from aif_atari.data import play
from aif_atari.game_sets import RECIPE_AGENTS
from aif_atari.play_animation import DecisionRecorder, draw_play, play_pictures
from aif_atari.plotting import gif_bytes

FRAMES, SEED, AHEAD = 171, 2_000_043, 8
PICTURES = Path(__file__).resolve().parents[1] / 'nbs' / 'pictures'


def best_stretch(
    rewards: np.ndarray,  # (T,) points
    frames: int,  # length of the stretch
) -> int:  # its first frame
    "Where most points are made; the latest of equal stretches, so that what follows the last point is seen."
    total = np.concatenate([[0], np.cumsum(rewards)])
    gain = total[frames:] - total[:-frames]
    return int(len(gain) - 1 - gain[::-1].argmax())


def shipped_agent(
    name: str,  # such as breakout
) -> Agent:
    "A trained agent that comes with the package."
    return load_agent(pretrained_path(name, 'Agent'))


def write_gif(
    name: str,  # of the file
    frames: np.ndarray,  # (T, H, W, 3) uint8
) -> str:  # its name and size
    "Write an animation into the site's pictures."
    file = PICTURES / name
    write_bytes(file, gif_bytes(frames, scale=1))
    return f'{name}: {file.stat().st_size // 1000} kB'


def draw_agent() -> None:
    "The shipped agent of Breakout: what it sees, imagines and decides."
    agent = shipped_agent('breakout')
    recorder = DecisionRecorder(agent.mcts_agent(acting_config(agent, AsTrainedConfig()), SEED))
    eps = play(training_game(agent, num_episodes=1, num_envs=1, seed=SEED), recorder)
    log = recorder.log(eps)
    pictures = play_pictures(agent, eps, log, AHEAD)
    imagined_from = agent.model.cfg.warmup_frames - 1 + AHEAD
    rewards = eps[0].rewards[: len(log)]
    first = max(imagined_from, best_stretch(rewards, FRAMES))
    file = write_gif('agent.gif', draw_play(pictures, eps.action_names, first, FRAMES))
    print(f'{file}, {rewards[first : first + FRAMES].sum():g} of {eps.returns[0]:g} points, from step {first}')


def draw_games() -> None:
    "The agents of the games of chapter 10a, each by the best action of its habit."
    panels = {}
    for game, name in RECIPE_AGENTS.items():
        agent = shipped_agent(name)
        policy = agent.mcts_agent(acting_config(agent, AsTrainedConfig(choose_by='habit')), SEED)
        eps = play(training_game(agent, num_episodes=1, num_envs=1, seed=SEED, max_steps=27_000), policy)
        first = best_stretch(eps[0].rewards, FRAMES)
        panels[f'{game}: {eps.returns[0]:,.0f}'] = eps[0].frames[first : first + FRAMES]
        print(f'{game}: {eps.returns[0]:,g} points in {len(eps[0].rewards)} steps, shown from step {first}')
    titles, half = list(panels), len(panels) // 2
    rows = [draw_panels({title: panels[title] for title in some}, scale=3) for some in (titles[:half], titles[half:])]
    space = np.full((FRAMES, GAP, *rows[0].shape[2:]), 255, np.uint8)
    print(write_gif('games.gif', np.concatenate([rows[0], space, rows[1]], 1)))


if __name__ == '__main__':
    draw_agent()
    draw_games()
