"""How the shipped Breakout agent plays in plain Gymnasium loops.

`python tools/own_loop.py` writes results/own_loop.json.

The agent plays by habit, the same seeds in each loop: in the package's own loop, in Gymnasium's with and without the
emulator's `info`, and there with frames of 84 x 84 pixels, in colour and in grey. Grey lacks what it was trained on.
"""

import argparse
from pathlib import Path

import gymnasium
import numpy as np
from tqdm.auto import tqdm

from aif_atari.agent import AsTrainedConfig, acting_config, fresh_game, load_agent
from aif_atari.checkpoints import pretrained_path
from aif_atari.core import file_hash, provenance, write_json
from aif_atari.data import play
from aif_atari.own_loop import ActingAgent
from aif_atari.stats import bootstrap

FILE = Path(__file__).resolve().parent.parent / 'results' / 'own_loop.json'
BY_HABIT = AsTrainedConfig(choose_by='habit')


def small_games(
    **options,  # of ale-py's vector environment
):  # a vector of one game
    "Frames of 84 x 84 pixels at the protocol of the other loops."
    protocol = dict(frameskip=4, repeat_action_probability=0.25, noop_max=0, use_fire_reset=False)
    return gymnasium.make_vec('ALE/Breakout-v5', num_envs=1, reward_clipping=False, **protocol, **options)


def one_game(
    agent,  # an `ActingAgent`
    env,  # a Gymnasium environment, or a vector of one
    seed,  # of the game
    told,  # whether the agent gets the emulator's info
    max_steps,  # after which the game is cut
):  # the return
    "Play a game to its end."
    frame, info = env.reset(seed=seed)
    agent.reset()
    score = 0.0
    for _ in range(max_steps):
        frame, reward, terminated, truncated, info = env.step(agent.act(frame, info if told else None))
        score += float(np.sum(reward))
        if np.any(terminated) or np.any(truncated):
            break
    return score


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--games', type=int, default=20, help='games in each loop')
    parser.add_argument('--seed', type=int, default=3_000_042, help='of the first game')
    args = parser.parse_args()
    path = pretrained_path('breakout', 'Agent')
    agent = load_agent(path)
    act, seeds = acting_config(agent, BY_HABIT), range(args.seed, args.seed + args.games)
    game = fresh_game(agent, args.seed, num_episodes=args.games)
    returns = dict(own=play(game, agent.mcts_agent(act)).returns.tolist())
    plain = gymnasium.make('ALE/Breakout-v5')
    loops = dict(told=(plain, True), untold=(plain, False))
    loops['colour'] = small_games(grayscale=False, stack_num=1), True
    loops['grey'] = small_games(), True  # the last four in a stack
    for name, (env, told) in loops.items():
        acting = ActingAgent(agent, act, env)
        returns[name] = [one_game(acting, env, s, told, game.max_steps) for s in tqdm(seeds, desc=name)]
    found = {name: dict(mean=float(np.mean(r)), interval=bootstrap(r), returns=r) for name, r in returns.items()}
    about = dict(sha256=file_hash(path), games=args.games, seed=args.seed, max_steps=game.max_steps)
    write_json(FILE, about | dict(loops=found) | provenance() | dict(command='python tools/own_loop.py'))
    for name, row in found.items():
        print(f'{name:<8}{row["mean"]:6.1f}  {row["interval"][0]:.1f} to {row["interval"][1]:.1f}')


if __name__ == '__main__':
    main()
