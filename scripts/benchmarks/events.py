"""TensorBoard archives: curvet's reader beside tbparse, and the same values from both."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path

import numpy as np

from curvet.readers import read
from curvet.readers.tensorboard import _checksum

from .clock import cpu

TAGS = ("train/loss", "val/loss", "train/grad_norm", "lr")
_TBPARSE = """
import json, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from tbparse import SummaryReader
folders = sorted(Path(sys.argv[1]).iterdir())
SummaryReader(str(folders[0])).scalars
begin = time.process_time()
frames = [SummaryReader(str(folder)).scalars for folder in folders]
seconds = time.process_time() - begin
print(json.dumps([seconds, sum(float(f.value.sum() + f.step.sum()) for f in frames)]))
"""


def write_archive(folder: Path, n_runs: int, n_steps: int) -> None:
    """Write event files as the official writer does, a scalar in each event."""
    for number in range(n_runs):
        rng = np.random.default_rng(number)
        run = folder / f"{number:05d}"
        run.mkdir(parents=True)
        with (run / "events.out.tfevents.1700000000.host").open("wb") as file:
            file.write(_record(_field(1, struct.pack("<d", 1.7e9)) + _text(3, b"brain.Event:2")))
            for step in range(n_steps):
                for tag in TAGS:
                    value = float(np.exp(-step / n_steps) + 0.01 * rng.standard_normal())
                    one = _text(1, tag.encode()) + _field(2, struct.pack("<f", value))
                    time = _field(1, struct.pack("<d", 1.7e9 + step))
                    event = time + b"\x10" + _varint(step) + _text(5, _text(1, one))
                    file.write(_record(event))


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    crc = _checksum(content) if len(content) < 64 else 0
    return length + struct.pack("<I", _checksum(length)) + content + struct.pack("<I", crc)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | (1 if len(content) == 8 else 5)]) + content


def _text(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def compare(folder: Path, n_events: int, tbparse: str | None) -> dict[str, float]:
    """CPU seconds per million events; `tbparse` is a Python that has it, or None."""
    seconds, runs = cpu(lambda: list(read(folder)), 3)
    out = {"curvet": seconds / n_events * 1e6}
    if tbparse is None:
        return out
    done = subprocess.run(
        [tbparse, "-c", _TBPARSE, str(folder)], capture_output=True, text=True, check=True
    )
    theirs, total = json.loads(done.stdout.splitlines()[-1])
    ours = sum(float(c.value.sum() + c.step.sum()) for run in runs for c in run.curves.values())
    if not np.isclose(ours, total, rtol=1e-12):
        raise SystemExit(f"curvet and tbparse read other values: {ours} and {total}")
    return out | {"tbparse": theirs / n_events * 1e6}
