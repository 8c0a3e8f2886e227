"""What a check of labels can find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import LabelError
from .label import Label

KINDS = {
    "conflict": "annotators who disagree",
    "same_curve_conflict": "copies of one curve that are labelled differently",
    "changed_curve": "runs whose curve changed between two labels",
    "label_error": "labels to look at again, because the scores say otherwise",
    "annotator_at_odds": "annotators who mostly disagree with the others",
    "gone": "labelled runs that are not in the scores",
    "unchecked": "labels that the scores cannot check",
    "same_curve": "copies of one curve under several ids",
    "one_example": "causes with one run",
    "one_sided": "a cause with nearly all labels",
}
"""What can be found, worst first."""

CONFLICTS = ("conflict", "same_curve_conflict")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should look at.

    Parameters
    ----------
    kind : str
        See `KINDS`.
    text : str
        In words.
    run_ids, causes, annotators : tuple of str
        Whom it concerns.
    score : float or None
        How good a label is, 0 to 1, or the share that is meant.
    """

    kind: str
    text: str
    run_ids: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    annotators: tuple[str, ...] = ()
    score: float | None = None


def finding(
    kind: str,
    text: str,
    given: Sequence[Label],
    run_ids: tuple[str, ...],
    score: float | None = None,
) -> Finding:
    """Make a finding of some labels."""
    causes = dict.fromkeys(cause for label in given for cause in label.causes)
    annotators = dict.fromkeys(label.annotator for label in given)
    return Finding(kind, text, run_ids, tuple(causes), tuple(annotators), score)


def said(given: Sequence[Label]) -> str:
    """Write who said what."""
    return ", ".join(f"{label.annotator}: {' and '.join(label.causes)}" for label in given)


def missing(error: ModuleNotFoundError) -> LabelError:
    """Say what to install."""
    package = (error.name or "").split(".")[0]
    return LabelError(f"labels are checked with the package {package}; pip install 'curvet[label]'")
