"""The front page's animation, in which the shipped agent plays.

`python tools/animation.py` writes nbs/pictures/agent.gif.
"""

from pathlib import Path

from aif_atari.agent import DecisionRecorder, training_game, load_agent, draw_play
from aif_atari.core import write_bytes
from aif_atari.data import play
from aif_atari.mcts_agent import AgentConfig
from aif_atari.train import pretrained_path


def main():
    mind = load_agent(pretrained_path('breakout', 'Mind'))
    watcher = DecisionRecorder(mind.mcts_agent(AgentConfig(num_simulations=25)))
    eps = play(training_game(mind, num_episodes=1, max_steps=400, seed=2_000_042), watcher)
    file = Path(__file__).resolve().parents[1] / 'nbs' / 'pictures' / 'agent.gif'
    write_bytes(file, draw_play(mind, eps, watcher.log, most=100))
    print(f'return {eps.returns[0]:g} in {eps.lengths[0] - 1} steps; {file} has {file.stat().st_size // 1000} kB')


if __name__ == '__main__':
    main()
