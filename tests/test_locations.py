"""Logs that do not lie on the disk as themselves: in archives, behind URLs."""

from __future__ import annotations

import bz2
import gzip
import http.server
import io
import lzma
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import curvet.readers.packed
from curvet.errors import ReadError, UnknownFormatError
from curvet.readers import read
from curvet.readers.locations import close_archives
from curvet.run import Run
from curvet.score.job import Options, score

ARCHIVES = Path(__file__).parent / "archives"
PACKED = [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Runs of several formats, some of several files."""
    import shutil

    folder = tmp_path / "runs"
    shutil.copytree(ARCHIVES / "tensorboard/keras/logs", folder / "tf/one")
    shutil.copytree(ARCHIVES / "tensorboard/torch_resumed", folder / "tf/two")
    shutil.copytree(ARCHIVES / "lightning_csv/trainer", folder / "lightning")
    shutil.copytree(ARCHIVES / "trainer_state", folder / "hf")
    for number in range(3):
        path = folder / f"plain/{number}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("step,loss\n" + "".join(f"{i},{9 - i / 10}\n" for i in range(20 + number)))
    (folder / "plain/.hidden.csv").write_text("step,loss\n0,1\n")
    for path in folder.rglob("expected.json"):
        path.unlink()
    return folder


def pack(folder: Path, path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as whole:
            for file in sorted(folder.rglob("*")):
                whole.write(file, file.relative_to(folder))
    else:
        kind = {".tar": "w", ".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}[path.suffix]
        with tarfile.open(path, kind) as packed:  # type: ignore[call-overload]
            for file in sorted(folder.rglob("*"), reverse=True):  # in no helpful order
                packed.add(file, str(file.relative_to(folder)), recursive=False)
    return path


def content(found: list[Run]) -> dict[str, Any]:
    return {
        run.id: (run.format, {tag: curve.value.tolist() for tag, curve in run.curves.items()})
        for run in found
    }


@pytest.mark.parametrize("end", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_an_archive_is_read_as_its_folder(runs: Path, tmp_path: Path, end: str) -> None:
    path = pack(runs, tmp_path / f"packed.{end}")
    plain, packed = content(list(read(runs))), content(list(read(path)))
    assert repr({f"packed.{end}/{name}": run for name, run in plain.items()}) == repr(
        {name: packed[name] for name in (f"packed.{end}/{n}" for n in plain)}
    )
    assert len(packed) == len(plain)


def test_archives_of_a_folder_are_read_in_their_place(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    pack(runs, tmp_path / "all/b.tar.gz")
    (tmp_path / "all/a.csv").write_text("step,loss\n0,2\n1,1\n")
    names = [run.id for run in read(tmp_path / "all")]
    assert names[0] == "a.csv"
    assert {"b.tar.gz/plain/0.csv", "b.tar.gz/tf/one"} <= set(names)


def test_nothing_is_unpacked(runs: Path, tmp_path: Path) -> None:
    path = pack(runs, tmp_path / "packed.zip")
    before = sorted(tmp_path.rglob("*"))
    list(read(path))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("end", ["zip", "tar.gz"])
@pytest.mark.parametrize("kept", [0, 10, 300])
def test_a_cut_archive_is_an_error(runs: Path, tmp_path: Path, end: str, kept: int) -> None:
    path = pack(runs, tmp_path / f"packed.{end}")
    path.write_bytes(path.read_bytes()[:kept])
    errors: list[ReadError] = []
    list(read(path, on_error=errors.append))
    assert errors
    assert all(str(path) in str(error) for error in errors)


def test_a_member_with_a_password_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as whole:
        whole.writestr("a.csv", "step,loss\n0,2\n1,1\n")
        whole.writestr("b.csv", "step,loss\n0,2\n1,1\n")
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")  # the first entry of the directory, and its member
    data[place + 8] |= 1
    data[data.index(b"PK\x03\x04") + 6] |= 1
    path.write_bytes(data)
    errors: list[ReadError] = []
    assert [run.id for run in read(path, on_error=errors.append)] == ["packed.zip/b.csv"]
    assert "password" in str(errors[0])


def test_names_that_lead_outside_stay_inside(tmp_path: Path) -> None:
    path = tmp_path / "packed.tar"
    data = b"step,loss\n0,2\n1,1\n"
    with tarfile.open(path, "w") as packed:
        for name in ("../../outside.csv", "/absolute.csv", "inside.csv"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    errors: list[ReadError] = []
    names = [run.id for run in read(path, on_error=errors.append)]
    assert "packed.tar/inside.csv" in names
    assert len(errors) < 4
    assert not any("root:" in str(error) for error in errors)


def test_a_file_system_behind_a_url(runs: Path) -> None:
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.put(str(runs), "/bucket/runs", recursive=True)
    try:
        assert repr(content(list(read("memory://bucket/runs")))) == repr(content(list(read(runs))))
        (run,) = read("memory://bucket/runs/plain/0.csv")
        assert (run.id, run.source) == ("0.csv", "memory://bucket/runs/plain/0.csv")
        with pytest.raises(ReadError, match="no such file or folder; check the address"):
            list(read("memory://bucket/nothing"))
    finally:
        fs.rm("/bucket", recursive=True)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real S3 server on this machine, with one bucket."""
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    for name, value in (
        ("ACCESS_KEY_ID", "a"),
        ("SECRET_ACCESS_KEY", "b"),
        ("REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    S3FileSystem.clear_instance_cache()
    S3FileSystem().makedirs("bucket", exist_ok=True)
    yield "bucket"
    S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_an_s3_bucket(runs: Path, bucket: str, tmp_path: Path) -> None:
    from s3fs import S3FileSystem

    S3FileSystem().put(str(runs), f"{bucket}/runs", recursive=True)
    S3FileSystem().put(str(pack(runs, tmp_path / "packed.zip")), f"{bucket}/packed.zip")
    S3FileSystem().invalidate_cache()
    plain = content(list(read(runs)))
    assert repr(content(list(read(f"s3://{bucket}/runs")))) == repr(plain)
    packed = content(list(read(f"s3://{bucket}/packed.zip")))
    assert len(packed) == len(plain)
    summary = score([f"s3://{bucket}/runs"], tmp_path / "s.csv", Options(workers=1))
    assert summary.rows >= len(plain)
    assert not summary.errors
    assert score([f"s3://{bucket}/runs"], tmp_path / "s.csv", Options(workers=1)).known
    with pytest.raises(ReadError, match="s3://"):
        list(read("s3://another-bucket/runs"))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_web_server(runs: Path, bucket: str, tmp_path: Path) -> None:
    from s3fs import S3FileSystem

    public = S3FileSystem(s3_additional_kwargs={"ACL": "public-read"})
    public.put(str(runs / "plain/1.csv"), f"{bucket}/1.csv")
    address = os.environ["AWS_ENDPOINT_URL"]
    (run,) = read(f"{address}/{bucket}/1.csv")
    assert (run.id, len(run.curves["loss"])) == ("1.csv", 21)
    with pytest.raises(ReadError, match=r"nothing\.csv: "):
        list(read(f"{address}/{bucket}/nothing.csv"))


def test_a_web_server_that_cannot_go_back(runs: Path) -> None:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(runs))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        (run,) = read(f"http://127.0.0.1:{server.server_port}/plain/1.csv")
        assert len(run.curves["loss"]) == 21
    finally:
        server.shutdown()
        server.server_close()


def test_urls_that_cannot_be_used() -> None:
    with pytest.raises(
        ReadError, match=r"file system is not installed; pip install 'curvet\[gs\]'"
    ):
        list(read("gs://bucket/runs"))
    with pytest.raises(ReadError, match=r"a URL that cannot be used .*foo.* s3://, gs://"):
        list(read("foo://bucket/runs"))


def test_scores_of_archives(runs: Path, tmp_path: Path) -> None:
    path = pack(runs, tmp_path / "packed.tar.gz")
    summary = score([path], tmp_path / "s.csv", Options(workers=2))
    assert summary.rows == len(list(read(runs)))
    assert not summary.errors
    assert score([path], tmp_path / "s.csv", Options(workers=2)).known == summary.rows


def test_many_archives_do_not_stay_open(tmp_path: Path) -> None:
    for number in range(40):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as whole:
            whole.writestr(
                "a.csv", "step,loss\n" + "".join(f"{i},{9 - i / 10}\n" for i in range(20))
            )
    score([tmp_path], tmp_path / "s.csv", Options(workers=1))
    close_archives()
    held = [
        os.readlink(link)
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(link := f"/proc/self/fd/{fd}")
    ]
    assert not any(name.startswith(str(tmp_path)) for name in held)


@pytest.mark.parametrize(("end", "compress"), PACKED)
def test_a_compressed_file_is_read_as_the_file_in_it(
    tmp_path: Path, end: str, compress: Callable[[bytes], bytes]
) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for case in ("keras_csv/csv_logger", "text_log/xgboost", "trainer_state/huggingface",
                 "parquet/long", "tensorboard/torch"):  # fmt: skip
        source = next(p for p in sorted((ARCHIVES / case).rglob("*.*"))
                      if p.is_file() and p.name != "expected.json")  # fmt: skip
        for folder, name, data in (
            (plain, source.name, source.read_bytes()),
            (packed, f"{source.name}.{end}", compress(source.read_bytes())),
        ):
            (folder / case).mkdir(parents=True)
            (folder / case / name).write_bytes(data)
    expected = content(list(read(plain)))
    found = content(list(read(packed)))
    assert {run.format for run in read(packed)} == {
        "keras_csv", "text_log", "trainer_state", "parquet", "tensorboard"}  # fmt: skip
    assert repr([*found.values()]) == repr([*expected.values()])
    assert all(f".{end}" in name for name in found)
    one = next((packed / "keras_csv/csv_logger").iterdir())
    assert [run.id for run in read(one)] == [one.name]
    assert [run.id for run in read(str(one))] == [one.name]
    summary = score([packed], tmp_path / "s.csv", Options(workers=1))
    assert summary.rows == len(found)
    assert score([packed], tmp_path / "s.csv", Options(workers=1)).known == 5


def test_a_compressed_file_in_several_pieces_is_read_to_its_end(tmp_path: Path) -> None:
    pieces = [gzip.compress(text.encode()) for text in ("step,loss\n", "0,2\n", "1,nan\n")]
    (tmp_path / "a.csv.gz").write_bytes(b"".join(pieces))
    (run,) = read(tmp_path)
    assert repr(run.curves["loss"].value.tolist()) == "[2.0, nan]"


@pytest.mark.parametrize(("end", "compress"), PACKED)
def test_a_compressed_file_that_is_damaged_or_cut(
    tmp_path: Path, end: str, compress: Callable[[bytes], bytes]
) -> None:
    whole = compress("".join(f"{n},{9 - n / 10}\n" for n in range(500)).encode())
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    cut = whole[: len(whole) // 2]
    for name, data in (("damaged", damaged), ("cut", cut), ("empty", b""), ("other", b"step,loss")):
        (tmp_path / f"{name}.csv.{end}").write_bytes(data)
    errors: list[ReadError] = []
    assert not list(read(tmp_path, on_error=errors.append))
    assert [Path(error.path).name.partition(".")[0] for error in errors] == [
        "cut", "damaged", "empty", "other"]  # fmt: skip


@pytest.mark.parametrize("inner", ["a.csv", "a.log", "a.jsonl", "a.json"])
def test_a_small_file_that_holds_a_huge_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str
) -> None:
    monkeypatch.setattr(curvet.readers.packed, "LIMIT", 2**20)
    row = {"csv": "1,2\n", "log": "step 1: loss 2\n", "jsonl": '{"step": 1, "loss": 2}\n',
           "json": " " * 100}[inner[2:]]  # fmt: skip
    first = {"csv": "step,loss\n", "json": '{"loss": [1,2]'}.get(inner[2:], "")
    (tmp_path / f"{inner}.gz").write_bytes(gzip.compress((first + row * 2**19).encode()))
    with pytest.raises(ReadError, match="more than 1 MiB when it is unpacked; unpack it first"):
        list(read(tmp_path))


def test_an_empty_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    with pytest.raises(UnknownFormatError, match="without any training log"):
        list(read(tmp_path / "none.zip"))
