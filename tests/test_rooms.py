"""The rooms of the house: which module may import which, how large a room is, and how its lines read."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'aif_atari'
MODULES = {p.stem: p for p in sorted(PACKAGE.glob('[a-z]*.py'))}
EVALUATION = {'eval', 'object_recall', 'object_labels', 'ablations', 'imagination', 'imagination_report', 'compare'}
EVALUATION |= {'lost_lives', 'explain', 'play_animation', 'rollout_viewer', 'search_speed', 'speed', 'reproduce'}
EVALUATION |= {'many_games', 'many_dynamics', 'many_runs', 'sweep_report', 'conditions', 'emulator_model'}
EVALUATION |= {
    'hierarchy_report',
    'hierarchy_habits',
    'hierarchy_agent',
    'weight_scores',
    'share_weights',
    'follow_runs',
    'own_data',
}
TRAINING = (
    'train',
    'frame_data',
    'collect',
    'train_transition',
    'policy_imagination',
    'policy_replay',
    'active_learning',
    'agent',
)
GROUND_FLOOR = {
    'expected_free_energy': {'core', 'config'},
    'tree_search': {'core', 'config'},
    'gumbel_search': {'config', 'tree_search'},
    'stats': {'core', 'plotting'},
    'animation': {'core', 'plotting'},
    'episodes': {'core', 'config', 'plotting'},
    'likelihoods': {'core', 'config', 'data_parallel'},
    'data_parallel': {'core'},
    'optimisation': {'core'},
    'weight_folders': {'core'},
}


def imported(module):
    "The modules of the package that a module imports, directly."
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.removeprefix('aif_atari.').split('.')[0])
    return found & MODULES.keys()


def reached(module):
    "The modules of the package that come with a module."
    found, left = set(), [module]
    while left:
        new = imported(left.pop()) - found
        found |= new
        left += new
    return found


@pytest.mark.parametrize('module', TRAINING)
def test_training_imports_no_evaluation(module):
    assert reached(module) & EVALUATION == set()


@pytest.mark.parametrize('module, allowed', GROUND_FLOOR.items())
def test_the_ground_floor_knows_neither_models_nor_emulator(module, allowed):
    assert imported(module) <= allowed


def test_the_planner_plays_no_games():
    assert 'data' not in imported('mcts_agent')
    assert 'environments' not in imported('mcts_agent')


@pytest.mark.parametrize('module', MODULES)
def test_a_room_is_small(module):
    assert len(MODULES[module].read_text(encoding='utf-8').splitlines()) <= 450


def test_ruff_finds_nothing():
    "One statement a line, at most 120 characters, no named lambdas, no unused names."
    places = [ROOT / name for name in ('nbs', 'tests', 'tools', 'conftest.py', 'setup.py')]
    command = [sys.executable, '-m', 'ruff', 'check', '--no-cache', '--output-format', 'concise', *places]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding='utf-8')
    assert done.returncode == 0, done.stdout
