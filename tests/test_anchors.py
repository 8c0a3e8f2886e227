"""Simulated runs that ship for `curvet retrain`."""

from __future__ import annotations

import lzma
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curvet.adaptation import LEARN, activations, start
from curvet.causes import CAUSES
from curvet.errors import CorpusError
from curvet.predictor import Predictor
from curvet.prior import PRIOR
from curvet.retrain.anchors import NAME, anchors_path, read_anchors
from curvet.retrain.fit import ANCHORED, Sample, soft_log_loss


@pytest.fixture(scope="module")
def sample(predictor: Predictor) -> Sample:
    """Return the simulated runs as what can be learned from."""
    inputs, causes = read_anchors()
    bundle = predictor.bundle
    known = np.arange(len(bundle.causes))
    shares = np.eye(len(known))[[bundle.causes.index(key) for key in causes]]
    p = bundle.probabilities(inputs)
    seen = activations(bundle.classifiers, inputs)
    return Sample(start(p, known), seen, shares, known, bundle.prior)


def test_every_cause_is_there_about_as_often_as_the_prior_says() -> None:
    inputs, causes = read_anchors()
    assert len(inputs) == len(causes) == 500
    counts = Counter(causes.tolist())
    assert set(counts) == set(CAUSES)
    for key, share in PRIOR.items():
        assert counts[key] == pytest.approx(500 * share, abs=4 * (500 * share) ** 0.5 + 2)


def test_the_shipped_predictor_has_not_learned_them_by_heart(sample: Sample) -> None:
    right = (sample.log_p.argmax(1) == sample.shares.argmax(1)).mean()
    assert 0.4 < right < 0.75  # as on the rounds that it was scored on, which lack channels, too


def test_beside_them_less_is_unlearned(sample: Sample) -> None:
    """A team whose every run is called one cause must not turn all other runs into it."""
    rng = np.random.default_rng(0)
    mixed = rng.permutation(len(sample.log_p))
    theirs, kept, others = (
        sample.part(np.isin(mixed, part)) for part in np.split(np.arange(len(mixed)), [60, 260])
    )
    wrong = np.zeros_like(theirs.shares)
    wrong[:, list(CAUSES).index("noisy_labels")] = 1.0
    costs = []
    for anchors in (None, kept):
        fitted = replace(theirs, shares=wrong, anchors=anchors).fit(LEARN[0])
        costs.append(soft_log_loss(fitted.of(others.log_p, others.seen), others.shares).mean())
    before = soft_log_loss(np.exp(others.log_p), others.shares).mean()
    assert before < costs[1] < costs[0] - 0.3


def test_their_weight_is_a_share_of_the_team_s(sample: Sample) -> None:
    few = sample.part(np.arange(len(sample.log_p)) < 40)
    weighted = replace(few, anchors=sample)._weighted(sample.shares)
    assert weighted.sum() == pytest.approx(ANCHORED * 40)


@pytest.mark.parametrize("content", [b"", b"no archive", lzma.compress(b'{"cause": 3}\n')])
def test_a_damaged_file_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    with pytest.raises(CorpusError, match="install curvet again"):
        read_anchors(path)


def test_they_ship() -> None:
    assert anchors_path().is_file()
