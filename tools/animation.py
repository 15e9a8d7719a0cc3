"""The front page's animation: `python tools/animation.py` writes nbs/pictures/agent.gif. What plays is the shipped agent, or, as long as none ships, a search for reward with the shipped eyes and imagination."""
from dataclasses import replace
from pathlib import Path

from aif_atari.agent import Mind, Watcher, load_mind, watch
from aif_atari.core import InputError, write_bytes
from aif_atari.data import CollectConfig, play
from aif_atari.mcts_agent import AgentConfig, Habit
from aif_atari.train import load_pretrained, pretrained_path
from aif_atari.transition import beliefs_of, load_transition

GAME = CollectConfig('Breakout', num_episodes=1, max_steps=400, fire_lives=True, seed=2_000_042)


def player(game):
    "A mind, and the settings with which it plays."
    try: return load_mind(pretrained_path(game, 'Mind')), AgentConfig()
    except InputError: vae, model = load_pretrained(game), load_transition(pretrained_path(game, 'TransitionModel'))
    lv_q = beliefs_of(vae, play(replace(GAME, seed=0), progress=False)).lv.mean(0)
    return Mind(vae, model, Habit(model), lv_q).eval(), AgentConfig(use_habit=False, use_critic=False)


if __name__ == '__main__':
    mind, cfg = player('breakout')
    watcher = Watcher(mind.agent(cfg))
    eps = play(GAME, watcher)
    file = Path(__file__).resolve().parents[1]/'nbs'/'pictures'/'agent.gif'
    write_bytes(file, watch(mind, eps, watcher.log, most=100))
    print(f'return {eps.returns[0]:g} in {eps.lengths[0]-1} steps; {file} has {file.stat().st_size//1000} kB')
