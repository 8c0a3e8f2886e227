"""What stands before and after the products of a convolution that goes two steps at a time.

The steps that a filter meets are every second one, for its even and for its odd taps. So its
answers at two neighbouring places are those of filters that go one step at a time, which take
fewer products for two places than for each alone (Lavin & Gray, Fast Algorithms for Convolutional
Neural Networks, CVPR 2016): of three taps x0 g0 + x1 g1 + x2 g2 and x1 g0 + x2 g1 + x3 g2 are
P + Q + R and Q - R + S, with::

    P = (x0 - x2) g0    Q = (x1 + x2) (g0 + g1 + g2) / 2
    S = (x3 - x1) g2    R = (x2 - x1) (g0 - g1 + g2) / 2

and of two taps P + Q and Q + S, with::

    P = (x0 - x1) g0    Q = x1 (g0 + g1)    S = (x2 - x1) g1

The taps of a filter are split into such threes and twos, whose products add up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel

Table = NDArray[np.float32]

_INPUT = "float32[:,:,::1]"


@kernel(f"{_INPUT}, int64[:,::1]", ", ".join([_INPUT] * 4))
def prepare(
    x: Table, groups: NDArray[np.int64], first: Table, both: Table, cross: Table, last: Table
) -> None:
    """Fill what is multiplied with the taps to get P, Q, R and S.

    Parameters
    ----------
    x : array of shape (run, step, channel)
        Padded.
    groups : array of shape (group, 2)
        Place of the first tap, and how many taps: two or three, every second one.
    first, both, cross, last : arrays of shape (run, pair of places, any)
        For P, Q, R and S: so many channels for each group; for R for each of three taps.
    """
    n_runs, n_steps, n = x.shape
    n_pairs, channels = first.shape[1], np.uint64(n)
    xs, ps, qs = x.reshape(-1), first.reshape(-1), both.reshape(-1)
    rs, ss = cross.reshape(-1), last.reshape(-1)
    for place in range(n_runs * n_pairs):
        run, pair = place // n_pairs, place % n_pairs
        to, crossed = place * first.shape[2], place * cross.shape[2]
        for g in range(len(groups)):
            at = (run * n_steps + 4 * pair + groups[g, 0]) * n
            # Unsigned places need no look at whether they count from the end.
            x0, x1, x2 = np.uint64(at), np.uint64(at + 2 * n), np.uint64(at + 4 * n)
            x3, t, r = np.uint64(at + 6 * n), np.uint64(to), np.uint64(crossed)
            to += n
            if groups[g, 1] == 2:
                for c in range(channels):
                    low = xs[x1 + c]
                    ps[t + c], qs[t + c], ss[t + c] = xs[x0 + c] - low, low, xs[x2 + c] - low
            else:
                crossed += n
                for c in range(channels):
                    low, high = xs[x1 + c], xs[x2 + c]
                    ps[t + c], qs[t + c] = xs[x0 + c] - high, low + high
                    rs[r + c], ss[t + c] = high - low, xs[x3 + c] - low


@kernel(f"{_INPUT}, {_INPUT}, {_INPUT}, {_INPUT}, float32[::1], int64, bool", _INPUT)
def finish(
    first: Table,
    both: Table,
    cross: Table,
    last: Table,
    bias: Table,
    margin: int,
    pooled: bool,
    out: Table,
) -> None:
    """Make P + Q + R and Q - R + S, add the bias, and leave out what is negative.

    Parameters
    ----------
    first, both, cross, last : arrays of shape (run, pair of places, filter)
        P, Q, R and S.
    bias : array of shape (filter,)
        Of each filter.
    margin : int
        Steps of `out` on either side that stay as they are.
    pooled : bool
        Whether only the greater answer of the two places of a pair is kept.
    out : array of shape (run, places + 2 * margin, filter)
        Is filled; as many places as pairs if pooled, else twice as many.
    """
    none = np.float32(0)
    for run in range(len(first)):
        for pair in range(first.shape[1]):
            p, q = first[run, pair], both[run, pair]
            r, s = cross[run, pair], last[run, pair]
            if pooled:
                greater = out[run, margin + pair]
                for f in range(len(bias)):
                    middle = q[f] + bias[f]
                    greater[f] = max(p[f] + middle + r[f], middle - r[f] + s[f], none)
            else:
                left, right = out[run, margin + 2 * pair], out[run, margin + 2 * pair + 1]
                for f in range(len(bias)):
                    middle = q[f] + bias[f]
                    left[f] = max(p[f] + middle + r[f], none)
                    right[f] = max(middle - r[f] + s[f], none)
