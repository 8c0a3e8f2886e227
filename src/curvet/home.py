"""A home of bundles: a folder of numbered versions, one of which is in use, its champion.

``0001/``, ``0002/`` and so on are bundles; ``history.jsonl`` says what became of them, one line
each time, and it alone decides which one is in use. Lines are only ever added to it, under a lock
that ends with the process, and each is on the disk before the call returns: killed at any moment,
a home has the champion from before or the one from after.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Literal, get_args

from .errors import BundleError

HISTORY = "history.jsonl"
MANIFEST = "manifest.json"
SHIPPED = "shipped"
"""Stands for the bundle that ships with curvet, where a version is named."""

Action = Literal["install", "refuse", "use", "rollback"]
Standing = Literal["champion", "former", "refused", "new", "unfinished", "gone"]

_VERSION = re.compile(r"\d{4,}")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history.

    Parameters
    ----------
    at : str
        When, ISO 8601 in UTC.
    action : "install", "refuse", "use" or "rollback"
        What was done.
    version : str
        To which version; of a rollback, to which one it went back. `SHIPPED`: the bundle that
        ships.
    reason : str
        In words.
    before : str
        The champion before.
    """

    at: str
    action: Action
    version: str
    reason: str
    before: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a home.

    Parameters
    ----------
    name : str
        Its number: "0002".
    folder : Path
        Where it is.
    standing : str
        "champion" (in use), "former" (was in use), "refused", "new" (complete, but neither
        installed nor refused), "unfinished" (without a manifest: its making goes on, or was
        stopped), or "gone" (the history alone knows it).
    """

    name: str
    folder: Path
    standing: Standing


def is_home(folder: Path) -> bool:
    """Tell whether a folder is a home of bundles, be it one without a champion."""
    if (folder / MANIFEST).exists() or not folder.is_dir():
        return False
    return (folder / HISTORY).exists() or bool(_numbered(folder))


def history(folder: Path) -> list[Event]:
    """Read what became of the versions of a home, the oldest first.

    A last line that was cut short, because its writer was killed, is left out.

    Raises
    ------
    BundleError
        Damaged, or edited by hand.
    """
    return _read(folder)[0]


def champion(folder: Path) -> Path | None:
    """Return the folder of the version that is in use; None for the bundle that ships.

    Raises
    ------
    BundleError
        A damaged history, or a champion that is gone.
    """
    name = _in_use(_stack(folder, history(folder)))
    if name == SHIPPED:
        return None
    if not _is_finished(folder / name):
        raise BundleError(
            f"{folder}: the version in use, {name}, is gone; bring it back from a copy, or go "
            f"back to the one before it with `curvet bundles rollback {folder}`"
        )
    return folder / name


def versions(folder: Path) -> list[Version]:
    """List the versions of a home by their numbers, also those that are unfinished or gone.

    Raises
    ------
    BundleError
        No home, or a damaged history.
    """
    _expect_home(folder)
    events = history(folder)
    stack = _stack(folder, events)
    last = {event.version: event.action for event in events if event.version != SHIPPED}
    used = {event.version for event in events if event.action != "refuse"}
    found = []
    for name in sorted({*_numbered(folder), *last}, key=int):
        standing: Standing = "new"
        if not (folder / name).is_dir():
            standing = "gone"
        elif not _is_finished(folder / name):
            standing = "unfinished"
        elif name == _in_use(stack):
            standing = "champion"
        elif last.get(name) == "refuse":
            standing = "refused"
        elif name in used:
            standing = "former"
        found.append(Version(name, folder / name, standing))
    return found


def check_home(folder: Path) -> None:
    """Refuse what cannot be a home of bundles: before the work, not after.

    Parameters
    ----------
    folder : Path
        It need not be there yet.

    Raises
    ------
    BundleError
        A bundle itself, a folder that cannot be written to, a damaged history, or a champion that
        is gone.
    """
    if (folder / MANIFEST).exists():
        raise BundleError(
            f"{folder}: a bundle, not a home of bundles; name another folder for the versions"
        )
    place = Path(os.path.abspath(folder))
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise _cannot_write(folder, NotADirectoryError(errno.ENOTDIR, f"{place} is no folder"))
    if not os.access(place, os.W_OK | os.X_OK):
        raise _cannot_write(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    champion(folder)


def next_version(folder: Path) -> Path:
    """Make the empty folder of the next version; of several callers each gets its own.

    Parameters
    ----------
    folder : Path
        The home; made if it is not there.

    Raises
    ------
    BundleError
        A bundle itself, a folder that cannot be written to, or a damaged history.
    """
    check_home(folder)
    events = history(folder)
    taken = [*_numbered(folder), *(event.version for event in events)]
    number = 1 + max((int(name) for name in taken if name != SHIPPED), default=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                (folder / f"{number:04d}").mkdir()
            except FileExistsError:  # somebody was quicker
                number += 1
            else:
                return folder / f"{number:04d}"
    except OSError as error:
        raise _cannot_write(folder, error) from error


def install(
    folder: Path, version: Path | str, reason: str = "", *, instead_of: str | None = None
) -> Event:
    """Make a version the champion, because it was found better.

    Parameters
    ----------
    folder : Path
        The home.
    version : Path or str
        Its folder or its number; complete.
    reason : str
        In words, for the history.
    instead_of : str, optional
        Number of the champion (or `SHIPPED`) that it was compared with; where another one has
        been installed since then, nothing is done.

    Raises
    ------
    BundleError
        No such version, one that is unfinished, another champion than `instead_of`, or a home
        that cannot be written to.
    """
    return _decide(folder, "install", version, reason, instead_of)


def refuse(folder: Path, version: Path | str, reason: str = "") -> Event:
    """Note that a version was found no better; the champion stays. Raises as `install` does."""
    return _decide(folder, "refuse", version, reason)


def use(folder: Path, version: Path | str, reason: str = "") -> Event:
    """Make any version the champion, or `SHIPPED`, by somebody's choice; raises as `install`."""
    return _decide(folder, "use", version, reason)


def rollback(folder: Path, reason: str = "") -> Event:
    """Go back to the champion before this one, and again to the one before that.

    Champions whose folders are gone are passed over; before the first one there is the bundle
    that ships.

    Raises
    ------
    BundleError
        No home, none of its versions is in use, or it cannot be written to.
    """
    _expect_home(folder)
    with _opened(folder) as file:
        stack = _stack(folder, _read(folder)[0])
        if not stack:
            raise BundleError(
                f"{folder}: the bundle that ships is in use, and there is none before it; "
                f"`curvet bundles list {folder}` shows the versions that can be used"
            )
        before = (
            name
            for name in reversed(stack[:-1])
            if name != stack[-1] and (name == SHIPPED or _is_finished(folder / name))
        )
        return _append(folder, file, "rollback", next(before, SHIPPED), reason, stack[-1])


def number_of(folder: Path) -> str | None:
    """Return the number of a bundle in a home, None for a bundle elsewhere."""
    inside = _VERSION.fullmatch(folder.name) and is_home(folder.parent)
    return folder.name if inside else None


def _numbered(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if _VERSION.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read ({error.strerror})") from error


def _is_finished(version: Path) -> bool:
    return (version / MANIFEST).is_file()


def _expect_home(folder: Path) -> None:
    if not is_home(folder):
        raise BundleError(
            f"{folder}: no home of bundles; name the folder that `curvet retrain --out` writes, "
            f"which holds 0001 and {HISTORY}"
        )


def _read(folder: Path) -> tuple[list[Event], int]:
    """Return the events, and how many bytes of the file hold them."""
    path = folder / HISTORY
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
    *lines, last = content.split(b"\n")
    events = []
    for number, line in enumerate(lines, start=1):
        event = _event(line)
        if event is None:
            raise _damaged(folder, number, f"no event ({line[:60]!r})")
        events.append(event)
    if last and (event := _event(last)):
        events.append(event)
    elif last:
        return events, len(content) - len(last)
    return events, len(content)


def _event(line: bytes) -> Event | None:
    try:
        event = Event(**json.loads(line))
        right = all(isinstance(text, str) for text in asdict(event).values())
    except (ValueError, TypeError, RecursionError):
        return None
    if not right or event.action not in get_args(Action):
        return None
    named = (event.version, event.before)
    return event if all(n == SHIPPED or _VERSION.fullmatch(n) for n in named) else None


def _damaged(folder: Path, number: int, found: str) -> BundleError:
    return BundleError(
        f"{folder / HISTORY}: line {number}: {found}; the file is damaged or was edited by hand: "
        "bring it back from a copy; meanwhile --bundle can name a version's own folder, as in "
        f"--bundle {folder / '0001'}"
    )


def _stack(folder: Path, events: list[Event]) -> list[str]:
    """Follow the events: the champions that a rollback can go through, the present one last."""
    stack: list[str] = []
    for number, event in enumerate(events, start=1):
        now = _in_use(stack)
        if event.before != now:
            raise _damaged(
                folder, number, f"{event.before} is named as in use before, but {now} was"
            )
        if event.action in ("install", "use") and event.version != now:
            stack.append(event.version)
        elif event.action == "rollback":
            while stack:
                stack.pop()
                if _in_use(stack) == event.version:
                    break
            if _in_use(stack) != event.version:
                raise _damaged(folder, number, f"{event.version} was never in use before")
    return stack


def _in_use(stack: list[str]) -> str:
    return stack[-1] if stack else SHIPPED


def _decide(
    folder: Path,
    action: Action,
    version: Path | str,
    reason: str,
    instead_of: str | None = None,
) -> Event:
    _expect_home(folder)
    name = Path(version).name
    if not (name == SHIPPED and action == "use"):
        _expect_finished(folder, name)
        if action != "refuse":
            _sync(folder / name)
    with _opened(folder) as file:
        now = _in_use(_stack(folder, _read(folder)[0]))
        if instead_of not in (None, now):
            raise BundleError(
                f"{folder}: {name} was compared with {instead_of}, but {now} has come into use "
                "since then; compare it with that one"
            )
        return _append(folder, file, action, name, reason, now)


def _expect_finished(folder: Path, name: str) -> None:
    if not _VERSION.fullmatch(name) or not (folder / name).is_dir():
        there = ", ".join(sorted(_numbered(folder), key=int)) or "none"
        raise BundleError(f"{folder}: no version {name!r}; there are: {there}")
    if not _is_finished(folder / name):
        raise BundleError(
            f"{folder}: the version {name} is unfinished (its making goes on or was stopped: no "
            f"{MANIFEST}); make another one"
        )


@contextmanager
def _opened(folder: Path) -> Iterator[FileIO]:
    """Open the history to add to it; others wait meanwhile."""
    try:
        with (folder / HISTORY).open("ab", buffering=0) as file:
            _lock(file)
            yield file
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _append(
    folder: Path, file: FileIO, action: Action, version: str, reason: str, before: str
) -> Event:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    event = Event(at, action, version, " ".join(reason.split()), before)
    line = json.dumps(asdict(event)).encode() + b"\n"
    _, length = _read(folder)
    file.truncate(length)  # what a killed writer has left of its line
    if length and not (folder / HISTORY).read_bytes().endswith(b"\n"):
        line = b"\n" + line
    try:
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            file.truncate(length)
        raise
    _sync_folder(folder)
    return event


def _sync(version: Path) -> None:
    """Bring a version to the disk before anything says that it is in use."""
    for path in version.iterdir():
        if path.is_file():
            with path.open("rb") as file, _may_be_unsupported():
                os.fsync(file.fileno())
    _sync_folder(version)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            with _may_be_unsupported():
                os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _may_be_unsupported() -> Iterator[None]:
    """Go on where a file system cannot bring what is open for reading to the disk."""
    with suppress(OSError):
        yield


def _lock(file: FileIO) -> None:
    """Wait until nobody else adds to the file; ends when it is closed, or with the process."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def _cannot_write(folder: Path, error: OSError) -> BundleError:
    return BundleError(
        f"{folder}: cannot be written to ({error.strerror or error}); what is in use stays so: "
        "make room, or name a folder that can be written to"
    )
