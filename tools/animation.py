"""The front page's animation, in which the shipped agent plays.

`python tools/animation.py` writes nbs/pictures/agent.gif: the stretch of one game in which most points are made.
"""

from pathlib import Path

import numpy as np

from aif_atari.agent import AsTrainedConfig, acting_config, load_agent, training_game
from aif_atari.checkpoints import pretrained_path
from aif_atari.core import write_bytes
from aif_atari.data import play
from aif_atari.play_animation import DecisionRecorder, draw_play, play_pictures
from aif_atari.plotting import gif_bytes

FRAMES, SEED, AHEAD = 171, 2_000_043, 8


def best_stretch(
    rewards: np.ndarray,  # (T,) points
    frames: int,  # length of the stretch
) -> int:  # its first frame
    "Where most points are made; the latest of equal stretches, so that what follows the last point is seen."
    total = np.concatenate([[0], np.cumsum(rewards)])
    gain = total[frames:] - total[:-frames]
    return int(len(gain) - 1 - gain[::-1].argmax())


def main():
    agent = load_agent(pretrained_path('breakout', 'Agent'))
    recorder = DecisionRecorder(agent.mcts_agent(acting_config(agent, AsTrainedConfig()), SEED))
    eps = play(training_game(agent, num_episodes=1, num_envs=1, seed=SEED), recorder)
    log = recorder.log(eps)
    pictures = play_pictures(agent, eps, log, AHEAD)
    imagined_from = agent.model.cfg.warmup_frames - 1 + AHEAD
    rewards = eps[0].rewards[: len(log)]
    first = max(imagined_from, best_stretch(rewards, FRAMES))
    file = Path(__file__).resolve().parents[1] / 'nbs' / 'pictures' / 'agent.gif'
    write_bytes(file, gif_bytes(draw_play(pictures, eps.action_names, first, FRAMES), scale=1))
    points = rewards[first : first + FRAMES].sum()
    print(f'return {eps.returns[0]:g}; {points:g} points from step {first}; {file.stat().st_size // 1000} kB')


if __name__ == '__main__':
    main()
