#!/usr/bin/env python
"""States of an exported renormalising model as pymdp infers them, group by group.

These are the golden values that `rgm_pymdp` is tested against. The model comes from the package, and pymdp needs an
environment of its own:

    python -c "from aif_atari.rgm import *; from aif_atari.rgm_pymdp import save_pymdp
    save_pymdp(learn_structure(select_play(TOYS['pong'], 256, seed=1).o, K=5)[0], 'pong.npz')"
    python3 -m venv /tmp/pymdp && /tmp/pymdp/bin/pip install inferactively-pymdp==1.0.4
    JAX_ENABLE_X64=1 /tmp/pymdp/bin/python tools/pymdp_states.py pong.npz results/pymdp_pong.json
"""

import json
import os
import sys
from importlib.metadata import version

os.environ['JAX_ENABLE_X64'] = '1'
import equinox
import jax.numpy as jnp
import numpy as np
from pymdp.agent import Agent

EVENTS = 8  # of the highest level, from the first on


def read(path):
    "The groups of each level, the lowest first."
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    return [[group(arrays, n, g) for g in range(count)] for n, count in enumerate(arrays['groups'])]


def group(arrays, n, g):
    "The arrays of a group."
    sees = arrays[f'sees_{n}_{g}'].tolist()
    modalities = range(len(sees) * (1 if n == 0 else 2))
    A = [arrays[f'A_{n}_{g}_{m}'] for m in modalities]
    shown = [m for m in modalities if (m if n == 0 else m // 2) % 3 == 0]  # of three neighbours, the first
    return dict(
        A=A, B=arrays[f'B_{n}_{g}'], D=arrays[f'D_{n}_{g}'], sees=sees, known=arrays[f'seen_{n}_{g}'], shown=shown
    )


def replay(levels):
    "Give each group its outcomes, states and paths while events follow each other on their first paths."
    x = [0]
    while len(x) < EVENTS:
        x.append(int(levels[-1][0]['B'][:, x[-1], 0].argmax()))
    x = np.array(x)[:, None]
    for n in reversed(range(len(levels))):
        for p, states in zip(levels[n], x.T):
            p['outcomes'] = np.stack([a.argmax(0)[states] for a in p['A']], 1)
            p['paths'] = (p['B'][states[1:], states[:-1]] * p['known'][states[:-1]]).argmax(1)
            assert (p['B'][states[1:], states[:-1], p['paths']] == 1).all(), 'a step that was not seen'
        if n:
            x = np.empty((2 * len(x), len(levels[n - 1])), int)
            for p in levels[n]:
                for j, i in enumerate(p['sees']):
                    s, u = p['outcomes'][:, 2 * j : 2 * j + 2].T
                    x[:, i] = np.stack([s, levels[n - 1][i]['B'][:, s, u].argmax(0)], 1).ravel()


def agent(p, batch):
    "A group as an agent of pymdp."
    return Agent(A=p['A'], B=[p['B']], D=[p['D']], inference_algo='exact', batch_size=batch)


@equinox.filter_jit
def infer(one, o, prior, mask):
    "Posteriors (batch, 1, S). Compiled, it leaves the agent as it is; else pymdp writes the mask into its likelihoods."
    return one.infer_states(o, prior, mask=mask)


@equinox.filter_jit
def predict(one, u, q):
    "The prior of the next step, after path u."
    return one.update_empirical_prior(u, q)


def alone(p, mask):
    "Posteriors (T, S) of each step by itself."
    one = agent(p, len(p['outcomes']))
    return np.asarray(infer(one, [jnp.array(o) for o in p['outcomes'].T], one.D, mask)[0])[:, 0]


def filtered(p, mask):
    "Posteriors (T, S) where each step's prior is what the step before predicts on its path."
    one, q = agent(p, 1), []
    prior = one.D
    for t, o in enumerate(p['outcomes']):
        now = infer(one, [jnp.array([k]) for k in o], prior, mask)
        q.append(np.asarray(now[0])[0, 0])
        if t < len(p['paths']):
            prior = predict(one, jnp.array([[p['paths'][t]]]), now)
    return np.array(q)


def short(q):
    "Posteriors as lists of few characters."
    return [[int(x) if x in (0, 1) else x for x in row] for row in q.round(7).tolist()]


def values(p):
    "What is stored of a group."
    mask = [float(m in p['shown']) for m in range(len(p['A']))]
    return dict(
        outcomes=p['outcomes'].tolist(),
        paths=p['paths'].tolist(),
        shown=p['shown'],
        observed=alone(p, None).argmax(1).tolist(),
        hidden=short(alone(p, mask)),
        filtered=short(filtered(p, mask)),
    )


def main(model, path):
    levels = read(model)
    replay(levels)
    command = 'JAX_ENABLE_X64=1 python tools/pymdp_states.py pong.npz results/pymdp_pong.json'
    about = dict(command=command, pymdp=version('inferactively-pymdp'))
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(about | dict(levels=[[values(p) for p in level] for level in levels]), f, separators=(',', ':'))
        f.write('\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
