#!/usr/bin/env python
"""Visits at the root as mctx's `muzero_policy` and `gumbel_muzero_policy` make them, on fixed random problems.

They are the golden values that `tree_search` and `gumbel_search` are tested against. mctx needs its own environment:

    python3 -m venv /tmp/mctx && /tmp/mctx/bin/pip install mctx==0.0.71
    JAX_ENABLE_X64=1 /tmp/mctx/bin/python tools/mctx_values.py results/mctx.json
"""

import json
import os
import sys
from importlib.metadata import version

os.environ['JAX_ENABLE_X64'] = '1'
import jax
import jax.numpy as jnp
import mctx
import numpy as np

SIMULATIONS, GUMBEL_SIMULATIONS, DISCOUNT = 50, 24, 0.9


def problem(rng, depth):
    """A full tree of so many steps with 2 to 4 actions.

    Nodes are numbered breadth first, and those of the last step end the game. `G` (inner nodes, A) is what each edge
    costs; `prior` (inner nodes, A) and `value` (inner nodes,), also a cost, are what habit and critic say.
    """
    A = int(rng.integers(2, 5))
    inner = sum(A**k for k in range(depth))
    prior = rng.dirichlet(np.ones(A), inner).round(3) + 0.001
    return dict(
        G=rng.normal(size=(inner, A)).round(3),
        prior=prior / prior.sum(1, keepdims=True),
        value=rng.normal(size=inner).round(3),
    )


def scaled_by_tree(tree, node):
    """Values of a node's actions, scaled by the range of all values in the tree.

    An action that was not tried counts as its node. mctx goes on below nodes where the game has ended, and these do not
    count. A state is (number of the node, whether the game goes on).
    """
    q = jax.vmap(tree.qvalues)(jnp.arange(len(tree.node_values)))
    made = (tree.node_visits > 0) & tree.embeddings[1]
    tried = (tree.children_visits > 0) & made[:, None]
    low = jnp.minimum(jnp.where(tried, q, jnp.inf).min(), jnp.where(made, tree.node_values, jnp.inf).min())
    high = jnp.maximum(jnp.where(tried, q, -jnp.inf).max(), jnp.where(made, tree.node_values, -jnp.inf).max())
    completed = jnp.where(tried[node], q[node], tree.node_values[node])
    return ((completed - low) / jnp.maximum(high - low, 1e-8)).clip(0, 1)


def root_and_step(G, prior, value):
    "A problem as mctx, which maximises, takes it: the root, and the function that makes a step."
    inner, A = G.shape

    def step(params, key, action, state):
        node, goes_on = state
        below = node * A + 1 + action
        here = jnp.minimum(below, inner - 1)
        continue_prob = (below < inner) & goes_on
        reward = jnp.where(goes_on, -G[node, action], 0.0)
        leaf = jnp.where(continue_prob, -value[here], 0.0)
        out = mctx.RecurrentFnOutput(
            reward=reward, discount=DISCOUNT * continue_prob, prior_logits=jnp.log(prior[here]), value=leaf
        )
        return out, (here, continue_prob)

    root = mctx.RootFnOutput(
        prior_logits=jnp.log(prior[:1]), value=-value[:1], embedding=(jnp.zeros(1, jnp.int64), jnp.ones(1, bool))
    )
    return root, step


@jax.jit
def visits(G, prior, value):
    "Visits at the root by PUCT, (A,)."
    root, step = root_and_step(G, prior, value)
    out = mctx.muzero_policy(
        None,
        jax.random.PRNGKey(0),
        root,
        step,
        SIMULATIONS,
        qtransform=scaled_by_tree,
        dirichlet_fraction=0.0,
        pb_c_init=1.25,
        pb_c_base=1e15,
    )
    return out.search_tree.summary().visit_counts[0]


@jax.jit
def gumbel(G, prior, value):
    "Visits at the root (A,), the improved policy (A,) and the chosen action of a Gumbel search without noise."
    root, step = root_and_step(G, prior, value)
    key = jax.random.PRNGKey(0)
    out = mctx.gumbel_muzero_policy(None, key, root, step, GUMBEL_SIMULATIONS, gumbel_scale=0.0)
    return out.search_tree.summary().visit_counts[0], out.action_weights[0], out.action[0]


def main(path):
    rng = np.random.default_rng(0)
    problems = [problem(rng, depth) for depth in [1] * 100 + [3] * 100]
    for p in problems:
        given = [jnp.asarray(p[k]) for k in ('G', 'prior', 'value')]
        p['visits'] = np.asarray(visits(*given)).astype(int)
        counts, weights, action = gumbel(*given)
        p['gumbel_visits'], p['gumbel_weights'] = np.asarray(counts).astype(int), np.asarray(weights).round(9)
        p['gumbel_action'] = np.asarray(action)
    stored = [{k: v.tolist() for k, v in p.items()} for p in problems]
    command = 'JAX_ENABLE_X64=1 python tools/mctx_values.py results/mctx.json'
    about = dict(command=command, mctx=version('mctx'), simulations=SIMULATIONS)
    about |= dict(gumbel_simulations=GUMBEL_SIMULATIONS, discount=DISCOUNT)
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(about | dict(problems=stored), f)
        f.write('\n')


if __name__ == '__main__':
    main(sys.argv[1])
