"""Diagnosis: the only result type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from .errors import CurvetError
from .texts import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .run import Run

TOO_EARLY = "too early to tell"
"""How the reason of a diagnosis without a cause begins, and what stands in for its title."""


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


@dataclass(frozen=True, slots=True)
class Check:
    """One cheap experiment that separates causes which look alike.

    Parameters
    ----------
    key : str
        Its words are ``checks.<key>`` in the catalogues of `texts`.
    separates : tuple of str
        Keys of the causes that its outcome tells apart.
    values : mapping of name to float or str
        What it needs to know of the run, such as a step.
    """

    key: str
    separates: tuple[str, ...]
    values: Mapping[str, float | str]

    @property
    def text(self) -> str:
        """What to do, and which outcome speaks for which cause."""
        return say(f"checks.{self.key}", **_worded(self.values))


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
        The most probable causes that together hold the true one with 90 %.
    reason : str
        Why there is no cause, else "".
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

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain types, ready for JSON."""
        return {
            "run_id": self.run_id,
            "source": self.source,
            "cause": self.cause,
            "probability": self.probability,
            "likely": list(self.likely),
            "reason": self.reason,
            "probabilities": dict(self.probabilities),
            "evidence": [
                {
                    "kind": fact.kind,
                    "text": fact.text,
                    "values": dict(fact.values),
                    "steps": list(fact.steps),
                    "speaks": fact.speaks,
                }
                for fact in self.evidence
            ],
            "channels": list(self.channels),
            "n_points": self.n_points,
            "bundle": self.bundle,
            "coverage": self.coverage,
            "novelty": self.novelty,
            "prior": self.prior,
        }

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
