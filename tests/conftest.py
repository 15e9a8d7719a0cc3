"""The tiny runs that the tests share, made once, without a network."""

import pytest
from common import FRESH, NO_NETWORK, TINY, run, site


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    "A folder with `run/`, a tiny VAE trained and evaluated without a network, and what both commands said."
    folder = tmp_path_factory.mktemp('trained')
    offline = site(folder / 'offline', NO_NETWORK)
    train = run(f'aif_train_vae {TINY} --output_dir run', folder, site=offline)
    evaluate = run(f'aif_eval_vae --model_path run/best_model.pt --frame_size 32 {FRESH}', folder, site=offline)
    return folder, train, evaluate
