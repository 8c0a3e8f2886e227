"""Diagnosis: the only result type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from .causes import remedies_of, title_of
from .errors import CurvetError
from .remedies import Remedy
from .texts import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .run import Run

MENTIONED = 4
"""So many causes of one outcome of a check are named, of more it is said how many."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact measured from the run.

    Parameters
    ----------
    kind : str
        A stable key such as ``"first_nonfinite"``; its words are ``evidence.<kind>`` in the
        catalogues of `texts`.
    values : mapping of name to float or str
        The numbers of the fact; a string is a key of the ``words`` of the catalogues.
    steps : tuple of float
        Where it lies, on the run's own step axis: one step, first and last, or each of several
        spikes; none for a fact about the whole run.
    speaks : "for", "against" or ""
        Whether it speaks for the cause that the diagnosis names.
    """

    kind: str
    values: Mapping[str, float | str]
    steps: tuple[float, ...] = ()
    speaks: Literal["for", "against", ""] = ""

    @property
    def text(self) -> str:
        """The fact in words, with its numbers."""
        return say(f"evidence.{self.kind}", **_worded(self.values))

    def to_dict(self) -> dict[str, Any]:
        """Return the fact as plain types, ready for JSON."""
        return {
            "kind": self.kind,
            "text": self.text,
            "values": dict(self.values),
            "steps": list(self.steps),
            "speaks": self.speaks,
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One cheap experiment that separates causes which look alike.

    Parameters
    ----------
    key : str
        What to do is ``checks.<key>.do`` in the catalogues of `texts`.
    outcomes : tuple of (str, tuple of str)
        What may come of it, and the causes for which it speaks. The words of an outcome are
        ``checks.<key>.<outcome>``.
    values : mapping of name to float or str
        What it needs to know of the run, such as a step.
    """

    key: str
    outcomes: tuple[tuple[str, tuple[str, ...]], ...]
    values: Mapping[str, float | str]

    @property
    def separates(self) -> tuple[str, ...]:
        """Keys of the causes that its outcomes tell apart."""
        return tuple(cause for _, causes in self.outcomes for cause in causes)

    @property
    def text(self) -> str:
        """What to do, and which outcome speaks for which cause."""
        outcomes = say("report.semicolon").join(
            say(
                "report.outcome",
                outcome=say(f"checks.{self.key}.{outcome}"),
                causes=_named(causes),
            )
            for outcome, causes in self.outcomes
        )
        what = say(f"checks.{self.key}.do", **_worded(self.values))
        return say("report.check", what=what, outcomes=outcomes[:1].upper() + outcomes[1:])

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain types, ready for JSON."""
        return {
            "key": self.key,
            "text": self.text,
            "separates": list(self.separates),
            "outcomes": {outcome: list(causes) for outcome, causes in self.outcomes},
            "values": dict(self.values),
        }


def _named(causes: Sequence[str]) -> str:
    if len(causes) > MENTIONED:
        return say("report.other_causes", count=len(causes))
    return say("report.comma").join(map(title_of, causes))


def _worded(values: Mapping[str, float | str]) -> dict[str, float | str]:
    return {k: say(f"words.{v}") if isinstance(v, str) else v for k, v in values.items()}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with one run, how sure that is, and why.

    Parameters
    ----------
    run_id, source : str
        Which run.
    probabilities : mapping of cause key to float
        Calibrated, sums to 1, most probable first; empty when no answer was tried.
    cause : str or None
        The most probable cause; None when the run does not allow an answer.
    likely : tuple of str
        The most probable causes that together hold the true one in a share `coverage` of runs.
    reason : str
        Why there is no cause, in the language of the texts, else "".
    evidence : tuple of Evidence
        Measured facts with their steps.
    channels : tuple of str
        Which of "loss", "val", "grad_norm", "lr" were found.
    n_points : int
        Points of training loss.
    bundle : str
        Which trained predictor says so.
    coverage : float
        Share of runs whose `likely` holds the true cause.
    novelty : float or None
        How far the run is from all that the predictor was trained on: the share of known runs
        that are nearer, 0 to 1. None when no answer was tried.
    prior : str
        Which prior over the causes the probabilities assume: "default", "uniform", the name of
        a file, or "archive" if it was estimated from the runs of an archive.
    limits : tuple of Evidence
        What the log cannot show, because of how it was sampled, smoothed or filtered.
    checks : tuple of Check
        The experiments that separate the likely causes, the most telling first.
    run : Run or None
        What was diagnosed, for `plot`; None in the rows of an archive, which would hold them all.
    """

    run_id: str
    source: str
    probabilities: Mapping[str, float]
    cause: str | None
    likely: tuple[str, ...]
    reason: str
    evidence: tuple[Evidence, ...]
    channels: tuple[str, ...]
    n_points: int
    bundle: str
    coverage: float = 0.9
    novelty: float | None = None
    prior: str = "default"
    limits: tuple[Evidence, ...] = ()
    checks: tuple[Check, ...] = ()
    run: Run | None = field(default=None, repr=False, compare=False)

    @property
    def probability(self) -> float | None:
        """Probability of `cause`; None without one."""
        return None if self.cause is None else self.probabilities[self.cause]

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What to try, most likely to help first; nothing without a known cause."""
        return remedies_of(self.cause or "")

    def to_dict(self, *, advice: bool = True) -> dict[str, Any]:
        """Return the diagnosis as plain types, ready for JSON.

        Parameters
        ----------
        advice : bool
            With what would separate the likely causes, and what to try.
        """
        plain = {
            "run_id": self.run_id,
            "source": self.source,
            "cause": self.cause,
            "probability": self.probability,
            "likely": list(self.likely),
            "reason": self.reason,
            "probabilities": dict(self.probabilities),
            "evidence": [fact.to_dict() for fact in self.evidence],
            "channels": list(self.channels),
            "n_points": self.n_points,
            "bundle": self.bundle,
            "coverage": self.coverage,
            "novelty": self.novelty,
            "prior": self.prior,
            "limits": [limit.to_dict() for limit in self.limits],
        }
        if advice:
            plain["checks"] = [check.to_dict() for check in self.checks]
            plain["remedies"] = [remedy.to_dict() for remedy in self.remedies]
        return plain

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Draw the curves with what was measured on them, the verdict and the probabilities.

        Parameters
        ----------
        path : path, optional
            Where to write the picture: .png, .pdf or .svg; its folder is made.

        Returns
        -------
        matplotlib.figure.Figure
            Shows itself in a notebook. Its words are English where no font for those of the
            chosen language is installed, which a warning says.

        Raises
        ------
        CurvetError
            The diagnosis does not hold its run, or an ending that is no picture's.
        """
        from .report.as_picture import draw_one

        if self.run is None:
            raise CurvetError(
                f"{self.run_id}: this diagnosis was made without keeping its curves (of many runs "
                "at once); use predict_cause or Predictor.diagnose for a run that is to be drawn"
            )
        return draw_one(self.run, self, path)

    def __str__(self) -> str:
        from .report.as_text import diagnosis_to_text

        return diagnosis_to_text(self)
