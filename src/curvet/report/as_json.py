"""Rows -> JSON: one document, or one line for each row."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..causes import remedies_of, sign_of, title_of

if TYPE_CHECKING:
    from ..archive import Row

SCHEMA_VERSION = 1  # goes up when a key is renamed, removed or changes its meaning

_WITHOUT_DIAGNOSIS: dict[str, Any] = {
    "cause": None,
    "probability": None,
    "likely": [],
    "reason": "",
    "probabilities": {},
    "evidence": [],
    "channels": [],
    "n_points": 0,
    "bundle": "",
    "coverage": None,
    "novelty": None,
    "prior": "",
    "limits": [],
    "checks": [],
    "remedies": [],
}


def row_to_dict(row: Row, *, advice: bool = True) -> dict[str, Any]:
    """Return one row as plain types; the keys are the same for every row.

    Parameters
    ----------
    row : Row
        Of any status.
    advice : bool
        See `Diagnosis.to_dict`.

    Returns
    -------
    dict
        Numbers that JSON cannot hold (NaN, infinities) are None.
    """
    own = {
        "run_id": row.run_id,
        "source": row.source,
        "format": row.format,
        "status": row.status,
        "error": row.error,
    }
    found = {} if row.diagnosis is None else row.diagnosis.to_dict(advice=advice)
    plain: dict[str, Any] = _finite({**_WITHOUT_DIAGNOSIS, **found, **own})
    return {**{key: plain[key] for key in own}, **plain}


def cause_to_dict(key: str) -> dict[str, Any]:
    """Return what is known of a cause as plain types."""
    return {
        "key": key,
        "title": title_of(key),
        "sign": sign_of(key),
        "remedies": [remedy.to_dict() for remedy in remedies_of(key)],
    }


def rows_to_json(rows: Iterable[Row]) -> str:
    """Return all rows as one document, with a newline at the end."""
    document = {"schema_version": SCHEMA_VERSION, "runs": [row_to_dict(row) for row in rows]}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def row_to_jsonl(row: Row) -> str:
    """Return one row as one line, with its newline."""
    return json.dumps(row_to_dict(row), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
