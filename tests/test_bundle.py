"""Bundles: read back as written, refused by name when anything is amiss."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from curvet.bundle import (
    ADAPTED_FORMAT,
    BUNDLE_FORMAT,
    default_path,
    load_bundle,
    save_bundle,
    seal,
)
from curvet.calibrate import COVERAGES, Calibration
from curvet.causes import CAUSES, TeamCause
from curvet.classifiers import CLASSIFIERS, Cnn, Inputs, Mlp, Tabular
from curvet.classifiers.nets import NetTraining
from curvet.errors import BundleError
from curvet.novelty import fit_novelty
from curvet.predictor import Predictor, make_inputs
from curvet.prior import PRIOR
from curvet.roles import Channels
from curvet.run import Curve
from curvet.standardise import standardise

THRESHOLDS = tuple(np.linspace(0.5, 0.01, len(COVERAGES)))
CALIBRATION = Calibration((0.3, 0.2, 0.5), 1.7, tuple(PRIOR.values()), THRESHOLDS)
FILES = ["tabular.npz", "mlp.safetensors", "cnn.safetensors", "novelty.npz"]
MADE = {"seed": 3, "prior": PRIOR, "scores": {"top1": 0.5}}


def made_up(n_per_cause: int, seed: int) -> Inputs:
    """Curves of every length, with and without optional channels."""
    rng = np.random.default_rng(seed)
    runs = []
    for number in range(n_per_cause * len(CAUSES)):
        cause = number % len(CAUSES)
        n = int(rng.choice([8, 30, 120]))
        loss = 0.1 + np.exp(-np.linspace(0, 0.5 * cause, n)) + 0.05 * rng.random(n)
        others = [
            Curve.of("val", loss[::2] * (1 + 0.05 * cause)),
            Curve.of("grad_norm", 1 + cause * rng.random(n)),
            Curve.of("lr", np.linspace(1, 0.1, n)),
        ]
        kept = [curve if rng.random() < 0.8 else None for curve in others]
        runs.append(standardise(Channels(Curve.of("loss", loss), *kept)))
    return make_inputs(runs)


def make_bundle(
    folder: Path,
    causes: Sequence[str] = tuple(CAUSES),
    team_causes: Mapping[str, TeamCause] = MappingProxyType({}),
) -> None:
    """Save a bundle of small classifiers, in a few seconds."""
    inputs = made_up(8, 0)
    n = len(causes)
    y = np.arange(len(inputs)) % n
    shares = tuple(PRIOR.get(key, 0.02) for key in causes)
    calibration = replace(CALIBRATION, prior=tuple(share / sum(shares) for share in shares))
    if tuple(causes) == tuple(CAUSES):
        calibration = CALIBRATION
    classifiers: Sequence[Any] = [
        Tabular(iterations=3, min_leaf=3, leaves=6),
        Mlp(training=NetTraining(2, 2e-3, 1)),
        Cnn(training=NetTraining(2, 3e-3, 1)),
    ]
    for classifier in classifiers:
        classifier.fit(inputs, y, np.ones(len(y)), n, 0, lambda done, total: None)
    novelty = fit_novelty(inputs.table, np.arange(len(inputs)).astype(str), 0)
    save_bundle(folder, causes, classifiers, calibration, novelty, MADE, team_causes)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "mine"
    make_bundle(folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "copy")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest, as if it had been made so."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    manifest["seal"] = seal(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_is_saved_is_loaded(saved: Path) -> None:
    bundle = load_bundle(saved)
    assert bundle.causes == tuple(CAUSES)
    assert bundle.calibration == CALIBRATION
    assert isinstance(bundle.calibration.weights, tuple)
    assert [type(classifier) for classifier in bundle.classifiers] == list(CLASSIFIERS)
    assert {**bundle.manifest, **MADE} == bundle.manifest
    digest = hashlib.sha256((saved / "manifest.json").read_bytes()).hexdigest()
    assert bundle.name == f"mine-{digest[:8]}"


def test_a_loaded_bundle_answers_the_same(saved: Path, tmp_path: Path) -> None:
    first, inputs = load_bundle(saved), made_up(2, 1)
    p = Predictor(first).probabilities(inputs)
    assert p.shape == (len(inputs), len(CAUSES))
    np.testing.assert_allclose(p.sum(1), 1)
    parts = (first.causes, first.classifiers, first.calibration, first.novelty)
    save_bundle(tmp_path / "mine", *parts, MADE)
    np.testing.assert_array_equal(Predictor.load(tmp_path / "mine").probabilities(inputs), p)
    for path in saved.iterdir():  # not a byte depends on the folder or the time
        assert (tmp_path / "mine" / path.name).read_bytes() == path.read_bytes()


def test_the_manifest_says_what_is_in_the_folder(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    names = {path.name for path in saved.iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == names == set(FILES)
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((saved / name).read_bytes()).hexdigest() == digest
    assert manifest["format"] == BUNDLE_FORMAT
    assert manifest["classifiers"] == ["tabular", "mlp", "cnn"]
    assert {"curvet", "numpy", "scikit-learn", "torch"} <= set(manifest["libraries"])


def test_there_is_no_pickle_in_it(saved: Path) -> None:
    with np.load(saved / "tabular.npz", allow_pickle=False) as data:
        assert all(data[name].dtype.kind in "iufb" for name in data.files)
    for path in saved.iterdir():
        assert b"sklearn" not in path.read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_an_edited_file_is_refused_by_name(name: str, copy: Path) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: missing or changed since .* fresh copy"):
        load_bundle(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(name: str, copy: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing or changed"):
        load_bundle(copy)


def test_a_swapped_file_is_refused(copy: Path) -> None:
    (copy / "cnn.safetensors").write_bytes((copy / "tabular.npz").read_bytes())
    with pytest.raises(BundleError, match=r"cnn\.safetensors"):
        load_bundle(copy)


@pytest.mark.parametrize("number", [0, ADAPTED_FORMAT + 1, "1", None])
def test_another_format_is_refused(number: Any, copy: Path) -> None:
    edit(copy, lambda manifest: manifest.update(format=number))
    accepted = (
        f"copy: bundle format {number}, but this curvet reads the formats {BUNDLE_FORMAT} and"
    )
    with pytest.raises(BundleError, match=accepted):
        load_bundle(copy)


def test_a_newer_format_is_refused_before_its_files_are_opened(tmp_path: Path) -> None:
    manifest = {"format": ADAPTED_FORMAT + 1, "files": {"new.onnx": "0"}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="bundle format"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["features"].pop(),
        lambda manifest: manifest["features"].append("loss__new"),
        lambda manifest: manifest["features"].reverse(),
        lambda manifest: manifest["channels"].pop(),
    ],
)
def test_other_features_are_refused(change: Any, copy: Path) -> None:
    edit(copy, change)
    with pytest.raises(BundleError, match=r"trained on other features .* train it again"):
        load_bundle(copy)


def test_an_unknown_classifier_is_refused(copy: Path) -> None:
    edit(copy, lambda manifest: manifest["classifiers"].append("oracle"))
    with pytest.raises(BundleError, match="unknown classifier 'oracle'; known: tabular, mlp, cnn"):
        load_bundle(copy)


def test_a_manifest_edited_by_hand_is_refused(copy: Path) -> None:
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace('"temperature": 1.7', '"temperature": 0.7'))
    with pytest.raises(BundleError, match=r"manifest\.json was edited since the bundle was made"):
        load_bundle(copy)
    edit(copy, lambda manifest: None)
    assert load_bundle(copy).calibration.temperature == 0.7
    manifest = json.loads(path.read_text())
    del manifest["seal"]  # as in bundles made before there were seals
    path.write_text(json.dumps(manifest))
    load_bundle(copy)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda manifest: manifest.update(causes=5), "causes"),
        (lambda manifest: manifest.update(features={"loss": 1}), "features"),
        (lambda manifest: manifest.update(files=["novelty.npz"]), "files"),
        (lambda manifest: manifest.update(calibration=[]), "calibration"),
        (lambda manifest: manifest.update(format=ADAPTED_FORMAT), "files"),
        (lambda manifest: manifest["causes"].append("other"), "causes"),
        (lambda manifest: manifest.update(classes=["healthy"]), "calibration, prior"),
        (lambda manifest: manifest["calibration"].update(prior=[1, 2]), "calibration, prior"),
        (lambda manifest: manifest["calibration"]["weights"].pop(), "calibration, weights"),
        (lambda manifest: manifest["calibration"].update(temperature="a"), "temperature"),
        (lambda manifest: manifest["calibration"].update(thresholds=[]), "thresholds"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(change: Any, part: str, copy: Path) -> None:
    edit(copy, change)
    with pytest.raises(BundleError, match=rf"manifest\.json is damaged .*{part}"):
        load_bundle(copy)


def test_others_may_read_a_bundle(saved: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in saved.iterdir()} == {
        (saved / "manifest.json").stat().st_mode & 0o777
    }


@pytest.mark.parametrize(
    "content", ["", "[" * 200_000, "{", "[]", "3", "null", "{}", '{"format": 4}']
)
def test_a_damaged_manifest(content: str, copy: Path) -> None:
    (copy / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match=r"copy: manifest\.json is damaged"):
        load_bundle(copy)


def test_no_manifest(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"copy: no readable manifest\.json; name the folder"):
        load_bundle(copy)
    with pytest.raises(BundleError, match=r"nowhere: no readable manifest\.json"):
        load_bundle(copy / "nowhere")
    with pytest.raises(BundleError, match=r"tabular\.npz: no readable manifest\.json"):
        load_bundle(copy / "tabular.npz")


def test_a_bundle_that_was_never_finished_is_no_bundle(copy: Path) -> None:
    class StoppedError(Exception):
        pass

    class Broken:
        name = "tabular"

        def save(self, folder: Path) -> None:
            raise StoppedError

    with pytest.raises(StoppedError):
        save_bundle(copy, list(CAUSES), [Broken()], CALIBRATION, load_bundle(copy).novelty, MADE)
    with pytest.raises(BundleError, match="no readable manifest"):
        load_bundle(copy)


def test_the_shipped_bundle_is_found(root: Path) -> None:
    assert default_path() == root / "models" / "default"
    assert (default_path() / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tabular.npz", b"words"),
        ("tabular.npz", b""),
        ("tabular.npz", b"PK\x03\x04 cut short"),
        ("cnn.safetensors", b"words"),
        ("cnn.safetensors", b""),
        ("mlp.safetensors", b"words"),
    ],
)
def test_files_that_match_their_hash_but_cannot_be_read(
    name: str, content: bytes, copy: Path
) -> None:
    (copy / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(copy, lambda manifest: manifest["files"].update({name: digest}))
    with pytest.raises(BundleError, match=r"files of the classifier .* cannot be read"):
        load_bundle(copy)


@pytest.mark.parametrize("key", ["causes", "classifiers", "calibration", "features", "channels"])
def test_a_manifest_without_a_part(key: str, copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest[key]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=rf"manifest\.json is damaged: no {key}"):
        load_bundle(copy)
