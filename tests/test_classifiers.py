"""Every classifier of the registry, and the trees against scikit-learn's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from curvet.classifiers import CLASSIFIERS, Classifier, Cnn, Inputs, Mlp, Tabular
from curvet.classifiers.base import columns_of, rows_of, without
from curvet.classifiers.nets import NetTraining
from curvet.features import FEATURES, channel_of
from curvet.predictor import make_inputs
from curvet.roles import Channels
from curvet.run import Curve
from curvet.standardise import IMAGE_CHANNELS, N_STEPS, OPTIONAL, standardise

from . import naive

MAKE: dict[str, Callable[[], Classifier]] = {
    "tabular": lambda: Tabular(iterations=6, min_leaf=3, leaves=6),
    "mlp": lambda: Mlp(training=NetTraining(10, 2e-3, 2, batch_size=16)),
    "cnn": lambda: Cnn(training=NetTraining(10, 3e-3, 1, batch_size=16)),
}
"""Small ones of each kind."""


def made_up(n: int, n_causes: int, seed: int) -> tuple[Inputs, NDArray[np.int64]]:
    """Curves whose shape depends on the cause, some without optional channels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_causes
    runs = []
    for cause in y:
        length = int(rng.choice([12, 40, 90, 300]))
        loss = np.exp(-np.linspace(0, 1 + cause, length)) + 0.02 * rng.random(length)
        if cause % 3 == 2:
            loss[length // 2 :] *= 3
        others = [
            Curve.of("val", loss[::3] * (1 + 0.1 * cause)),
            Curve.of("grad_norm", 0.5 + cause * rng.random(length)),
            Curve.of("lr", np.linspace(1, 0.1, length)),
        ]
        present = [curve if rng.random() < 0.7 else None for curve in others]
        runs.append(standardise(Channels(Curve.of("loss", loss), *present)))
    return make_inputs(runs), y


N_CAUSES = 4


@pytest.fixture(scope="module")
def data() -> tuple[Inputs, NDArray[np.int64]]:
    return made_up(80, N_CAUSES, 0)


def fitted(name: str, data: tuple[Inputs, NDArray[np.int64]], seed: int = 1) -> Classifier:
    inputs, y = data
    weight = 0.5 + np.random.default_rng(0).random(len(y))
    calls: list[tuple[int, int]] = []
    classifier = MAKE[name]().fit(
        inputs, y, weight, N_CAUSES, seed, lambda *done: calls.append(done)
    )
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]
    return classifier


@pytest.fixture(scope="module")
def classifiers(data: tuple[Inputs, NDArray[np.int64]]) -> dict[str, Classifier]:
    torch.set_num_threads(1)
    return {name: fitted(name, data) for name in MAKE}


NAMES = [kind().name for kind in CLASSIFIERS]


def test_every_kind_is_tried() -> None:
    assert list(MAKE) == NAMES
    assert [type(make()) for make in MAKE.values()] == list(CLASSIFIERS)


@pytest.mark.parametrize("name", NAMES)
def test_rows_sum_to_one(name: str, classifiers: dict[str, Classifier]) -> None:
    p = classifiers[name].predict_proba(made_up(30, N_CAUSES, 9)[0])
    assert p.shape == (30, N_CAUSES)
    assert p.dtype == np.float64
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_learns(
    name: str, data: tuple[Inputs, NDArray[np.int64]], classifiers: dict[str, Classifier]
) -> None:
    p = classifiers[name].predict_proba(data[0])
    assert (p.argmax(1) == data[1]).mean() > 1.5 / N_CAUSES


@pytest.mark.parametrize("name", NAMES)
def test_a_run_ignores_its_neighbours(name: str, classifiers: dict[str, Classifier]) -> None:
    inputs = made_up(300, N_CAUSES, 9)[0]  # more than one block
    together = classifiers[name].predict_proba(inputs)
    some = [0, 17, 255, 256, 299]
    for i in some:
        alone = classifiers[name].predict_proba(inputs[i : i + 1])[0]
        np.testing.assert_allclose(alone, together[i], rtol=0, atol=1e-6)
    turned = classifiers[name].predict_proba(inputs[np.arange(300)[::-1]])[::-1]
    np.testing.assert_allclose(turned, together, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_save_and_load_agree(name: str, tmp_path: Path, classifiers: dict[str, Classifier]) -> None:
    classifiers[name].save(tmp_path)
    assert all(path.name.startswith(name) for path in tmp_path.iterdir())
    inputs = made_up(30, N_CAUSES, 9)[0]
    loaded = {kind().name: kind for kind in CLASSIFIERS}[name]().load(tmp_path)
    np.testing.assert_array_equal(
        loaded.predict_proba(inputs), classifiers[name].predict_proba(inputs)
    )


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_classifier(
    name: str,
    data: tuple[Inputs, NDArray[np.int64]],
    tmp_path: Path,
    classifiers: dict[str, Classifier],
) -> None:
    torch.rand(3)  # what others draw does not matter
    again, other = fitted(name, data), fitted(name, data, seed=2)
    inputs = made_up(30, N_CAUSES, 9)[0]
    expected = classifiers[name].predict_proba(inputs)
    np.testing.assert_array_equal(again.predict_proba(inputs), expected)
    assert not np.array_equal(other.predict_proba(inputs), expected)
    for folder, classifier in (("a", again), ("b", classifiers[name])):
        (tmp_path / folder).mkdir()
        classifier.save(tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_fitting_leaves_the_inputs_alone(
    data: tuple[Inputs, NDArray[np.int64]], classifiers: dict[str, Classifier]
) -> None:
    assert set(classifiers) == set(NAMES)  # fitted on `data`
    before = made_up(80, N_CAUSES, 0)
    np.testing.assert_array_equal(data[0].table, before[0].table)
    np.testing.assert_array_equal(data[0].image, before[0].image)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_with_nothing_but_its_loss_has_an_answer(
    name: str, classifiers: dict[str, Classifier]
) -> None:
    inputs = made_up(8, N_CAUSES, 9)[0]
    for channel in OPTIONAL:
        inputs = without(inputs, channel, np.ones(8, bool))
    nothing = Inputs(np.full_like(inputs.table, np.nan), np.zeros_like(inputs.image))
    for bare in (inputs, nothing):
        p = classifiers[name].predict_proba(bare)
        np.testing.assert_allclose(p.sum(1), 1)


@pytest.mark.parametrize("n_causes", [2, N_CAUSES])
def test_the_trees_are_scikit_learns(
    n_causes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    inputs, y = made_up(120, n_causes, 3)
    weight = 0.5 + np.random.default_rng(0).random(len(y))
    found = Tabular(iterations=12, min_leaf=4).fit(
        inputs, y, weight, n_causes, 5, lambda done, total: None
    )
    model = HistGradientBoostingClassifier(
        max_iter=12,
        learning_rate=found.learning_rate,
        max_leaf_nodes=found.leaves,
        min_samples_leaf=4,
        l2_regularization=found.l2,
        max_features=found.feature_share,
        early_stopping=False,
        random_state=5,
    )
    model.fit(inputs.table[:, found.columns_], y, sample_weight=weight)
    fresh = made_up(60, n_causes, 4)[0]
    assert np.isnan(fresh.table).any()
    expected = model.predict_proba(fresh.table[:, found.columns_])
    np.testing.assert_allclose(found.predict_proba(fresh), expected, rtol=1e-12)
    # A value that lies on a threshold goes to the left.
    edge = Inputs(fresh.table[:1].repeat(len(found.nodes_["num_threshold"]), 0), fresh.image[:1])
    at, on = found.nodes_["feature_idx"], found.nodes_["num_threshold"]
    edge.table[np.arange(len(at)), found.columns_[at]] = on
    expected = model.predict_proba(edge.table[:, found.columns_])
    np.testing.assert_allclose(found.predict_proba(edge), expected, rtol=1e-12)


def test_the_trees_are_walked_as_by_hand(classifiers: dict[str, Classifier]) -> None:
    trees: Any = classifiers["tabular"]
    inputs = made_up(12, N_CAUSES, 4)[0]
    scores = [
        [
            trees.baseline_[k]
            + sum(
                naive.walk_trees(trees.nodes_, root, row[trees.columns_])
                for root in trees.roots_[:, k]
            )
            for k in range(N_CAUSES)
        ]
        for row in inputs.table
    ]
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(trees.predict_proba(inputs), expected, rtol=1e-12)


def test_a_cause_without_a_run_is_refused(data: tuple[Inputs, NDArray[np.int64]]) -> None:
    with pytest.raises(ValueError, match="every cause needs at least one run"):
        Tabular().fit(*data, np.ones(80), N_CAUSES + 1, 0, lambda done, total: None)


@pytest.mark.parametrize("channel", OPTIONAL)
def test_a_dropped_channel_is_as_if_never_logged(channel: str) -> None:
    rng = np.random.default_rng(0)
    curves = {
        name: Curve.of(name, 0.1 + rng.random(30)) for name in ("loss", "val", "grad_norm", "lr")
    }
    whole = Channels(*curves.values())
    bare = Channels(*(None if name == channel else curve for name, curve in curves.items()))
    inputs = make_inputs([standardise(whole)] * 3)
    dropped = without(inputs, channel, np.array([True, False, True]))
    (table,), (image,) = (getattr(make_inputs([standardise(bare)]), n) for n in ("table", "image"))
    for i in (0, 2):
        np.testing.assert_array_equal(dropped.table[i], table)
        np.testing.assert_array_equal(dropped.image[i], image)
    np.testing.assert_array_equal(dropped.table[1], inputs.table[1])
    np.testing.assert_array_equal(dropped.image[1], inputs.image[1])
    assert np.isfinite(inputs.table[0, columns_of(channel)]).any()  # the original stays


def test_the_rows_and_columns_of_a_channel() -> None:
    assert [IMAGE_CHANNELS[i] for i in rows_of("val")] == ["val", "gap", "has_val"]
    assert [IMAGE_CHANNELS[i] for i in rows_of("grad_norm")] == [
        *("grad_norm", "grad_shape", "grad_nonfinite", "has_grad_norm")
    ]
    assert [IMAGE_CHANNELS[i] for i in rows_of("lr")] == ["lr", "has_lr"]
    of = {name: {FEATURES[i] for i in columns_of(name)} for name in OPTIONAL}
    assert {"val__mean", "gap__median", "val_shape__mean", "run__val_rise"} <= of["val"]
    assert {"grad_norm__mean", "run__grad_norm_nonfinite_share"} <= of["grad_norm"]
    assert {"lr__mean", "run__lr_half_at"} <= of["lr"]
    assert {channel_of(name) for name in FEATURES} == {None, *OPTIONAL}
    assert channel_of("loss__mean") is channel_of("run__log_points") is None
    assert sum(map(len, of.values())) == len(set().union(*of.values()))


def test_the_net_drops_channels_at_its_rates() -> None:
    from curvet.classifiers.cnn import _drop_channels
    from curvet.classifiers.nets import DROP

    image = torch.ones(4000, len(IMAGE_CHANNELS), 2)
    dropped = _drop_channels(image, torch.Generator().manual_seed(0))
    assert bool((image == 1).all())
    optional = [row for channel in OPTIONAL for row in rows_of(channel)]
    for row, name in enumerate(IMAGE_CHANNELS):
        if row not in optional:
            assert bool((dropped[:, row] == 1).all()), name
    for channel in OPTIONAL:
        gone = (dropped[:, rows_of(channel)] == 0).float()
        assert float(gone.mean()) == pytest.approx(DROP[channel], abs=0.03)
        assert bool((gone == gone[:, :1, :1]).all())  # all rows of a channel or none


def test_inputs_are_cut_together() -> None:
    inputs = Inputs(np.zeros((5, 2), np.float32), np.zeros((5, 3, N_STEPS), np.float32))
    inputs.table[3] = inputs.image[3] = 1
    for part in (inputs[3:4], inputs[np.array([3])], inputs[np.arange(5) == 3]):
        assert len(part) == 1
        assert part.table.all()
        assert part.image.all()


@pytest.mark.parametrize("name", ["mlp", "cnn"])
@pytest.mark.parametrize("channel", OPTIONAL)
def test_channels_that_no_run_has_are_left_out(
    name: str, channel: str, classifiers: dict[str, Classifier]
) -> None:
    inputs = made_up(80, N_CAUSES, 9)[0]
    bare = without(inputs, channel, np.arange(80) > 0)  # the first keeps it, so all are asked
    found = classifiers[name].predict_proba(bare[1:])
    np.testing.assert_allclose(found, classifiers[name].predict_proba(bare)[1:], atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_the_nets_are_asked_as_by_torch(name: str, classifiers: dict[str, Classifier]) -> None:
    classifier: Any = classifiers[name]
    inputs = made_up(40, N_CAUSES, 9)[0]
    x = classifier._seen(inputs.table)[0] if name == "mlp" else inputs.image
    shape = (x.shape[1], N_CAUSES) if name == "mlp" else (N_CAUSES,)
    p = []
    for weights in classifier.nets_:
        net = classifier._make(*shape)
        net.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
        with torch.inference_mode():
            p.append(net.eval()(torch.from_numpy(np.ascontiguousarray(x))).double().softmax(1))
    found = classifier.predict_proba(inputs)
    np.testing.assert_allclose(found, torch.stack(p).mean(0).numpy(), rtol=0, atol=1e-5)


def test_scores_are_interpolated_between_knots() -> None:
    from curvet.classifiers.ranks import to_scores

    rng = np.random.default_rng(0)
    knots = np.sort(rng.standard_normal((5, 64)).astype(np.float32), axis=1)
    scores = np.sort(rng.standard_normal((5, 64)).astype(np.float32), axis=1)
    knots[3, 10:], scores[3, 10:] = np.inf, scores[3, 9]
    knots[4], scores[4] = np.inf, 0.0  # a feature without knots
    x = rng.standard_normal((90, 5)).astype(np.float32)
    x[:64, 0], x[0], x[1, 2] = knots[0], 9.0, np.nan
    for row, found in zip(x, to_scores(x, np.arange(5), knots, scores), strict=True):
        for column in range(5):
            n = int(np.isfinite(knots[column]).sum())
            expected = (
                0.0
                if n == 0 or np.isnan(row[column])
                else np.interp(row[column], knots[column, :n], scores[column, :n])
            )
            assert found[column] == pytest.approx(expected, abs=1e-6)


def test_distances_tell_large_values_apart() -> None:
    from curvet.classifiers.ranks import fit_distances, fit_scores, to_scores

    rng = np.random.default_rng(0)
    table = rng.normal(5, 2, (1000, 3)).astype(np.float32)
    table[:, 1], table[:40, 2] = 7.0, np.nan
    asked = np.array([[5, 7, 5], [9, 7, np.nan], [60, 7, -60], [600, 7, -600]], np.float32)
    distance, rank = (
        to_scores(asked, np.arange(3), *fit(table)) for fit in (fit_distances, fit_scores)
    )
    quartiles = 2 * 1.349
    assert distance[:, 0] == pytest.approx(
        np.arcsinh((asked[:, 0] - 5) / quartiles).clip(-6, 6), abs=0.15
    )
    assert rank[2, 0] == rank[3, 0]
    assert distance[2, 0] < distance[3, 0] - 1
    assert not distance[:, 1].any()  # constant
    assert distance[1, 2] == 0
    assert distance[3, 2] < distance[2, 2] < distance[0, 2]


@pytest.mark.parametrize("leaves", [2, 16, 17, 40])
def test_trees_of_any_size(leaves: int) -> None:
    inputs, y = made_up(400, 2, 3)
    trees = Tabular(iterations=3, min_leaf=1, leaves=leaves)
    trees.fit(inputs, y, np.ones(len(y)), 2, 0, lambda done, total: None)
    fresh = made_up(20, 2, 4)[0]
    found = trees._scores(fresh.table)
    for row, score in zip(fresh.table, found, strict=True):
        every = [
            naive.walk_trees(trees.nodes_, root, row[trees.columns_]) for root in trees.roots_[:, 0]
        ]
        assert score[0] == pytest.approx(trees.baseline_[0] + sum(every), rel=1e-12)


def test_values_on_and_beside_a_threshold() -> None:
    from curvet.classifiers.trees import Forest

    limits = np.array([0.1, -0.1, 1e-300, 0.0, np.inf, 3.0000000001])
    nodes = {
        "feature_idx": np.tile([0, 0, 0], len(limits)).astype(np.int32),
        "num_threshold": np.repeat(limits, 3),
        "missing_go_to_left": np.tile([0, 0, 0], len(limits)).astype(np.uint8),
        "left": np.arange(3 * len(limits)) + 1,
        "right": np.arange(3 * len(limits)) + 2,
        "value": np.tile([0.0, 1.0, 2.0], len(limits)),
        "is_leaf": np.tile([0, 1, 1], len(limits)).astype(np.uint8),
    }
    roots = 3 * np.arange(len(limits))
    near = np.nextafter(limits.astype(np.float32)[:, None], np.float32([-np.inf, np.inf]))
    x = np.concatenate([limits.astype(np.float32), near.ravel(), np.float32([np.nan, 5.0])])
    found = Forest.of(nodes, roots, 1).scores(x[:, None], np.arange(1), len(limits))
    expected = np.where(x.astype(np.float64)[:, None] <= limits, 1.0, 2.0)
    np.testing.assert_array_equal(found, expected)
