"""What the tests share: running the installed commands, the tiniest training, and a look at what lies in a folder."""

import hashlib
import os
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock

import pytest

ROOT, BIN = Path(__file__).parents[1], Path(sysconfig.get_path('scripts'))
TINY = '--num_episodes 2 --max_steps 60 --frame_size 32 --width 4 --latent_dim 4 --batch_size 32'
TINY += ' --epochs 30 --checkpoint_freq 20'
FRESH = '--num_episodes 2 --max_steps 60'  # what the tiny VAE is evaluated on

# Each command's small case, in an order in which the later ones find what the earlier ones wrote.
GAMES = '--num_episodes 4 --max_steps 80'
AGENT = '--rounds 2 --first_steps 300 --round_steps 100 --total_timesteps 3000 --max_steps 60 --num_envs 4'
AGENT += ' --vae_epochs 1 --transition_epochs 2 --transition_epochs_later 1 --transition_steps 3'
AGENT += ' --updates_first 4 --updates_later 4 --num_rollouts 4 --horizon 3 --num_simulations 3'
LEVELS = '--ticks 4 --state_sizes 8 --hidden 8 --horizon 8 --updates 2'
PLANS = '--levels_path levels/breakout_42/final_model.pt --conditions levels,levels_4'
SMALL_CASES = f'''
aif_collect --env_name Pong {GAMES} --output_file episodes.npz
aif_train_vae {TINY} --output_dir vae
aif_eval_vae --model_path vae/best_model.pt --frame_size 32 {FRESH}
aif_object_recall --pretrained breakout {GAMES} --per_episode 10 --probe_episodes 0
aif_ablations --variant grid --core_minutes 0.05 --games_share 0.02 --no-probes
aif_train_transition {GAMES} --hidden 8 --epochs 4 --steps 3 --outcome_epochs 1 --output_dir transition
aif_eval_transition --model_path transition/best_model.pt {GAMES} --num_windows 50
aif_train_agent {AGENT} --output_dir agent
aif_play --model_path agent/agent.pt --max_steps 40 --num_simulations 5
aif_calibrate --pretrained breakout --episodes 8 --max_steps 60 --outcome_epochs 1 --windows 200
aif_compare --model_path agent/agent.pt --num_simulations 3 --episodes 2 --max_steps 40 --conditions random,habit,search
aif_search_speed --num_envs 8 --num_simulations 5
aif_rgm --what structure --seeds 1
aif_rgm_atari --frames 640 --pieces 2 --length 16
aif_rgm_versus --condition selected --updates 4 --model_epochs 1 --habit_updates 1 --games 1 --steps 24
aif_transfer --env_name Pong,Freeway --steps 60 --updates 3 --width 8 --batch_size 9 --test_games Pong --test_steps 60
aif_many_dynamics --env_name Breakout,Pong --pretrained breakout --steps 150 --updates 3 --hidden 8 --test_steps 120
aif_train_hierarchy --steps 1000 --updates 2 --hidden 8 --state_sizes 8,8 --test_steps 800 --num_windows 20
aif_train_levels --model_path agent/agent.pt {LEVELS} --output_dir levels
aif_compare --model_path agent/agent.pt {PLANS} --num_simulations 3 --episodes 2 --max_steps 40 --results_dir levels
aif_sweep --command aif_train_vae --seed 0,1 {TINY} --output_dir sweep
aif_share_weights --model_path agent/agent.pt --output_dir shared
aif_status sweep --plot_file curves.png
aif_speed --seconds 1 {GAMES}
aif_reproduce --preset founding_quick
'''

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


def death(
    moment,  # name:n, just before the n-th file of that name would get it
):
    "What a process does first that is to be killed at a moment."
    return f'import os\nos.environ["KILL_AT"] = {moment!r}\n{KILL}'


@dataclass
class Done:
    code: int  # exit code; negative for a signal
    out: str  # what went to stdout
    err: str  # what went to stderr


def surroundings(site=None, **env):
    "The environment of a command under test; `site` is a folder whose sitecustomize.py it runs."
    plain = {**os.environ, 'TQDM_DISABLE': '1', 'MPLBACKEND': 'agg', 'COLUMNS': '1000', **env}
    path = [str(p) for p in (site, os.environ.get('PYTHONPATH')) if p]  # the code under test, wherever it is
    return {**plain, 'PYTHONPATH': os.pathsep.join(path)} if path else plain


class Forked:
    "A command in a fork of a process that has imported it, used as a `subprocess.Popen`."

    asking = Lock()

    @staticmethod
    @cache
    def server():
        "The socket on which forks are asked for; the server ends when this process does."
        ours, theirs = socket.socketpair()
        with theirs:
            subprocess.Popen(
                [sys.executable, ROOT / 'tests' / 'forks.py', str(theirs.fileno())],
                env=surroundings(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at pytest's terminal is not for the server
            )
        return ours

    def __init__(self, words, cwd, first=''):
        self.returncode, self.files = None, [TemporaryFile(), TemporaryFile()]
        self.status, theirs = os.pipe()
        text = '\0'.join(map(str, (Path(cwd).absolute(), first, *words)))
        with self.asking:
            fds = [*(f.fileno() for f in self.files), theirs]
            socket.send_fds(self.server(), [os.fsencode(text) + b'\0\0'], fds)
            os.close(theirs)
            self.pid = self.told()

    def told(self):
        "The next number that the server's watcher has to say."
        return struct.unpack('q', os.read(self.status, 8))[0]

    def poll(self, timeout=0.0):
        "The exit code, or None where the command has not ended within `timeout` seconds."
        if self.returncode is None and select.select([self.status], [], [], timeout)[0]:
            self.returncode = self.told()
            os.close(self.status)
        return self.returncode

    def send_signal(self, how):
        if self.poll() is None:
            os.kill(self.pid, how)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout=None):
        "Wait for the end; what went to stdout and to stderr."
        if self.poll(timeout) is None:
            self.send_signal(signal.SIGKILL)
            raise subprocess.TimeoutExpired('a forked command', timeout)
        for f in self.files:
            f.seek(0)
        return [f.read().decode() for f in self.files]


def start(line, cwd, installed=False, site=None, before=None, first='', **env):
    """Start a command, given as one would type it: a fork of a process that has imported it, which runs `first` first.

    It is the installed one, in a process of its own, where `installed` asks for it, a `site`, a variable of the
    environment, or `before`: what the new process does first.
    """
    name, *args = shlex.split(line)
    words = [BIN / name, *args]
    if hasattr(os, 'fork') and name.startswith('aif_') and not (installed or site or before or env):
        return Forked(words, cwd, first)
    assert not first, 'only a fork runs code before a command'
    return subprocess.Popen(
        words,
        cwd=cwd,
        env=surroundings(site, **env),
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
