"""Save and load a trained predictor: a folder of plain data with a manifest.

No file is ever unpickled: trees are ``.npz`` arrays, nets are ``.safetensors``.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .adaptation import FILE as ADAPTATION
from .adaptation import Adaptation
from .calibrate import COVERAGES, Calibration
from .causes import CAUSES, TeamCause, know_team_causes
from .classifiers import CLASSIFIERS, Classifier, Inputs, predict_raw
from .errors import BundleError, LabelError
from .features import FEATURES
from .home import champion, is_home, number_of
from .novelty import Novelty
from .shipped import shipped
from .standardise import IMAGE_CHANNELS
from .whole import whole

BUNDLE_FORMAT = 4
ADAPTED_FORMAT = 5
"""Format of a bundle whose answers are adapted; who reads only the other one must not load it."""

ENVIRONMENT = "CURVET_BUNDLE"
"""Environment variable that names the bundle, or home of bundles, to use where none is named."""

SEAL = "seal"
"""Key of a manifest under which its `seal` stands."""

_LIBRARIES = ("numpy", "scikit-learn", "torch", "tsfresh")


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained predictor.

    Parameters
    ----------
    name : str
        Folder name and the first digits of the manifest's hash, as in "default-1a2b3c4d"; in a
        home of bundles its name and the version before them, as in "team-0002-1a2b3c4d".
    causes : tuple of str
        Keys, in the order of the probabilities.
    classifiers : sequence of Classifier
        Trained.
    calibration : Calibration
        How their answers become one.
    novelty : Novelty
        How far a run is from those trained on.
    manifest : mapping
        All that `manifest.json` says.
    team_causes : mapping of str to TeamCause
        Those of the causes that a team has added, with its words for them.
    adaptation : Adaptation or None
        How the calibrated answer becomes that for a team.
    classes : tuple of str
        Keys, in the order of the classifiers' own answers; `causes` where nothing is adapted.
    """

    name: str
    causes: tuple[str, ...]
    classifiers: Sequence[Classifier]
    calibration: Calibration
    novelty: Novelty
    manifest: Mapping[str, Any]
    team_causes: Mapping[str, TeamCause] = field(default_factory=dict)
    adaptation: Adaptation | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.classes:
            object.__setattr__(self, "classes", self.causes)

    def probabilities(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return calibrated probabilities, (run, cause), in the order of `causes`."""
        p = self.calibration.combine(predict_raw(self.classifiers, inputs, self.classes))
        return self.adaptation.apply(p, self.classifiers, inputs) if self.adaptation else p

    @property
    def prior(self) -> NDArray[np.float64]:
        """How common each cause is in these answers, (cause,)."""
        return self.adaptation.prior if self.adaptation else np.array(self.calibration.prior)


def default_path() -> Path:
    """Find the bundle that ships with the package: in a checkout, or in the installed wheel."""
    return shipped("models/default/manifest.json").parent


def find_bundle(folder: Path | None = None) -> Path:
    """Find the folder of a bundle; of a home of bundles, that of its champion.

    Asked once and handed on, it stays the same bundle, whatever becomes the champion meanwhile.

    Parameters
    ----------
    folder : Path, optional
        A bundle, or a home of bundles; one without a champion stands for the bundle that ships
        with the package. When left out, what the environment variable ``CURVET_BUNDLE`` names,
        else the bundle that ships.

    Raises
    ------
    BundleError
        ``CURVET_BUNDLE`` names neither, or the history of a home is damaged.
    """
    if folder is None:
        named = os.environ.get(ENVIRONMENT, "")
        if not named:
            return default_path()
        folder = Path(named)
        if not (folder / "manifest.json").is_file() and not is_home(folder):
            raise BundleError(
                f"{ENVIRONMENT}={named}: neither a bundle (no readable manifest.json) nor a home "
                "of bundles; name such a folder, or unset it to use the bundle that ships"
            )
    folder = Path(folder)
    return (champion(folder) or default_path()) if is_home(folder) else folder


def save_bundle(
    folder: Path,
    causes: Sequence[str],
    classifiers: Sequence[Classifier],
    calibration: Calibration,
    novelty: Novelty,
    made: Mapping[str, Any],
    team_causes: Mapping[str, TeamCause] = MappingProxyType({}),
    adaptation: Adaptation | None = None,
    classes: Sequence[str] = (),
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
        How it was made: command, corpus, seed, scores.
    team_causes : mapping of str to TeamCause
        A team's words for causes of its own; of those only that are among `causes`.
    adaptation, classes
        See `Bundle`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    for classifier in classifiers:
        classifier.save(folder)
    novelty.save(folder)
    (folder / ADAPTATION).unlink(missing_ok=True)
    if adaptation is not None:
        adaptation.save(folder)
    files = {
        path.name: _sha256(path)
        for path in sorted(folder.iterdir())
        if path.suffix in (".npz", ".safetensors")
    }
    manifest = {
        "format": ADAPTED_FORMAT if adaptation else BUNDLE_FORMAT,
        "causes": list(causes),
        "classes": list(classes or causes),
        "classifiers": [classifier.name for classifier in classifiers],
        "calibration": asdict(calibration),
        "features": list(FEATURES),
        "channels": list(IMAGE_CHANNELS),
        "libraries": {name: version(name) for name in ("curvet", *_LIBRARIES)},
        "files": files,
        **made,
    }
    if own := {key: _plain(team_causes[key]) for key in causes if key in team_causes}:
        manifest["team_causes"] = own
        _team_causes(folder, manifest)
    manifest[SEAL] = seal(manifest)
    with whole(folder / "manifest.json") as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=1) + "\n")


def seal(manifest: Mapping[str, Any]) -> str:
    """Return a hash of all that a manifest says but for the seal itself.

    It tells an edit by hand, not one by somebody who means harm.
    """
    told = {key: value for key, value in manifest.items() if key != SEAL}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _plain(cause: TeamCause) -> dict[str, Any]:
    """Return the words for a cause, each text in one line."""
    plain = cause.to_dict()
    return {
        "title": " ".join(plain["title"].split()),
        "sign": " ".join(plain["sign"].split()),
        "remedies": [" ".join(text.split()) for text in plain["remedies"]],
    }


def load_bundle(folder: Path | None = None) -> Bundle:
    """Read a bundle and check it against its manifest.

    Parameters
    ----------
    folder : Path, optional
        A bundle or a home of bundles; see `find_bundle` for both, and for none.

    Raises
    ------
    BundleError
        No bundle, damaged or edited files, or made by another version of curvet's features.
    """
    folder = find_bundle(folder)
    manifest_file = folder / "manifest.json"
    try:
        content = manifest_file.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder}: no readable manifest.json; name the folder that `curvet train --out` wrote"
        ) from error
    manifest = _checked(folder, content)
    own = _team_causes(folder, manifest)
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
            tuple(fitted["weights"]),
            fitted["temperature"],
            tuple(fitted["prior"]),
            tuple(fitted["thresholds"]),
        )
        novelty = Novelty.load(folder)
        adaptation = Adaptation.load(folder) if ADAPTATION in manifest["files"] else None
        prior = adaptation.prior if adaptation else np.array(calibration.prior)
        _expect_counts(folder, manifest, prior)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(
            f"{folder}: manifest.json or novelty.npz is damaged ({error!r})"
        ) from error
    know_team_causes(own)
    return Bundle(
        _name(folder, hashlib.sha256(content).hexdigest()[:8]),
        tuple(manifest["causes"]),
        classifiers,
        calibration,
        novelty,
        manifest,
        own,
        adaptation,
        tuple(manifest.get("classes", ())),
    )


def _name(folder: Path, digest: str) -> str:
    place = Path(os.path.abspath(folder))  # "." has no name
    home = place.parent.name if number_of(place) else ""
    return "-".join(filter(None, (home, place.name, digest)))


def _team_causes(folder: Path, manifest: Mapping[str, Any]) -> dict[str, TeamCause]:
    """Read the words for the causes of a team's own, which may be none."""
    try:
        own = {
            key: TeamCause.of(key, plain) for key, plain in manifest.get("team_causes", {}).items()
        }
    except (LabelError, AttributeError, TypeError) as error:
        raise BundleError(f"{folder}: manifest.json: team_causes: {error}") from error
    for key, cause in own.items():
        texts = (cause.title, cause.sign, *cause.remedies)
        if key in CAUSES or key not in manifest["causes"]:
            found = "the key of a cause that ships" if key in CAUSES else "not among its causes"
            raise BundleError(f"{folder}: manifest.json: team_causes: {key!r} is {found}")
        if any(unicodedata.category(letter) == "Cc" for text in texts for letter in text):
            raise BundleError(
                f"{folder}: manifest.json: team_causes: the words for {key!r} hold control letters"
            )
    return own


def _checked(folder: Path, content: bytes) -> dict[str, Any]:
    try:
        manifest = dict(json.loads(content))
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleError(f"{folder}: manifest.json is damaged ({error!r})") from error
    if "format" not in manifest:
        raise BundleError(f"{folder}: manifest.json is damaged: no format")
    number = manifest["format"]
    if number not in (BUNDLE_FORMAT, ADAPTED_FORMAT):
        raise BundleError(
            f"{folder}: bundle format {number}, but this curvet reads the formats "
            f"{BUNDLE_FORMAT} and {ADAPTED_FORMAT}; "
            "train it again, or use the version of curvet that made it"
        )
    needed = {"causes", "classifiers", "calibration", "features", "channels", "files"}
    if missing := sorted(needed - set(manifest)):
        raise BundleError(f"{folder}: manifest.json is damaged: no {', '.join(missing)}")
    if SEAL in manifest and manifest[SEAL] != seal(manifest):  # older bundles have none
        raise BundleError(
            f"{folder}: manifest.json was edited since the bundle was made; take a fresh copy"
        )
    _expect_kinds(folder, manifest)
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


def _expect_kinds(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest whose parts are of other kinds."""
    lists = ("causes", "classes", "classifiers", "features", "channels")
    wrong = [
        name
        for name in lists
        if not isinstance(found := manifest.get(name, []), list)
        or not all(isinstance(text, str) for text in found)
    ]
    wrong += [name for name in ("calibration", "files") if not isinstance(manifest[name], dict)]
    if not wrong and (ADAPTATION in manifest["files"]) != (manifest["format"] == ADAPTED_FORMAT):
        wrong = [f"files, of which {ADAPTATION} belongs to format {ADAPTED_FORMAT}"]
    if wrong:
        raise _odd(folder, wrong)


def _expect_counts(folder: Path, manifest: Mapping[str, Any], prior: NDArray[np.float64]) -> None:
    """Refuse what is of the right kind, but does not belong together."""
    fitted, causes = manifest["calibration"], manifest["causes"]
    classes = manifest.get("classes", causes)
    counts = {
        "weights": len(manifest["classifiers"]),
        "prior": len(classes),
        "thresholds": len(COVERAGES),
    }
    wrong = [
        f"calibration, {name}"
        for name, count in counts.items()
        if len(fitted[name]) != count or not all(isinstance(n, int | float) for n in fitted[name])
    ]
    if not isinstance(fitted["temperature"], int | float):
        wrong.append("calibration, temperature")
    if not wrong and len(prior) != len(causes):
        wrong = ["causes"]
    if wrong:
        raise _odd(folder, wrong)


def _odd(folder: Path, wrong: Sequence[str]) -> BundleError:
    return BundleError(
        f"{folder}: manifest.json is damaged or was edited by hand (see its {'; '.join(wrong)}); "
        "take a fresh copy"
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
