"""A compressed file as a folder of one file, read as a stream: a.csv.gz holds a.csv."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from pathlib import PurePosixPath
from typing import Any

import fsspec
from fsspec.archive import AbstractArchiveFileSystem
from upath import UPath
from upath.registry import register_implementation

from ..errors import ReadError

LIMIT = 2**30  # bytes when unpacked: a file of a few kilobytes can hold any number of them
_OPEN: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


class PackedFileSystem(AbstractArchiveFileSystem):  # type: ignore[misc]
    """The content of a file that gzip, bzip2 or xz wrote.

    Parameters
    ----------
    fo : str
        Path or URL of the file.
    target_protocol, target_options
        Of the file system that it is on.
    """

    cachable = False  # it costs less to make again than to keep
    root_marker = ""
    protocol = "packed"

    def __init__(
        self,
        fo: str,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(self, **kwargs)
        self._packed = fsspec.open(fo, "rb", protocol=target_protocol, **(target_options or {}))
        path = PurePosixPath(str(fo))
        self._name, self._source = path.stem, str(fo)
        self._unpacked = _OPEN[path.suffix.casefold()]
        self._size: int | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path)).lstrip("/")

    def _get_dirs(self) -> None:
        self.dir_cache = {self._name: {"name": self._name, "type": "file", "size": None}}

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe the file; to know its size it is unpacked once."""
        found = dict(super().info(path, **kwargs))
        if found["type"] == "file":
            if self._size is None:
                with self._open(path) as file:
                    self._size = file.seek(0, io.SEEK_END)
            found["size"] = self._size
        return found

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> io.BufferedReader:
        if self._strip_protocol(path) != self._name:
            raise FileNotFoundError(path)
        packed = self._packed.open()
        return io.BufferedReader(_Bounded(packed, self._unpacked(packed), self._source))


class PackedPath(UPath):
    """Such a file: packed://metrics.csv::/runs/metrics.csv.gz."""


class _Bounded(io.RawIOBase):
    """A stream that ends with an error where it goes on for too long."""

    def __init__(self, packed: Any, unpacked: Any, source: str) -> None:
        super().__init__()
        self._packed, self._file, self._source = packed, unpacked, source

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read again; going back unpacks it from its start."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes; a limit that is met is an error."""
        n = int(self._file.readinto(buffer))
        if self._file.tell() > LIMIT:
            found = f"a file of more than {LIMIT / 2**20:,.0f} MiB when it is unpacked"
            raise ReadError(self._source, found, "unpack it first, if it is a log")
        return n

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; to the end by reading, so that the limit holds."""
        if whence == io.SEEK_END:
            buffer = bytearray(2**18)
            while self.readinto(buffer):
                pass
            whence = io.SEEK_CUR
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the place."""
        return int(self._file.tell())

    def close(self) -> None:
        """Close both files."""
        self._file.close()
        self._packed.close()
        super().close()


fsspec.register_implementation("packed", PackedFileSystem, clobber=True)
register_implementation("packed", PackedPath, clobber=True)
