"""What a file is, in words: for errors about files that no reader knows."""

from __future__ import annotations

from pathlib import Path

from .sqlite import HEADER as SQLITE
from .text import text_head

_FIRST_BYTES = (
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file; unpack it first"),
    (b"\xfd7zXZ\0", "an xz file; unpack it first"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"PK\x03\x04", "a zip archive (also .pt, .npz, .xlsx and .keras are); unpack or export it"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (SQLITE, "an SQLite database without runs of MLflow or Trackio"),
    (b"\x93NUMPY", "a NumPy array; write it as CSV"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
    (b"\x80\x02", "a Python pickle, which is not opened because it can run code"),
    (b"\x80\x03", "a Python pickle, which is not opened because it can run code"),
    (b"\x80\x04", "a Python pickle, which is not opened because it can run code"),
    (b"\x80\x05", "a Python pickle, which is not opened because it can run code"),
    (b":W&B", "a W&B file of another version; export the run to CSV"),
    (b"\xff\xfe", "text in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16; save it as UTF-8"),
)


def describe(path: Path, head: bytes) -> str:
    """Say what a file is.

    Parameters
    ----------
    path : Path
        Its name.
    head : bytes
        Its first bytes.

    Examples
    --------
    >>> describe(Path("loss.png"), bytes([0x89]) + b"PNG")
    'a PNG picture'
    >>> describe(Path("train.py"), b"import torch")
    'text that is no training log (a .py file)'
    """
    for first, words in _FIRST_BYTES:
        if head.startswith(first):
            return words
    if text_head(head) is None:
        even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
        if max(even, odd) > 0.4 * min(len(head), 2000) / 2 and min(even, odd) == 0:
            return "text in UTF-16 without a mark; save it as UTF-8"
        return "binary data"
    kind = f" (a {path.suffix} file)" if path.suffix else ""
    return f"text that is no training log{kind}"
