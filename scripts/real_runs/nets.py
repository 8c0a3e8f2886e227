"""The nets in PyTorch, for the plain loop and Lightning."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from .feed import Feed
from .objectives import n_outputs
from .plan import Plan


def make_net(plan: Plan, feed: Feed) -> Any:
    """Return the untrained PyTorch net of a plan, its hidden weights set as the plan asks."""
    from torch import nn

    makers = {
        "rnn": _sequence_net, "transformer": _sequence_net, "vae": _vae, "cnn1d": _along_time,
    }  # fmt: skip
    net = makers.get(plan.net, _feed_forward)(plan, feed)
    hidden = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)][:-1]
    for layer in hidden if plan.net not in ("rnn", "transformer") else ():
        if plan.init == "default" and not plan.bias:
            continue
        if plan.activation in ("relu", "gelu"):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif plan.activation == "tanh":
            nn.init.xavier_normal_(layer.weight, 5 / 3)
        nn.init.constant_(layer.bias, plan.bias)  # type: ignore[arg-type]
        if plan.init in ("zero", "constant"):
            nn.init.constant_(layer.weight, 0.0 if plan.init == "zero" else 0.01)
    scaled = [layer.weight for layer in hidden]
    for name, weight in net.named_parameters():
        if "weight_hh" in name:
            for gate in weight.data.chunk(len(weight) // plan.width):
                nn.init.orthogonal_(gate)
            scaled.append(weight)
    for weight in scaled:
        weight.data.mul_(plan.gain)
    return net


def _activation(plan: Plan) -> Any:
    from torch import nn

    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}
    return kinds[plan.activation]()


def _dense(plan: Plan, widths: list[int]) -> list[Any]:
    from torch import nn

    layers: list[Any] = []
    for n_in, n_to in pairwise(widths):
        layers.append(nn.Linear(n_in, n_to))
        if plan.norm != "none":
            layers.append(nn.BatchNorm1d(n_to) if plan.norm == "batch" else nn.LayerNorm(n_to))
        layers += [_activation(plan), nn.Dropout(plan.dropout)]
    return layers


def hidden_widths(plan: Plan) -> list[int]:
    """Return the widths of the hidden layers of an MLP or an autoencoder."""
    if plan.net != "autoencoder":
        return [plan.width] * plan.depth
    half = [plan.width] * max(1, plan.depth // 2)
    return [*half, max(1, plan.width // 4), *half]


def _feed_forward(plan: Plan, feed: Feed) -> Any:
    from torch import nn

    n_in = int(np.prod(feed.x.shape[1:]))
    if plan.net in ("cnn", "resnet"):
        return _convolutional(plan, feed, math.isqrt(n_in))
    widths = [n_in, *hidden_widths(plan)]
    layers = _dense(plan, widths)
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], n_outputs(plan, feed)))


def _convolutional(plan: Plan, feed: Feed, side: int) -> Any:
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(*_convolution(plan, plan.width, plan.width))

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)

    layers: list[Any] = [nn.Unflatten(1, (1, side, side)), *_convolution(plan, 1, plan.width)]
    layers.append(nn.MaxPool2d(2))
    for _ in range(plan.depth - 1):
        layers += [Block()] if plan.net == "resnet" else _convolution(plan, plan.width, plan.width)
    layers += [nn.Flatten(), nn.Dropout(plan.dropout)]
    return nn.Sequential(*layers, nn.Linear(plan.width * (side // 2) ** 2, n_outputs(plan, feed)))


def _convolution(plan: Plan, n_in: int, n_to: int) -> list[Any]:
    from torch import nn

    norm = [nn.BatchNorm2d(n_to)] if plan.norm != "none" else []
    return [nn.Conv2d(n_in, n_to, 3, padding=1), *norm, _activation(plan)]


def _along_time(plan: Plan, feed: Feed) -> Any:
    """Return convolutions along time, (B, T, feature) -> (B, output)."""
    import torch
    from torch import nn

    class AlongTime(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[Any] = []
            widths = [feed.x.shape[2]] + [plan.width] * plan.depth
            for n_in, n_to in pairwise(widths):
                layers.append(nn.Conv1d(n_in, n_to, 3, padding=1))
                layers += [nn.BatchNorm1d(n_to)] if plan.norm != "none" else []
                layers.append(_activation(plan))
            self.core = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(plan.dropout))
            self.head = nn.Linear(plan.width * feed.x.shape[1], n_outputs(plan, feed))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.head(self.core(x.transpose(1, 2)))
            return y

    return AlongTime()


def _sequence_net(plan: Plan, feed: Feed) -> Any:
    import torch
    from torch import nn

    length, width = feed.x.shape[1], plan.width
    everywhere = feed.classify and feed.y.ndim > 1  # a symbol for each place

    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            symbols = feed.n_symbols
            self.into = (
                nn.Embedding(symbols, width) if symbols else nn.Linear(feed.x.shape[2], width)
            )
            if plan.net == "transformer":
                self.place = nn.Parameter(torch.randn(length, width) * 0.1)
                layer = nn.TransformerEncoderLayer(
                    width, 2 if width % 2 == 0 else 1, 2 * width, plan.dropout,
                    batch_first=True, norm_first=plan.norm != "none",
                )  # fmt: skip
                self.core: Any = nn.TransformerEncoder(
                    layer, plan.depth, enable_nested_tensor=False
                )
                mask = torch.triu(torch.full((length, length), -math.inf), 1)
                self.register_buffer("mask", mask)  # so that half() finds it
            else:
                kinds: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM}
                other = {} if plan.cell in kinds else {"nonlinearity": plan.cell}
                kind = kinds.get(plan.cell, nn.RNN)
                self.core = kind(width, width, plan.depth, batch_first=True, **other)
            self.drop = nn.Dropout(plan.dropout)
            self.head = nn.Linear(width, n_outputs(plan, feed))

        def forward(self, x: Any) -> Any:
            h = self.into(x)  # (B, T, width)
            if plan.net == "transformer":
                h = self.core(h + self.place, self.mask)
            else:
                h = self.core(h)[0]
            y = self.head(self.drop(h if everywhere else h[:, -1]))
            return y.transpose(1, 2) if everywhere else y  # (B, symbol, T) or (B, output)

    return Sequence()


def _vae(plan: Plan, feed: Feed) -> Any:
    import torch
    from torch import nn

    code = max(1, plan.width // 4)
    widths = [plan.width] * max(1, plan.depth // 2)
    n = feed.n_out

    class Variational(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Sequential(
                *_dense(plan, [n, *widths]), nn.Linear(plan.width, 2 * code)
            )
            self.decode = nn.Sequential(*_dense(plan, [code, *widths]), nn.Linear(plan.width, n))

        def forward(self, x: Any) -> Any:
            mean, log_var = self.encode(x).chunk(2, 1)
            noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
            divergence = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1).mean()
            return self.decode(mean + noise * (0.5 * log_var).exp()), divergence

    return Variational()
