"""A sentence that names a flag is only said by commands that have it.

Who can say it is read from the code: the functions that call, in any number of steps, the one that it stands in.
"""

import ast
import re

import pytest
from common import ROOT
from test_configs import SCRIPTS

from aif_atari.cli import command_specs
from aif_atari.config import setting_names

# Sentences that a command can't come to say, and why
UNREACHABLE = {
    ('aif_reproduce', '--model_path'): 'it names the model itself',
    ('aif_reproduce', '--pretrained'): 'it names the model itself',
    ('aif_reproduce', '--frame_size'): 'its presets play as they train',
    ('aif_reproduce', '--seed'): 'it refuses the seed of the fresh games before',
    ('aif_train_hierarchy', '--model_path'): 'the shipped transition model, whose VAE it asks for, names one VAE',
}


def functions():
    "Each function of the package: (module, name) -> its syntax tree. Methods count for their class."
    found = {}
    for path in (ROOT / 'aif_atari').glob('[a-z]*.py'):
        if path.stem in ('cli', 'core'):  # their flags are those of parsers and of git
            continue
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found[path.stem, node.name] = node
    return found


def names_in(node):
    return {x.id for x in ast.walk(node) if isinstance(x, ast.Name)}


def reached(start, found):
    "The functions that one calls, in any number of steps. Functions of the same name count as one."
    by_name = {}
    for key in found:
        by_name.setdefault(key[1], set()).add(key)
    seen, waiting = set(), {start}
    while waiting:
        key = waiting.pop()
        seen.add(key)
        waiting |= {k for name in names_in(found[key]) & by_name.keys() for k in by_name[name]} - seen
    return seen


def flags_in(node):
    "The flags that strings of a function name, but for those of other commands that it names first."
    texts = [x.value for x in ast.walk(node) if isinstance(x, ast.Constant) and isinstance(x.value, str)]
    own = [text for text in texts if not re.search(r'\baif_\w+ .*--|^ --', text)]
    return {flag for text in own for flag in re.findall(r'--[a-z]\w*', text)}


FUNCTIONS = functions()


# aif_sweep takes the flags of other commands
@pytest.mark.parametrize('name', [name for name, script in SCRIPTS.items() if not script.others])
def test_a_command_names_only_flags_that_it_has(name):
    start = command_specs()[name]['module'].removeprefix('aif_atari.'), SCRIPTS[name].run.__name__
    have = {'--help', '--threads'} | {f'--{flag}' for flag in setting_names(SCRIPTS[name].config)}
    said = {flag: key for key in reached(start, FUNCTIONS) for flag in flags_in(FUNCTIONS[key])}
    wrong = {flag: key for flag, key in said.items() if flag not in have and (name, flag) not in UNREACHABLE}
    assert wrong == {}
