"""What the tests share: running the installed commands, the tiniest training, and a look at what lies in a folder."""

import hashlib
import os
import shlex
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT, BIN = Path(__file__).parents[1], Path(sysconfig.get_path('scripts'))
TINY = '--num_episodes 2 --max_steps 60 --frame_size 32 --width 4 --latent_dim 4 --batch_size 32'
TINY += ' --epochs 30 --checkpoint_freq 20'
FRESH = '--num_episodes 2 --max_steps 60'  # what the tiny VAE is evaluated on

unix_only = pytest.mark.skipif(os.name == 'nt', reason='needs signals, limits or scripts that Windows has not')

NO_NETWORK = '''
import socket
def refuse(*args, **kw): raise OSError('this test has no network')
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
'''

KILL = '''
import os, signal
from pathlib import Path
name, number = os.environ['KILL_AT'].split(':')
left, replace = int(number), os.replace
def replace_or_die(source, target):
    global left
    left -= Path(target).name == name
    if left == 0: os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = replace_or_die
'''


@dataclass
class Done:
    code: int  # exit code; negative for a signal
    out: str  # what went to stdout
    err: str  # what went to stderr


def start(line, cwd, site=None, before=None, **env):
    """Start an installed command, given as one would type it.

    `site` is a folder whose sitecustomize.py it runs, `before` what the new process does first.
    """
    name, *args = shlex.split(line)
    path = os.pathsep.join(
        map(str, filter(None, (site, os.environ.get('PYTHONPATH'))))
    )  # the code under test, wherever it is
    env = {
        **os.environ,
        'TQDM_DISABLE': '1',
        'MPLBACKEND': 'agg',
        'COLUMNS': '1000',
        **env,
        **({'PYTHONPATH': path} if path else {}),
    }
    return subprocess.Popen(
        [BIN / name, *args],
        cwd=cwd,
        env=env,
        preexec_fn=before,
        encoding='utf-8',
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process):
    out, err = process.communicate(timeout=900)  # a hang, not a busy machine
    return Done(process.returncode, out, err)


def run(line, cwd, **kw):
    return finish(start(line, cwd, **kw))


def site(folder, code):
    "A folder whose `sitecustomize.py` is `code`."
    folder.mkdir()
    (folder / 'sitecustomize.py').write_text(code, encoding='utf-8')
    return folder


def hashes(folder):
    "What lies under `folder`: path -> hash of the content. Locks, which say who held a folder last, are no content."
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(Path(folder).rglob('*'))
        if p.is_file() and not p.name.endswith('.lock')
    }
