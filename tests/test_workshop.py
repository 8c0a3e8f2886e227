"""The workshop: real trainings that the shipped predictor learned from, and how they are made."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from curvet.causes import CAUSES
from curvet.recipe import Trace
from curvet.simulate.corpus import Training, list_rounds, read_manifest, read_trainings

ROOT = Path(__file__).parents[1]
WORKSHOP = ROOT / "data" / "workshop"


@pytest.fixture(scope="module")
def trainings() -> list[Training]:
    return [
        training
        for number, n_runs in list_rounds(WORKSHOP)
        for training, _ in islice(read_trainings(WORKSHOP, number), n_runs)
    ]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "real_runs"]:
        del sys.modules[name]


def test_every_cause_is_there(trainings: list[Training]) -> None:
    assert read_manifest(WORKSHOP)["real"]
    assert len(trainings) == read_manifest(WORKSHOP)["runs"]
    counts = {key: sum(t.cause == key for t in trainings) for key in CAUSES}
    assert min(counts.values()) >= 5, counts
    assert len({t.base for t in trainings}) == 895  # of 13 bases no run is a healthy twin
    two = [t for t in trainings if t.also]
    assert len(two) > 100
    assert all(t.also in CAUSES and t.also != t.cause for t in two)


def test_no_task_is_the_trial_s_or_a_team_s(trainings: list[Training]) -> None:
    learned = {json.loads(training.recipe)["task"] for training in trainings}
    for table in ("real/labels.csv", "team/truth.csv"):
        with (ROOT / "data" / table).open(newline="", encoding="utf-8") as file:
            asked = {row["task"] for row in csv.DictReader(file)}
        assert asked
        assert not learned & asked


def test_series_fit_together(trainings: list[Training]) -> None:
    for training in trainings:
        trace = training.trace
        assert len(trace.step) == len(trace.loss) == len(trace.grad_norm) == len(trace.lr) > 4
        assert len(trace.val) == len(trace.val_at)
        assert (trace.val_at < len(trace.loss)).all()
        assert (np.diff(trace.step) == 1).all()  # a resume goes on where the checkpoint was
        if training.cause in ("bad_data_batch", "resume_state_lost"):
            assert 0 < trace.onset < len(trace.loss)


def same(one: Trace, other: Trace) -> None:
    """Hold a training to one in a shard, which keeps single precision."""
    for name in ("loss", "grad_norm", "lr", "val"):
        kept, made = getattr(one, name), getattr(other, name).astype(np.float32)
        np.testing.assert_allclose(kept, made, rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize("cause", ["healthy", "overfitting", "train_val_mismatch"])
def test_a_training_can_be_had_again(trainings: list[Training], cause: str) -> None:
    from real_runs.bases import train
    from real_runs.plan import Plan
    from real_runs.workshop import trace_of

    fast = [t for t in trainings if t.cause == cause and t.net.startswith("mlp")]
    found = min(fast, key=lambda training: len(training.trace.loss))
    settings = json.loads(found.recipe)
    plan = Plan(**{**settings, "resumes": tuple(settings["resumes"])})
    usual = asdict(Plan(plan.task, plan.net))  # what later rounds alone set is not written down
    assert json.loads(json.dumps(asdict(plan))) == json.loads(json.dumps(usual)) | settings
    same(found.trace, trace_of(plan, train(plan)))


@pytest.mark.usefixtures("scripts")
def test_a_fault_fits_its_task() -> None:
    from real_runs.plan import Plan
    from real_runs.workshop import DRAWS, faulty

    rng = np.random.default_rng(0)
    assert set(DRAWS) == set(CAUSES) - {"healthy"}
    text, table = Plan("phrases", "rnn", cell="lstm"), Plan("prices", "mlp", n_train=600)
    piece = Plan("origin", "rnn", cell="gru")  # symbols, but one class for all of them
    assert not faulty("unnormalised_inputs", text, rng)  # symbols have no scale
    assert not faulty("precision_overflow", text, rng)
    for _ in range(20):
        (changed,) = faulty("wrong_loss", table, rng)
        assert changed.wrong_loss in ("broadcast", "product", "sign")
        (changed,) = faulty("wrong_loss", piece, rng)
        assert changed.wrong_loss in ("softmax", "sigmoid", "sign", "nll")
        (changed,) = faulty("overfitting", table, rng)
        assert changed.n_train <= 300
        (changed,) = faulty("lr_too_high", table, rng)
        assert changed.lr > 3 * table.lr


@pytest.mark.usefixtures("scripts")
def test_later_rounds_have_tasks_of_their_own() -> None:
    from real_runs.tasks import TASKS
    from real_runs.team_tasks import TEAM_TASKS
    from real_runs.workshop import DRAWN, EASY, MIXED, WARM, draw_base
    from real_runs.workshop_easy import EASY_TASKS
    from real_runs.workshop_found import FOUND_TASKS
    from real_runs.workshop_plenty import PLENTY_TASKS
    from real_runs.workshop_tasks import WORKSHOP_TASKS

    every = [*WORKSHOP_TASKS, *FOUND_TASKS, *PLENTY_TASKS, *EASY_TASKS, *TASKS, *TEAM_TASKS]
    assert len(set(every)) == len(every)
    rng = np.random.default_rng(3)
    for _ in range(12):
        assert draw_base(rng, 0, DRAWN - 1).task in WORKSHOP_TASKS
        found = draw_base(rng, 0, DRAWN)
        assert found.net in FOUND_TASKS[found.task][1]
        assert found.n_train >= min(60, found.batch)
    mixed = [draw_base(rng, 0, MIXED) for _ in range(60)]
    plenty = [plan for plan in mixed if plan.task in PLENTY_TASKS]
    assert len(mixed) > len(plenty) > 0
    assert all(plan.net in PLENTY_TASKS[plan.task][1] for plan in plenty)
    assert all(plan.n_steps * plan.batch < 9 * max(plan.n_train, 60) for plan in plenty)
    assert all(8 <= plan.n_steps / plan.val_every < 100 for plan in plenty)
    assert max(plan.n_steps for plan in mixed) > 1200
    assert {plan.init for plan in mixed} == {"", "default"}
    assert not any(plan.warm for plan in mixed)
    assert {np.sign(draw_base(rng, 0, WARM).warm) for _ in range(60)} == {-1, 0, 1}
    easy = [
        plan for plan in (draw_base(rng, 0, EASY) for _ in range(30)) if plan.task in EASY_TASKS
    ]
    assert 30 > len(easy) > 0
    assert all(plan.net in EASY_TASKS[plan.task][1] and plan.n_train <= 1000 for plan in easy)


@pytest.mark.usefixtures("scripts")
def test_most_bases_of_the_last_rounds_have_a_task_of_their_own() -> None:
    from real_runs.plan import Plan
    from real_runs.tasks import load
    from real_runs.workshop import OWN, draw_base
    from real_runs.workshop_drawn import is_drawn
    from real_runs.workshop_faults import facts

    rng = np.random.default_rng(6)
    plans = [draw_base(rng, 0, OWN) for _ in range(60)]
    drawn = [plan for plan in plans if is_drawn(plan.task)]
    assert 60 > len(drawn) > 40
    assert len({plan.task for plan in drawn}) == len(drawn)
    assert all(plan.n_train <= facts(plan).rows for plan in drawn)
    few = [plan for plan in drawn if plan.n_steps * plan.batch < 5 * plan.n_train]
    assert few  # whose epochs are too long to validate after each
    assert all(plan.n_steps / plan.val_every >= 5 for plan in few)
    assert not any(is_drawn(draw_base(rng, 0, OWN - 1).task) for _ in range(20))
    once = load(drawn[0].task).x
    for other in drawn[1:12]:
        load(other.task)  # so many that the first is forgotten
    np.testing.assert_array_equal(once, load(drawn[0].task).x)
    assert facts(Plan("drawn-text-1", "rnn")).places
    assert facts(Plan("drawn-picture-1", "cnn")).picture


@pytest.mark.usefixtures("scripts")
def test_rows_of_a_plain_task_are_many_and_a_toy_s_are_few() -> None:
    from real_runs.workshop import PLAIN, TOYS, draw_base
    from real_runs.workshop_drawn import is_drawn
    from real_runs.workshop_faults import facts

    rng = np.random.default_rng(9)
    plain, toys = ([draw_base(rng, 0, number) for _ in range(60)] for number in (PLAIN, TOYS))
    kinds = [[p.task.split("-")[1] for p in plans if is_drawn(p.task)] for plans in (plain, toys)]
    assert "plain" in kinds[0]
    assert "toy" not in kinds[0]
    assert kinds[1].count("toy") > len(kinds[1]) / 4
    assert all(plan.batch <= plan.n_train <= facts(plan).rows for plan in plain + toys)
    assert np.median([p.n_train for p in plain]) > 1.3 * np.median([p.n_train for p in toys])


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize(
    "kind", ["table", "series", "again", "picture", "text", "plain", "clear", "toy"]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_drawn_task_can_be_learned(kind: str, seed: int) -> None:
    from real_runs.bases import train
    from real_runs.plan import Plan
    from real_runs.workshop_drawn import DRAWN_KINDS, TOY_KINDS

    net = (DRAWN_KINDS | TOY_KINDS)[kind][1][0]
    plan = Plan(
        f"drawn-{kind}-{seed}", net, n_steps=250, n_train=400, val_every=250, lr=4e-3, width=64
    )
    losses = [value for _, value in train(plan).series["loss"]]
    assert np.mean(losses[-30:]) < 0.97 * np.mean(losses[:5])


@pytest.mark.usefixtures("scripts")
def test_a_net_may_start_with_pytorch_s_own_weights() -> None:
    from real_runs.feed import prepare
    from real_runs.nets import make_net
    from real_runs.plan import Plan

    plan = Plan("bands", "mlp", width=64)
    feed = prepare(plan)
    usual, own, dead = (
        make_net(replace(plan, **change), feed)
        for change in ({}, {"init": "default"}, {"init": "default", "bias": -3.0})
    )
    first = [float(net[1].weight.detach().abs().max()) for net in (usual, own)]
    assert first[1] <= 1 / 2**0.5 < first[0]  # uniform within one over the root of the inputs
    assert own[1].bias.detach().abs().min() > 0
    assert (dead[1].bias.detach() == -3).all()


@pytest.mark.usefixtures("scripts")
def test_a_net_that_is_fine_tuned_starts_where_an_unlogged_training_left_it() -> None:
    from real_runs.bases import train
    from real_runs.plan import Plan

    plan = Plan("bands", "mlp", n_steps=40, n_train=300, lr=1e-4, width=64)
    cold, warm, new_layer = (
        [value for _, value in train(replace(plan, warm=steps)).series["loss"]]
        for steps in (0, 200, -200)
    )
    assert len(cold) == len(warm) == len(new_layer) == 40
    assert max(warm[:5]) < 0.7 * min(cold[:5])
    assert max(warm[:5]) < 0.8 * min(new_layer[:5])


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize(
    "task",
    ["visits", "travel", "schools", "air", "words", "origin", "teacher", "branches", "throws",
     "corners", "rough", "clouds_again", "knocks", "pulls", "products", "dates", "machine",
     "sides", "cubes", "plane", "areas", "bars", "bars_again", "tempo", "coming",
     "refrain", "lookup",
     *[f"drawn-{kind}-{seed}" for kind in ("table", "series", "again", "picture", "text",
                                                "plain", "clear", "toy")
       for seed in range(4)]],
)  # fmt: skip
def test_tasks_of_later_rounds_have_rows_that_fit(task: str) -> None:
    from real_runs.tasks import load

    data = load(task)
    few = task.startswith(("drawn-clear", "drawn-toy"))
    assert len(data.x) == len(data.y) == len(data.group) > (80 if few else 200)
    assert len(data.x_val) == len(data.y_val) == len(data.group_val) > (30 if few else 80)
    for rows, targets in ((data.x, data.y), (data.x_val, data.y_val)):
        if data.n_symbols:
            assert 0 <= rows.min() <= rows.max() < data.n_symbols
        else:
            assert rows.dtype == np.float32
            assert np.isfinite(rows).all()
        if targets.dtype.kind == "i":
            assert 0 <= targets.min() <= targets.max() < data.n_out


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize(
    ("task", "net"),
    [("teacher", "mlp"), ("throws", "mlp"), ("clouds_again", "mlp"), ("dates", "rnn")],
)
def test_every_objective_can_be_learned(task: str, net: str) -> None:
    from real_runs.bases import train
    from real_runs.objectives import fitting
    from real_runs.plan import Plan
    from real_runs.workshop_faults import facts

    plan = Plan(task, net, n_steps=150, n_train=2000, val_every=150, lr=5e-3, width=64)
    kind = facts(plan)
    if task == "clouds_again":
        kinds = ["denoised", "absolute", "summed"]
    else:
        kinds = fitting(plan, kind.classify, kind.symbols)
    for objective in kinds:
        log = train(replace(plan, objective=objective))
        losses = np.array([value for _, value in log.series["loss"]])
        (val,) = (value for _, value in log.series["val"])
        first, last = losses[:5].mean(), losses[-30:].mean()
        assert last < first - 0.1 * abs(first), objective
        assert abs(val - last) < abs(first - last), objective


@pytest.mark.usefixtures("scripts")
def test_some_objectives_start_where_they_must() -> None:
    from real_runs.bases import train
    from real_runs.plan import Plan

    calm = {"n_steps": 10, "n_train": 2000, "batch": 64, "lr": 1e-6, "gain": 0.05, "width": 64}
    starts = {
        (task, objective): np.mean(
            [v for _, v in train(Plan(task, "mlp", objective=objective, **calm)).series["loss"]]
        )
        for task, objective in [
            ("throws", "ranked"), ("throws", ""), ("teacher", ""), ("teacher", "each"),
            ("teacher", "smoothed"), ("teacher", "summed"), ("clouds_again", "denoised"),
        ]
    }  # fmt: skip
    assert starts["throws", "ranked"] == pytest.approx(np.log(2), rel=0.05)
    assert starts["teacher", "each"] == pytest.approx(np.log(2), rel=0.1)
    assert starts["teacher", ""] == pytest.approx(np.log(10), rel=0.05)
    assert starts["teacher", "smoothed"] == pytest.approx(np.log(10), rel=0.05)
    assert starts["teacher", "summed"] == pytest.approx(64 * np.log(10), rel=0.05)
    assert starts["throws", ""] == pytest.approx(1, rel=0.15)
    assert starts["clouds_again", "denoised"] == pytest.approx(1, rel=0.1)


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize("augment", ["noise", "holes", "mixed"])
def test_training_rows_alone_are_augmented(augment: str) -> None:
    from real_runs.bases import train
    from real_runs.plan import Plan

    plan = Plan("sides", "mlp", n_steps=300, n_train=900, val_every=300, lr=5e-3, width=64)
    plain, hard = (train(replace(plan, augment=kind)) for kind in ("", augment))
    ends = [np.mean([v for _, v in log.series["loss"][-30:]]) for log in (plain, hard)]
    assert ends[1] > 2 * ends[0]
    assert hard.series["val"][-1][1] < 0.7 * ends[1]


@pytest.mark.usefixtures("scripts")
def test_later_rounds_are_trained_for_more() -> None:
    from real_runs.plan import Plan
    from real_runs.workshop import KINDS, UNUSUAL, draw_base
    from real_runs.workshop_faults import faulty

    rng = np.random.default_rng(4)
    assert not any(draw_base(rng, 0, KINDS - 1).objective for _ in range(30))
    plans = [draw_base(rng, 0, KINDS) for _ in range(120)]
    assert len({plan.objective for plan in plans}) > 10
    assert {plan.augment for plan in plans} == {"", "noise", "holes", "mixed"}
    assert max(plan.dropout for plan in plans) > 0.4
    assert all(plan.net == "mlp" for plan in plans if plan.objective == "denoised")
    rare = {draw_base(rng, 0, UNUSUAL).objective for _ in range(60)}
    assert rare == {"gaussian", "poisson", "quantile", "denoised"}
    told, denoised, likely = (
        Plan(task, "mlp", objective=objective)
        for task, objective in [
            ("teacher", "views"), ("clouds_again", "denoised"), ("throws", "gaussian"),
        ]
    )  # fmt: skip
    for plan in (told, denoised, likely):
        (changed,) = faulty("wrong_loss", plan, rng, wider=True)
        assert changed.wrong_loss == "sign"
    assert not faulty("noisy_labels", told, rng, wider=True)
    drawn = [faulty("lr_too_high", likely, rng, wider=True)[0].lr for _ in range(40)]
    assert max(drawn) > 10**4.2 * likely.lr
    units = [faulty("unnormalised_inputs", denoised, rng, wider=True)[0].units for _ in range(20)]
    assert "raw" in units
