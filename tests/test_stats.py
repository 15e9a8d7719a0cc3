"""Intervals and scores equal those of scipy, scikit-learn and rliable; without a library its tests are skipped."""

import numpy as np
import pytest

from aif_atari.stats import (
    average_precision,
    bootstrap,
    calibration_error,
    interquartile_mean,
    probability_of_improvement,
    ranks,
    reliability,
    roc_auc,
    seed_interval,
    spearman,
    stratified_bootstrap,
    t_probability,
    t_quantile,
)

SEEDS = range(10)


@pytest.fixture
def scipy_stats():
    return pytest.importorskip('scipy.stats')


@pytest.fixture
def metrics():
    return pytest.importorskip('sklearn.metrics')


@pytest.fixture
def rliable_metrics():
    return pytest.importorskip('rliable.metrics')


def forecast(seed, digits=None, n=300):
    "Random probabilities, and what happened; rounded to `digits`, so that there are ties."
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    happened = rng.random(n) < p**2
    return (p if digits is None else p.round(digits)), happened


def matrices(seed):
    "Scores of two agents as rliable has them, (seeds, games); rounded, so that there are ties."
    rng = np.random.default_rng(seed)
    return rng.gamma(2, size=(5, 12)).round(1), rng.gamma(2.5, size=(4, 12)).round(1)


def by_game(matrix):
    return dict(enumerate(matrix.T))


# ---- scipy


@pytest.mark.parametrize('dof', [1, 2, 3, 4, 5, 8, 9, 29, 30, 99, 1000])
@pytest.mark.parametrize('level', [0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
def test_t_quantile(scipy_stats, level, dof):
    expected = scipy_stats.t.ppf((1 + level) / 2, dof)
    assert t_quantile(level, dof) == pytest.approx(expected, rel=1e-9)
    assert t_probability(t_quantile(level, dof), dof) == pytest.approx(level, abs=1e-12)
    assert t_probability(expected, dof) == pytest.approx(2 * scipy_stats.t.cdf(expected, dof) - 1, abs=1e-12)


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('num_seeds', [2, 3, 5, 10])
def test_seed_interval(scipy_stats, num_seeds, seed):
    x = np.random.default_rng(seed).normal(16, 4, size=num_seeds)
    mean, low, high = seed_interval(x, level=0.9)
    expected = scipy_stats.t.interval(0.9, num_seeds - 1, loc=x.mean(), scale=scipy_stats.sem(x))
    assert mean == pytest.approx(x.mean())
    assert (low, high) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('stat', [np.mean, np.median])
def test_bootstrap(scipy_stats, stat):
    "Other random numbers, so equal up to what 20,000 resamples leave open."
    x = np.random.default_rng(0).gamma(2, size=40)
    rng = np.random.default_rng(1)
    theirs = scipy_stats.bootstrap((x,), stat, n_resamples=20_000, method='percentile', vectorized=True, rng=rng)
    assert bootstrap(x, stat, n=20_000) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


@pytest.mark.parametrize('seed', SEEDS)
def test_ranks_and_spearman(scipy_stats, seed):
    x, y = np.random.default_rng(seed).integers(20, size=(2, 100))
    assert ranks(x) == pytest.approx(scipy_stats.rankdata(x))
    assert spearman(x, y) == pytest.approx(scipy_stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize('n', [1, 2, 3, 4, 5, 7, 60, 130])
def test_interquartile_mean(scipy_stats, n):
    x = np.random.default_rng(n).normal(size=n)
    assert interquartile_mean(x) == pytest.approx(scipy_stats.trim_mean(x, 0.25))


# ---- scikit-learn


@pytest.mark.parametrize('digits', [None, 2, 1])
@pytest.mark.parametrize('seed', SEEDS)
def test_roc_auc_and_average_precision(metrics, seed, digits):
    p, y = forecast(seed, digits)
    assert roc_auc(p, y) == pytest.approx(metrics.roc_auc_score(y, p))
    assert average_precision(p, y) == pytest.approx(metrics.average_precision_score(y, p))


@pytest.mark.parametrize('seed', SEEDS)
def test_reliability(seed):
    calibration = pytest.importorskip('sklearn.calibration')
    p, y = forecast(seed)
    share, mean_p = calibration.calibration_curve(y, p, n_bins=10)
    ours = np.array(reliability(p, y))
    assert ours[:, 0] == pytest.approx(mean_p)
    assert ours[:, 1] == pytest.approx(share)
    assert calibration_error(p, y) == pytest.approx(np.average(np.abs(share - mean_p), weights=ours[:, 2]))


# ---- rliable


@pytest.mark.parametrize('seed', SEEDS)
def test_aggregates_over_games(rliable_metrics, seed):
    x, y = matrices(seed)
    assert interquartile_mean(by_game(x)) == pytest.approx(rliable_metrics.aggregate_iqm(x))
    better = rliable_metrics.probability_of_improvement(x, y)
    assert probability_of_improvement(by_game(x), by_game(y)) == pytest.approx(better)


def test_stratified_bootstrap(rliable_metrics):
    "Other random numbers, so equal up to what 5,000 resamples leave open."
    library = pytest.importorskip('rliable.library')
    x, y = matrices(0)

    def aggregate(scores):
        return np.array([rliable_metrics.aggregate_iqm(scores)])

    def improvement(scores, other):
        return np.array([rliable_metrics.probability_of_improvement(scores, other)])

    iqm, iqm_ends = library.get_interval_estimates(dict(one=x), aggregate, reps=5000)
    better, better_ends = library.get_interval_estimates(dict(pair=(x, y)), improvement, reps=1000)
    ours = stratified_bootstrap(by_game(x), interquartile_mean, n=5000)
    ours_better = stratified_bootstrap(by_game(x), probability_of_improvement, by_game(y), n=1000)
    assert ours.mean == pytest.approx(iqm['one'][0])
    assert ours[1:] == pytest.approx(iqm_ends['one'][:, 0], abs=0.03)
    assert ours_better.mean == pytest.approx(better['pair'][0])
    assert ours_better[1:] == pytest.approx(better_ends['pair'][:, 0], abs=0.02)
