"""Any value for any flag: a command either begins its work or answers in one sentence.

The first game, fit or figure that a command would begin counts as its work, so no case takes long.
"""

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_configs import SCRIPTS

from aif_atari.config import setting_names, setting_paths

ODD = [
    'nan',
    'inf',
    '-inf',
    '-1',
    '0',
    '1',
    '2.5',
    '1e308',
    '9' * 20,
    '',
    ' ',
    'ß',
    '²',
    'no',
    'auto',
    '0,2,3',
    '-',
    '--',
]
VALUES = st.sampled_from(ODD) | st.integers().map(str) | st.floats().map(str) | st.text(max_size=6)
WORK = [  # what begins the work of a command
    'aif_atari.environments.ALEGames.reset',
    'aif_atari.environments.GymGames.reset',
    'aif_atari.many_runs.run_on_ray',
    'aif_atari.many_runs.start_run',
    'aif_atari.reproduce.for_each_seed',
    'aif_atari.reproduce.make_figure',
    'aif_atari.reproduce.make_figures',
    'aif_atari.rgm_atari.toy_play',
    'aif_atari.share_weights.write_folder',
    'aif_atari.rgm_atari.grown',
    'aif_atari.rgm_figures.for_each_seed',
    'aif_atari.rgm_figures.measure_cost',
    'aif_atari.rgm_figures.structure_numbers',
    'aif_atari.rgm_figures._measure_play',
    'aif_atari.search_speed.TransitionModel',
    'aif_atari.speed.measure_playing',
]


class WorkBegins(Exception):
    "All checks have passed."


def inside(value):
    "The same text, not as the name of a place outside the present folder."
    return value.replace('/', '_').replace('~', '_').replace('..', '_').replace('\\0', '_')


@st.composite
def command_lines(draw):
    "A command and up to four of its flags, with values of any kind."
    name = draw(st.sampled_from(sorted(SCRIPTS)))
    config = SCRIPTS[name].config
    args = []
    for flag in draw(st.lists(st.sampled_from(sorted(setting_names(config))), max_size=4, unique=True)):
        kind = setting_paths(config)[setting_names(config)[flag][0]].kind
        args += [f'--{flag}'] if kind is bool else [f'--{flag}', inside(draw(VALUES))]
    return name, args


def answer(name, args):
    "Exit code and standard error of a command that ends before its work; None and '' where the work begins."
    err = io.StringIO()
    with redirect_stderr(err), redirect_stdout(io.StringIO()):
        try:
            SCRIPTS[name](args)
        except WorkBegins:
            return None, ''
        except SystemExit as e:
            return e.code, err.getvalue()
    return 0, err.getvalue()


def try_any_flags(case):
    name, args = case
    here = os.getcwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            code, err = answer(name, args)
        finally:
            os.chdir(here)
    assert code in (None, 2), (name, args, code, err)
    if code == 2:
        assert err.startswith(f'{name}: '), (name, args, err)
        assert err.count('\n') == 1, (name, args, err)


@pytest.fixture(autouse=True)
def no_work():
    patches = [patch(what, side_effect=WorkBegins) for what in WORK]
    for p in patches:
        p.start()
    yield
    for p in patches:
        p.stop()


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(command_lines())
def test_any_value_of_any_flag(case):
    try_any_flags(case)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, database=None)
@given(command_lines())
def test_many_values_of_any_flag(case):
    try_any_flags(case)
