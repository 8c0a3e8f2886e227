"""Save and load a trained predictor: a folder of plain data with a manifest.

No file is ever unpickled: trees are ``.npz`` arrays, nets are ``.safetensors``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .calibrate import Calibration
from .classifiers import CLASSIFIERS, Classifier
from .errors import BundleError
from .features import FEATURES
from .novelty import Novelty
from .standardise import IMAGE_CHANNELS

BUNDLE_FORMAT = 2
_LIBRARIES = ("numpy", "scikit-learn", "torch", "tsfresh")


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained predictor.

    Parameters
    ----------
    name : str
        Folder name and the first digits of the manifest's hash.
    causes : tuple of str
        Keys, in the order of the probabilities.
    classifiers : sequence of Classifier
        Trained.
    calibration : Calibration
        How their answers become one.
    novelty : Novelty
        How far a run is from those trained on.
    prior : mapping of cause key to float
        How common each cause is in its answers.
    manifest : mapping
        All that `manifest.json` says.
    """

    name: str
    causes: tuple[str, ...]
    classifiers: Sequence[Classifier]
    calibration: Calibration
    novelty: Novelty
    prior: Mapping[str, float]
    manifest: Mapping[str, Any]


def default_path() -> Path:
    """Find the bundle that ships with the package: in a checkout, or in the installed wheel."""
    here = Path(__file__).resolve().parent
    checkout = here.parents[1] / "models" / "default"
    return checkout if (checkout / "manifest.json").is_file() else here / "models" / "default"


def save_bundle(
    folder: Path,
    causes: Sequence[str],
    classifiers: Sequence[Classifier],
    calibration: Calibration,
    novelty: Novelty,
    made: Mapping[str, Any],
) -> None:
    """Write a bundle; the manifest comes last, so that a half-written one is never loaded.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    causes : sequence of str
        Keys, in the order of the probabilities.
    classifiers : sequence of Classifier
        Trained.
    calibration : Calibration
        Fitted.
    novelty : Novelty
        Fitted.
    made : mapping
        How it was made: command, corpus, seed, prior, scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    for classifier in classifiers:
        classifier.save(folder)
    novelty.save(folder)
    files = {
        path.name: _sha256(path)
        for path in sorted(folder.iterdir())
        if path.suffix in (".npz", ".safetensors")
    }
    manifest = {
        "format": BUNDLE_FORMAT,
        "causes": list(causes),
        "classifiers": [classifier.name for classifier in classifiers],
        "calibration": asdict(calibration),
        "features": list(FEATURES),
        "channels": list(IMAGE_CHANNELS),
        "libraries": {name: version(name) for name in ("curvet", *_LIBRARIES)},
        "files": files,
        **made,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def load_bundle(folder: Path | None = None) -> Bundle:
    """Read a bundle and check it against its manifest.

    Parameters
    ----------
    folder : Path, optional
        The bundle that ships with the package when left out.

    Raises
    ------
    BundleError
        No bundle, damaged or edited files, or made by another version of curvet's features.
    """
    folder = default_path() if folder is None else Path(folder)
    manifest_file = folder / "manifest.json"
    try:
        content = manifest_file.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder}: no readable manifest.json; name the folder that `curvet train --out` wrote"
        ) from error
    manifest = _checked(folder, content)
    known = {kind().name: kind for kind in CLASSIFIERS}
    classifiers: list[Classifier] = []
    for name in manifest["classifiers"]:
        if name not in known:
            raise BundleError(f"{folder}: unknown classifier {name!r}; known: {', '.join(known)}")
        try:
            classifiers.append(known[name]().load(folder))
        except Exception as error:  # whatever numpy, torch or safetensors make of a wrong file
            raise BundleError(
                f"{folder}: the files of the classifier {name!r} cannot be read ({error!r:.120}); "
                "take a fresh copy"
            ) from error
    try:
        fitted = manifest["calibration"]
        calibration = Calibration(
            tuple(fitted["weights"]), fitted["temperature"], tuple(fitted["thresholds"])
        )
        novelty = Novelty.load(folder)
        prior = {key: float(manifest["prior"][key]) for key in manifest["causes"]}
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(
            f"{folder}: manifest.json or novelty.npz is damaged ({error!r})"
        ) from error
    digest = hashlib.sha256(content).hexdigest()[:8]
    return Bundle(
        f"{folder.name}-{digest}",
        tuple(manifest["causes"]),
        classifiers,
        calibration,
        novelty,
        prior,
        manifest,
    )


def _checked(folder: Path, content: bytes) -> dict[str, Any]:
    try:
        manifest = dict(json.loads(content))
    except (ValueError, TypeError) as error:
        raise BundleError(f"{folder}: manifest.json is damaged ({error!r})") from error
    if "format" not in manifest:
        raise BundleError(f"{folder}: manifest.json is damaged: no format")
    number = manifest["format"]
    if number != BUNDLE_FORMAT:
        raise BundleError(
            f"{folder}: bundle format {number}, but this curvet reads format {BUNDLE_FORMAT}; "
            "train it again, or use the version of curvet that made it"
        )
    needed = {"causes", "classifiers", "calibration", "prior", "features", "channels", "files"}
    if missing := sorted(needed - set(manifest)):
        raise BundleError(f"{folder}: manifest.json is damaged: no {', '.join(missing)}")
    features, channels = tuple(manifest["features"]), tuple(manifest["channels"])
    if features != FEATURES or channels != IMAGE_CHANNELS:
        raise BundleError(
            f"{folder}: trained on other features than this curvet computes; train it again"
        )
    files = manifest["files"]
    for name, digest in files.items():
        path = folder / name
        if not path.is_file() or _sha256(path) != digest:
            raise BundleError(
                f"{path}: missing or changed since the bundle was made; take a fresh copy"
            )
    return manifest


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
