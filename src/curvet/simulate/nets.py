"""Networks for a whole population: every weight has a leading axis over the nets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from ..recipe import Activation, Recipe

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


@dataclass(slots=True, eq=False)
class Mlps:
    """Fully connected nets of one family that differ in width, gain and seed.

    All weights lie in one array, so that an optimiser is a few operations whatever the depth.

    Parameters
    ----------
    weights : Tensor of shape (net, parameter)
        All parameters of each net.
    sizes : list of (fan_in, fan_out)
        Layers, widest net.
    active : Tensor of shape (net, 1, hidden)
        1 for the hidden units that the net has.
    dropout : Tensor of shape (net, 1, 1)
        Probability to drop a hidden unit.
    """

    weights: Tensor
    sizes: list[tuple[int, int]]
    active: Tensor
    dropout: Tensor
    recipe: Recipe
    statistics: list[tuple[Tensor, Tensor]]

    def forward(self, x: Tensor, training: bool, generator: torch.Generator) -> Tensor:
        """Compute the outputs.

        Parameters
        ----------
        x : Tensor of shape (net, sample, input)
            Inputs.
        training : bool
            Drop units and use (and update) the batch's own statistics.
        generator : torch.Generator
            Draws the dropped units.

        Returns
        -------
        Tensor of shape (net, sample, output)
        """
        act = _ACTIVATIONS[self.recipe.activation]
        parts = iter(torch.split(self.weights, [n * m + m for n, m in self.sizes], dim=1))
        h = x
        for layer, ((n, m), flat) in enumerate(zip(self.sizes, parts, strict=True)):
            weight = flat[:, : n * m].reshape(-1, n, m)  # (net, in, out)
            z = torch.baddbmm(flat[:, None, n * m :], h, weight)  # (net, sample, out)
            if layer == len(self.sizes) - 1:
                return z
            z = act(self._normalise(z, layer, training)) * self.active
            if training and self.recipe.dropout > 0:
                kept = torch.rand(z.shape, generator=generator, device=z.device) >= self.dropout
                z = z * kept / (1 - self.dropout)
            h = h + z if self.recipe.residual and layer > 0 else z
        raise AssertionError("a net has an output layer")

    def _normalise(self, z: Tensor, layer: int, training: bool) -> Tensor:
        if self.recipe.norm == "layer":
            width = self.active.sum(-1, keepdim=True)
            centred = (z - (z * self.active).sum(-1, keepdim=True) / width) * self.active
            return centred * torch.rsqrt(centred.square().sum(-1, keepdim=True) / width + 1e-5)
        if self.recipe.norm == "batch":
            if training:
                mean, var = z.mean(1, keepdim=True), z.var(1, keepdim=True, unbiased=False)
                old_mean, old_var = self.statistics[layer]
                self.statistics[layer] = (
                    0.9 * old_mean + 0.1 * mean.detach(),
                    0.9 * old_var + 0.1 * var.detach(),
                )
            else:
                mean, var = self.statistics[layer]
            return (z - mean) * torch.rsqrt(var + 1e-5)
        return z


def make_mlps(recipes: Sequence[Recipe], device: torch.device) -> Mlps:
    """Draw the initial weights of nets of one family.

    Parameters
    ----------
    recipes : sequence of Recipe
        Of one family; each net's weights depend on its own recipe alone.
    device : torch.device
        Where the nets live.
    """
    first = recipes[0]
    width = max(recipe.width for recipe in recipes)
    inner = [width] * first.depth
    dims = [first.task.n_inputs, *inner, first.task.n_outputs]
    sizes = list(pairwise(dims))
    weights = torch.stack([_init(recipe, sizes) for recipe in recipes]).to(device)
    active = torch.zeros(len(recipes), 1, width)
    for row, recipe in enumerate(recipes):
        active[row, :, : recipe.width] = 1
    dropout = torch.tensor([recipe.dropout for recipe in recipes]).reshape(-1, 1, 1)
    shape = (len(recipes), 1, width)
    statistics = [
        (torch.zeros(shape, device=device), torch.ones(shape, device=device)) for _ in inner
    ]
    return Mlps(weights, sizes, active.to(device), dropout.to(device), first, statistics)


def _init(recipe: Recipe, sizes: list[tuple[int, int]]) -> Tensor:
    """Draw one net's parameters, (parameter,); units beyond its width get weights too."""
    generator = torch.Generator().manual_seed(recipe.seed % 2**63)
    parts = []
    for layer, (n, m) in enumerate(sizes):
        hidden = layer < len(sizes) - 1
        fan_in = n if layer == 0 else recipe.width
        fan_out = recipe.width if hidden else m
        gain = recipe.init_gain * (_GAIN[recipe.activation] if hidden else 1.0)
        weight = torch.randn(n * m, generator=generator)
        bias = torch.zeros(m)
        if recipe.init == "lecun_uniform":  # the default of torch.nn.Linear
            weight = (torch.rand(n * m, generator=generator) * 2 - 1) / math.sqrt(fan_in)
            bias = (torch.rand(m, generator=generator) * 2 - 1) / math.sqrt(fan_in)
            weight = weight * recipe.init_gain
        elif recipe.init == "xavier":
            weight = weight * recipe.init_gain * math.sqrt(2 / (fan_in + fan_out))
        elif recipe.init == "zero":
            weight = weight * 0.0
        elif recipe.init == "constant":
            weight = torch.full((n * m,), 0.1 * recipe.init_gain)
        else:
            weight = weight * gain / math.sqrt(fan_in)
        if recipe.init == "dead" and hidden:
            bias = bias - 3.0 * recipe.init_gain
        parts += [weight, bias]
    return torch.cat(parts)
