"""Every exception that curvet raises.

CurvetError                something that the user can act on; the command line exits with 2
├── ReadError              a file that is no readable training log; names file, finding, remedy
│   └── UnknownFormatError no reader knows the file
├── NoLossError            a run without a curve that can be taken for the training loss
├── CurveError             numbers that cannot be a curve (wrong shape, mismatched lengths)
├── BundleError            a trained predictor that is damaged, edited or too new
├── CorpusError            a corpus of simulated runs that is damaged or of other settings
├── ScoreError             scores cannot be kept, written or read, or nobody can do the work
├── SelectionError         a condition or a date that selects no logs because it says nothing
├── PriorError             a prior over the causes that cannot be one
├── LanguageError          a language without texts
├── LabelError             a label, a file or a database of labels that cannot be used
└── UnknownCauseError      a name that is no cause
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class CurvetError(Exception):
    """Base of all errors that the user can act on."""


class ReadError(CurvetError):
    """A file cannot be read as a training log.

    Parameters
    ----------
    path : Path or str
        The file or folder.
    found : str
        What is there, in words ("an empty file").
    accepted : str
        What would be read, and so what to do.
    """

    def __init__(self, path: Path | str, found: str, accepted: str = "") -> None:
        self.path, self.found, self.accepted = str(path), found, accepted
        super().__init__(f"{path}: {found}" + (f"; {accepted}" if accepted else ""))


class UnknownFormatError(ReadError):
    """No reader knows the file."""


class NoLossError(CurvetError):
    """A run has no curve that can be taken for the training loss."""


class CurveError(CurvetError):
    """Numbers handed in cannot be a curve."""


class BundleError(CurvetError):
    """A trained predictor cannot be loaded."""


class CorpusError(CurvetError):
    """A folder of simulated runs cannot be used."""


class ScoreError(CurvetError):
    """Scores cannot be kept, written or read, or nobody can do the work."""


class SelectionError(CurvetError):
    """A condition or a date cannot be understood."""


class PriorError(CurvetError):
    """What was named is no prior over the causes."""


class LanguageError(CurvetError):
    """There are no texts in that language."""


class LabelError(CurvetError):
    """A label, or what keeps labels, cannot be used."""


class UnknownCauseError(CurvetError):
    """A name is no cause of the taxonomy in use."""

    def __init__(self, name: str, known: Iterable[str], advice: str = "") -> None:
        told = f"unknown cause {name!r}; known causes: {', '.join(known)}"
        super().__init__(f"{told}; {advice}" if advice else told)
