"""Corpora: the same again, labelled and logged when read, killed, resumed, damaged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curvet.causes import CAUSES
from curvet.errors import CorpusError
from curvet.recipe import Trace
from curvet.simulate import bases, corpus, jobs
from curvet.simulate.corpus import (
    CORPUS_FORMAT,
    LOGS_PER_RUN,
    Example,
    Training,
    label,
    read_corpus,
    simulate,
)

SMALL = """
from dataclasses import replace
from curvet.simulate import bases, corpus, jobs

draw = corpus.draw_bases
bases.BASES_PER_ROUND = 2
few = ("healthy", "lr_too_low", "bad_data_batch", "batch_too_large", "resume_state_lost")
jobs.DRAWS = {key: int(key in few) for key in jobs.DRAWS}
corpus.draw_bases = lambda rng: [
    replace(
        base, net="mlp", depth=1, norm="none", residual=False, n_steps=60, batch_size=8,
        accumulation=1,
    )
    for base in draw(rng)
]
"""
"""Rounds of less than a second."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make rounds small, in this process and in those that it starts."""
    site = tmp_path_factory.mktemp("site")
    unless = 'import sys\nif "resource_tracker" not in str(sys.orig_argv):'
    body = SMALL.replace("\n", "\n    ")
    (site / "sitecustomize.py").write_text(f"{unless}{body}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=":")
        for module, name in ((bases, "BASES_PER_ROUND"), (jobs, "DRAWS")):
            patch.setattr(module, name, getattr(module, name))  # to be put back
        patch.setattr(corpus, "draw_bases", corpus.draw_bases)
        exec(SMALL, {})
        yield


N_RUNS = 12


@pytest.fixture(scope="module")
def made(small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a corpus of seed 4, which tests only read."""
    folder = tmp_path_factory.mktemp("corpora") / "made"
    simulate(folder, N_RUNS, seed=4)
    return folder


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("round-*.npz"))}


def as_plain(example: Example) -> tuple[Any, ...]:
    """Return all that there is to an example, to be compared."""
    training = example.training
    series = [(tag, c.step.tobytes(), c.value.tobytes()) for tag, c in example.run.curves.items()]
    return (
        (example.cause, example.family, example.style, example.run.id, series),
        (training.cause, training.base, training.task, training.net, training.recipe),
        training.trace.loss.tobytes(),
    )


def contents(folder: Path, styled: bool = True) -> list[tuple[Any, ...]]:
    return [as_plain(example) for example in read_corpus(folder, styled)]


def runs_of(folder: Path) -> list[Training]:
    """List the labelled trainings, each once."""
    return list({id(e.training): e.training for e in read_corpus(folder, styled=False)}.values())


@pytest.mark.slow
def test_same_seed_same_corpus_whatever_the_workers(made: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "two", N_RUNS, seed=4, workers=2)
    one, two = shards(made), shards(tmp_path / "two")
    assert one
    assert all(two[name] == content for name, content in one.items())
    assert contents(made) == contents(tmp_path / "two")
    assert (made / "corpus.json").read_bytes() == (tmp_path / "two/corpus.json").read_bytes()


def test_every_reading_is_the_same(made: Path) -> None:
    assert contents(made) == contents(made)
    assert contents(made, styled=False) == contents(made, styled=False)


def test_runs_are_logged_as_trackers_do(made: Path) -> None:
    examples = list(read_corpus(made))
    logs = Counter(id(example.training) for example in examples)
    assert len(logs) == N_RUNS
    assert set(logs.values()) == {LOGS_PER_RUN}
    assert len({example.style for example in examples}) > 2
    plain = [training.trace.loss.tobytes() for training in runs_of(made)]
    assert [example.training.trace.loss.tobytes() for example in examples[::2]] == plain
    for example in examples:
        assert example.cause in CAUSES
        assert example.run.id == example.training.base
        assert example.family == example.training.base.split("-")[0]
        assert len(example.run.curves["loss"]) >= 2
        assert np.isfinite(example.run.curves["loss"].value).any()


def test_runs_are_logged_plainly(made: Path) -> None:
    examples = list(read_corpus(made, styled=False))
    assert len(examples) == N_RUNS
    for example in examples:
        trace, curves = example.training.trace, example.run.curves
        assert example.style == "step"
        np.testing.assert_array_equal(curves["loss"].value, trace.loss)
        np.testing.assert_array_equal(curves["loss"].step, trace.step)
        np.testing.assert_array_equal(curves["grad_norm"].value, trace.grad_norm)
        # At every step, each validation is at its own.
        np.testing.assert_array_equal(curves["eval_loss"].value, trace.val)
        np.testing.assert_array_equal(curves["eval_loss"].step, trace.step[trace.val_at])
        assert example.cause != "healthy" or np.isfinite(trace.loss).all()


def test_shards_hold_every_training(made: Path) -> None:
    paths = sorted(made.glob("round-*.npz"))
    shards = (corpus._read_shard(path) for path in paths)
    trainings = next(shard for shard in shards if list(label(shard)))
    assert {t.cause for t in trainings} == {key for key, n in jobs.DRAWS.items() if n}
    labelled = list(label(trainings))
    assert 0 < len(labelled) < len(trainings)
    fields = set(asdict(RECIPE))
    for training in trainings:
        recipe = json.loads(training.recipe)
        assert set(recipe) == fields
        assert recipe["task"]["kind"] == training.task
        assert f"{recipe['net']}{recipe['depth']}" == training.net
        assert len(training.trace.loss) == recipe["n_steps"]
        assert (training.trace.onset >= 0) == bool(recipe["bad_batches"] or recipe["resume"])


RECIPE = bases.draw_bases(np.random.default_rng(0))[0]


def test_a_recipe_is_kept_as_numbers() -> None:
    rng = np.random.default_rng(0)
    for cause in CAUSES.values():
        recipe = cause.inject(RECIPE, rng)
        found = json.loads(corpus._as_json(recipe))
        assert found == json.loads(json.dumps(asdict(recipe)))  # nothing was left to str()


def trace_of(loss: Any) -> Trace:
    loss = np.asarray(loss, float)
    n = len(loss)
    at = np.arange(0, n, 3)
    return Trace(np.arange(n, dtype=float), loss, loss + 1, np.ones(n), at, 1.02 * loss[at], 7)


FALLING = 0.1 + 2 * np.exp(-np.linspace(0, 5, 100))


def training_of(cause: str, loss: Any, base: str = "0-0") -> Training:
    return Training(trace_of(loss), cause, "", base, "teacher", "mlp2", "{}")


def write_corpus(folder: Path, trainings: list[Training], runs: int, **other: Any) -> Path:
    folder.mkdir(exist_ok=True)
    corpus._write_shard(corpus._shard_path(folder, 0), trainings)
    manifest = {"format": CORPUS_FORMAT, "seed": 5, "runs": runs, "rounds": 1, "last": runs}
    manifest |= other
    (folder / "corpus.json").write_text(json.dumps(manifest))
    return folder


def test_of_two_faults_each_must_show_beside_the_other() -> None:
    """Late harm (a bad batch) beside slow learning, and beside a loss that is NaN at once."""
    slow = 0.1 + 2 * np.exp(-np.linspace(0, 1, 100))
    spike = np.where(np.arange(100) == 60, 2.0, 0.0)

    def two(loss: Any, onset: int) -> Training:
        trace = replace(trace_of(loss), onset=onset)
        return replace(training_of("lr_too_low", loss), trace=trace, also="bad_data_batch")

    alone = replace(
        training_of("bad_data_batch", FALLING + spike),
        trace=replace(trace_of(FALLING + spike), onset=60),
    )
    singles = [training_of("healthy", FALLING), training_of("lr_too_low", slow), alone]
    both, hidden = two(slow + spike, 60), two(slow, 60)
    found = [training for training, _ in label([*singles, both, hidden])]
    assert found == [*singles, both]
    # Without a run in which the second one does harm by itself nobody knows that it does.
    assert both not in [t for t, _ in label([*singles[:2], both])]


def test_pairs_are_injected_into_what_each_harmed(made: Path) -> None:
    read = [corpus._read_shard(path) for path in sorted(made.glob("round-*.npz"))]
    pairs = [training for trainings in read for training in trainings if training.also]
    assert pairs
    for training in pairs:
        assert training.cause != training.also
        recipe = json.loads(training.recipe)
        for key, setting in (("bad_data_batch", "bad_batches"), ("resume_state_lost", "resume")):
            assert bool(recipe[setting]) == (key in (training.cause, training.also))


def test_two_faults_that_change_the_same_setting_are_no_pair() -> None:
    shared = (0, 0)
    job = jobs.draw_jobs(["lr_too_low"], {"0-0": [RECIPE]}, shared, np.random.default_rng(0))[0]
    assert jobs._both(job, ("lr_too_high", 0), shared) is None
    both = jobs._both(job, ("noisy_labels", 0), shared)
    assert both is not None
    assert (both.recipe.lr, both.also) == (job.recipe.lr, "noisy_labels")
    assert both.recipe.label_noise > 0
    late = jobs._both(job, ("bad_data_batch", 0), shared)
    assert late is not None
    assert jobs._both(late, ("batch_too_large", 0), shared) is None  # other steps


def test_a_fault_without_harm_has_no_label(tmp_path: Path) -> None:
    slow = 0.1 + 2 * np.exp(-np.linspace(0, 1, 100))
    flat = np.full(100, 1.0)
    trainings = [
        training_of("lr_too_low", slow),
        training_of("lr_too_low", FALLING),  # as good as the healthy one
        training_of("healthy", FALLING),
        training_of("healthy", slow),  # not near the best
        training_of("lr_too_high", np.full(100, np.nan)),
        training_of("healthy", flat, base="0-1"),  # learns nothing: neither can be told
        training_of("lr_too_low", flat + 1, base="0-1"),
        training_of("lr_too_low", flat, base="0-2"),  # no healthy one at all
    ]
    found = [training for training, _ in label(trainings)]
    assert found == [trainings[0], trainings[2], trainings[4]]
    for _, twin in label(trainings):
        np.testing.assert_array_equal(twin.loss, FALLING)
    write_corpus(tmp_path, trainings, 3)
    read = runs_of(tmp_path)
    assert [t.cause for t in read] == ["lr_too_low", "healthy", "lr_too_high"]
    # NaN throughout cannot be learnt from, whatever a tracker puts in its place.
    assert {e.cause for e in read_corpus(tmp_path)} == {"lr_too_low", "healthy"}


@pytest.mark.parametrize("styled", [False, True])
def test_no_more_runs_than_asked_for(styled: bool, tmp_path: Path) -> None:
    trainings = [training_of("healthy", FALLING)] * 5
    write_corpus(tmp_path, trainings, runs=3)
    per_run = LOGS_PER_RUN if styled else 1
    assert len(list(read_corpus(tmp_path, styled))) == 3 * per_run
    write_corpus(tmp_path, trainings, runs=9)
    assert len(list(read_corpus(tmp_path, styled))) == 5 * per_run


def test_what_is_logged_has_done_its_harm(tmp_path: Path) -> None:
    late = FALLING.copy()
    late[60] = 9.0
    bad = training_of("bad_data_batch", late)
    bad = replace(bad, trace=replace(bad.trace, onset=60))
    healthy = training_of("healthy", FALLING)
    write_corpus(tmp_path, [healthy, *[bad] * 300], runs=301)
    found = [e for e in read_corpus(tmp_path) if e.cause == "bad_data_batch" and e.style == "step"]
    curves = [example.run.curves["loss"] for example in found]
    whole = [c for c in curves if np.array_equal(c.step, np.arange(len(c)))]
    assert len(whole) > 3
    assert any(len(curve) < 100 for curve in whole)
    for curve in whole:
        assert curve.value.max() > 3


def test_a_shard_gives_back_what_was_written(tmp_path: Path) -> None:
    broken = replace(trace_of([1.5, np.nan, np.inf, 0.25]), onset=2)
    broken.step[2:] -= 1
    unvalidated = replace(trace_of(FALLING), val=np.empty(0), val_at=np.empty(0, np.int64))
    written = [
        replace(training_of("healthy", [2.0, 1.0]), recipe='{"lr":Infinity}'),
        replace(training_of("precision_overflow", [1.0]), trace=broken, net="gru1"),
        replace(training_of("overfitting", [1.0], base="12-4"), trace=unvalidated),
    ]
    for some in (written, []):
        corpus._write_shard(tmp_path / "shard.npz", some)
        found = corpus._read_shard(tmp_path / "shard.npz")
        assert len(found) == len(some)
        for one, other in zip(found, some, strict=True):
            for name in ("cause", "base", "task", "net", "recipe"):
                assert getattr(one, name) == getattr(other, name)
            for name in ("step", "loss", "grad_norm", "lr", "val_at", "val"):
                expected = getattr(other.trace, name)
                np.testing.assert_array_equal(getattr(one.trace, name), expected.astype(np.float32))
                assert getattr(one.trace, name).dtype == expected.dtype
            assert (one.trace.onset, one.trace.steps_per_epoch) == (other.trace.onset, 7)


def test_another_seed_is_another_corpus_and_not_this_folder(made: Path, tmp_path: Path) -> None:
    before = shards(made)
    with pytest.raises(CorpusError, match=r"made: holds a corpus of seed 4 .* asked for seed 5"):
        simulate(made, 1, seed=5)
    assert shards(made) == before
    simulate(tmp_path / "b", 1, seed=5)
    assert shards(tmp_path / "b")["round-00000.npz"] != before["round-00000.npz"]


def n_labelled(shard: Path) -> int:
    return len(list(label(corpus._read_shard(shard))))


def test_a_finished_corpus_is_not_made_again_but_can_grow(made: Path, tmp_path: Path) -> None:
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("round-*")}
    calls: list[tuple[int, int]] = []
    available = sum(n_labelled(path) for path in made.glob("round-*"))
    simulate(tmp_path, available + 1, seed=4, progress=lambda *done: calls.append(done))
    assert calls[-1] == (available + 1, available + 1)
    assert calls == sorted(calls)
    for name, when in times.items():
        assert (tmp_path / name).stat().st_mtime_ns == when
    assert len(shards(tmp_path)) > len(times)
    grown = contents(tmp_path)
    assert grown[: N_RUNS * LOGS_PER_RUN] == contents(made)
    assert len(runs_of(tmp_path)) == available + 1


@pytest.mark.usefixtures("small")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_corpus_is_resumed(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    script = (
        "from pathlib import Path; from curvet.simulate.corpus import simulate; "
        f"simulate(Path({str(killed)!r}), 10**6, seed=6)"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        limit = time.monotonic() + 120
        while len(shards(killed)) < 2 and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    made = shards(killed)
    assert len(made) >= 2
    with pytest.raises(CorpusError, match="unfinished"):
        list(read_corpus(killed))
    n_runs = sum(n_labelled(killed / name) for name in made) + 1
    simulate(killed, n_runs, seed=6)
    simulate(whole, n_runs, seed=6)
    assert all(shards(killed)[name] == content for name, content in made.items())
    assert shards(killed) == shards(whole)
    assert contents(killed) == contents(whole)
    assert (killed / "corpus.json").read_bytes() == (whole / "corpus.json").read_bytes()


# What cannot be read


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpus\.json; make a corpus with `curvet simulate`"):
        list(read_corpus(tmp_path))


@pytest.mark.parametrize("number", [1, CORPUS_FORMAT + 1, "2", None])
def test_a_corpus_of_another_format(number: Any, tmp_path: Path) -> None:
    write_corpus(tmp_path, [training_of("healthy", FALLING)], 1, format=number)
    with pytest.raises(CorpusError, match=f"{tmp_path.name}: .* of another format; run"):
        list(read_corpus(tmp_path))
    with pytest.raises(CorpusError, match=f"format {number}; .* choose another folder"):
        simulate(tmp_path, 1, seed=5)


@pytest.mark.parametrize("content", [None, b"words", b"", b"PK\x03\x04 cut short"])
def test_a_damaged_shard_is_named(content: bytes | None, tmp_path: Path) -> None:
    write_corpus(tmp_path, [], 1)
    shard = tmp_path / "round-00000.npz"
    shard.unlink()
    if content is not None:
        shard.write_bytes(content)
    with pytest.raises(CorpusError, match=r"round-00000\.npz: damaged shard .* simulate again"):
        list(read_corpus(tmp_path))
    if content is not None:
        with pytest.raises(CorpusError, match=r"round-00000\.npz: damaged shard"):
            simulate(tmp_path, 1, seed=5)


@pytest.mark.parametrize("missing", ["loss", "val_length", "recipe"])
def test_a_shard_that_lacks_a_part_is_damaged(missing: str, tmp_path: Path) -> None:
    write_corpus(tmp_path, [training_of("healthy", FALLING)], 1)
    shard = tmp_path / "round-00000.npz"
    arrays = {name: part for name, part in np.load(shard).items() if name != missing}
    np.savez_compressed(shard, **arrays)
    with pytest.raises(CorpusError, match=r"round-00000\.npz: damaged shard"):
        list(read_corpus(tmp_path))


def test_a_cut_shard_is_damaged(tmp_path: Path) -> None:
    write_corpus(tmp_path, [training_of("healthy", FALLING)], 1)
    shard = tmp_path / "round-00000.npz"
    whole = shard.read_bytes()
    for n in (len(whole) // 2, len(whole) - 10):
        shard.write_bytes(whole[:n])
        with pytest.raises(CorpusError, match="damaged shard"):
            list(read_corpus(tmp_path))
    shard.write_bytes(whole[:200] + bytes(20) + whole[220:])
    with pytest.raises(CorpusError, match="damaged shard"):
        list(read_corpus(tmp_path))


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "corpus.json").write_text("{")
    for use in (lambda folder: list(read_corpus(folder)), lambda folder: simulate(folder, 1)):
        with pytest.raises(CorpusError, match=r"corpus\.json: damaged"):
            use(tmp_path)
