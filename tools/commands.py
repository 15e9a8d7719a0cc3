"""The table of the package's commands: `python tools/commands.py` writes aif_atari/commands.json.

The installed commands read it to answer help and wrong flags before they import anything heavy.
"""

import importlib
import json
import pkgutil
from pathlib import Path

import aif_atari
from aif_atari.cli import Command, parser_spec
from aif_atari.core import write_text

FILE = Path(__file__).resolve().parent.parent / 'aif_atari' / 'commands.json'


def commands():
    "All commands of the package, by name, with the module that defines each."
    names = [m.name for m in pkgutil.iter_modules(aif_atari.__path__) if not m.name.startswith('_')]
    modules = [importlib.import_module(f'aif_atari.{name}') for name in names]
    # a command's name is also that of its function; a module may import the command of another
    found = [(m, value) for m in modules for value in vars(m).values() if isinstance(value, Command)]
    return {c.__name__: (m.__name__, c) for m, c in found if c.run.__module__ == m.__name__}


def table():
    "The content of the file."
    specs = {
        name: dict(module=module, spec=parser_spec(c.config, name, c.__doc__ or '', c.presets, c.others))
        for name, (module, c) in sorted(commands().items())
    }
    return json.dumps(specs, ensure_ascii=False, indent=1) + '\n'


if __name__ == '__main__':
    write_text(FILE, table())
