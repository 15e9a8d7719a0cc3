"""`aif_status` beside a training: it tells the truth, changes nothing, and TensorBoard reads the rows of the log."""

import json
import math
import shutil
import time

import numpy as np
import pytest
from common import TINY, hashes, run, site, start
from test_commands import assert_one_sentence

from aif_atari.core import read_json
from aif_atari.follow_runs import StatusConfig, find_runs, scalars, show_status
from aif_atari.run_state import holder_of, read_log, read_run, steps_of

LINE = f'aif_train_vae {TINY} --output_dir run'
AGENT = 'aif_train_agent --rounds 2 --first_steps 300 --round_steps 100 --total_timesteps 3000 --max_steps 60'
AGENT += ' --frame_size 32 --width 4 --latent_grid 4 --latent_dim 2 --hidden 8 --warmup_frames 3 --past_beliefs 2'
AGENT += ' --transition_horizon 5 --num_envs 4'
AGENT += ' --vae_epochs 2 --transition_epochs 2 --transition_epochs_later 1 --transition_steps 3'
AGENT += ' --updates_first 4 --updates_later 4 --num_rollouts 4 --horizon 3 --num_simulations 3 --output_dir agent'
NO_TENSORBOARD = "import sys; sys.modules['tensorboard'] = None"


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    "A folder with `run`, a tiny VAE of 30 epochs."
    folder = tmp_path_factory.mktemp('finished')
    done = run(LINE, folder)
    assert done.code == 0, done
    return folder


def opened(folder):
    "TensorBoard's own reader, which keeps every row."
    module = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    reader = module.EventAccumulator(str(folder), size_guidance={module.SCALARS: 0})
    return reader.Reload()


def rows_in(reader):
    "What TensorBoard shows: step -> tag -> value."
    found = {}
    for tag in reader.Tags()['scalars']:
        for event in reader.Scalars(tag):
            row = found.setdefault(event.step, {})
            assert tag not in row, (tag, event.step)
            row[tag] = event.value
    return found


def rows_of_log(file):
    "What it should show: each row of a log, in single precision."
    rows = {row.pop('epoch'): scalars(row) for row in map(json.loads, file.read_text(encoding='utf-8').splitlines())}
    return {step: {tag: float(np.float32(value)) for tag, value in row.items()} for step, row in rows.items()}


def test_tensorboard_reads_the_rows_of_the_log(finished, tmp_path):
    pytest.importorskip('tensorboard')
    done = run(f'aif_status {finished / "run"} --tensorboard_dir boards', tmp_path)
    assert done.code == 0, done
    expected = rows_of_log(finished / 'run' / 'metrics.jsonl')
    assert len(expected) == 30
    assert rows_in(opened(tmp_path / 'boards' / 'run')) == expected


def test_tensorboard_reads_the_rounds_of_an_agent(tmp_path):
    pytest.importorskip('tensorboard')
    assert run(AGENT, tmp_path).code == 0
    assert run('aif_status agent --tensorboard_dir boards', tmp_path).code == 0
    reports = [read_json(tmp_path / 'agent' / f'round_{k}' / 'report.json') for k in (0, 1)]
    found, steps = rows_in(opened(tmp_path / 'boards' / 'agent')), np.cumsum([steps_of(r) for r in reports])
    assert list(found) == list(steps)
    for step, report in zip(steps, reports):
        assert math.isclose(found[step]['mean_return'], np.mean(report['returns']), rel_tol=1e-6)
        assert found[step]['round'] == report['round']
    inner = 'round_1/transition'
    expected = rows_of_log(tmp_path / 'agent' / inner / 'metrics.jsonl')
    assert rows_in(opened(tmp_path / 'boards' / 'agent' / inner)) == expected


def test_a_run_is_followed_while_it_trains(tmp_path, capsys):
    "Each look finds whole files, a reader that stays open gets every row once, and the training is not disturbed."
    pytest.importorskip('tensorboard')
    process, here, words, reader = start(f'{LINE} --epochs 60', tmp_path), tmp_path / 'run', [], None
    follow = StatusConfig(str(here), tensorboard_dir=str(tmp_path / 'boards'))
    while not (here / 'metrics.jsonl').exists():
        assert process.poll() is None
        time.sleep(0.01)
    assert holder_of(here).who.startswith(f'process {process.pid} on ')
    while process.poll() is None:
        state = show_status(follow)['run']
        words.append(state.word)
        assert state.rows == read_log(here / 'metrics.jsonl')[: len(state.rows)]
        reader = reader.Reload() if reader else opened(tmp_path / 'boards' / 'run')
    assert process.returncode == 0
    assert words[0] == 'running'
    assert show_status(follow)['run'].word == 'finished'
    assert 'of training so far, about ' in capsys.readouterr().out
    assert rows_in(reader.Reload()) == rows_of_log(here / 'metrics.jsonl')


def test_a_look_changes_nothing(finished, tmp_path):
    before = hashes(finished), (finished / 'run' / '.lock').read_bytes()
    done = run(f'aif_status --run_dir {finished / "run"} --plot_file curves.png', tmp_path)
    assert done.code == 0, done
    assert 'finished; epoch 30 of 30' in done.out
    assert (tmp_path / 'curves.png').read_bytes()[:4] == b'\x89PNG'
    assert (hashes(finished), (finished / 'run' / '.lock').read_bytes()) == before


def test_a_killed_run_is_stopped(tmp_path):
    process, here = start(f'{LINE} --epochs 3000', tmp_path), tmp_path / 'run'
    while not (here / 'metrics.jsonl').exists():
        assert process.poll(0.01) is None
    process.send_signal(9)
    process.communicate(30)
    state = read_run(here)
    assert state.word == 'stopped'
    assert state.left > 0
    assert 'stopped; the same command goes on; epoch' in run('aif_status run', tmp_path).out


@pytest.mark.parametrize(
    'line, sentence',
    {
        'aif_status': 'Name one folder',
        'aif_status none': 'There is no folder none',
        'aif_status .': 'holds no run',
        'aif_status a b': '2 are named',
        'aif_status ""': 'The name of the folder is empty',
        'aif_status --watsh 3': 'There is no flag --watsh; did you mean --watch?',
        'aif_status . --plot_file curves.jpg': "must end with .png, not 'curves.jpg'",
        'aif_status --watch -1': 'watch must be at least 0',
    }.items(),
)
def test_a_mistake_is_told_in_one_sentence(line, sentence, tmp_path):
    assert_one_sentence(run(line, tmp_path), 'aif_status', sentence)


def test_a_torn_log_is_told_in_one_sentence(tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'config.json').write_text('{"collage": 0.1}', encoding='utf-8')
    (tmp_path / 'run' / 'metrics.jsonl').write_text('{"epoch": 1, "tr', encoding='utf-8')
    assert_one_sentence(run('aif_status run', tmp_path), 'aif_status', 'metrics.jsonl is torn')


def test_without_the_library_nothing_is_done(finished, tmp_path):
    line = f'aif_status {finished / "run"} --tensorboard_dir boards --plot_file curves.png'
    done = run(line, tmp_path, site=site(tmp_path / 'site', NO_TENSORBOARD))
    assert_one_sentence(done, 'aif_status', 'TensorBoard needs the package: pip install "aif_atari[tensorboard]"')
    assert not done.out
    assert [f.name for f in tmp_path.iterdir()] == ['site']


def sweep_of_one(folder):
    (folder / 'sweep.json').write_text('{"runs": [{"nam": 1}]}', encoding='utf-8')


def empty_values(folder):
    row = dict(epoch=1, train={}, val={}, seconds=1, per_second=1)
    (folder / 'b' / 'metrics.jsonl').write_text(json.dumps(row), encoding='utf-8')


def null_values(folder):
    row = dict(epoch=1, train={}, val=None, seconds=1, per_second=1)
    (folder / 'b' / 'metrics.jsonl').write_text(json.dumps(row), encoding='utf-8')


def log_is_a_folder(folder):
    (folder / 'b' / 'metrics.jsonl').unlink()
    (folder / 'b' / 'metrics.jsonl').mkdir()


@pytest.mark.parametrize('damage', [sweep_of_one, empty_values, null_values, log_is_a_folder])
def test_one_odd_run_does_not_hide_the_others(damage, finished, tmp_path):
    for name in ('a', 'b', 'c'):
        shutil.copytree(finished / 'run', tmp_path / 'runs' / name)
    damage(tmp_path / 'runs')
    done = run('aif_status runs', tmp_path)
    assert done.code == 2
    assert "can't be read" in done.err
    assert 'unreadable' in done.out
    assert 'finished   a: ' in done.out
    assert 'finished   c: ' in done.out


def test_shared_weights_are_no_run(finished, tmp_path):
    shutil.copytree(finished / 'run', tmp_path / 'outs' / 'run')
    assert run('aif_share_weights --model_path outs/run/best_model.pt --output_dir outs/s1', tmp_path).code == 0
    done = run('aif_status outs', tmp_path)
    assert done.code == 0, done
    assert 's1' not in done.out
    assert_one_sentence(run('aif_status outs/s1', tmp_path), 'aif_status', 'holds shared weights, no run')


def test_links_list_no_run_twice(finished, tmp_path):
    shutil.copytree(finished / 'run', tmp_path / 'outs' / 'run')
    (tmp_path / 'outs' / 'alias').symlink_to('run')
    (tmp_path / 'outs' / 'loop').symlink_to('.')
    assert find_runs(tmp_path / 'outs') == [tmp_path / 'outs' / 'run']


def test_places_are_checked_before_the_work(finished, tmp_path):
    (tmp_path / 'env.sh').touch()
    (tmp_path / 'd.png').mkdir()
    for place, words in (
        ('--plot_file env.sh/x.png', 'plot_file needs a folder'),
        ('--plot_file d.png', 'd.png is a folder; name a file in it'),
        ('--tensorboard_dir env.sh', 'tensorboard_dir needs a folder'),
    ):
        done = run(f'aif_status {finished / "run"} {place}', tmp_path)
        assert_one_sentence(done, 'aif_status', words)
        assert not done.out
