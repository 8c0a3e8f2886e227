"""Networks for a whole population: every weight has a leading axis over the nets.

All nets are chains of linear maps, written as batched matrix products; what differs between
fully connected, convolutional, recurrent and attention nets is how inputs reach the maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..recipe import Activation, Recipe
from .tasks import sequence_shape

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
_GAIN: dict[Activation, float] = {
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2),
    "gelu": math.sqrt(2),
    "tanh": 1.0,
    "sigmoid": 1.0,
}
_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True, slots=True)
class Map:
    """One linear map of a net.

    Parameters
    ----------
    inputs, outputs : int or None
        Units on either side; None for the net's own width.
    taps : int
        Neighbours whose units are inputs: 3 for a convolution.
    gates : int
        Maps side by side: of a recurrent cell, or query, key and value.
    hidden : bool
        Whether an activation follows.
    """

    inputs: int | None
    outputs: int | None
    taps: int = 1
    gates: int = 1
    hidden: bool = False

    def shape(self, width: int) -> tuple[int, int, int, int]:
        """Return (taps, inputs, gates, outputs) of a net with `width` hidden units."""
        return (
            self.taps,
            width if self.inputs is None else self.inputs,
            self.gates,
            width if self.outputs is None else self.outputs,
        )

    def sizes(self, width: int) -> tuple[int, int]:
        """Return rows and columns of the weight."""
        taps, inputs, gates, outputs = self.shape(width)
        return taps * inputs, gates * outputs


@dataclass(slots=True, eq=False)
class Nets:
    """Nets of one family that differ in width, gain and seed.

    All weights lie in one array, so that an optimiser is a few operations whatever the depth.

    Parameters
    ----------
    recipe : Recipe
        The first of the family; only what the family shares is read from it.
    weights : Tensor of shape (net, parameter)
        All parameters of each net.
    maps : list of Map
        In the order of the parameters.
    active : Tensor of shape (net, 1, hidden)
        1 for the hidden units that the net has.
    dropout : Tensor of shape (net, 1, 1)
        Probability to drop a hidden unit.
    statistics : dict of layer to (mean, variance), each of shape (net, 1, hidden)
        Running statistics of batch normalisation.
    """

    recipe: Recipe
    weights: Tensor
    maps: list[Map]
    active: Tensor
    dropout: Tensor
    statistics: dict[int, tuple[Tensor, Tensor]]

    def forward(self, x: Tensor, training: bool, generator: torch.Generator) -> Tensor:
        """Compute the outputs.

        Parameters
        ----------
        x : Tensor of shape (net, sample, input)
            Inputs; sequence nets read them as (net, sample, time, channel).
        training : bool
            Drop units and use (and update) the batch's own statistics.
        generator : torch.Generator
            Draws the dropped units.

        Returns
        -------
        Tensor of shape (net, sample, output)
        """
        call = _Call(self, self._linears(), training, generator)
        if self.recipe.net == "mlp":
            return _mlp(call, x)
        length, channels = sequence_shape(self.recipe.task)
        sequence = x[:, :, : length * channels].reshape(*x.shape[:2], length, channels)
        if self.recipe.net == "conv":
            return _conv(call, sequence)
        if self.recipe.net == "attention":
            return _attention(call, sequence)
        return _recurrent(call, sequence)

    def positions(self, length: int) -> Tensor:
        """Sinusoids that tell positions apart, (net, 1, time, hidden), by each net's width."""
        unit = torch.arange(self.active.shape[-1], device=self.active.device)
        exponent = unit / self.active.sum(-1, keepdim=True)  # (net, 1, hidden)
        angle = torch.arange(length, device=unit.device)[:, None] / 50 ** exponent[:, :, None]
        return torch.where(unit % 2 == 0, angle.sin(), angle.cos())

    def _linears(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield weight (net, in, out) and bias (net, 1, out) of each map."""
        shapes = [m.sizes(self.active.shape[-1]) for m in self.maps]
        parts = torch.split(self.weights, [(n + 1) * k for n, k in shapes], dim=1)
        for (n, k), flat in zip(shapes, parts, strict=True):
            yield flat[:, : n * k].reshape(-1, n, k), flat[:, None, n * k :]


@dataclass(slots=True, eq=False)
class _Call:
    """One pass through nets: the maps still to be used, and what a layer needs besides."""

    nets: Nets
    linears: Iterator[tuple[Tensor, Tensor]]
    training: bool
    generator: torch.Generator
    layer: int = 0

    def linear(self, x: Tensor) -> Tensor:
        """Apply the next map to the last axis of x, (net, ..., in)."""
        weight, bias = next(self.linears)
        return apply(weight, bias, x)

    def activate(self, z: Tensor) -> Tensor:
        """Normalise, activate, switch off units that a net lacks, and drop some: (net, n, unit)."""
        nets = self.nets
        act = _ACTIVATIONS[nets.recipe.activation]
        return self.drop(act(self.normalise(z)) * nets.active)

    def drop(self, h: Tensor) -> Tensor:
        """Drop hidden units at random, (net, n, unit)."""
        nets = self.nets
        if not self.training or nets.recipe.dropout == 0:
            return h
        kept = torch.rand(h.shape, generator=self.generator, device=h.device) >= nets.dropout
        return h * kept / (1 - nets.dropout)

    def normalise(self, z: Tensor) -> Tensor:
        """Normalise over units or over samples, or not at all: (net, n, unit)."""
        nets, layer = self.nets, self.layer
        self.layer += 1
        if nets.recipe.norm == "layer":
            width = nets.active.sum(-1, keepdim=True)
            centred = (z - (z * nets.active).sum(-1, keepdim=True) / width) * nets.active
            return centred * torch.rsqrt(centred.square().sum(-1, keepdim=True) / width + 1e-5)
        if nets.recipe.norm == "none":
            return z
        if self.training:
            mean, var = z.mean(1, keepdim=True), z.var(1, keepdim=True, unbiased=False)
            old = nets.statistics.get(layer, (torch.zeros_like(mean), torch.ones_like(var)))
            nets.statistics[layer] = (
                0.9 * old[0] + 0.1 * mean.detach(),
                0.9 * old[1] + 0.1 * var.detach(),
            )
        else:
            mean, var = nets.statistics[layer]
        return (z - mean) * torch.rsqrt(var + 1e-5)


def apply(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Apply maps (net, in, out) to the last axis of x, (net, ..., in) -> (net, ..., out)."""
    return torch.baddbmm(bias, x.flatten(1, -2), weight).reshape(*x.shape[:-1], -1)


def _mlp(call: _Call, x: Tensor) -> Tensor:
    h = x
    for layer in range(call.nets.recipe.depth):
        z = call.activate(call.linear(h))
        h = h + z if call.nets.recipe.residual and layer > 0 else z
    return call.linear(h)


def _conv(call: _Call, x: Tensor) -> Tensor:
    """Convolve over time with kernels of three, pool by the mean."""
    h = x  # (net, sample, time, channel)
    for layer in range(call.nets.recipe.depth):
        padded = functional.pad(h, (0, 0, 1, 1))
        patches = torch.cat([padded[:, :, :-2], h, padded[:, :, 2:]], dim=3)
        z = call.activate(call.linear(patches).flatten(1, 2)).reshape(*h.shape[:3], -1)
        h = h + z if call.nets.recipe.residual and layer > 0 else z
    return call.linear(h.mean(2))


def _recurrent(call: _Call, x: Tensor) -> Tensor:
    """Run plain recurrent, GRU or LSTM layers over time; the last state gives the output."""
    recipe, nets = call.nets.recipe, call.nets
    h = x  # (net, sample, time, channel)
    for _ in range(recipe.depth):
        inputs = call.linear(h)  # (net, sample, time, gates * hidden)
        weight, bias = next(call.linears)
        state = torch.zeros(*h.shape[:2], weight.shape[1], device=h.device)
        cell, states = state, []
        for t in range(h.shape[2]):
            recurrent = torch.baddbmm(bias, state, weight)
            state, cell = _STEPS[recipe.net](recipe, inputs[:, :, t], recurrent, state, cell)
            state = state * nets.active
            states.append(state)
        h = torch.stack(states, dim=2)
    return call.linear(call.drop(h[:, :, -1]))


Step = Callable[[Recipe, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def _rnn_step(
    recipe: Recipe, x: Tensor, recurrent: Tensor, state: Tensor, cell: Tensor
) -> tuple[Tensor, Tensor]:
    return _ACTIVATIONS[recipe.activation](x + recurrent), cell


def _gru_step(
    recipe: Recipe, x: Tensor, recurrent: Tensor, state: Tensor, cell: Tensor
) -> tuple[Tensor, Tensor]:
    xr, xz, xn = x.chunk(3, dim=-1)
    hr, hz, hn = recurrent.chunk(3, dim=-1)
    new = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
    keep = torch.sigmoid(xz + hz)
    return keep * state + (1 - keep) * new, cell


def _lstm_step(
    recipe: Recipe, x: Tensor, recurrent: Tensor, state: Tensor, cell: Tensor
) -> tuple[Tensor, Tensor]:
    i, f, g, o = (x + recurrent).chunk(4, dim=-1)
    cell = torch.sigmoid(f + 1.0) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


_STEPS: dict[str, Step] = {"rnn": _rnn_step, "gru": _gru_step, "lstm": _lstm_step}


def _attention(call: _Call, x: Tensor) -> Tensor:
    """Run pre-norm transformer blocks with one causal head; the last position gives the output."""
    nets, length = call.nets, x.shape[2]
    h = (call.linear(x) + nets.positions(length)) * nets.active.unsqueeze(2)
    mask = torch.full((length, length), -1e9, device=x.device).triu(1)
    width = nets.active.sum(-1).reshape(-1, 1, 1, 1)
    for _ in range(nets.recipe.depth):
        z = call.normalise(h.flatten(1, 2)).reshape(h.shape)
        q, k, v = call.linear(z).chunk(3, dim=-1)
        scores = (q * nets.active.unsqueeze(2)) @ k.transpose(2, 3) / width.sqrt() + mask
        mixed = call.linear(scores.softmax(-1) @ v) * nets.active.unsqueeze(2)
        h = h + call.drop(mixed.flatten(1, 2)).reshape(h.shape)
        z = call.normalise(h.flatten(1, 2)).reshape(h.shape)
        inner = _ACTIVATIONS[nets.recipe.activation](call.linear(z)) * nets.active.unsqueeze(2)
        out = call.linear(inner) * nets.active.unsqueeze(2)
        h = h + call.drop(out.flatten(1, 2)).reshape(h.shape)
    return call.linear(h[:, :, -1])


def make_nets(recipes: Sequence[Recipe], device: torch.device) -> Nets:
    """Draw the initial weights of nets of one family.

    Parameters
    ----------
    recipes : sequence of Recipe
        Of one family. A net's weights depend on its own recipe alone.
    device : torch.device
        Where the nets live.
    """
    first = recipes[0]
    width = max(recipe.width for recipe in recipes)
    maps = list_maps(first)
    weights = torch.stack([_init(recipe, maps, width) for recipe in recipes]).to(device)
    active = torch.zeros(len(recipes), 1, width)
    for row, recipe in enumerate(recipes):
        active[row, :, : recipe.width] = 1
    dropout = torch.tensor([recipe.dropout for recipe in recipes]).reshape(-1, 1, 1)
    return Nets(first, weights, maps, active.to(device), dropout.to(device), {})


def list_maps(recipe: Recipe) -> list[Map]:
    """List the linear maps of a net in the order of use."""
    task, depth = recipe.task, recipe.depth
    last = Map(None, task.n_outputs)
    if recipe.net == "mlp":
        if depth == 0:
            return [Map(task.n_inputs, task.n_outputs)]
        first = Map(task.n_inputs, None, hidden=True)
        return [first, *[Map(None, None, hidden=True)] * (depth - 1), last]
    channels = sequence_shape(task)[1]
    maps = []
    if recipe.net == "attention":
        block = [Map(None, None, gates=3), Map(None, None)]
        block += [Map(None, None, hidden=True), Map(None, None)]
        return [Map(channels, None), *block * depth, last]
    for layer in range(depth):
        inputs = channels if layer == 0 else None
        if recipe.net == "conv":
            maps.append(Map(inputs, None, taps=3, hidden=True))
        else:
            gates = _GATES[recipe.net]
            maps += [Map(inputs, None, gates=gates), Map(None, None, gates=gates)]
    return [*maps, last]


def count_parameters(recipe: Recipe, width: int) -> int:
    """Count the parameters of a net of this family with `width` hidden units."""
    sizes = (m.sizes(width) for m in list_maps(recipe))
    return sum((n + 1) * k for n, k in sizes)


def _init(recipe: Recipe, maps: Sequence[Map], width: int) -> Tensor:
    """Draw one net's parameters, (parameter,), among zeros for the units that it lacks."""
    generator = torch.Generator().manual_seed(recipe.seed % 2**63)
    parts = []
    for m in maps:
        weight, bias = _draw_map(recipe, m, generator)  # (tap, in, gate, out), (gate, out)
        _, inputs, _, outputs = weight.shape
        all_weights = torch.zeros(m.shape(width))
        all_weights[:, :inputs, :, :outputs] = weight
        all_biases = torch.zeros(m.gates, m.shape(width)[3])
        all_biases[:, :outputs] = bias
        parts += [all_weights.flatten(), all_biases.flatten()]
    return torch.cat(parts)


def _draw_map(recipe: Recipe, m: Map, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a map of a net's own size: weight (tap, in, gate, out) and bias (gate, out)."""
    shape = m.shape(recipe.width)
    fan_in, fan_out = shape[0] * shape[1], shape[3]
    weight, bias = torch.randn(shape, generator=generator), torch.zeros(shape[2:])
    if recipe.init == "lecun_uniform":  # the default of torch.nn.Linear
        bound = 1 / math.sqrt(fan_in)
        weight = (torch.rand(shape, generator=generator) * 2 - 1) * bound * recipe.init_gain
        bias = (torch.rand(shape[2:], generator=generator) * 2 - 1) * bound
    elif recipe.init == "xavier":
        weight = weight * recipe.init_gain * math.sqrt(2 / (fan_in + fan_out))
    elif recipe.init == "zero":
        weight = weight * 0.0
    elif recipe.init == "constant":
        weight = torch.full_like(weight, 0.1 * recipe.init_gain)
    else:
        gain = recipe.init_gain * (_GAIN[recipe.activation] if m.hidden else 1.0)
        if recipe.init == "orthogonal":
            for gate in range(m.gates):
                flat = torch.linalg.qr(_tall(weight[:, :, gate].flatten(0, 1)))[0]
                flat = flat if flat.shape[0] == fan_in else flat.T
                weight[:, :, gate] = (gain * flat).reshape(*shape[:2], fan_out)
        else:
            weight = weight * gain / math.sqrt(fan_in)
    if recipe.init == "dead" and m.hidden:
        bias = bias - 3.0 * recipe.init_gain
    return weight, bias


def _tall(matrix: Tensor) -> Tensor:
    return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
