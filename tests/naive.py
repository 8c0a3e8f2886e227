"""Slow, obvious twins of the numerical code."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from curvet.recipe import Recipe, Trace
from curvet.simulate.nets import list_maps, make_nets
from curvet.simulate.population import lr_schedule
from curvet.simulate.tasks import Dataset, is_classification, make_dataset, sequence_shape

Array = NDArray[np.float64]


def train(recipe: Recipe) -> Trace:
    """Train one net with torch.nn and torch.optim, from the same weights on the same batches."""
    data = make_dataset(recipe.task)
    net = Net(recipe)
    optimiser = make_optimiser(recipe, list(net.parameters()))
    val_at = np.unique(np.linspace(0, recipe.n_steps - 1, min(recipe.n_steps, 60)).astype(int))
    x_val = torch.from_numpy(data.x_val) * recipe.input_scale
    y_val = torch.from_numpy(data.y_val)
    losses, norms, vals = [], [], []
    for step, (x, y) in enumerate(batches(recipe, data)):
        for group in optimiser.param_groups:
            group["lr"] = float(np.float32(lr_schedule(recipe)[step]))
        net.train()
        loss = loss_of(recipe, net(x), y, recipe.label_smoothing)
        losses.append(loss.item() + penalty(recipe, net))
        optimiser.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), recipe.clip).item())
        optimiser.step()
        if step in val_at:
            net.eval()
            with torch.no_grad():
                vals.append(loss_of(recipe, net(x_val), y_val).item() + penalty(recipe, net))
    return Trace(
        np.arange(recipe.n_steps, dtype=float),
        np.array(losses),
        np.array(norms),
        lr_schedule(recipe),
        val_at.astype(float),
        np.array(vals),
        recipe.steps_per_epoch,
    )


def loss_of(recipe: Recipe, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    if is_classification(recipe.task):
        return functional.cross_entropy(outputs, targets, label_smoothing=smoothing)
    return functional.mse_loss(outputs, targets)


def penalty(recipe: Recipe, net: nn.Module) -> float:
    if not recipe.penalty_in_loss:
        return 0.0
    with torch.no_grad():
        squares = sum(float(p.square().sum()) for p in net.parameters())
    return recipe.weight_decay / 2 * squares


def make_optimiser(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    lr, decay, kind = recipe.lr, recipe.weight_decay, recipe.optimiser
    if kind in ("sgd", "nesterov"):
        nesterov = kind == "nesterov"
        return torch.optim.SGD(
            parameters, lr, recipe.momentum, weight_decay=decay, nesterov=nesterov
        )
    if kind == "adam":
        return torch.optim.Adam(parameters, lr, weight_decay=decay)
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr, weight_decay=decay)
    if kind == "rmsprop":
        return torch.optim.RMSprop(parameters, lr, weight_decay=decay)
    return torch.optim.Adagrad(parameters, lr, weight_decay=decay)


def batches(recipe: Recipe, data: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through shuffled epochs, one after the other, with wrong labels and bad batches."""
    rng = np.random.default_rng((recipe.seed, 1))
    rows: list[int] = []
    while len(rows) < recipe.n_steps * recipe.batch_size:
        rows += list(rng.permutation(recipe.n_train))
    wrong = rng.random(recipe.n_train) < recipe.label_noise
    others = iter(rng.integers(0, recipe.n_train, wrong.sum()))
    owner = [next(others) if wrong[i] else i for i in range(recipe.n_train)]
    for step in range(recipe.n_steps):
        mine = rows[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        x = torch.from_numpy(data.x[mine]) * recipe.input_scale
        y = torch.from_numpy(data.y[[owner[i] for i in mine]])
        for bad in recipe.bad_batches:
            assert bad.kind == "outlier"
            if bad.start <= step < bad.start + bad.length:
                x = x * bad.strength
                y = y if is_classification(recipe.task) else y * bad.strength
        yield x, y


class Net(nn.Module):
    """One net of torch's own layers, with the weights that the population gives it."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.inner = nn.ModuleList()
        self.means: list[Tensor] = [torch.zeros(recipe.width) for _ in range(2 * recipe.depth)]
        self.variances: list[Tensor] = [torch.ones(recipe.width) for _ in range(2 * recipe.depth)]
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
                z = self.act(self.norm(layer(x), number))
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
                z = self.act(z)
                x = x + z if recipe.residual and number > 0 else z
            else:
                x = layer(x)[0]
        return self.last(x.mean(1) if recipe.net == "conv" else x[:, -1])

    def attend(self, x: Tensor) -> Tensor:
        width = self.recipe.width
        place = torch.arange(x.shape[1])[:, None] / 50 ** (torch.arange(width) / width)
        even = torch.arange(width) % 2 == 0
        h = self.inner[0](x) + torch.where(even, place.sin(), place.cos())
        for block in range(self.recipe.depth):
            mix, out, up, down = self.inner[1 + 4 * block : 5 + 4 * block]
            q, k, v = mix(functional.layer_norm(h, (width,))).split(width, dim=-1)
            h = h + out(functional.scaled_dot_product_attention(q, k, v, is_causal=True))
            h = h + down(self.act(up(functional.layer_norm(h, (width,)))))
        return self.last(h[:, -1])

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
            self.means[number] = 0.9 * self.means[number] + 0.1 * mean.detach()
            self.variances[number] = 0.9 * self.variances[number] + 0.1 * variance.detach()
        else:
            mean, variance = self.means[number], self.variances[number]
        return (z - mean) / (variance + 1e-5).sqrt()


def initial(recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Take a net's initial weights, (in, out) and (out,), from a population of its own."""
    flat = make_nets([recipe], torch.device("cpu")).weights[0].detach()
    at = 0
    for m in list_maps(recipe, recipe.width):
        weight = flat[at : at + m.n_in * m.n_out].reshape(m.n_in, m.n_out)
        at += m.n_in * m.n_out
        yield weight.clone(), flat[at : at + m.n_out].clone()
        at += m.n_out
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
