#!/usr/bin/env python
"""Expected free energy as pymdp computes it, on fixed small problems.

These are the golden values that `expected_free_energy` is tested against. pymdp needs an environment of its own:

    python3 -m venv /tmp/pymdp && /tmp/pymdp/bin/pip install inferactively-pymdp==1.0.4
    JAX_ENABLE_X64=1 /tmp/pymdp/bin/python tools/pymdp_values.py results/pymdp.json
"""

import json
import os
import sys
from importlib.metadata import version

os.environ['JAX_ENABLE_X64'] = '1'
import jax.numpy as jnp
import numpy as np
from pymdp.control import calc_negative_pA_info_gain, compute_neg_efe_policy


def problem(rng):
    "A hidden Markov model with actions, preferences, a belief and a plan of two actions."
    S, O, U = rng.integers(2, 6, 3)
    counts = rng.gamma(1.0, size=(O, S)) + 0.1  # Dirichlet parameters of the likelihood
    B = rng.dirichlet(np.ones(S), (S, U)).transpose(2, 0, 1)  # (S', S, U)
    return dict(
        counts=counts,
        B=B,
        log_c=np.log(rng.dirichlet(np.ones(O))),
        q=rng.dirichlet(np.ones(S)),
        plan=rng.integers(0, U, 2),
    )


def expected_free_energy(
    p,  # a problem
    **use,  # which of pymdp's terms are left out
):
    "G of a problem's plan, from pymdp's, which has the other sign."
    A = jnp.array(p['counts'] / p['counts'].sum(0))
    model = [jnp.array(p['q'])], [A], [jnp.array(p['B'])], [jnp.array(p['log_c'])]
    plan = jnp.array(p['plan'])[:, None]
    return -float(np.squeeze(compute_neg_efe_policy(*model, None, None, [[0]], [[0]], plan, **use)))


def param_info_gain(p):
    "Information about the likelihood's parameters in each state, known for sure."
    A, counts = jnp.array(p['counts'] / p['counts'].sum(0)), jnp.array(p['counts'])
    certain = np.eye(A.shape[1])
    return [
        -float(calc_negative_pA_info_gain([counts], [A[:, s]], [jnp.array(certain[s])], [[0]]))
        for s in range(A.shape[1])
    ]


def values(p):
    "A problem's G and its terms: utility and information about states along the plan, and about parameters."
    return dict(
        neg_expected_utility=expected_free_energy(p, use_states_info_gain=False),
        neg_state_info_gain=expected_free_energy(p, use_utility=False),
        G=expected_free_energy(p),
        param_info_gain=param_info_gain(p),
    )


def plain(d):
    "Arrays as lists."
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in d.items()}


def main(path):
    rng = np.random.default_rng(0)
    problems = [problem(rng) for _ in range(20)]
    command = 'JAX_ENABLE_X64=1 python tools/pymdp_values.py results/pymdp.json'
    about = dict(command=command, pymdp=version('inferactively-pymdp'))
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(about | dict(problems=[plain(p | values(p)) for p in problems]), f)
        f.write('\n')


if __name__ == '__main__':
    main(sys.argv[1])
