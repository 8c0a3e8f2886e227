"""Slow, obvious twins of the numerical code."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau

from curvet.recipe import HalfPrecision, Recipe, Trace
from curvet.simulate.nets import list_maps, make_nets
from curvet.simulate.population import N_VALIDATIONS, lr_schedule
from curvet.simulate.tasks import Dataset, is_classification, make_dataset, sequence_shape

Array = NDArray[np.float64]


def train(recipe: Recipe) -> Trace:
    """Train one net with torch.nn and torch.optim, from the same weights on the same batches.

    Dropout and input noise come from torch's own generator: like a population's, not the same.
    """
    data, resume, half = make_dataset(recipe.task), recipe.resume, recipe.half
    net = Net(recipe)
    parameters = list(net.parameters())
    optimiser, scaler, plateau = make_optimiser(recipe, parameters), make_scaler(half), Plateau()
    rates = lr_schedule(replace(recipe, resume=None)).astype(np.float32).tolist()
    factor = half.scale if half is not None and not half.dynamic else 1.0
    val_at = np.unique(
        np.linspace(0, recipe.n_steps - 1, min(recipe.n_steps, N_VALIDATIONS)).astype(int)
    )
    validated = set(val_at.tolist())
    x_val, y_val = validation(recipe, data)
    step, begun, norm, checkpoint = 0, 0, 0.0, b""
    steps, losses, norms, used, vals = [], [], [], [], []
    for position, (x, y) in enumerate(batches(recipe, data)):
        if resume is not None and position == resume.at - resume.back:
            checkpoint = save(net, optimiser)
        if resume is not None and position == resume.at:
            optimiser = make_optimiser(recipe, parameters)
            load(checkpoint, net, None if resume.optimiser else optimiser)
            step = resume.at - resume.back
            begun = step if resume.schedule else 0
        lr = rates[step - begun] * plateau.factor
        for group in optimiser.param_groups:
            group["lr"] = lr
        net.train()
        outputs = net(x)
        loss = in_range(loss_of(recipe, outputs, y, recipe.label_smoothing), outputs, half)
        losses.append(loss.item() + penalty(recipe, net))
        scaler.scale(loss * factor / recipe.accumulation).backward()
        if (position + 1) % recipe.accumulation == 0:
            if half is not None:
                cut(parameters, factor)
            scaler.unscale_(optimiser)
            norm = nn.utils.clip_grad_norm_(parameters, recipe.clip).item()
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad()
        steps.append(step)
        norms.append(norm)
        used.append(lr)
        step += 1
        if recipe.schedule == "plateau":
            plateau.check(losses, max(2, recipe.n_steps // 40))
        if position in validated:
            net.eval()
            with torch.no_grad():
                outputs = net(x_val)
                val = in_range(loss_of(recipe, outputs, y_val), outputs, half)
            vals.append(val.item() + penalty(recipe, net))
    return Trace(
        np.array(steps, float),
        np.array(losses),
        np.array(norms),
        np.array(used),
        val_at,
        np.array(vals),
        recipe.steps_per_epoch,
        recipe.onset,
    )


def loss_of(recipe: Recipe, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Compute the right loss, or the wrong one that the recipe asks for."""
    kind = recipe.loss
    if is_classification(recipe.task):
        if kind == "unbounded":
            return functional.nll_loss(outputs, targets)  # of logits
        if kind == "softmax_twice":
            outputs = outputs.softmax(-1)
        loss = functional.cross_entropy(outputs, targets, label_smoothing=smoothing)
    elif kind == "unbounded":
        return -(outputs * targets).mean()
    elif kind == "broadcast":
        return (outputs[:, None] - targets[None]).square().mean()
    else:
        loss = functional.mse_loss(outputs, targets)
    return -loss if kind == "negated" else loss


def penalty(recipe: Recipe, net: nn.Module) -> float:
    if not recipe.penalty_in_loss:
        return 0.0
    with torch.no_grad():
        squares = sum(float(p.square().sum()) for p in net.parameters())
    return recipe.weight_decay / 2 * squares


def make_optimiser(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    lr, decay, kind = recipe.lr, recipe.weight_decay, recipe.optimiser
    if kind in ("sgd", "nesterov"):
        nesterov = kind == "nesterov" and recipe.momentum > 0  # the same without momentum
        return torch.optim.SGD(
            parameters, lr, recipe.momentum, weight_decay=decay, nesterov=nesterov
        )
    if kind == "adam":
        return torch.optim.Adam(parameters, lr, (recipe.momentum, 0.999), weight_decay=decay)
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr, (recipe.momentum, 0.999), weight_decay=decay)
    if kind == "rmsprop":
        return torch.optim.RMSprop(parameters, lr, weight_decay=decay)
    return torch.optim.Adagrad(parameters, lr, weight_decay=decay)


class Plateau:
    """Torch's own rule, on a rate of 1."""

    def __init__(self) -> None:
        self.optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        self.rule = ReduceLROnPlateau(self.optimiser, factor=0.3, patience=2, threshold=0.01, eps=0)

    @property
    def factor(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    def check(self, losses: list[float], every: int) -> None:
        if len(losses) % every == 0:
            self.rule.step(float(np.mean(losses[-every:])))


def make_scaler(half: HalfPrecision | None) -> GradScaler:
    if half is None or not half.dynamic:
        return GradScaler("cpu", enabled=False)
    return GradScaler("cpu", init_scale=half.scale, growth_interval=50)


def in_range(loss: Tensor, outputs: Tensor, half: HalfPrecision | None) -> Tensor:
    overflows = half is not None and bool(outputs.detach().abs().max() > half.largest)
    return loss * math.nan if overflows else loss


def cut(parameters: list[nn.Parameter], factor: float) -> None:
    """Leave gradients what sixteen bits can hold, and take a static scale away."""
    for p in parameters:
        assert p.grad is not None
        p.grad[p.grad.abs() > 65504] = math.nan
        p.grad[p.grad.abs() < 6e-8] = 0.0
        p.grad /= factor


def save(net: nn.Module, optimiser: torch.optim.Optimizer) -> bytes:
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimiser": optimiser.state_dict()}, file)
    return file.getvalue()


def load(checkpoint: bytes, net: nn.Module, optimiser: torch.optim.Optimizer | None) -> None:
    state = torch.load(io.BytesIO(checkpoint))
    net.load_state_dict(state["net"])
    if optimiser is not None:
        optimiser.load_state_dict(state["optimiser"])


def units(recipe: Recipe) -> tuple[Array, Array]:
    """Return what each input is multiplied by, and what is added: (input,), (input,)."""
    n, unit = recipe.task.n_inputs, recipe.unnormalised
    if unit is None:
        return np.ones(n), np.zeros(n)
    draws = np.random.default_rng((recipe.seed, 3)).standard_normal(n)
    own = np.array([10.0 ** (unit.spread * draw) for draw in draws])
    return unit.scale * own, unit.shift * own


def validation(recipe: Recipe, data: Dataset) -> tuple[Tensor, Tensor]:
    """Make the validation data, sample by sample."""
    v, task, rng = recipe.validation, recipe.task, np.random.default_rng((recipe.seed, 2))
    x, y = data.x_val.copy(), data.y_val.copy()
    if recipe.val_noise:
        wrong = np.flatnonzero(rng.random(len(y)) < recipe.label_noise)
        for row, other in zip(wrong, rng.integers(0, len(y), len(wrong)), strict=True):
            y[row] = data.y_val[other]
    if v.leaked:
        leaked, rows = rng.random(len(y)) < v.leaked, rng.integers(0, recipe.n_train, len(y))
        for row in np.flatnonzero(leaked):
            x[row], y[row] = data.x[rows[row]], data.y[rows[row]]
    if v.relabelled and is_classification(task):
        moved = rng.permutation(task.n_outputs).tolist()
        moved = moved[: max(2, round(v.relabelled * task.n_outputs))]
        before = {number: moved[place - 1] for place, number in enumerate(moved)}
        y = np.array([before.get(number, number) for number in y.tolist()])
    elif v.relabelled:
        y = y - 2 * np.float32(v.relabelled) * y
    x = x * v.scale + v.shift
    if v.noise:
        x = x + v.noise * rng.standard_normal(x.shape)
    factor, offset = units(recipe)
    return torch.tensor(x * factor + offset, dtype=torch.float32), torch.from_numpy(y)


def batches(recipe: Recipe, data: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through epochs, one after the other, with wrong labels and bad batches."""
    rng = np.random.default_rng((recipe.seed, 1))
    size, n = recipe.batch_size, recipe.n_train
    first = data.y[:n] if data.y.ndim == 1 else data.y[:n, 0]
    by_target = np.array(sorted(range(n), key=lambda i: first[i]))
    if recipe.order == "blocks":
        shards = np.array_split(by_target, min(n, 8))
        by_target = np.concatenate([shards[i] for i in rng.permutation(len(shards))])
    rows: list[int] = []
    whole = n - n % size if n >= size else n  # as a DataLoader with drop_last
    while len(rows) < recipe.n_steps * size:
        if recipe.order == "shuffled":
            epoch = rng.permutation(n)
        else:
            epoch = rng.integers(0, n, whole) if recipe.order == "replacement" else by_target
        rows += epoch[:whole].tolist()
    wrong = rng.random(n) < recipe.label_noise
    owner = np.arange(n)
    owner[wrong] = rng.integers(0, n, wrong.sum())
    spoilt = {
        bad: spoil(bad.kind, bad.length, recipe, by_target, rng) for bad in recipe.bad_batches
    }
    x_all, y_all = torch.from_numpy(data.x), torch.from_numpy(data.y)
    factor, offset = (torch.tensor(part, dtype=torch.float32) for part in units(recipe))
    place = 0
    for step in range(recipe.n_steps):
        if recipe.resume is not None and step == recipe.resume.at:
            place = 0 if recipe.resume.data else recipe.resume.at - recipe.resume.back
        sample = np.array(rows[place * size : (place + 1) * size])
        target, gain = owner[sample], 1.0
        for bad, draws in spoilt.items():
            if bad.start <= step < bad.start + bad.length:
                if bad.kind == "outlier":
                    gain = bad.strength
                elif bad.kind == "wrong_labels":
                    target = draws[step - bad.start]
                else:
                    sample, target = draws, owner[draws]
        x, y = x_all[sample], y_all[target]
        if recipe.input_noise:
            x = x + recipe.input_noise * torch.randn(x.shape)
        if gain != 1.0:
            x, y = x * gain, y if is_classification(recipe.task) else y * gain
        yield (x if recipe.unnormalised is None else x * factor + offset), y
        place += 1


def spoil(
    kind: str, length: int, recipe: Recipe, by_target: NDArray[np.int64], rng: np.random.Generator
) -> Any:
    """Draw the labels or the samples of a bad batch."""
    size, n = recipe.batch_size, recipe.n_train
    if kind == "wrong_labels":
        return rng.integers(0, n, (length, size))
    at = int(rng.integers(0, n)) if kind == "one_class" else 0
    return by_target[[(at + i) % n for i in range(size)]]


class Net(nn.Module):
    """One net of torch's own layers, with the weights that the population gives it."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.inner = nn.ModuleList()
        self.means = nn.Buffer(torch.zeros(recipe.depth, recipe.width))
        self.variances = nn.Buffer(torch.ones(recipe.depth, recipe.width))
        self.positions = sinusoids(recipe) if recipe.net == "attention" else None
        weights = list(initial(recipe))
        kind = recipe.net
        for place in range(0, len(weights) - 1, 2 if kind in ("rnn", "gru", "lstm") else 1):
            weight, bias = weights[place]
            if kind in ("rnn", "gru", "lstm"):
                self.inner.append(recurrent(recipe, *weights[place], *weights[place + 1]))
            elif kind == "conv":
                taps = weight.reshape(3, -1, recipe.width).permute(2, 1, 0)  # (out, in, tap)
                layer = nn.Conv1d(taps.shape[1], recipe.width, 3, padding=1)
                layer.weight, layer.bias = nn.Parameter(taps.contiguous()), nn.Parameter(bias)
                self.inner.append(layer)
            else:
                self.inner.append(linear(weight, bias))
        self.last = linear(*weights[-1])

    def forward(self, x: Tensor) -> Tensor:
        recipe = self.recipe
        if recipe.net == "mlp":
            for number, layer in enumerate(self.inner):
                z = self.drop(self.act(self.norm(layer(x), number)))
                x = x + z if recipe.residual and number > 0 else z
            return self.last(x)
        length, channels = sequence_shape(recipe.task)
        x = x[:, : length * channels].reshape(len(x), length, channels)
        if recipe.net == "attention":
            return self.attend(x)
        for number, layer in enumerate(self.inner):
            if recipe.net == "conv":
                z = layer(x.transpose(1, 2)).transpose(1, 2)  # (sample, time, hidden)
                z = self.norm(z.reshape(-1, recipe.width), number).reshape(z.shape)
                z = self.drop(self.act(z))
                x = x + z if recipe.residual and number > 0 else z
            else:
                x = layer(x)[0]
        return self.last(x.mean(1) if recipe.net == "conv" else self.drop(x[:, -1]))

    def attend(self, x: Tensor) -> Tensor:
        width = self.recipe.width
        h = self.inner[0](x) + self.positions
        for block in range(self.recipe.depth):
            mix, out, up, down = self.inner[1 + 4 * block : 5 + 4 * block]
            q, k, v = mix(self.norm_of_block(h)).split(width, dim=-1)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            h = h + self.drop(out(mixed))
            h = h + self.drop(down(self.act(up(self.norm_of_block(h)))))
        return self.last(h[:, -1])

    def norm_of_block(self, h: Tensor) -> Tensor:
        return h if self.recipe.norm == "none" else functional.layer_norm(h, h.shape[2:])

    def drop(self, h: Tensor) -> Tensor:
        return functional.dropout(h, self.recipe.dropout, self.training)

    def act(self, z: Tensor) -> Tensor:
        return getattr(torch if self.recipe.activation in ("tanh", "sigmoid") else functional,
                       self.recipe.activation)(z)  # fmt: skip

    def norm(self, z: Tensor, number: int) -> Tensor:
        """Normalise (sample, unit) without learnt scales."""
        if self.recipe.norm == "none":
            return z
        if self.recipe.norm == "layer":
            return functional.layer_norm(z, z.shape[1:])
        if self.training:
            mean, variance = z.mean(0), z.var(0, unbiased=False)
            self.means[number].lerp_(mean.detach(), 0.1)
            self.variances[number].lerp_(variance.detach(), 0.1)
        else:
            mean, variance = self.means[number], self.variances[number]
        return (z - mean) / (variance + 1e-5).sqrt()


def sinusoids(recipe: Recipe) -> Tensor:
    """Tell positions apart, (time, hidden)."""
    length, width = sequence_shape(recipe.task)[0], recipe.width
    wave = (torch.sin, torch.cos)
    columns = [wave[i % 2](torch.arange(length) / 50 ** (i / width)) for i in range(width)]
    return torch.stack(columns, dim=1)


def initial(recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Take a net's initial weights, (in, out) and (out,), from a population of its own."""
    flat = make_nets([recipe], torch.device("cpu")).weights[0].detach()
    at = 0
    for m in list_maps(recipe):
        rows, columns = m.sizes(recipe.width)
        weight = flat[at : at + rows * columns].reshape(rows, columns)
        at += rows * columns
        yield weight.clone(), flat[at : at + columns].clone()
        at += columns
    assert at == len(flat)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape)
    layer.weight, layer.bias = nn.Parameter(weight.T.contiguous()), nn.Parameter(bias)
    return layer


def recurrent(recipe: Recipe, w_in: Tensor, b_in: Tensor, w: Tensor, b: Tensor) -> nn.Module:
    kinds = {"gru": nn.GRU, "lstm": nn.LSTM}
    if recipe.net == "rnn":
        layer: nn.RNNBase = nn.RNN(
            len(w_in), recipe.width, nonlinearity=recipe.activation, batch_first=True
        )
    else:
        layer = kinds[recipe.net](len(w_in), recipe.width, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(w_in.T)
        layer.bias_ih_l0.copy_(b_in)
        layer.weight_hh_l0.copy_(w.T)
        layer.bias_hh_l0.copy_(b)
        if recipe.net == "lstm":  # the forget gate starts open
            layer.bias_ih_l0[recipe.width : 2 * recipe.width] += 1.0
    return layer


def log_loss(p: Array, y: NDArray[np.int64], weight: Array) -> float:
    total = sum(-w * math.log(row[k]) for row, k, w in zip(p, y, weight, strict=True))
    return float(total / sum(weight))


def expected_calibration_error(
    p: Array, y: NDArray[np.int64], weight: Array, bins: int = 15
) -> float:
    """Go through the bins, and through the runs of each."""
    error = 0.0
    for number in range(bins):
        gap = 0.0
        for row, true, w in zip(p, y, weight, strict=True):
            confidence = max(row)
            last = number == bins - 1 and confidence == 1
            if number <= confidence * bins < number + 1 or last:
                gap += w * (confidence - (list(row).index(confidence) == true))
        error += abs(gap) / sum(weight)
    return error


def temper(p: Array, temperature: float) -> Array:
    """Divide log-probabilities by a temperature."""
    rows = []
    for row in p:
        scores = [math.exp(math.log(value) / temperature) for value in row]
        rows.append([score / sum(scores) for score in scores])
    return np.array(rows)


def walk_trees(nodes: dict[str, NDArray[np.int64]], root: int, row: NDArray[np.float32]) -> float:
    """Follow one tree from its root to the leaf of one run."""
    at = root
    while not nodes["is_leaf"][at]:
        value = float(row[nodes["feature_idx"][at]])
        if math.isnan(value):
            left = bool(nodes["missing_go_to_left"][at])
        else:
            left = value <= nodes["num_threshold"][at]
        at = int(nodes["left" if left else "right"][at])
    return float(nodes["value"][at])


def adaptation_loss(
    slope: float,
    intercept: Array,
    weights: Array,
    log_p: Array,
    x: Array,
    shares: Array,
    strength: tuple[float, float, float],
    is_new: Sequence[bool],
) -> float:
    """What `adaptation.fit_adaptation` makes small, run by run and cause by cause."""
    total = 0.0
    for run in range(len(log_p)):
        open_ = [k for k in range(log_p.shape[1]) if math.isfinite(log_p[run, k])]
        scores = {
            k: slope * log_p[run, k]
            + intercept[k]
            + sum(x[run, j] * weights[j, k] for j in range(x.shape[1]))
            for k in open_
        }
        norm = math.log(sum(math.exp(score) for score in scores.values()))
        total -= sum(shares[run, k] * (scores[k] - norm) for k in open_)
    total += strength[0] * (slope - 1) ** 2
    for k, new in enumerate(is_new):
        total += strength[1] * (0.1 if new else 1.0) * intercept[k] ** 2
        if math.isfinite(strength[2]):
            total += strength[2] * (0.3 if new else 1.0) * sum(w * w for w in weights[:, k])
    return total
