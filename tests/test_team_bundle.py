"""A bundle with a cause of a team's own and without one of those that ship, through every door."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import curvet.causes
import curvet.score.work as work
from curvet.bundle import load_bundle, save_bundle
from curvet.causes import CAUSES, TeamCause, remedies_of, sign_of, title_of
from curvet.cli import main
from curvet.errors import BundleError, ScoreError
from curvet.home import install, next_version
from curvet.labelled import Labelled
from curvet.page.build import write_page
from curvet.page.table import read_scores, read_team_causes
from curvet.predictor import Predictor, predict_cause
from curvet.prior import estimate_prior
from curvet.score.job import Options, score
from curvet.texts import use_language

from .test_bundle import edit, made_up, make_bundle

LACKING = "precision_overflow"
OWN = TeamCause(
    "repeated_shard",
    "Shard read <twice>",
    "the loss falls at the\n  start of a shard that came before",
    ("Print the list of shards.", "Shuffle the <shards>."),
)
KNOWN = [*(key for key in CAUSES if key != LACKING), OWN.key]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Leave no words of a team to the other tests."""
    yield
    curvet.causes._TEAM.clear()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "own"
    make_bundle(folder, KNOWN, {OWN.key: OWN, "gremlins": TeamCause("gremlins", "Not learned")})
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "copy")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs") / "runs"
    rng = np.random.default_rng(0)
    for number in range(12):
        losses = 2 * np.exp(-np.arange(60) / (5 + 4 * number)) + 0.1 * rng.random(60)
        path = folder / f"{number}" / "log.csv"
        path.parent.mkdir(parents=True)
        lines = [f"{step},{loss:.5f}" for step, loss in enumerate(losses)]
        path.write_text("\n".join(["step,loss", *lines, ""]))
    return folder


def run(*words: object, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, [str(word) for word in words])


def certain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every predictor name the team's cause."""

    def probabilities(self: Predictor, inputs: Any) -> Any:
        p = np.full((len(inputs), len(self.bundle.causes)), 0.001)
        p[:, self.bundle.causes.index(OWN.key)] = 1 - 0.001 * (p.shape[1] - 1)
        return p

    monkeypatch.setattr(Predictor, "probabilities", probabilities)
    monkeypatch.setattr("curvet.novelty.Novelty.rank", lambda self, table: np.zeros(len(table)))


def test_the_words_are_saved_and_known_once_loaded(saved: Path) -> None:
    assert title_of(OWN.key) == OWN.key
    bundle = load_bundle(saved)
    assert bundle.causes == tuple(KNOWN)
    assert set(bundle.team_causes) == {OWN.key}
    assert title_of(OWN.key) == OWN.title
    assert sign_of(OWN.key) == "the loss falls at the start of a shard that came before"
    assert [remedy.text for remedy in remedies_of(OWN.key)] == list(OWN.remedies)
    assert "team_causes" not in load_bundle().manifest
    assert load_bundle().team_causes == {}


def test_remedies_of_a_team_are_its_own(saved: Path) -> None:
    load_bundle(saved)
    first = remedies_of(OWN.key)[0].to_dict()
    assert first == {
        "key": "repeated_shard.1",
        "text": OWN.remedies[0],
        "sources": [{"title": "your team", "url": ""}],
    }
    use_language("zh")
    assert remedies_of(OWN.key)[0].sources[0].title == "\u672c\u56e2\u961f"
    assert remedies_of("nonsense") == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda own: own.update(overfitting={"title": "Mine"}), "'overfitting' is the key of a c"),
        (lambda own: own.update(gremlins={"title": "Mine"}), "'gremlins' is not among its causes"),
        (lambda own: own["repeated_shard"].update(title=""), "needs a title"),
        (lambda own: own["repeated_shard"].update(title=3), "that is no text"),
        (lambda own: own["repeated_shard"].update(remedies=3), "expected to be a list of texts"),
        (lambda own: own["repeated_shard"].update(remedies="3"), "expected to be a list of texts"),
        (lambda own: own["repeated_shard"].update(remedies=[3]), "that is no text"),
        (lambda own: own["repeated_shard"].update(sign="\x1b[31mred"), "control letters"),
        (lambda own: own.update(repeated_shard="words"), "no attribute"),
        (lambda own: own.update({"Bad Key": {"title": "x"}}), "is no key of a cause"),
    ],
)
def test_damaged_words_are_refused(change: Callable[[Any], Any], told: str, copy: Path) -> None:
    edit(copy, lambda manifest: change(manifest["team_causes"]))
    with pytest.raises(BundleError, match=rf"copy: manifest\.json: team_causes: .*({told})"):
        load_bundle(copy)


def test_words_that_are_no_mapping_are_refused(copy: Path) -> None:
    edit(copy, lambda manifest: manifest.update(team_causes=["x"]))
    with pytest.raises(BundleError, match=r"manifest\.json: team_causes"):
        load_bundle(copy)


def test_words_that_could_not_be_loaded_are_not_saved(saved: Path, tmp_path: Path) -> None:
    bundle = load_bundle(saved)
    bad = {OWN.key: TeamCause(OWN.key, "Beep \x07")}
    with pytest.raises(BundleError, match="control letters"):
        save_bundle(
            tmp_path / "bad",
            bundle.causes,
            bundle.classifiers,
            bundle.calibration,
            bundle.novelty,
            {},
            bad,
        )
    assert not (tmp_path / "bad" / "manifest.json").exists()


def test_a_diagnosis_speaks_of_its_own_causes(
    saved: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certain(monkeypatch)
    diagnosis = predict_cause(logs / "3" / "log.csv", bundle=Predictor.load(saved))
    assert diagnosis.cause == OWN.key
    assert set(diagnosis.probabilities) == set(KNOWN)
    assert [remedy.text for remedy in diagnosis.remedies] == list(OWN.remedies)
    text = str(diagnosis)
    for words in (OWN.title, "the loss falls at the start of a shard", "1. Print the list of sh"):
        assert words in text
    assert "[your team]" in text
    assert diagnosis.to_dict()["remedies"][1]["text"] == OWN.remedies[1]


def test_diagnose_knows_the_causes_of_its_bundle(
    saved: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certain(monkeypatch)
    found = run("diagnose", logs, "--bundle", saved, "--fail-on", f"{OWN.key}:0.5")
    assert found.exit_code == 1
    assert OWN.title in found.stdout
    assert "--fail-on repeated_shard: " in found.stderr
    missing = run("diagnose", logs, "--bundle", saved, "--fail-on", LACKING)
    assert missing.exit_code == 2
    assert f"unknown cause '{LACKING}'; known causes: healthy" in missing.stderr
    assert OWN.key in missing.stderr
    assert run("diagnose", logs, "--fail-on", OWN.key).exit_code == 2
    (header, first, *_) = csv.reader(
        io.StringIO(run("diagnose", logs, "--bundle", saved, "--format", "csv").stdout)
    )
    assert [name[2:] for name in header if name.startswith("p_")] == KNOWN
    assert float(first[header.index(f"p_{OWN.key}")]) > 0.9
    rows = json.loads(run("diagnose", logs, "--bundle", saved, "--format", "json").stdout)["runs"]
    assert rows[0]["remedies"][0]["sources"] == [{"title": "your team", "url": ""}]


@pytest.mark.parametrize("prior", ["archive", "uniform", "repeated_shard=0.5"])
def test_priors_fit_the_bundle(prior: str, saved: Path, logs: Path) -> None:
    found = run("diagnose", logs, "--bundle", saved, "--prior", prior, "--format", "json")
    assert found.exit_code == 0, found.stderr
    for row in json.loads(found.stdout)["runs"]:
        assert sum(row["probabilities"].values()) == pytest.approx(1)
    other = run("diagnose", logs, "--bundle", saved, "--prior", f"{LACKING}=0.5")
    assert f"unknown cause '{LACKING}'" in other.stderr


def test_a_prior_is_estimated_wherever_healthy_stands() -> None:
    rng = np.random.default_rng(0)
    old = np.array([0.4, 0.1, 0.2, 0.3])
    p = rng.dirichlet(5 * old, 300)
    usual = estimate_prior(p, old)
    turn = [2, 0, 3, 1]
    np.testing.assert_allclose(estimate_prior(p[:, turn], old[turn], healthy=1), usual[turn])
    without = estimate_prior(p, old, healthy=None)
    assert without.sum() == pytest.approx(1)
    assert (without > 0).all()


def test_causes_lists_those_of_the_bundle(saved: Path) -> None:
    listed = run("causes", "--bundle", saved).stdout
    assert f"{OWN.key}: {OWN.title}" in listed
    assert f"{LACKING}: " not in listed
    assert f"{LACKING}: " in run("causes").stdout
    one = run("causes", OWN.key, "--bundle", saved)
    assert one.stdout.splitlines()[-1] == "       your team"
    whole = json.loads(run("causes", "--format", "json", CURVET_BUNDLE=str(saved)).stdout)
    assert [cause["key"] for cause in whole["causes"]] == KNOWN
    refused = run("causes", OWN.key)
    assert refused.exit_code == 2
    assert refused.stderr.endswith("known to its bundle, which --bundle names\n")
    assert f"known causes: {', '.join(KNOWN)}" in run("causes", LACKING, "--bundle", saved).stderr


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_page_has_the_title(
    ending: str, saved: Path, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certain(monkeypatch)
    table = tmp_path / f"scores.{ending}"
    score([logs], table, Options(bundle=saved, workers=1, prior="archive"))
    assert {name for row in read_scores(table) for name in row.probabilities} == set(KNOWN)
    curvet.causes._TEAM.clear()
    words = read_team_causes(table)
    assert set(words) == ({OWN.key} if ending == "parquet" else set())
    write_page(table, tmp_path / "page.html", curves=0)
    assert title_of(OWN.key) == (OWN.title if ending == "parquet" else OWN.key)
    made = run("report", table, "--out", tmp_path / "page.html", "--bundle", saved)
    assert made.exit_code == 0, made.stderr
    assert title_of(OWN.key) == OWN.title


def test_a_table_with_damaged_words(saved: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"run_id": ["a"]}).replace_schema_metadata({"curvet.team_causes": "[3]"})
    pq.write_table(table, tmp_path / "scores.parquet")
    with pytest.raises(ScoreError, match="its words for a team's causes are damaged"):
        read_team_causes(tmp_path / "scores.parquet")


def test_evaluate_on_a_corpus_of_other_causes(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import curvet.evaluate as evaluate

    inputs = made_up(4, 3)
    n = len(inputs)
    y, none = np.arange(n) % len(CAUSES), np.full(n, -1)
    names = np.array([f"b{i}" for i in range(n)])
    labelled = Labelled(inputs, y, none, *[names] * 5, np.ones(n))
    monkeypatch.setattr(evaluate, "load_labelled", lambda corpus: labelled)
    (tmp_path / "corpus.json").write_text('{"seed": 5}')
    seen: dict[str, Any] = {}

    def keep(*words: Any) -> dict[str, Any]:
        seen.update(y=words[4], causes=words[6])
        return {}

    monkeypatch.setattr(evaluate, "score_views", keep)
    evaluate.evaluate(bundle=saved, corpus=tmp_path)
    keys = [seen["causes"][place] for place in seen["y"]]
    assert keys == [key for k in y if (key := list(CAUSES)[k]) != LACKING]


# A home in the middle of the work


@pytest.fixture
def home(saved: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "team"
    for seed in range(2):
        version = next_version(folder)
        shutil.copytree(saved, version, dirs_exist_ok=True)
        edit(version, lambda manifest, seed=seed: manifest.update(seed=seed))  # type: ignore[misc]
    install(folder, "0001")
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_score_keeps_the_champion_it_began_with(
    workers: int, home: Path, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import curvet.score.job as job

    monkeypatch.setattr(job, "BATCH_LOGS", 4)
    work._predictor.cache_clear()
    monkeypatch.setattr(job, "_work", changed_under(job._work, home))
    table = tmp_path / "scores.csv"
    score([logs], table, Options(bundle=home, workers=workers))
    assert {row.bundle[:9] for row in read_scores(table)} == {"team-0001"}
    monkeypatch.undo()
    work._predictor.cache_clear()
    score([logs], table, Options(bundle=home, workers=workers))
    assert {row.bundle[:9] for row in read_scores(table)} == {"team-0002"}
    # The same by its own folder: nothing is read again.
    summary = score([logs], table, Options(bundle=home / "0002", workers=workers))
    assert (summary.known, summary.written) == (12, False)


def changed_under(real: Callable[..., None], home: Path) -> Callable[..., None]:
    def work_on(*words: Any) -> None:
        install(home, "0002")
        real(*words)

    return work_on


def test_workers_of_the_shipped_bundle_do_not_ask_their_environment(
    home: Path, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import curvet.score.job as job

    work._predictor.cache_clear()

    def named_meanwhile(*words: Any) -> None:
        monkeypatch.setenv("CURVET_BUNDLE", str(home))
        real(*words)

    real = job._work
    monkeypatch.setattr(job, "_work", named_meanwhile)
    score([logs], tmp_path / "scores.csv", Options(workers=1))
    assert {row.bundle[:7] for row in read_scores(tmp_path / "scores.csv")} == {"default"}
    monkeypatch.setattr(job, "_work", real)
    score([logs], tmp_path / "scores.csv", Options(workers=1))
    assert {row.bundle[:9] for row in read_scores(tmp_path / "scores.csv")} == {"team-0001"}
    work._predictor.cache_clear()
