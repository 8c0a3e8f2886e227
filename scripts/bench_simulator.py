"""How much faster the simulator trains its nets side by side than one after another.

    python scripts/bench_simulator.py                       # a round of every kind of net
    python scripts/bench_simulator.py --rounds 3 --sample 3 --repeats 5
    python scripts/bench_simulator.py --device cuda         # populations on a GPU, loop on the CPU
    python scripts/bench_simulator.py --out docs/simulator.md

The recipes are those of real rounds of `curvet simulate`: pilots, healthy nets and faulty ones. On
the one side `train_population` trains all of a round, as the simulator does. On the other a plain
loop trains a sample of the same recipes, one by one, with torch.nn and torch.optim: the nets and
optimisers of `tests/naive.py`, whose losses are the population's. Both start from recipes and
plan batches with the same code; both run in one process, on one thread, with numbers below 1e-38
flushed to 0 and glibc told to keep its memory, which helps both.

The plain loop is timed on `--sample` recipes of every family (same net, depth, batch, steps), and
a family's time is that mean times its number of recipes. Loops and populations take turns within
a repeat; times are seconds of the processor (of a clock on the wall for a GPU), medians of the
repeats, and the range of the ratio is over them. The plain loop leaves out what costs next to
nothing: half precision, resuming, wrong losses, rates that wait for a plateau. Its first five
losses are compared with the population's, but for recipes with half precision or a wrong loss, with
draws of their own (dropout, input noise), or with extreme inputs, weights or rates.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from curvet.recipe import Recipe, Task, Trace
from curvet.simulate import bases, corpus
from curvet.simulate.batches import make_batches
from curvet.simulate.optimisers import lr_schedule
from curvet.simulate.population import train_population, validation_steps
from curvet.simulate.tasks import Dataset, make_dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
naive: Any = importlib.import_module("naive")  # not part of the package, and not typed

CPU = torch.device("cpu")
SCANNED = 400
"""Rounds whose kinds of nets are counted: how often the simulator draws each."""

HOW = (
    "trained side by side as it does, and a sample of the same recipes one after another by a "
    "plain PyTorch loop, on one thread in one process. Seconds are medians of the repeats, the "
    "ratio's range is over them, and a kind of net counts in the mix as often as it is drawn."
)


@dataclass(slots=True)
class Round:
    """One round of the simulator and what it took.

    Parameters
    ----------
    net : str
        Kind of net.
    calls : list of lists of Recipe
        What the simulator trained, call by call: pilots, healthy nets, faulty nets.
    labelled : int
        Runs that kept their label.
    rest : float
        Seconds of the round outside of training: drawing, injecting, labelling.
    together, apart : list of float
        Seconds of each repeat: the populations; the plain loop, extrapolated.
    agreeing, compared : int
        Sampled nets whose first losses are the population's; of how many that can be compared.
    """

    net: str
    calls: list[list[Recipe]]
    labelled: int
    rest: float
    together: list[float] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)
    agreeing: int = 0
    compared: int = 0

    @property
    def nets(self) -> int:
        """Nets that were trained."""
        return sum(len(call) for call in self.calls)

    @property
    def steps(self) -> int:
        """Steps of all nets."""
        return sum(recipe.n_steps for call in self.calls for recipe in call)


def clock_of(device: str) -> Callable[[], float]:
    """Choose seconds of this process, which other work does not lengthen; a GPU has none."""
    return time.process_time if device == "cpu" else time.perf_counter


def kinds_of_nets(seed: int) -> list[str]:
    """List the kind of net of each of the first rounds of a corpus."""
    return [
        bases.draw_bases(np.random.default_rng((seed, number)))[0].net for number in range(SCANNED)
    ]


def make_round(seed: int, number: int, device: str) -> Round:
    """Make a round as the simulator does, and keep what it trained."""
    clock = clock_of(device)
    calls: list[list[Recipe]] = []
    spent = 0.0

    def record(recipes: Sequence[Recipe], where: str = "cpu") -> list[Trace]:
        nonlocal spent
        calls.append(list(recipes))
        began = clock()
        traces = train_population(recipes, where)
        spent += clock() - began
        return traces

    began = clock()
    with _replaced(record):
        trainings = corpus.simulate_round(seed, number, device)
        labelled = sum(1 for _ in corpus.label(trainings))
    rest = clock() - began - spent
    return Round(calls[0][0].net, [call for call in calls if call], labelled, rest)


@contextmanager
def _replaced(record: Any) -> Iterator[None]:
    """Let a round be trained by another function, which sees all its recipes."""
    modules: tuple[Any, ...] = (bases, corpus)
    before = [module.train_population for module in modules]
    for module in modules:
        module.train_population = record
    try:
        yield
    finally:
        for module, function in zip(modules, before, strict=True):
            module.train_population = function


def time_round(made: Round, device: str, sample: int, rng: np.random.Generator) -> None:
    """Add one repeat: every call of a round as a population, and a sample of it one by one."""
    clock = clock_of(device)
    _warm_up(made.calls[0][0])
    together = apart = 0.0
    for call in made.calls:
        began = clock()
        traces = train_population(call, device)
        together += clock() - began
        apart += _time_apart(made, call, traces, sample, rng)
    made.together.append(together)
    made.apart.append(apart)


def _warm_up(recipe: Recipe) -> None:
    """Train a few steps before the clock starts: torch.optim imports what it needs when used."""
    short = replace(recipe, n_steps=5, bad_batches=(), resume=None)
    train_apart(short, {short.task: make_dataset(short.task)})


def _time_apart(
    made: Round,
    call: Sequence[Recipe],
    traces: Sequence[Trace],
    sample: int,
    rng: np.random.Generator,
) -> float:
    """Estimate the seconds that the plain loop takes for all recipes of a call."""
    families: dict[tuple[object, ...], list[int]] = {}
    for index, recipe in enumerate(call):
        families.setdefault(recipe.family, []).append(index)
    datasets: dict[Task, Dataset] = {}
    began = time.process_time()
    for recipe in call:  # made once a task, as in a population
        if recipe.task not in datasets:
            datasets[recipe.task] = make_dataset(recipe.task)
    total = time.process_time() - began
    torch.set_flush_denormal(True)  # a population switches it off at its end
    for members in families.values():
        chosen = rng.choice(members, min(sample, len(members)), replace=False)
        seconds = []
        for index in chosen:
            began = time.process_time()
            losses = train_apart(_known(call[index]), datasets)
            seconds.append(time.process_time() - began)
            if _comparable(call[index]):
                made.compared += 1
                made.agreeing += bool(np.allclose(losses[:5], traces[index].loss[:5], rtol=0.01))
        total += statistics.fmean(seconds) * len(members)
    return total


def _known(recipe: Recipe) -> Recipe:
    """Return a recipe that torch.nn can train: its RNN has tanh and ReLU, which cost the same."""
    if recipe.net == "rnn" and recipe.activation not in ("tanh", "relu"):
        return replace(recipe, activation="tanh")
    return recipe


def _comparable(recipe: Recipe) -> bool:
    """Tell whether the plain loop does all that a recipe says, without draws of its own."""
    drawn = recipe.dropout > 0 or recipe.input_noise > 0
    # What an overflowing sum leaves differs from one order of adding to another.
    huge = recipe.unnormalised is not None or recipe.init_gain > 1.2 or recipe.lr > 0.5
    drawn = drawn or _known(recipe) is not recipe
    return not (drawn or huge or recipe.half or recipe.loss != "plain")


def train_apart(recipe: Recipe, datasets: Mapping[Task, Dataset]) -> list[float]:
    """Train one net in a plain loop; return its losses, (step,).

    Parameters
    ----------
    recipe : Recipe
        Half precision, resuming, plateaus and wrong losses are left out.
    datasets : mapping of Task to Dataset
        With the recipe's task.
    """
    plan = make_batches([recipe], datasets, CPU)
    x_all = plan.x[0] * plan.scale[0] + plan.shift[0]
    y_all, sample, target = plan.y[0], plan.sample[:, 0], plan.target[:, 0]
    gains = plan.gain[:, 0, 0, 0].tolist()
    net = naive.Net(recipe)
    parameters = list(net.parameters())
    optimiser = naive.make_optimiser(recipe, parameters)
    rates = lr_schedule(recipe).tolist()
    validated = set(validation_steps(recipe.n_steps).tolist())
    losses: list[float] = []
    norms: list[float] = []
    vals: list[float] = []
    net.train()
    for step in range(recipe.n_steps):
        x, y = x_all[sample[step]], y_all[target[step]]
        if recipe.input_noise:
            x = x + recipe.input_noise * torch.randn(x.shape)
        if gains[step] != 1.0:
            x, y = x * gains[step], y if y.dtype == torch.int64 else y * gains[step]
        loss = _loss(recipe, net(x), y, recipe.label_smoothing)
        losses.append(loss.item() + naive.penalty(recipe, net))
        (loss / recipe.accumulation if recipe.accumulation > 1 else loss).backward()
        if (step + 1) % recipe.accumulation == 0:
            norms.append(nn.utils.clip_grad_norm_(parameters, recipe.clip).item())
            for group in optimiser.param_groups:
                group["lr"] = rates[step]
            optimiser.step()
            optimiser.zero_grad()
        if step in validated:
            net.eval()
            with torch.no_grad():
                val = _loss(recipe, net(plan.x_val[0]), plan.y_val[0])
                vals.append(val.item() + naive.penalty(recipe, net))
            net.train()
    return losses


def _loss(recipe: Recipe, outputs: torch.Tensor, y: torch.Tensor, smooth: float = 0) -> Any:
    if y.dtype == torch.int64:
        return nn.functional.cross_entropy(outputs, y, label_smoothing=smooth)
    return nn.functional.mse_loss(outputs, y)


def report(rounds: Sequence[Round], share: Mapping[str, float], device: str) -> Iterator[str]:
    """Write the tables as Markdown, line by line.

    Parameters
    ----------
    rounds : sequence of Round
        Timed.
    share : mapping of kind of net to float
        How many of the simulator's rounds are of that kind.
    device : str
        Where the populations were trained.
    """
    kinds = [net for net in share if any(r.net == net for r in rounds)]
    grouped = {net: [r for r in rounds if r.net == net] for net in kinds}
    yield f"| net | share | rounds | nets | steps | together, s ({device}) | apart, s | ratio |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for net, some in grouped.items():
        yield (
            f"| {net} | {share[net]:.0%} | {len(some)} | {sum(r.nets for r in some):,} | "
            f"{sum(r.steps for r in some):,} | {_median(some, 'together'):.1f} | "
            f"{_median(some, 'apart'):.1f} | {_ratio(_series(some, {net: 1.0}))} |"
        )
    whole = {net: share[net] / sum(share[kind] for kind in kinds) for net in kinds}
    mixed = _series(rounds, {net: whole[net] / len(grouped[net]) for net in kinds})
    yield f"| **as mixed by the simulator** | | | | | | | **{_ratio(mixed)}** |"
    yield ""

    def mean(of: Callable[[Round], float]) -> float:
        return sum(whole[net] * statistics.fmean(of(r) for r in grouped[net]) for net in kinds)

    seconds = mean(lambda r: statistics.median(r.together) + r.rest)
    apart = mean(lambda r: statistics.median(r.apart) + r.rest)
    labelled, nets = mean(lambda r: r.labelled), mean(lambda r: r.nets)
    agreeing, compared = sum(r.agreeing for r in rounds), sum(r.compared for r in rounds)
    yield (
        f"A round of the mix: {nets:.0f} nets and {labelled:.0f} labelled runs in {seconds:.0f} s, "
        f"all included ({apart:.0f} s one by one): {nets / seconds:.1f} nets and "
        f"{labelled / seconds:.2f} labelled runs a second. At that rate 30,000 labelled runs take "
        f"{30_000 * seconds / max(labelled, 1e-9) / 2 / 3600:.1f} hours on 2 workers of this speed "
        f"(an estimate: the rounds are {len(rounds)})."
    )
    yield ""
    yield (
        f"The plain loop's first five losses are the population's in {agreeing} of {compared} "
        "sampled nets without draws or extremes of their own."
    )
    if missing := [net for net in share if net not in kinds]:
        yield f"Not measured: {', '.join(missing)}."


def _median(rounds: Sequence[Round], name: str) -> float:
    total = np.sum([getattr(r, name) for r in rounds], axis=0)  # (repeat,)
    return float(np.median(total))


def _series(rounds: Sequence[Round], weight: Mapping[str, float]) -> list[float]:
    """Compute the ratio of each repeat, rounds weighted by their kind."""
    together, apart = (
        np.sum([weight[r.net] * np.array(getattr(r, name)) for r in rounds], axis=0)
        for name in ("together", "apart")
    )
    return [float(ratio) for ratio in apart / together]


def _ratio(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1, help="rounds of every kind of net")
    parser.add_argument("--nets", nargs="+", default=[], help="kinds of nets; all when left out")
    parser.add_argument("--sample", type=int, default=2, help="recipes of each family one by one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--max-steps", type=int, default=10**9, help="leave longer rounds out")
    parser.add_argument("--seed", type=int, default=0, help="of the corpus")
    parser.add_argument("--device", default="cpu", help="where populations are trained")
    parser.add_argument("--out", type=Path, help="a page to write; printed when left out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus._keep_memory()
    kinds = kinds_of_nets(args.seed)
    share = {net: count / SCANNED for net, count in Counter(kinds).most_common()}
    rng = np.random.default_rng(args.seed)
    rounds: list[Round] = []
    for net in args.nets or share:
        left = args.rounds
        for number in (n for n, kind in enumerate(kinds) if kind == net):
            first = bases.draw_bases(np.random.default_rng((args.seed, number)))[0]
            if left == 0 or first.n_steps > args.max_steps:
                continue
            left -= 1
            print(f"round {number}: {net}, {first.n_steps} steps", file=sys.stderr, flush=True)
            rounds.append(make_round(args.seed, number, args.device))
    for repeat in range(args.repeats):
        for made in rounds:
            time_round(made, args.device, args.sample, rng)
            text = f"{made.together[-1]:.1f} s together, {made.apart[-1]:.1f} s apart"
            print(f"repeat {repeat + 1}, {made.net}: {text}", file=sys.stderr, flush=True)
    lines = "\n".join(report(rounds, share, args.device))
    if args.out is None:
        print(lines)
        return
    how = (
        f"`python scripts/bench_simulator.py --rounds {args.rounds} --sample {args.sample} "
        f"--repeats {args.repeats} --seed {args.seed} --device {args.device}`"
    )
    page = f"# What simulating costs\n\n{how}: rounds of `curvet simulate`, {HOW}\n\n{lines}\n"
    args.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
