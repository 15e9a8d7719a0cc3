"""The package's annotations are true, as far as pyright can tell."""

import json
import os
import subprocess
import sys

import pytest
from common import ROOT

OPTIONAL = {'cv2', 'jax', 'mctx', 'minari', 'h5py', 'anywidget', 'imageio_ffmpeg'}  # packages that may be absent


def pyright(*args, seconds):
    return subprocess.run(
        [sys.executable, '-m', 'pyright', *args],
        cwd=ROOT,
        env={**os.environ, 'PYRIGHT_PYTHON_IGNORE_WARNINGS': '1'},  # of newer versions, which it asks the network for
        encoding='utf-8',
        capture_output=True,
        timeout=seconds,
    )


def test_pyright_finds_no_errors():
    try:
        version = pyright('--version', seconds=120)
    except subprocess.TimeoutExpired:
        pytest.skip('pyright did not start within two minutes; where it brings no node it downloads one')
    if version.returncode != 0:
        why = (version.stderr or version.stdout).strip().splitlines()[-1:]
        pytest.skip(f'pyright cannot be started, install pyright[nodejs]: {" ".join(why)}')
    done = pyright('--outputjson', '--pythonpath', sys.executable, seconds=600)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = json.loads(done.stdout)['generalDiagnostics']
    places = [(d, f'{os.path.relpath(d["file"], ROOT)}:{d["range"]["start"]["line"] + 1}') for d in found]
    errors = [f'{place} {d["message"]} ({d.get("rule")})' for d, place in places if d['severity'] == 'error']
    assert not errors, '\n'.join(errors)
    missing = {d['message'].split('"')[1].split('.')[0] for d in found if d.get('rule') == 'reportMissingImports'}
    assert missing <= OPTIONAL, 'pyright looked without these packages, so it saw little'
