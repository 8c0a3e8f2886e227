"""A path on the disk for what can only be read there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .locations import is_local


@contextmanager
def local_file(path: Path, *, beside: Sequence[str] = ()) -> Iterator[Path]:
    """Give a file on the disk: the file itself, or a copy for the time of the block.

    Parameters
    ----------
    path : Path
        Also a path of another file system: a member of an archive, an object of a store.
    beside : sequence of str
        What is added to the name of files that belong to it and are copied with it, where they
        are.
    """
    if is_local(path):
        yield path
    else:
        with copied(path, beside=beside) as copy:
            yield copy


@contextmanager
def copied(path: Path, *, beside: Sequence[str] = ()) -> Iterator[Path]:
    """Give a copy of a file for the time of the block, whatever file system it is on."""
    with tempfile.TemporaryDirectory(prefix="curvet-") as folder:
        target = Path(folder) / "file"
        for added in ("", *beside):
            source = path.with_name(path.name + added) if added else path
            if added and not source.exists():
                continue
            with source.open("rb") as old, target.with_name(f"file{added}").open("wb") as new:
                shutil.copyfileobj(old, new, 2**20)
        yield target
