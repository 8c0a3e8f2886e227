"""A comparison of two bundles -> one HTML page of its own, without a script."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from ..causes import title_of
from ..compare import FIGURES
from ..home import SHIPPED
from ..texts import knows, language, say
from ..whole import whole
from .build import content_hash

_SHARES = frozenset({"top1", "top3", "calibration_error", "coverage", "answered", "recall"})
_SHARES |= {"precision"}
_MORE_IS_BETTER = {
    **dict.fromkeys(("top1", "top3", "answered", "recall", "precision"), True),
    **dict.fromkeys(("log_loss", "calibration_error", "set_size"), False),
}  # of the coverage neither: it shall be what was asked for
_PER_CAUSE = ("recall", "precision", "log_loss")
PROVENANCE = (
    *("labels", "sha256", "runs", "annotators", "causes", "groups", "group_rule", "not_used"),
    *("base", "learned", "left_out", "not_learned", "code", "seed"),
    *("strength", "slope", "intercept", "weights"),
    *("gone", "short", "broken", "silent", "accuracy"),
)
"""What a comparison may tell of where a bundle comes from, and the page has words for."""

_OPEN = 4  # parts of the field trial that are not folded away
_SIZE = 260  # side of the reliability diagram


def write_comparison(out: Path, record: Mapping[str, Any]) -> None:
    """Write the page of a comparison; it takes its name only when it is complete.

    Parameters
    ----------
    out : Path
        The page; its folder is there.
    record : mapping
        See `render_comparison`.
    """
    content = render_comparison(record).encode()
    with whole(out) as unfinished:
        unfinished.write_bytes(content)


def render_comparison(record: Mapping[str, Any]) -> str:
    """Return the page of a comparison.

    Parameters
    ----------
    record : mapping
        ``old`` and ``new``: names of the bundles. All else may be left out: ``gate``, with
        passed, forced (bool) and reasons (texts); ``held_out``, see `compare.compare_answers`;
        ``field``, see `compare.compare_on_trial`; ``provenance``, whose values are texts, numbers,
        or lists or mappings of them; those of `PROVENANCE` have a name in words.
    """
    own = files(__package__)
    style = own.joinpath("comparison.css").read_text("utf-8")
    title = _say("title", new=_named(record["new"]), old=_named(record["old"]))
    return Template(own.joinpath("comparison.html").read_text("utf-8")).substitute(
        language=_safe(language()),
        title=_safe(title),
        style_hash=content_hash(style),
        style=style,
        verdict=_verdict(record.get("gate"), _named(record["old"])),
        sections="\n".join(_sections(record)),
    )


def _say(key: str, **values: Any) -> str:
    return say(f"comparison_page.{key}", **values)


def _named(bundle: str) -> str:
    return _say("shipped") if bundle == SHIPPED else bundle


def _safe(text: object) -> str:
    return html.escape(str(text).encode("utf-8", "replace").decode())


def _verdict(gate: Mapping[str, Any] | None, old: str) -> str:
    if gate is None:
        return ""
    kind = "forced" if gate.get("forced") else "passed" if gate["passed"] else "refused"
    said = {
        "passed": _say("passed"),
        "refused": _say("refused", old=old),
        "forced": _say("forced"),
    }[kind]
    reasons = "".join(f"<li>{_safe(reason)}</li>" for reason in gate.get("reasons", ()))
    listed = f"<ul>{reasons}</ul>" if reasons else ""
    return f'<div class="verdict {kind}"><p>{_safe(said)}</p>{listed}</div>'


def _sections(record: Mapping[str, Any]) -> Iterator[str]:
    if held_out := record.get("held_out"):
        yield f"<section><h2>{_safe(_say('held_out'))}</h2>"
        yield from _figures(held_out, _say("held_out"))
        yield from _pictures(held_out, _say("held_out"))
        yield "</section>"
    field = record.get("field") or {}
    for number, (name, result) in enumerate(field.items()):
        heading = _say("field") if number == 0 else _say("field_part", part=name)
        if number == 0:
            yield f"<section><h2>{_safe(heading)}</h2>"
            yield f'<p class="hint">{_safe(_say("field_hint"))}</p>'
        folded = number >= _OPEN
        tag = "summary" if folded else "h3"
        if number:
            yield f"{'<details>' if folded else ''}<{tag}>{_safe(heading)}</{tag}>"
        yield from _figures(result, heading)
        if number == 0:
            yield from _pictures(result, heading)
        if folded:
            yield "</details>"
    if field:
        yield "</section>"
    if provenance := record.get("provenance"):
        yield f"<section><h2>{_safe(_say('provenance'))}</h2>{_described(provenance)}</section>"


def _figures(result: Mapping[str, Any], where: str) -> Iterator[str]:
    """Write the table of the overall figures, and what they rest on."""
    rows = [
        _row(
            _say(name),
            name,
            result["old"]["figures"][name],
            result["new"]["figures"][name],
            result["difference"][name],
        )
        for name in FIGURES
    ]
    yield _table(where, [_say("figure"), _say("old"), _say("new"), _say("difference")], rows)
    notes = [
        _say("basis", runs=result["runs"], groups=result["groups"], draws=result["draws"]),
        _say("floor", floor=result["floor"]),
    ]
    for side in ("old", "new"):
        if unknown := result[side]["unknown"]:
            causes = say("report.comma").join(map(title_of, unknown))
            notes.append(_say("unknown", bundle=result[side]["bundle"], causes=causes))
    yield from (f'<p class="hint">{_safe(note)}</p>' for note in notes)


def _pictures(result: Mapping[str, Any], where: str) -> Iterator[str]:
    """Draw the recall of each cause and how far the probabilities are to be trusted."""
    legend = "".join(
        f'<li><svg viewBox="0 0 22 16" aria-hidden="true"><rect class="bar-{side}" x="1" y="2" '
        f'width="20" height="12"/></svg>{_safe(_say(side))}: {_safe(result[side]["bundle"])}</li>'
        for side in ("old", "new")
    )
    yield f'<div class="halves"><div><h3>{_safe(_say("recall_of_causes"))}</h3>'
    yield f'<ul class="legend">{legend}</ul>'
    bars = [
        f'<tr><th scope="row">{_safe(title_of(key))}</th>'
        f'<td class="number">{cause["runs"]:.4g}</td><td class="bars">{_bars(cause)}</td></tr>'
        for key, cause in result["causes"].items()
    ]
    name = f"{where}: {_say('recall_of_causes')}"
    yield _table(name, [_say("cause"), _say("votes"), _say("recall")], bars)
    yield f"</div><div><h3>{_safe(_say('reliability'))}</h3>"
    yield _reliability(result)
    yield f'<p class="hint">{_safe(_say("reliability_hint"))}</p></div></div>'
    rows = [
        "".join(
            (
                f'<tr><th scope="row">{_safe(title_of(key))}</th>',
                f'<td class="number">{cause["runs"]:.4g}</td>',
                *(
                    _cell(name, cause[side][name]) if side else _cell_of_difference(name, cause)
                    for name in _PER_CAUSE
                    for side in ("old", "new", "")
                ),
                "</tr>",
            )
        )
        for key, cause in result["causes"].items()
    ]
    heads = [
        _say("of_side", figure=_say(name), side=_say(side))
        for name in _PER_CAUSE
        for side in ("old", "new", "difference")
    ]
    yield f"<details><summary>{_safe(_say('all_of_causes'))}</summary>"
    name = f"{where}: {_say('all_of_causes')}"
    yield _table(name, [_say("cause"), _say("votes"), *heads], rows) + "</details>"


def _table(name: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    first, *others = (_safe(head) for head in heads)
    head = f'<th scope="col">{first}</th>' + "".join(
        f'<th scope="col" class="number">{other}</th>' for other in others
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_safe(name)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


Figure = Mapping[str, float] | None


def _row(said: str, name: str, old: Figure, new: Figure, difference: Figure) -> str:
    cells = _cell(name, old) + _cell(name, new)
    cells += _cell_of_difference(name, {"difference": {name: difference}})
    return f'<tr><th scope="row">{_safe(said)}</th>{cells}</tr>'


def _cell(name: str, figure: Figure) -> str:
    if figure is None:
        return f'<td class="number">{_safe(_say("none"))}</td>'
    value, low, high = (_number(name, figure[part]) for part in ("value", "low", "high"))
    ends = _safe(_say("range", low=low, high=high))
    return f'<td class="number">{_safe(value)}<span class="range">{ends}</span></td>'


def _cell_of_difference(name: str, cause: Mapping[str, Any]) -> str:
    figure = cause["difference"][name]
    if figure is None:
        return _cell(name, None)
    value, low, high = (_signed(name, figure[part]) for part in ("value", "low", "high"))
    ends, sure, kind = _safe(_say("range", low=low, high=high)), "", ""
    if name in _MORE_IS_BETTER and (figure["low"] > 0 or figure["high"] < 0):
        kind = "better" if (figure["low"] > 0) == _MORE_IS_BETTER[name] else "worse"
        sure = f" {_safe(_say(kind))}"
    return (
        f'<td class="number"><span class="{kind}">{_safe(value)}{sure}</span>'
        f'<span class="range">{ends}</span></td>'
    )


def _number(name: str, value: float) -> str:
    if name in _SHARES:
        return say("report.percent", number=f"{100 * value:.1f}")
    return f"{value:.3f}" if name == "log_loss" else f"{value:.2f}"


def _signed(name: str, value: float) -> str:
    digits = f"{100 * value:+.1f}" if name in _SHARES else f"{value:+.3f}"
    if float(digits) == 0:
        digits = digits[1:]
    return digits.replace("-", "\N{MINUS SIGN}")


def _bars(cause: Mapping[str, Any]) -> str:
    """Draw the recall of both, old above new, with their intervals."""
    said, drawn = [], []
    for place, side in enumerate(("old", "new")):
        figure = cause[side]["recall"]
        said.append(f"{_say(side)} {_number('recall', figure['value'])}")
        low, high = (f"{100 * figure[end]:.1f}%" for end in ("low", "high"))
        y = 2 + 13 * place
        drawn.append(
            f'<rect class="bar-{side}" y="{y}" width="{100 * figure["value"]:.1f}%" height="9"/>'
            f'<line class="whisker" x1="{low}" x2="{high}" y1="{y + 4.5}" y2="{y + 4.5}"/>'
        )
    name = _safe(say("report.comma").join(said))
    track = '<rect class="track" width="100%" height="26"/>'
    return f'<svg role="img" aria-label="{name}">{track}{"".join(drawn)}</svg>'


def _reliability(result: Mapping[str, Any]) -> str:
    """Draw how often the most probable cause is right over how probable it was."""
    runs = max(1, result["runs"])
    parts = [f'<rect class="grid" width="{_SIZE}" height="{_SIZE}"/>']
    parts.append(f'<line class="ideal" x1="0" y1="{_SIZE}" x2="{_SIZE}" y2="0"/>')
    for tenth in (0, 0.25, 0.5, 0.75, 1):
        at, label = tenth * _SIZE, _safe(say("report.percent", number=f"{100 * tenth:.0f}"))
        parts.append(
            f'<text x="{at:g}" y="{_SIZE + 16}" text-anchor="middle">{label}</text>'
            f'<text x="-6" y="{_SIZE - at + 4:g}" text-anchor="end">{label}</text>'
        )
    for side in ("old", "new"):
        for dot in result[side]["reliability"]:
            x, y = _SIZE * dot["confidence"], _SIZE * (1 - dot["right"])
            radius = 3 + 11 * (dot["runs"] / runs) ** 0.5
            told = _say("dot", side=_say(side), **{**dot, "right": dot["right"]})
            parts.append(
                f'<circle class="dot-{side}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
                f"<title>{_safe(told)}</title></circle>"
            )
    parts.append(
        f'<text x="{_SIZE / 2:g}" y="{_SIZE + 34}" text-anchor="middle">'
        f"{_safe(_say('confidence'))}</text>"
        f'<text x="0" y="-8">{_safe(_say("right"))}</text>'
    )
    errors = say("report.comma").join(
        f"{_say(side)} {_number('top1', figure['value'])}"
        for side in ("old", "new")
        if (figure := result[side]["figures"]["calibration_error"])
    )
    name = f"{_say('reliability')}. {_say('calibration_error')}: {errors}"
    return (
        f'<svg class="reliability" role="img" aria-label="{_safe(name)}" '
        f'viewBox="-42 -24 {_SIZE + 62} {_SIZE + 66}">{"".join(parts)}</svg>'
    )


def _described(values: Mapping[str, Any]) -> str:
    """Write names and values as a list of terms."""
    return "<dl>" + "".join(_term(name, value) for name, value in values.items()) + "</dl>"


def _term(name: str, value: Any) -> str:
    key = f"comparison_page.{name}"
    words = title_of(name)
    if name in PROVENANCE and knows(key):
        words = say(key)
    elif words == name:
        words = name.replace("_", " ")
    return f"<dt>{_safe(words)}</dt><dd>{_told(value)}</dd>"


def _told(value: Any) -> str:
    if value is None or (isinstance(value, Mapping | list | tuple) and not value):
        return _safe(_say("none"))
    if isinstance(value, Mapping):
        return _described(value)
    if isinstance(value, list | tuple):
        return "<br>".join(map(_told, value))
    return _safe(f"{value:,}" if isinstance(value, int) and value >= 10_000 else value)
