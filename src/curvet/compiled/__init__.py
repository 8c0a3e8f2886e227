"""Loops over points, trees and knots, compiled by numba when they are first needed.

Where numpy would make many small calls, a loop that looks at each series once takes a fraction of
the time, whether or not runs have equal lengths. The machine code is kept beside these files, or
in the user's cache where they cannot be written to, so that only the first call ever waits for
the compiler. A module here is imported by the function that needs it: numba takes a while.

numba compiles a kernel again when its own file has changed. After a change of a part that kernels
of another file call, remove ``compiled/__pycache__``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS: dict[str, Any] = {"error_model": "numpy", "nogil": True}


_notices: list[Callable[[], None]] = []


def before_compiling(notice: Callable[[], None]) -> None:
    """Have a function called once, before the first kernel of this process that has to be compiled.

    What was compiled before, and is only loaded, does not count.
    """
    _notices[:] = [notice]


def kernel(reads: str, writes: str) -> Callable[[F], F]:
    """Compile a function for arguments of these types, or load what was compiled before.

    Either happens when it is first called: a run that has only losses waits for no other kernel.

    Parameters
    ----------
    reads, writes : str
        numba's names for the types of the first arguments, which may be arrays that nobody may
        write to, and of those that are filled.
    """

    def compiled(function: F) -> F:
        made: Any = None

        @wraps(function)
        def call(*arguments: Any) -> Any:
            nonlocal made
            if made is None:
                made = _made(function, reads, writes)
            return made(*arguments)

        return cast("F", call)

    return compiled


def _made(function: Callable[..., Any], reads: str, writes: str) -> Any:
    from numba import njit, types
    from numba.core.event import install_listener
    from numba.core.sigutils import normalize_signature

    types_of: Callable[[str], tuple[tuple[Any, ...], Any]] = normalize_signature
    given, filled = (types_of(f"void({names})")[0] for names in (reads, writes))
    read_only = [one.copy(readonly=True) if isinstance(one, types.Array) else one for one in given]
    signature = types.void(*read_only, *filled)
    with install_listener("numba:compile", _listener()):
        try:
            return njit(signature, cache=True, **_SETTINGS)(function)
        except RuntimeError:  # there is no place to keep it: neither here nor in a home
            return njit(signature, **_SETTINGS)(function)


def _listener() -> Any:
    """Make what gives notice when numba compiles."""
    from numba.core.event import Listener

    class Notices(Listener):
        def on_start(self, event: Any) -> None:
            while _notices:
                _notices.pop()()

        def on_end(self, event: Any) -> None:
            pass

    return Notices()


def part(function: F) -> F:
    """Mark a function that only kernels call: it is compiled with them."""
    from numba import njit

    compiled: F = njit(**_SETTINGS)(function)
    return compiled


def sums(function: F) -> F:
    """Mark such a function whose sums may be added up in any order, several at once.

    Which order it is depends neither on the values nor on where they lie, and nothing is assumed
    of NaN and inf.
    """
    from numba import njit

    compiled: F = njit(fastmath={"reassoc", "contract", "nsz"}, **_SETTINGS)(function)
    return compiled
