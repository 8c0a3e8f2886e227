"""curvet: reads a training run's loss curves and says why the run went wrong.

Names are loaded when first used, so that ``import curvet`` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .diagnosis import Diagnosis
    from .errors import CurvetError
    from .predictor import predict_cause
    from .readers import read
    from .run import Curve, Run
    from .texts import use_language

    __version__: str

__all__ = [
    "Curve",
    "CurvetError",
    "Diagnosis",
    "Run",
    "__version__",
    "predict_cause",
    "read",
    "use_language",
]

_HOME = {
    "Curve": "run",
    "CurvetError": "errors",
    "Diagnosis": "diagnosis",
    "Run": "run",
    "predict_cause": "predictor",
    "read": "readers",
    "use_language": "texts",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("curvet")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
