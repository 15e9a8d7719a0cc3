"""Every number among the settings has bounds beside it, and nothing passes that is out of them."""

import importlib
import json
import math
import pkgutil
from configparser import ConfigParser
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path

import pytest

import aif_atari
from aif_atari.agent import TrainAgentConfig, agent_settings
from aif_atari.cli import command_specs
from aif_atari.config import (
    Bounds,
    OneOf,
    check_bounds,
    flat_settings,
    from_dict,
    make_config,
    setting_names,
    setting_paths,
    setting_rules,
)
from aif_atari.core import InputError
from aif_atari.train_agent import PRESETS as AGENT_PRESETS

ROOT = Path(__file__).parents[1]


def is_config(value, module):
    "Whether `value` is a configuration that `module` defines: a dataclass all of whose fields have defaults."
    own = isinstance(value, type) and is_dataclass(value) and value.__module__ == module.__name__
    return own and all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(value))


def package_configs():
    "All configurations of the package, by name."
    names = [m.name for m in pkgutil.iter_modules(aif_atari.__path__)]
    modules = [importlib.import_module(f'aif_atari.{name}') for name in names if not name.startswith('_')]
    return {name: value for m in modules for name, value in vars(m).items() if is_config(value, m)}


def console_scripts():
    "The installed commands of settings.ini: name -> function."
    settings = ConfigParser(interpolation=None)
    settings.read(ROOT / 'settings.ini')
    names = [line.partition('=')[0] for line in settings['DEFAULT']['console_scripts'].split()]
    return {name: getattr(importlib.import_module(command_specs()[name]['module']), name) for name in names}


CONFIGS, SCRIPTS = package_configs(), console_scripts()
SETTINGS = [(config, name, *rule) for config in CONFIGS.values() for name, rule in setting_rules(config).items()]
NUMBERS = [(config, name, kind, rule) for config, name, kind, rule in SETTINGS if isinstance(rule, Bounds)]
CHOICES = [(config, name, rule) for config, name, _, rule in SETTINGS if isinstance(rule, OneOf)]
KINDS = [(config, name, kind) for config, name, kind, _ in SETTINGS]
WRONG = dict(
    aif_collect='--sticky 1',
    aif_train_vae='--batch_size 0',
    aif_eval_vae='--num_samples 0',
    aif_object_recall='--per_episode 0',
    aif_ablations='--core_minutes inf',
    aif_train_transition='--prioritized_fraction 1',
    aif_eval_transition='--num_windows 0',
    aif_train_agent='--minibatch_size 0',
    aif_play='--gif_frames 0',
    aif_calibrate='--episodes 7',
    aif_compare='--num_envs -1',
    aif_search_speed='--num_simulations 0',
    aif_rgm='--seeds 0',
    aif_rgm_atari='--clusters 1',
    aif_rgm_versus='--games 0',
    aif_transfer='--updates 0',
    aif_many_dynamics='--updates 0',
    aif_train_hierarchy='--updates 0',
    aif_train_levels='--updates 0',
    aif_sweep='--workers -1',
    aif_share_weights='--kind Mind',
    aif_status='--watch -1',
    aif_speed='--seconds nan',
    aif_reproduce='--preset quik',
)


def setting_name(value):
    return value.__name__ if isinstance(value, type) else str(value)


def sides(kind, bounds):
    "The values next to each bound: those just inside and those just outside."
    down = (lambda x: x - 1) if kind is int else (lambda x: math.nextafter(x, -math.inf))
    up = (lambda x: x + 1) if kind is int else (lambda x: math.nextafter(x, math.inf))
    inside, outside = [], []
    if bounds.least > -math.inf:
        inside.append(kind(bounds.least))
        outside.append(down(bounds.least))
    if bounds.above > -math.inf:
        inside.append(up(bounds.above))
        outside.append(kind(bounds.above))
    if bounds.most < math.inf:
        inside.append(kind(bounds.most))
        outside.append(up(bounds.most))
    if bounds.below < math.inf:
        inside.append(down(bounds.below))
        outside.append(kind(bounds.below))
    if kind is float:
        outside.append(math.nan)
        (outside if bounds.finite else inside).append(math.inf)
    return inside, outside


def told(cfg):
    "The sentence with which the check refuses `cfg`."
    with pytest.raises(InputError) as refused:
        check_bounds(cfg)
    return str(refused.value)


def test_the_walk_finds_the_configurations():
    used = {main.config.__name__ for main in SCRIPTS.values()}
    parts = {
        'CollectConfig',
        'VAEConfig',
        'TrainConfig',
        'TransitionConfig',
        'SearchConfig',
        'Preferences',
        'RGMConfig',
    }
    assert used | parts <= CONFIGS.keys()


@pytest.mark.parametrize('config', CONFIGS.values(), ids=setting_name)
def test_defaults_are_within_their_bounds(config):
    check_bounds(config())


@pytest.mark.parametrize('config', CONFIGS.values(), ids=setting_name)
def test_every_number_has_bounds(config):
    for name, (kind, rule) in setting_rules(config).items():
        assert kind in (bool, float, int, str), name
        assert isinstance(rule, Bounds) or kind not in (int, float), name


@pytest.mark.parametrize('config, name, kind, bounds', NUMBERS, ids=setting_name)
def test_both_sides_of_each_bound(config, name, kind, bounds):
    inside, outside = sides(kind, bounds)
    assert outside
    for value in inside:
        check_bounds(replace(config(), **{name: value}))
    for value in outside:
        sentence = told(replace(config(), **{name: value}))
        assert sentence.startswith(f'{name} must be ')
        assert sentence.endswith(f', not {value!r}.')


@pytest.mark.parametrize('config, name, choices', CHOICES, ids=setting_name)
def test_each_choice_and_no_other(config, name, choices):
    for option in choices.options:
        check_bounds(replace(config(), **{name: option}))
    sentence = told(replace(config(), **{name: 'none of these'}))
    assert sentence == f"{name} must be {choices}, not 'none of these'."


@pytest.mark.parametrize('config, name, kind', KINDS, ids=setting_name)
def test_another_type_is_told(config, name, kind):
    sentence = told(replace(config(), **{name: [0]}))
    assert sentence == f'The setting {name} should be of type {kind.__name__}, not [0].'


@pytest.mark.parametrize('config, name, kind', KINDS, ids=setting_name)
def test_nothing_is_only_taken_where_it_is_the_default(config, name, kind):
    nothing = replace(config(), **{name: None})
    if getattr(config(), name) is None:
        check_bounds(nothing)
    else:
        assert told(nothing) == f'The setting {name} should be of type {kind.__name__}, not None.'


def test_every_command_has_a_wrong_flag_here():
    assert WRONG.keys() == SCRIPTS.keys()


@pytest.mark.parametrize('name', WRONG)
def test_a_command_refuses_before_it_does_anything(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flag, value = WRONG[name].split()
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[name]([flag, value])
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.err.startswith(f'{name}: {flag[2:]} must be ')
    assert said.err.count('\n') == 1
    assert said.err.endswith('.\n')
    assert said.out == ''
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', WRONG)
def test_the_function_behind_a_command_refuses_too(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flag, text = WRONG[name].split()
    config, setting = SCRIPTS[name].config, flag[2:]
    kind = setting_paths(config)[setting_names(config)[setting][0]].kind
    with pytest.raises(InputError, match=f'^{setting} must be '):
        SCRIPTS[name].run(make_config(config, {setting: kind(text)}))
    assert list(tmp_path.iterdir()) == []


def test_no_game_is_played_with_a_minibatch_of_nothing(tmp_path, monkeypatch, capsys):
    "It would divide by zero, after all the play."
    played = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('aif_atari.active_learning.play', lambda *args, **kw: played.append(args))
    with pytest.raises(SystemExit) as ended:
        SCRIPTS['aif_train_agent'](['--minibatch_size', '0'])
    assert ended.value.code == 2
    assert capsys.readouterr().err == 'aif_train_agent: minibatch_size must be at least 1, not 0.\n'
    assert played == []


def test_sizes_that_no_vae_has_are_told_before_any_play(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        SCRIPTS['aif_train_agent'](['--frame_size', '40'])
    assert ended.value.code == 2
    assert 'frame_size must be a multiple of 16, not 40' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_every_part_is_reached_by_a_command():
    "A setting's short name sets it wherever it stands, so that no two parts disagree."
    cfg = make_config(SCRIPTS['aif_train_agent'].config, frame_size=32, seed=7)
    assert (cfg.collect.frame_size, cfg.vae.frame_size) == (32, 32)
    assert (cfg.seed, cfg.collect.seed) == (7, 7)


@pytest.mark.parametrize('name', SCRIPTS)
def test_presets_are_settings_within_their_bounds(name):
    for preset in SCRIPTS[name].presets.values():
        check_bounds(make_config(SCRIPTS[name].config, preset.settings))


OLD_SETTINGS = json.loads(
    (ROOT / 'tests' / 'settings_0.2.0.json').read_text(encoding='utf-8')
)  # defaults of that version


# the defaults of version 0.2.0 are the preset `imagination`, without the settings that came later
LATER = ('vae_every', 'foreground_weight', 'past_beliefs', 'num_bins', 'frame_shift')
AGENTS_LEARNED_BY = {k: v for k, v in AGENT_PRESETS['imagination'].settings.items() if k not in LATER}


@pytest.mark.parametrize('name', OLD_SETTINGS)
def test_settings_of_before_are_read_with_todays_names(name):
    "Version 0.2.0 kept all settings of a run flat; its defaults are today's, but for a game that follows the model."
    old, config = OLD_SETTINGS[name], CONFIGS[name]
    then = {k: v for k, v in AGENTS_LEARNED_BY.items() if name == 'TrainAgentConfig'}
    assert from_dict(config, old) == make_config(config, then, env_name=old['env_name'])


def test_agents_of_0_3_0_are_read_as_they_were():
    "That version kept the settings of each part together; its defaults are those of the preset `imagination`."
    old = json.loads((ROOT / 'tests' / 'settings_0.3.0.json').read_text(encoding='utf-8'))
    assert agent_settings(old) == make_config(TrainAgentConfig, AGENT_PRESETS['imagination'].settings)


def short_paths(config, name):
    "The first path that a name sets."
    return setting_names(config)[name][0]


@pytest.mark.parametrize(
    'old, name, value',
    [
        ('dream', 'horizon', 7),
        ('horizon', 'plan_horizon', 7),
        ('budget', 'total_timesteps', 70_000),
        ('hard', 'prioritized_fraction', 0.5),
        ('omega', 'action_precision', 4.0),
        ('habit_last', 'updates_last', 7),
        ('seed', 'collect.seed', 7),
    ],
)
def test_a_setting_of_before_gets_where_it_belongs(old, name, value):
    config = CONFIGS['TrainAgentConfig']
    read = from_dict(config, OLD_SETTINGS['TrainAgentConfig'] | {old: value})
    assert flat_settings(read)[short_paths(config, name)] == value


def test_learning_from_play_is_learning_from_replay():
    old = OLD_SETTINGS['TrainAgentConfig'] | dict(learn_from='play')
    assert from_dict(CONFIGS['TrainAgentConfig'], old).learn_from == 'replay'


@pytest.mark.parametrize('name', OLD_SETTINGS)
def test_a_setting_that_nobody_knows_is_named(name):
    with pytest.raises(InputError, match="has no setting 'whiskers'"):
        from_dict(CONFIGS[name], OLD_SETTINGS[name] | dict(whiskers=3))


def test_help_is_that_of_the_commands(monkeypatch):
    "The specifications that the installed commands read are those of the code."
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    from commands import FILE, table

    assert FILE.read_text(encoding='utf-8') == table(), 'run python tools/commands.py'
    assert command_specs().keys() == SCRIPTS.keys()
