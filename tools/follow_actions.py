"""Does a model tell apart, of one state, which actions lead to a loss? `python tools/follow_actions.py --help`.

An agent plays fresh games by its habit. From some states, random sequences of held actions are imagined by its
transition model and made in copies of the game (chapter 05k). For measuring only: an agent has no copies.
Writes GAME_SEED.json into the results folder.
"""

import argparse
from pathlib import Path

import numpy as np

from aif_atari.agent import fresh_game, load_agent
from aif_atari.checkpoints import pretrained_path, weights_hash
from aif_atari.core import provenance, write_json
from aif_atari.data import play
from aif_atari.emulator_model import FollowingAgent, told_apart, within
from aif_atari.environments import find_game
from aif_atari.stats import bootstrap, roc_auc

HORIZONS = (4, 8, 12, 16)


def measured(agent: FollowingAgent) -> dict:
    "For reward and loss within some steps: the events, and how each kind of belief ranks them."
    imagined, perceived, real = (
        np.concatenate([getattr(f, k) for f in agent.followed]) for k in ('imagined', 'perceived', 'real')
    )
    again = np.concatenate([f.again for f in agent.followed], 1)
    states = np.repeat(np.arange(len(agent.followed)), agent.sequences)
    out = {}
    for i, outcome in enumerate(('reward', 'loss')):
        out[outcome] = {}
        for k in HORIZONS:
            happened = within(real, k)[:, i] > 0
            row = dict(sequences=len(happened), events=int(happened.sum()))
            chances = dict(imagined=within(imagined, k), perceived=within(perceived, k))
            chances['other copies'] = np.mean([within(x, k) > 0 for x in again], 0)
            for name, p in chances.items():
                shares = told_apart(p[:, i], happened, states)
                row |= dict(states=len(shares))
                row[name] = dict(roc_auc=roc_auc(p[:, i], happened))
                if len(shares):
                    row[name] |= dict(told_apart=float(shares.mean()), interval=bootstrap(shares))
            out[outcome][str(k)] = row
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pretrained', default='breakout', help='name of a shipped agent (default: breakout)')
    parser.add_argument('--model_path', default='', help='or the agent.pt of a training')
    parser.add_argument('--games', type=int, default=8, help='games to play, at once (default: 8)')
    parser.add_argument('--max_steps', type=int, default=1500, help='steps after which a game is cut (default: 1500)')
    parser.add_argument('--seed', type=int, default=3_000_042, help='of the games (default: 3000042)')
    parser.add_argument('--results_dir', default='results/followed', help='default: results/followed')
    given = parser.parse_args()
    agent = load_agent(given.model_path or pretrained_path(given.pretrained, 'Agent'))
    following = FollowingAgent(agent, seed=given.seed)
    sizes = dict(num_episodes=given.games, num_envs=given.games, max_steps=given.max_steps)
    eps = play(fresh_game(agent, given.seed, **sizes), following, games=following.games)
    name, seed = find_game(eps.config['env_name'])[1], agent.settings.seed
    found = dict(env_name=eps.config['env_name'], seed=seed, weights_sha256=weights_hash(agent))
    found |= dict(games=len(eps), states=len(following.followed), outcomes=measured(following))
    file = Path(given.results_dir) / f'{name}_{seed}.json'
    write_json(file, found | provenance())
    for outcome, rows in found['outcomes'].items():
        for k, row in rows.items():
            kinds = ('imagined', 'perceived', 'other copies')
            texts = [f"{kind} {row[kind].get('told_apart', float('nan')):.3f}" for kind in kinds]
            print(f"{outcome} within {k} steps, told apart in {row['states']} states: {', '.join(texts)}")


if __name__ == '__main__':
    main()
