"""A process that has imported all commands, and forks itself for each one that is to be run: `common.start` asks it.

A test saves three seconds of imports so. In nothing else does a command differ from an installed one.
"""

import atexit
import os
import signal
import socket
import struct
import sys
import traceback
from importlib import import_module

from aif_atari.cli import command_specs, launch


def receive(control):
    "The next request: its words, and the files that the command is to have; None when nobody can ask any more."
    text, files = b'', []
    while not text.endswith(b'\0\0'):
        more, fds, _, _ = socket.recv_fds(control, 65536, 3)
        if not more:
            return None
        text += more
        files += fds
    return os.fsdecode(text[:-2]).split('\0'), files


def serve(control):
    "Answer requests for ever; the children return, each with what it is asked for."
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that watch
    while request := receive(control):
        if os.fork() == 0:
            control.close()
            return request
        for fd in request[1]:
            os.close(fd)
    os._exit(0)


def watch(status):
    "Fork; say which process the child is, and then how it ended. Only the child returns."
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        os.write(status, struct.pack('q', child))
        os.write(status, struct.pack('q', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
        os._exit(0)
    os.close(status)


def run_and_exit(argv):
    "Run an installed command and end the process as Python ends it, without the two seconds of tidying up."
    sys.argv, sys.path[0], code = argv, os.path.dirname(argv[0]), 0
    try:
        launch()
    except SystemExit as e:
        code = e.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == '__main__':
    for entry in command_specs().values():
        import_module(entry['module'])
    import_module('torch._dynamo')  # a second, in each process that makes an optimiser
    (cwd, first, *argv), (out, err, status) = serve(socket.socket(fileno=int(sys.argv[1])))
    watch(status)
    os.chdir(cwd)
    os.dup2(out, 1)
    os.dup2(err, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exec(first, {})
    run_and_exit(argv)
