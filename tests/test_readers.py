"""Readers meet files that were cut, scratched or never theirs: they give the right data or `InputError`, never anything else."""

import json
from dataclasses import asdict
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aif_atari.checkpoints import load_checkpoint, save_checkpoint
from aif_atari.config import from_dict, make_config
from aif_atari.core import InputError, read_json
from aif_atari.environments import CollectConfig
from aif_atari.episodes import Episodes, load_episodes, sequence_batches, split_episodes
from aif_atari.train import TrainVAEConfig, load_vae
from aif_atari.vae import VAE, VAEConfig

settings.register_profile(
    'readers',
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile('readers')

ROWS = ('frames', 'actions', 'rewards', 'terminated', 'truncated', 'lives', 'ram')


@st.composite
def episodes(draw):
    "A few short episodes of tiny frames, with anything in them that the types allow."
    lengths = np.array(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    n, size = int(lengths.sum()), draw(st.integers(1, 5))
    column = lambda dtype, *shape: draw(arrays(dtype, (n, *shape)))
    return Episodes(
        column(np.uint8, size, size, 3),
        column(np.int16),
        column(np.float32),
        column(bool),
        column(bool),
        column(np.int16),
        np.cumsum(lengths) - lengths,
        lengths,
        draw(arrays(np.int64, len(lengths))),
        asdict(CollectConfig(draw(st.text()), len(lengths))),
        draw(st.lists(st.text())),
        column(np.uint8, 128) if draw(st.booleans()) else None,
    )


def numbered(lengths):
    "Episodes whose frames say where they stand: (row, episode, 0) in a single pixel; the action of each row is the row."
    lengths = np.array(lengths)
    n = lengths.sum()
    rows, owner = np.arange(n), np.repeat(np.arange(len(lengths)), lengths)
    frames = np.stack([rows, owner, 0 * rows], 1).astype(np.uint8)[:, None, None]
    return Episodes(
        frames,
        rows.astype(np.int16),
        rows.astype(np.float32),
        np.zeros(n, bool),
        np.zeros(n, bool),
        owner.astype(np.int16),
        np.cumsum(lengths) - lengths,
        lengths,
        0 * lengths,
        {},
        [],
    )


def same(a, b):
    equal = lambda x, y: x is y is None or (x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes())
    return (
        all(equal(getattr(a, k), getattr(b, k)) for k in (*ROWS, 'starts', 'lengths', 'slots'))
        and a.config == b.config
        and a.action_names == b.action_names
    )


DAMAGE = st.tuples(
    st.sampled_from(['cut', 'flip', 'overwrite', 'foreign']),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 255),
    st.binary(min_size=1, max_size=300),
)


def damaged(whole, damage):
    "`whole` cut short, with one byte changed, with a stretch overwritten, or something else altogether."
    kind, where, mask, junk = damage
    at = int(where**2 * len(whole))  # more often near the start, where the structure is
    return dict(
        cut=whole[:at],
        flip=whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :],
        overwrite=(whole[:at] + junk + whole[at + len(junk) :])[: len(whole)],
        foreign=junk,
    )[kind]


@given(episodes())
def test_episodes_come_back_as_they_were_stored(tmp_path, eps):
    eps.save(tmp_path / 'e.npz')
    assert same(load_episodes(tmp_path / 'e.npz'), eps)


@given(episodes(), DAMAGE)
def test_damaged_episodes_are_right_or_refused(tmp_path, eps, damage):
    "The checksums of the zip format guard every byte that matters."
    eps.save(tmp_path / 'e.npz')
    (tmp_path / 'e.npz').write_bytes(damaged((tmp_path / 'e.npz').read_bytes(), damage))
    try:
        assert same(load_episodes(tmp_path / 'e.npz'), eps)
    except InputError:
        pass


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    "The bytes of the smallest VAE's checkpoint."
    path, cfg = (
        tmp_path_factory.mktemp('vae') / 'vae.pt',
        make_config(TrainVAEConfig, latent_dim=1, width=1, frame_size=16),
    )
    save_checkpoint(path, 'VAE', asdict(cfg), VAE(cfg.vae).state_dict())
    return path.read_bytes()


@given(DAMAGE)
def test_damaged_weights_are_right_or_refused(tmp_path, checkpoint, damage):
    "torch does not look at the checksums, our reader does."
    right = torch.load(BytesIO(checkpoint), weights_only=True)['model']
    (tmp_path / 'vae.pt').write_bytes(damaged(checkpoint, damage))
    try:
        read = load_vae(tmp_path / 'vae.pt').state_dict()
    except InputError:
        return
    assert all(torch.equal(read[k], right[k]) for k in right)


@pytest.mark.parametrize('key', ['format', 'kind', 'config', 'model'])
def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path, checkpoint, key):
    state = torch.load(BytesIO(checkpoint), weights_only=True)
    del state[key]
    torch.save(state, tmp_path / 'vae.pt')
    with pytest.raises(InputError):
        load_checkpoint(tmp_path / 'vae.pt', 'VAE')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON.map(lambda x: json.dumps(x).encode()) | st.binary() | st.text().map(str.encode))
def test_json_is_an_object_or_refused(tmp_path, content):
    (tmp_path / 'x.json').write_bytes(content)
    try:
        assert read_json(tmp_path / 'x.json') == json.loads(content)
    except InputError:
        pass


@pytest.mark.parametrize(
    'content',
    [b'[' * 100_000, b'{"a":' * 100_000, b'{"a": ' + b'9' * 5000 + b'}', '{"a": 1}'.encode('utf-16')],
    ids=['deep list', 'deep object', 'long number', 'UTF-16'],
)
def test_uncommon_json_is_refused(tmp_path, content):
    (tmp_path / 'x.json').write_bytes(content)
    with pytest.raises(InputError):
        read_json(tmp_path / 'x.json')


@given(st.dictionaries(st.sampled_from(['latent_dim', 'precision', 'likelihood', 'else']), JSON))
def test_stored_settings_have_the_right_types_or_are_refused(d):
    try:
        assert all(
            type(getattr(from_dict(VAEConfig, d), k)) in (t, int)
            for k, t in dict(latent_dim=int, precision=float).items()
        )
    except InputError:
        pass


@given(st.integers(2, 200), st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 2**32))
def test_splits_are_disjoint_whole_and_never_empty(n, val_split, seed):
    eps = numbered([1] * n)
    train, val = (set(part.starts.tolist()) for part in split_episodes(eps, val_split, seed))
    assert train and val and not train & val and train | val == set(range(n))
    assert abs(len(val) - val_split * n) <= 1


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=12),
    st.integers(1, 6),
    st.integers(1, 4),
    st.booleans(),
    st.integers(0, 9),
)
def test_sequences_never_cross_the_end_of_an_episode(lengths, length, batch_size, shuffle, epoch):
    "Each window is a stretch of consecutive rows of one episode; in order, every such stretch comes once; also after a split, where rows have gaps."
    eps, _ = split_episodes(numbered(lengths), 0.3)
    windows = [s + i for s, n in zip(eps.starts, eps.lengths) for i in range(n - length + 1)]
    assume(len(windows) >= batch_size)
    seen = []
    for batch in sequence_batches(eps, batch_size, length, epoch, shuffle=shuffle):
        where = batch['o'].mul(255).round().int()[..., 0, 0]  # (B, T, 3): row, episode, 0
        assert (where[:, 1:, 0] == where[:, :-1, 0] + 1).all() and (where[:, :, 1] == where[:, :1, 1]).all()
        assert (
            (batch['a'] == where[:, :-1, 0]).all()
            and (batch['r'] == where[:, :-1, 0]).all()
            and batch['done'].shape == batch['a'].shape
        )
        seen += where[:, 0, 0].tolist()
    if shuffle:
        assert len(set(seen)) == len(seen) == len(windows) // batch_size * batch_size and set(seen) <= set(windows)
    else:
        assert seen == windows
