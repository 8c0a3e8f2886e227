"""The Reader record: all that a log format has to tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..run import Logging, Run


def _one_file_one_unit(path: Path) -> Path:
    return path


@dataclass(frozen=True, slots=True)
class Reader:
    """How one log format is recognised and read.

    Parameters
    ----------
    name : str
        Key of the format, e.g. ``"tensorboard"``.
    accepts : str
        The files in words, for error messages: "TensorBoard event files (events.out.tfevents.*)".
    matches : callable (path, head) -> bool
        Decides by the name and the first bytes alone.
    read : callable (paths) -> iterator of Run
        Reads the files of one unit, sorted by name. Raises ReadError.
    logging : Logging
        What the tool does to the values; for runs that do not say more themselves.
    unit : callable (path) -> Path
        Files with the same unit are one run (or one set of runs) and are read together.
    suffixes : collection of str, optional
        How the names of its files end, in small letters; what ends otherwise is not shown to
        `matches`, which saves most of the time that a search takes. Any end if left out.
    """

    name: str
    accepts: str
    matches: Callable[[Path, bytes], bool]
    read: Callable[[Sequence[Path]], Iterator[Run]]
    logging: Logging
    unit: Callable[[Path], Path] = _one_file_one_unit
    suffixes: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A tracking server whose runs are read one by one.

    Parameters
    ----------
    name : str
        Key of the server, e.g. ``"mlflow_server"``.
    scheme : str
        What its addresses begin with: "mlflow" for "mlflow:URI#experiment".
    accepts : str
        The addresses in words, for error messages.
    runs : callable (address) -> iterator of (key, fingerprint)
        Lists the runs of an address, the text behind "scheme:". The fingerprint changes when the
        log of the run may have changed. Raises ReadError.
    read : callable (address, key) -> iterator of Run
        Reads one run; its id is "", its source a URI. Raises ReadError.
    logging : Logging
        As for a `Reader`.
    """

    name: str
    scheme: str
    accepts: str
    runs: Callable[[str], Iterator[tuple[str, str]]]
    read: Callable[[str, str], Iterator[Run]]
    logging: Logging
