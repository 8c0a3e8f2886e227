"""A home of bundles: which one is in use, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from curvet.bundle import default_path, find_bundle, load_bundle
from curvet.errors import BundleError
from curvet.home import (
    HISTORY,
    SHIPPED,
    champion,
    history,
    install,
    is_home,
    next_version,
    number_of,
    refuse,
    rollback,
    use,
    versions,
)
from curvet.predictor import predict_cause

from .test_bundle import edit, make_bundle


def add(home: Path, n: int = 1) -> Path:
    """Add versions that are complete, as far as a home can tell; return the last."""
    for _ in range(n):
        version = next_version(home)
        (version / "manifest.json").write_text("{}")
    return version


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "team"
    add(folder, 3)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "made"
    make_bundle(folder)
    return folder


@pytest.fixture
def real(made: Path, tmp_path: Path) -> Path:
    """Return a home with two versions that answer, without a champion."""
    folder = tmp_path / "team"
    for seed in range(2):
        version = next_version(folder)
        shutil.copytree(made, version, dirs_exist_ok=True)
        edit(version, lambda manifest, seed=seed: manifest.update(seed=seed))  # type: ignore[misc]
    return folder


def standings(home: Path) -> dict[str, str]:
    return {version.name: version.standing for version in versions(home)}


def test_what_is_a_home(tmp_path: Path, home: Path) -> None:
    assert is_home(home)
    assert not is_home(tmp_path)
    assert not is_home(tmp_path / "nowhere")
    assert not is_home(default_path())
    assert not is_home(default_path() / "manifest.json")
    assert number_of(home / "0001") == "0001"
    assert number_of(default_path()) is None


def test_versions_are_numbered_and_no_number_comes_twice(tmp_path: Path) -> None:
    home = tmp_path / "team"
    assert [next_version(home).name for _ in range(3)] == ["0001", "0002", "0003"]
    (home / "0003" / "manifest.json").write_text("{}")
    refuse(home, "0003", "no better")
    shutil.rmtree(home / "0003")
    assert next_version(home).name == "0004"
    (home / "9999").mkdir()
    assert next_version(home).name == "10000"
    assert [version.name for version in versions(home)][-2:] == ["9999", "10000"]


def test_the_history_alone_decides(home: Path) -> None:
    assert champion(home) is None
    assert install(home, home / "0001", "better\nby far").before == SHIPPED
    assert champion(home) == home / "0001"
    refuse(home, "0002", "worse")
    assert champion(home) == home / "0001"
    assert use(home, "0003").before == "0001"
    assert champion(home) == home / "0003"
    assert standings(home) == {"0001": "former", "0002": "refused", "0003": "champion"}
    assert [(e.action, e.version, e.before, e.reason) for e in history(home)] == [
        ("install", "0001", SHIPPED, "better by far"),
        ("refuse", "0002", "0001", "worse"),
        ("use", "0003", "0001", ""),
    ]


def test_rollback_goes_back_step_by_step(home: Path) -> None:
    for name in ("0001", "0002", "0002", "0003"):
        install(home, name)
    refuse(home, add(home))
    assert rollback(home, "odd verdicts").version == "0002"
    assert rollback(home).version == "0001"
    assert champion(home) == home / "0001"
    install(home, "0003")
    assert rollback(home).version == "0001"
    last = rollback(home)
    assert (last.version, last.before) == (SHIPPED, "0001")
    assert champion(home) is None
    with pytest.raises(BundleError, match=r"the bundle that ships is in use, and there is none be"):
        rollback(home)


def test_a_rollback_passes_over_what_is_gone(home: Path) -> None:
    for name in ("0001", "0002", "0001", "0003"):
        use(home, name)
    shutil.rmtree(home / "0003")
    with pytest.raises(BundleError, match=r"in use, 0003, is gone; .* bundles rollback .*team`"):
        champion(home)
    assert standings(home)["0003"] == "gone"
    shutil.rmtree(home / "0001")
    assert rollback(home).version == "0002"
    assert rollback(home).version == SHIPPED


def test_the_shipped_bundle_can_be_used_again(home: Path) -> None:
    use(home, "0002")
    assert use(home, SHIPPED).before == "0002"
    assert champion(home) is None
    assert rollback(home).version == "0002"


def test_what_cannot_be_used_is_named(home: Path, tmp_path: Path) -> None:
    next_version(home)
    for name in ("0007", "../0001", "latest", ""):
        with pytest.raises(BundleError, match=r"no version .* there are: 0001, 0002, 0003, 0004"):
            use(home, name if name != "../0001" else "0010")
    with pytest.raises(BundleError, match=r"version 0004 is unfinished .* no manifest\.json"):
        install(home, "0004")
    with pytest.raises(BundleError, match="no version 'shipped'"):
        install(home, SHIPPED)
    for call in (use, install, refuse):
        with pytest.raises(BundleError, match="no home of bundles; name the folder that"):
            call(tmp_path, "0001")
    with pytest.raises(BundleError, match="no home of bundles"):
        rollback(tmp_path)
    with pytest.raises(BundleError, match="a bundle, not a home of bundles"):
        next_version(home / "0001")
    assert history(home) == []


def test_a_version_compared_with_another_champion_is_not_installed(home: Path) -> None:
    install(home, "0001", instead_of=SHIPPED)
    with pytest.raises(BundleError, match="0002 was compared with shipped, but 0001 has come"):
        install(home, "0002", instead_of=SHIPPED)
    install(home, "0002", instead_of="0001")
    assert champion(home) == home / "0002"


# Damage


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_last_line_cut_short_is_no_event(cut: int, home: Path) -> None:
    install(home, "0001")
    install(home, "0002")
    whole = (home / HISTORY).read_bytes()
    (home / HISTORY).write_bytes(whole[: -cut - 1])
    assert champion(home) == home / "0001"
    install(home, "0003")
    lines = (home / HISTORY).read_text().splitlines()
    assert [json.loads(line)["version"] for line in lines] == ["0001", "0003"]


def test_a_last_line_without_its_end_counts(home: Path) -> None:
    install(home, "0001")
    (home / HISTORY).write_bytes((home / HISTORY).read_bytes().rstrip(b"\n"))
    assert champion(home) == home / "0001"
    use(home, "0002")
    assert [event.version for event in history(home)] == ["0001", "0002"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: ["nonsense", *lines], 1),
        (lambda lines: [lines[0], "", *lines[1:]], 2),
        (lambda lines: lines[1:], 1),  # a line taken out
        (lambda lines: [lines[0].replace("install", "delete"), *lines[1:]], 1),
        (lambda lines: [lines[0].replace('"0001"', "1"), *lines[1:]], 1),
        (lambda lines: [lines[0].replace('"0001"', '"../0001"'), *lines[1:]], 1),
        (lambda lines: [lines[0].replace('"reason"', '"why"'), *lines[1:]], 1),
        (lambda lines: [*lines[:2], lines[2].replace('"0001"', '"0003"')], 3),  # never in use
        (lambda lines: ["[]", *lines], 1),
        (lambda lines: ["\x00\x00\x00", *lines], 1),
    ],
)
def test_an_edited_history_is_refused_by_line(
    change: Callable[[list[str]], list[str]], line: int, home: Path
) -> None:
    install(home, "0001")
    install(home, "0002")
    rollback(home)
    lines = (home / HISTORY).read_text().splitlines()
    (home / HISTORY).write_text("\n".join([*change(lines), ""]))
    told = rf"history\.jsonl: line {line}: .*edited by hand: bring it back .* --bundle .*0001"
    for call in (
        champion,
        versions,
        rollback,
        next_version,
        lambda home: use(home, "0001"),
        find_bundle,
    ):
        before = (home / HISTORY).read_bytes()
        with pytest.raises(BundleError, match=told):
            call(home)
        assert (home / HISTORY).read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; see the test below")
def test_a_home_that_cannot_be_written_to(home: Path) -> None:
    install(home, "0001")
    before = (home / HISTORY).read_bytes()
    (home / HISTORY).chmod(0o444)
    home.chmod(0o555)
    try:
        assert champion(home) == home / "0001"
        assert standings(home)["0001"] == "champion"
        for call in (rollback, next_version, lambda home: use(home, "0002")):
            with pytest.raises(BundleError, match=r"team: cannot be written to .* stays so"):
                call(home)
    finally:
        home.chmod(0o755)
    assert (home / HISTORY).read_bytes() == before


def test_a_full_or_read_only_disk_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(home, "0001")

    def refuse_all(*words: object, **others: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse_all)
        with pytest.raises(BundleError, match=r"cannot be written to \(Read-only file system\)"):
            next_version(home)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse_all)
        with pytest.raises(BundleError, match=r"cannot be written to \(Read-only file system\)"):
            use(home, "0002")
    assert [event.version for event in history(home)] == ["0001"]


# Several processes


def child(code: str, home: Path) -> subprocess.Popen[str]:
    head = "import sys; from pathlib import Path; from curvet.home import *; "
    head += "from curvet.home import history, install, next_version, rollback, use\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{head}home = Path(sys.argv[1])\n{code}", str(home)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_never_get_one_version_nor_lose_an_event(tmp_path: Path) -> None:
    home = tmp_path / "team"
    code = """
for _ in range(20):
    version = next_version(home)
    (version / "manifest.json").write_text("{}")
    print(version.name)
    install(home, version, "x" * 2000)
"""
    processes = [child(code, home) for _ in range(3)]
    taken = [line for process in processes for line in process.communicate()[0].split()]
    assert all(process.returncode == 0 for process in processes)
    assert sorted(taken) == [f"{number:04d}" for number in range(1, 61)]
    assert sorted(event.version for event in history(home)) == sorted(taken)
    assert champion(home) == home / history(home)[-1].version  # each follows from the one before


def test_a_killed_writer_leaves_a_history_that_can_be_read(home: Path) -> None:
    code = """
print("ready", flush=True)
while True:
    use(home, "0001", "x" * 4000)
    use(home, "0002", "x" * 4000)
"""
    for _ in range(3):
        process = child(code, home)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.15)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        count = len(history(home))
        assert champion(home) in (home / "0001", home / "0002")
        use(home, "0003")
        assert len(history(home)) == count + 1
    assert champion(home) == home / "0003"


def test_a_version_whose_writer_was_killed_is_passed_over(home: Path) -> None:
    install(home, "0003")
    code = """
version = next_version(home)
(version / "tabular.npz").write_bytes(b"half")
print("ready", flush=True)
sys.stdin.read()
import time; time.sleep(60)
"""
    process = child(code, home)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    assert standings(home) == {
        "0001": "new",
        "0002": "new",
        "0003": "champion",
        "0004": "unfinished",
    }
    assert champion(home) == home / "0003"
    assert next_version(home).name == "0005"
    with pytest.raises(BundleError, match="0004 is unfinished"):
        use(home, "0004")


# Loading


def test_a_home_stands_for_its_champion(real: Path) -> None:
    assert load_bundle(real).name == load_bundle().name  # none yet: the one that ships
    install(real, "0001")
    first = load_bundle(real)
    assert first.name.startswith("team-0001-")
    assert first.name == load_bundle(real / "0001").name
    install(real, "0002")
    assert load_bundle(real).name.startswith("team-0002-")
    assert predict_cause([3, 2, 1, 1, 1, 1, 1, 1], bundle=real).bundle.startswith("team-0002-")
    rollback(real)
    assert predict_cause([3, 2, 1, 1, 1, 1, 1, 1], bundle=real).bundle == first.name


def test_a_home_may_be_the_working_folder(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(real, "0001")
    monkeypatch.chdir(real)
    assert load_bundle(Path(".")).name.startswith("team-0001-")
    monkeypatch.chdir(real / "0001")
    assert load_bundle(Path(".")).name.startswith("team-0001-")


def test_a_champion_edited_by_hand_or_newer_is_refused(real: Path) -> None:
    install(real, "0001")
    content = bytearray((real / "0001" / "mlp.safetensors").read_bytes())
    content[-1] ^= 1
    (real / "0001" / "mlp.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match=r"0001/mlp\.safetensors: missing or changed since"):
        load_bundle(real)
    install(real, "0002")
    edit(real / "0002", lambda manifest: manifest.update(format=99))
    with pytest.raises(BundleError, match="0002: bundle format 99, but this curvet reads"):
        load_bundle(real)


def test_the_environment_names_the_bundle(
    real: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(real, "0002")
    monkeypatch.setenv("CURVET_BUNDLE", str(real))
    assert load_bundle().name.startswith("team-0002-")
    assert predict_cause([3, 2, 1, 1, 1, 1, 1, 1]).bundle.startswith("team-0002-")
    assert load_bundle(made).name.startswith("made-")  # what is named wins
    monkeypatch.setenv("CURVET_BUNDLE", "")
    assert find_bundle() == default_path()
    monkeypatch.setenv("CURVET_BUNDLE", str(made))
    assert find_bundle() == made
    for wrong in (real.parent / "nowhere", made / "manifest.json"):
        monkeypatch.setenv("CURVET_BUNDLE", str(wrong))
        with pytest.raises(BundleError, match=r"CURVET_BUNDLE=.*: neither a bundle .* unset it"):
            load_bundle()
