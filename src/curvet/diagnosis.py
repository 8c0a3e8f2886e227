"""Diagnosis: the only result type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TOO_EARLY = "too early to tell"
"""How the reason of a diagnosis without a cause begins, and what stands in for its title."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact measured from the run.

    Parameters
    ----------
    kind : str
        A stable key such as ``"first_nonfinite"``.
    text : str
        The fact in words, with its numbers.
    steps : tuple of float
        Where it lies, on the run's own step axis: one step, or first and last; none for a fact
        about the whole run.
    """

    kind: str
    text: str
    steps: tuple[float, ...] = ()


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
                {"kind": fact.kind, "text": fact.text, "steps": list(fact.steps)}
                for fact in self.evidence
            ],
            "channels": list(self.channels),
            "n_points": self.n_points,
            "bundle": self.bundle,
        }

    def __str__(self) -> str:
        from .report.as_text import diagnosis_to_text

        return diagnosis_to_text(self)
