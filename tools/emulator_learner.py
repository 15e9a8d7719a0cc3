"""Is the learner the limit, or its model? `python tools/emulator_learner.py` trains the shipped habit on the real game.

The VAE and the memory of the shipped Breakout agent stay as they are. Its habit and critic are trained by the PPO of
chapter 05a, with the same batches of 64 rollouts of 15 steps, but the rollouts are those of the real game instead of
the transition model's. This is for measuring only: it takes many more steps than an agent is allowed. Writes
results/agent/emulator_learner.json after every 50 batches.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from aif_atari.agent import Agent, fresh_game, load_agent
from aif_atari.checkpoints import half_precision, pretrained_path, use_bfloat16
from aif_atari.core import provenance, write_json
from aif_atari.data import play
from aif_atari.environments import Games, open_games
from aif_atari.mcts_agent import AgentConfig, BeliefTracker, Habit
from aif_atari.policy_imagination import ImaginationConfig, lambda_returns, ppo_loss

EVERY = 50  # batches between measurements


class Step(NamedTuple):
    "One real step of n games."

    state: tuple  # z, h before it
    a: torch.Tensor  # (n,) actions that the habit sampled
    log_p: torch.Tensor  # (n,) of them
    value: torch.Tensor  # (n,) nats
    G: torch.Tensor  # (n,) nats
    continue_prob: torch.Tensor  # (n,)
    value_after: torch.Tensor  # (n,) nats
    chosen: torch.Tensor  # (n,) 0 where fire was pressed for the agent, or a game began anew


class RealGames:
    "Games that go on from batch to batch, perceived as the agent perceives them."

    def __init__(self, agent: Agent, n: int, seed: int):
        cfg = fresh_game(agent, seed, num_episodes=n, num_envs=n)
        self.games: Games = open_games(cfg, n)
        self.fire = self.games.action_names.index('FIRE')
        frames, self.lives = self.games.reset(np.arange(n) + seed)
        self.tracker, self.agent = BeliefTracker(agent.vae, agent.model), agent
        self.new_life, self.ended = np.ones(n, bool), np.zeros(n, bool)
        self.state = self.tracker.perceive(frames)

    def step(self, habit: Habit) -> Step:
        "Act by the habit's own probabilities."
        before, prefer = self.state, self.agent.settings.act.preferences
        with torch.no_grad():
            logits, value = habit(before)
        choice = torch.distributions.Categorical(logits=logits)
        a = choice.sample()
        actions = np.where(self.new_life, self.fire, a.numpy())
        chosen = torch.as_tensor(~self.new_life & ~self.ended).float()
        done = self.games.step(actions)
        lost = (done.lives < self.lives) | done.terminated
        begun = self.ended
        self.new_life, self.lives = (done.lives != self.lives) | begun, done.lives
        self.ended = done.terminated | done.truncated
        self.tracker.observe_step(actions, begun)
        self.state = self.tracker.perceive(done.frames)
        with torch.no_grad():
            value_after = habit(self.state)[1]
        utility = prefer.reward_preference * (done.rewards > 0) + prefer.loss_preference * lost
        G, keeps_on = torch.as_tensor(-utility).float(), torch.as_tensor(~lost).float()
        return Step(before, a, choice.log_prob(a), value, G, keeps_on, value_after, chosen)


def batch(games: RealGames, habit: Habit, cfg: ImaginationConfig, discount: float) -> dict:
    "Decisions in the form of `imagine_rollout`, from real steps."
    steps = [games.step(habit) for _ in range(cfg.horizon)]
    z, h = (torch.stack([s.state[k] for s in steps]) for k in (0, 1))
    columns = {k: torch.stack([getattr(s, k) for s in steps]) for k in Step._fields[1:]}
    R = lambda_returns(columns['G'], columns['continue_prob'], columns['value_after'], discount, cfg.lambda_)
    advantage = (columns['value'] - R) / (columns['value'] - R).std().clamp_min(1e-3)
    rows = dict(z=z, h=h, a=columns['a'], log_p=columns['log_p'], R=R, advantage=advantage, w=columns['chosen'])
    return {k: x.flatten(0, 1) for k, x in rows.items()}


def measure(agent: Agent, episodes: int) -> list[float]:
    "Returns of the greedy habit in new games, the same ones each time."
    act = AgentConfig(search=agent.settings.act.search, choose_by='habit')
    game = fresh_game(agent, 7_000_000, num_episodes=episodes, max_steps=3000, num_envs=episodes)
    return play(game, agent.mcts_agent(act, 1), progress=False).returns.tolist()


def main() -> None:
    "Train and measure."
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
    parser.add_argument('--batches', type=int, default=600, help='batches of 64 rollouts of 15 real steps')
    parser.add_argument('--episodes', type=int, default=30, help='games of each measurement')
    parser.add_argument('--seed', type=int, default=9000042)
    parser.add_argument('--results_dir', default='results/agent')
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng, start = np.random.default_rng(args.seed), time.process_time()
    agent = load_agent(pretrained_path('breakout', 'Agent')).eval()
    habit, discount = agent.habit, agent.settings.act.search.discount
    cfg = ImaginationConfig(policy_lr=3e-4)
    opt = torch.optim.Adam(habit.parameters(), cfg.policy_lr)
    half = use_bfloat16('auto', 'cpu')
    games, rows = RealGames(agent, cfg.num_rollouts, args.seed), []
    for k in range(args.batches + 1):
        if k % EVERY == 0:
            rows.append(dict(steps=k * cfg.num_rollouts * cfg.horizon, returns=measure(agent, args.episodes)))
            print(f'{rows[-1]["steps"]} steps: {np.mean(rows[-1]["returns"]):.1f}', flush=True)
            facts = dict(env_name='Breakout', agent='breakout', episodes=args.episodes, seed=args.seed)
            facts |= dict(core_seconds=round(time.process_time() - start), curve=rows)
            write_json(Path(args.results_dir) / 'emulator_learner.json', facts | provenance())
        with half_precision('cpu', half):
            d = batch(games, habit, cfg, discount)
        for _ in range(cfg.update_epochs):
            for part in np.array_split(rng.permutation(len(d['a'])), max(1, len(d['a']) // cfg.minibatch_size)):
                with half_precision('cpu', half):
                    loss = ppo_loss(habit, {k: x[part] for k, x in d.items()}, cfg)
                opt.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(habit.parameters(), 5.0)
                opt.step()


if __name__ == '__main__':
    main()
