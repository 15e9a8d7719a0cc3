#!/usr/bin/env python
"""Expected free energy as pymdp computes it, on fixed small problems: the golden values that chapter 05 is tested against.

    python3 -m venv /tmp/pymdp && /tmp/pymdp/bin/pip install inferactively-pymdp==1.0.4
    JAX_ENABLE_X64=1 /tmp/pymdp/bin/python tools/pymdp_values.py results/pymdp.json
"""
import json, os, sys
from importlib.metadata import version

os.environ['JAX_ENABLE_X64'] = '1'
import jax.numpy as jnp, numpy as np
from pymdp.control import calc_negative_pA_info_gain, compute_neg_efe_policy


def problem(rng):
    "A hidden Markov model with actions, preferences, a belief and a plan of two actions."
    S, O, U = rng.integers(2, 6, 3)
    counts = rng.gamma(1., size=(O, S)) + 0.1                                       # Dirichlet parameters of the likelihood
    B = rng.dirichlet(np.ones(S), (S, U)).transpose(2, 0, 1)                        # (S', S, U)
    return dict(counts=counts, B=B, log_c=np.log(rng.dirichlet(np.ones(O))), q=rng.dirichlet(np.ones(S)), plan=rng.integers(0, U, 2))


def values(p):
    "Minus pymdp's G: utility and information about states along the plan; and information about parameters in each state known for sure."
    A, B, counts = jnp.array(p['counts']/p['counts'].sum(0)), jnp.array(p['B']), jnp.array(p['counts'])
    G = lambda **use: -float(np.squeeze(compute_neg_efe_policy([jnp.array(p['q'])], [A], [B], [jnp.array(p['log_c'])], None, None, [[0]], [[0]], jnp.array(p['plan'])[:, None], **use)))
    certain = np.eye(A.shape[1])
    return dict(risk=G(use_states_info_gain=False), minus_state_information=G(use_utility=False), G=G(),
                parameter_information=[-float(calc_negative_pA_info_gain([counts], [A[:, s]], [jnp.array(certain[s])], [[0]])) for s in range(A.shape[1])])


if __name__ == '__main__':
    rng = np.random.default_rng(0); problems = [problem(rng) for _ in range(20)]
    plain = lambda d: {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in d.items()}
    with open(sys.argv[1], 'w') as f:
        json.dump(dict(command='JAX_ENABLE_X64=1 python tools/pymdp_values.py results/pymdp.json', pymdp=version('inferactively-pymdp'), problems=[plain(p | values(p)) for p in problems]), f); f.write('\n')
