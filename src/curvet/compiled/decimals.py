"""Decimal numbers as text -> the nearest doubles, without a detour through Python objects.

A product of the digits and a power of five, of 128 bits, decides the double almost always: Lemire,
"Number parsing at a gigabyte per second", Software: Practice and Experience 51 (2021). What it
does not decide, and whatever is no plain number, is left to the caller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel, part

SMALLEST, LARGEST = -64, 64  # powers of ten that are read here
_U = np.uint64
_ONE, _HALF, _LOW = _U(1), _U(32), _U(0xFFFFFFFF)
_TOP = _U(1 << 63)
_ALL = _U(2**64 - 1)
_NAN, _INF = _U(0x7FF8 << 48), _U(0x7FF0 << 48)


def _powers() -> NDArray[np.uint64]:
    """Return the first 128 bits of each power of five, (power, half); of inverses rounded up."""
    table = []
    for power in range(SMALLEST, LARGEST + 1):
        if power < 0:
            divisor = 5**-power
            scale = divisor.bit_length() + (127 if power >= -27 else 128 + divisor.bit_length())
            number = (1 << scale) // divisor + 1
        else:
            number = 5**power << 128
        number >>= number.bit_length() - 128
        table.append([number >> 64, number & (2**64 - 1)])
    return np.array(table, np.uint64)


POWERS = _powers()
EXACT = np.array([float(10**power) for power in range(16)])  # doubles, as are all of 15 digits


@part
def product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Multiply two numbers of 64 bits: the high and the low half of the product."""
    a_high, a_low, b_high, b_low = a >> _HALF, a & _LOW, b >> _HALF, b & _LOW
    low, cross = a_low * b_low, a_high * b_low
    middle = (low >> _HALF) + (cross & _LOW) + a_low * b_high
    high = a_high * b_high + (cross >> _HALF) + (middle >> _HALF)
    return high, (middle << _HALF) | (low & _LOW)


@part
def nearest(digits: np.uint64, power: int, powers: NDArray[np.uint64]) -> np.uint64:
    """Return the bits of the double nearest to digits * 10**power; all bits set: undecided."""
    if digits == _U(0):
        return _U(0)
    shift = 0
    for step in (32, 16, 8, 4, 2, 1):
        if digits < _U(1) << _U(64 - step):
            digits <<= _U(step)
            shift += step
    high, low = product(digits, powers[power - SMALLEST, 0])
    if high & _U(0x1FF) == _U(0x1FF):
        more, _ = product(digits, powers[power - SMALLEST, 1])
        low += more
        if low < more:
            high += _ONE
        if low == _ALL:
            return _ALL
    upper = high >> _U(63)
    drop = upper + _U(9)  # 54 bits are left: the last one rounds
    mantissa = high >> drop
    exponent = ((217706 * power) >> 16) + 1086 - shift + np.int64(upper)
    halfway = low <= _ONE and -4 <= power <= 23 and mantissa & _U(3) == _ONE
    if halfway and mantissa << drop == high:
        mantissa &= ~_ONE  # exactly between two doubles: to the even one
    mantissa = (mantissa + (mantissa & _ONE)) >> _ONE
    if mantissa == _U(1 << 53):
        mantissa, exponent = _U(1 << 52), exponent + 1
    return (mantissa & _U((1 << 52) - 1)) | (_U(exponent) << _U(52))


@part
def word(body: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    """Return the bits of "nan" and "inf", of which diverged runs are full; else all bits set."""
    if end - begin != 3:
        return _ALL
    first, second, third = body[begin] | 32, body[begin + 1] | 32, body[begin + 2] | 32  # small
    if first == 110 and second == 97 and third == 110:
        return _NAN
    return _INF if first == 105 and second == 110 and third == 102 else _ALL


@kernel("uint8[::1]", "int64[::1]")
def lines(body: NDArray[np.uint8], count: NDArray[np.int64]) -> None:
    """Count the ends of lines; fills an array of shape (1,)."""
    found = 0
    for at in range(len(body)):
        found += body[at] == 10
    count[0] = found


@kernel(
    "uint8[::1], uint8, uint64[:, ::1], float64[::1]", "float64[:, ::1], int64[:, ::1], int64[::1]"
)
def rows(
    body: NDArray[np.uint8],
    mark: int,
    powers: NDArray[np.uint64],
    exact: NDArray[np.float64],
    cells: NDArray[np.float64],
    left: NDArray[np.int64],
    count: NDArray[np.int64],
) -> None:
    """Read lines of as many cells each.

    Parameters
    ----------
    body : array of shape (character,)
        Ends with a line.
    mark : int
        The character between two cells.
    powers, exact : array
        `POWERS` and `EXACT`.
    cells : array of shape (column, row)
        Receives the numbers.
    left : array of shape (column * row, 4)
        Receives column, row, begin and end of each cell that is left to the caller.
    count : array of shape (1,)
        Receives how many cells are left; -1 where a line has another number of cells.
    """
    width, n = cells.shape
    patterns = cells.view(np.uint64)
    at, found = 0, 0  # _U(at): else each character costs a look whether a place is negative
    for row in range(n):
        for column in range(width):
            begin = at
            negative = body[_U(at)] == 45  # "-"
            if negative or body[_U(at)] == 43:  # "+"
                at += 1
            unsigned, digits, start, power = at, _U(0), at, 0
            while 48 <= body[_U(at)] <= 57:
                digits = digits * _U(10) + _U(body[_U(at)] - 48)
                at += 1
            length = at - start
            if body[_U(at)] == 46:  # "."
                at += 1
                point = at
                while 48 <= body[_U(at)] <= 57:
                    digits = digits * _U(10) + _U(body[_U(at)] - 48)
                    at += 1
                power = point - at
                length -= power
            stop = body[_U(at)]
            if 0 < length <= 15 and (stop == mark or stop == 10):  # most cells
                if (stop == 10) != (column == width - 1):
                    count[0] = -1
                    return
                value = np.float64(digits) / exact[-power]  # of two exact doubles: rounds once
                cells[column, row] = -value if negative else value
                at += 1
                continue
            if length > 19:
                for place in range(start, at):  # zeros before the first digit do not count
                    if body[place] > 48:
                        break
                    length -= body[place] == 48
            plain = 0 < length <= 19
            if plain and (body[_U(at)] == 101 or body[_U(at)] == 69):  # "e", "E"
                at += 1
                down = body[_U(at)] == 45
                if down or body[_U(at)] == 43:
                    at += 1
                raised, start = 0, at
                while 48 <= body[_U(at)] <= 57 and raised < 10_000:
                    raised = raised * 10 + int(body[_U(at)]) - 48
                    at += 1
                plain = at > start
                power += -raised if down else raised
            plain = plain and (body[_U(at)] == mark or body[_U(at)] == 10)
            plain = plain and (SMALLEST <= power <= LARGEST or digits == _U(0))
            while body[_U(at)] != mark and body[_U(at)] != 10:
                at += 1
            if (body[_U(at)] == 10) != (column == width - 1):
                count[0] = -1
                return
            bits = nearest(digits, power, powers) if plain else word(body, unsigned, at)
            if bits != _ALL:
                patterns[column, row] = bits | _TOP if negative else bits
            else:
                left[found, 0], left[found, 1] = column, row
                left[found, 2], left[found, 3] = begin, at
                found += 1
            at += 1
    count[0] = found
