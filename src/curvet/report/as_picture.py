"""Runs and their diagnoses -> a picture: the curves, the verdicts, and where they show.

Legible in black and white and to the colour-blind: Okabe and Ito's colours, and a line style
of its own for each series.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from logging import ERROR, getLogger
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..causes import title_of
from ..errors import CurvetError
from ..roles import assign
from ..texts import LANGUAGES, language, say, use_language
from .as_text import MARKS, clean, fact_to_text, percent, verdict
from .marks import mark
from .thin import HUGE, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..diagnosis import Diagnosis
    from ..run import Curve, Run

    Pair = tuple[Run, Diagnosis]

MAX_PANELS = 64
SUFFIXES = (".png", ".pdf", ".svg")
N_COLUMNS = 4
N_DRAWN = 2000  # bins of a long curve; a panel has fewer pixels than that
N_BARS = 8
N_MARKS = 25
NAME_LENGTH = 34
POSITIVE = 0.95
"""Share of values above 0 from which a loss may be drawn on a log axis."""

FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans SC",
)
"""Fonts with Chinese letters, any of which will do."""

NO_FONT = (
    "the picture is in English: no font with Chinese letters is installed; "
    f"any of these will do: {', '.join(FONTS)}"
)

_STYLES: dict[str, dict[str, Any]] = {
    "loss": {"color": "#0072B2", "linestyle": "-", "linewidth": 1.3},
    "val": {"color": "#D55E00", "linestyle": "--", "linewidth": 1.3},
    "grad_norm": {"color": "#AAAAAA", "linestyle": "-", "linewidth": 0.5},
}
_NAMED: dict[str, Any] = {"facecolor": "#D55E00", "hatch": "///"}
_OTHER: dict[str, Any] = {"facecolor": "#BBBBBB"}


def draw(pairs: Sequence[Pair], path: Path, n_runs: int | None = None) -> None:
    """Draw runs with their verdicts: one large, several as a grid of small panels.

    Parameters
    ----------
    pairs : sequence of (Run, Diagnosis)
        At least one; the first 64 are drawn.
    path : Path
        Ends in .png, .pdf or .svg; its folder is made.
    n_runs : int, optional
        How many runs there are, if more than `pairs`; the picture then says so.

    Raises
    ------
    CurvetError
        No runs, or an ending that is no picture's.
    """
    check_suffix(path)
    if not pairs:
        raise CurvetError(f"{path}: there is no diagnosed run to draw")
    total = max(len(pairs), n_runs or 0)
    with _words():
        figure = _single(*pairs[0]) if total == 1 else _grid(pairs[:MAX_PANELS], total)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)


def draw_one(run: Run, diagnosis: Diagnosis, path: str | PathLike[str] | None = None) -> Figure:
    """Draw one run; see `Diagnosis.plot`."""
    if path is not None:
        check_suffix(Path(path))
        draw([(run, diagnosis)], Path(path))
    if lacks_font():
        warnings.warn(NO_FONT, stacklevel=3)
    with _words():
        return _single(run, diagnosis)


def lacks_font() -> bool:
    """Tell whether no installed font has the letters of the chosen language."""
    return language() == "zh" and _font() is None


@contextmanager
def _words() -> Iterator[None]:
    """Draw in the chosen language, or in English where its letters are missing."""
    import matplotlib as mpl

    chosen, font = language(), _font() if language() == "zh" else None
    fonts = getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(ERROR)  # most fonts with Chinese letters have one weight: that is well known
    with mpl.rc_context(), warnings.catch_warnings():
        # Names may hold letters that the font lacks: boxes are better than a warning for each.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        if font is not None:
            mpl.rcParams["font.sans-serif"] = [font, *mpl.rcParams["font.sans-serif"]]
            mpl.rcParams["axes.unicode_minus"] = False
        elif chosen != LANGUAGES[0]:
            use_language(LANGUAGES[0])
        try:
            yield
        finally:
            use_language(chosen)
            fonts.setLevel(level)


@cache
def _font() -> str | None:
    from matplotlib import font_manager

    known = {entry.name for entry in font_manager.fontManager.ttflist}
    return next((name for name in FONTS if name in known), None)


def check_suffix(path: Path) -> None:
    """Refuse a file name whose ending is no picture's, before any work is done.

    Raises
    ------
    CurvetError
        The ending is none of .png, .pdf and .svg.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CurvetError(f"{path}: a picture's name must end in one of {', '.join(SUFFIXES)}")


def _grid(pairs: Sequence[Pair], total: int) -> Figure:
    from matplotlib.figure import Figure

    n_columns = min(N_COLUMNS, len(pairs))
    n_rows = math.ceil(len(pairs) / n_columns)
    width, height = 3.6 * n_columns, 2.5 * n_rows + 0.7
    figure = Figure(figsize=(width, height))
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel().tolist()
    for panel in panels[len(pairs) :]:
        panel.set_axis_off()
    handles: dict[str, Any] = {}
    for panel, (run, diagnosis) in zip(panels, pairs, strict=False):
        handles |= _curves(panel, run, diagnosis)
        _title(panel, _shorten(run.id), _headline(diagnosis), fontsize=8)
        panel.tick_params(which="both", labelsize=6)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="lower center",
        ncols=len(handles),
        fontsize=8,
        frameon=False,
    )
    if total > len(pairs):
        note = say("picture.some_runs", shown=len(pairs), total=total)
        figure.text(0.99, 0.1 / height, note, ha="right", va="bottom", fontsize=8)
    figure.subplots_adjust(
        left=0.5 / width,
        right=1 - 0.4 / width,
        bottom=0.6 / height,
        top=1 - 0.5 / height,
        wspace=0.28,
        hspace=0.5,
    )
    return figure


def _single(run: Run, diagnosis: Diagnosis) -> Figure:
    facts = diagnosis.evidence
    height = 5.0 + 0.2 * len(facts)
    figure = _shown(figsize=(12, height))
    panel, bars = figure.subplots(1, 2, gridspec_kw={"width_ratios": [2.4, 1]})
    handles = _curves(panel, run, diagnosis, numbered=True)
    panel.legend(handles.values(), handles.keys(), fontsize=8, framealpha=0.9, loc="best")
    panel.set_xlabel(say("picture.step"))
    panel.set_ylabel(say("picture.value"))
    panel.tick_params(which="both", labelsize=8)
    _title(panel, _shorten(run.id, 70), _headline(diagnosis), fontsize=11)
    _probabilities(bars, diagnosis)
    lines = [f"{n}.  {MARKS[fact.speaks]}  {fact_to_text(fact)}" for n, fact in enumerate(facts, 1)]
    weights = ["bold" if fact.speaks == "for" else "normal" for fact in facts]
    if facts and diagnosis.cause is not None:
        lines, weights = [say("picture.facts"), *lines], ["normal", *weights]
    for row, (line, weight) in enumerate(zip(reversed(lines), reversed(weights), strict=True)):
        y = (0.12 + 0.2 * row) / height
        figure.text(0.06, y, _shorten(line, 170), fontsize=8, fontweight=weight, parse_math=False)
    figure.subplots_adjust(
        left=0.06,
        right=0.93,
        bottom=(0.65 + 0.2 * len(lines)) / height,
        top=1 - 0.75 / height,
        wspace=0.62,
    )
    return figure


def _shown(**options: Any) -> Figure:
    """Make a figure that shows itself in a notebook, whatever pyplot is set to."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            stream = io.BytesIO()
            self.savefig(stream, format="png", dpi=100)
            return stream.getvalue()

    return Shown(**options)


def _probabilities(axes: Axes, diagnosis: Diagnosis) -> None:
    ranked = sorted(diagnosis.probabilities.items(), key=lambda item: -item[1])[:N_BARS]
    if not ranked:
        axes.set_axis_off()
        return
    bars = axes.barh(
        [title_of(key) for key, _ in ranked],
        [probability for _, probability in ranked],
        edgecolor="black",
        linewidth=0.6,
    )
    for bar, (key, _) in zip(bars, ranked, strict=True):
        bar.set(**(_NAMED if key == diagnosis.cause else _OTHER))
    axes.bar_label(bars, [percent(probability) for _, probability in ranked], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15)
    axes.set_xticks([0, 0.5, 1], ["0", percent(0.5), say("report.percent", number=100)])
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(say("picture.probabilities"), fontsize=9)


def _curves(
    axes: Axes, run: Run, diagnosis: Diagnosis, *, numbered: bool = False
) -> dict[str, Any]:
    """Draw the curves of one run and return what the legend needs, by label."""
    channels = assign(run)
    handles: dict[str, Any] = {}
    if channels.grad_norm is not None:
        twin = axes.twinx()
        handles |= _line(twin, channels.grad_norm, "grad_norm")
        _scale(twin, [channels.grad_norm])
        twin.tick_params(which="both", labelsize=6, colors="#777777")
        axes.set_zorder(twin.get_zorder() + 1)  # the losses stay in front
        axes.patch.set_visible(False)
    losses = [curve for curve in (channels.loss, channels.val) if curve is not None]
    handles = _line(axes, channels.loss, "loss") | handles
    if channels.val is not None:
        handles |= _line(axes, channels.val, "val")
    _scale(axes, losses)
    axes.margins(y=0.1 if numbered else 0.05)  # room for the numbers of what lies at the top
    for role, curve in zip(("loss", "val"), losses, strict=False):
        handles |= _nonfinite(axes, curve, role)
    return handles | mark(axes, channels, diagnosis.evidence, numbered=numbered)


def _line(axes: Axes, curve: Curve, role: str) -> dict[str, Any]:
    step, value = thin(curve, N_DRAWN)
    style = _STYLES[role] | ({"marker": "o", "markersize": 3} if len(value) < 3 else {})
    return {say(f"picture.{role}"): axes.plot(step, value, **style)[0]}


def _nonfinite(axes: Axes, curve: Curve, role: str) -> dict[str, Any]:
    """Mark the steps of NaN and infinite values at the top of the panel."""
    steps = curve.step[~np.isfinite(curve.value) & np.isfinite(curve.step)]
    if not len(steps):
        return {}
    steps = steps[:: math.ceil(len(steps) / N_MARKS)]
    marks = axes.plot(
        steps,
        np.full(len(steps), 0.96),
        transform=axes.get_xaxis_transform(),
        marker="x",
        markersize=4,
        linestyle="none",
        color=_STYLES[role]["color"],
    )
    return {say("picture.nonfinite"): marks[0]}


def _scale(axes: Axes, curves: Sequence[Curve]) -> None:
    """Take a log axis where nearly all values are positive and span more than a factor of ten."""
    from matplotlib.ticker import LogLocator

    axes.ticklabel_format(useOffset=False)  # 17062, not 2 beside a +1.706e4
    values = np.concatenate([thin(curve, N_DRAWN)[1] for curve in curves])
    positive = values[values > 1 / HUGE]
    if not len(values) or values.min() < 0 or len(positive) < POSITIVE * len(values):
        return
    values = positive
    if values.max() <= 10 * values.min():
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    if values.max() < 1000 * values.min():  # few powers of ten: label steps between them, too
        axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
        axes.yaxis.set_minor_formatter("{x:g}")
    else:
        axes.yaxis.set_minor_formatter("")


def _headline(diagnosis: Diagnosis) -> str:
    if diagnosis.probability is None:
        return verdict(diagnosis)
    return say(
        "report.verdict", title=verdict(diagnosis), probability=percent(diagnosis.probability)
    )


def _title(axes: Axes, name: str, headline: str, fontsize: float) -> None:
    # A dollar sign in a run's name starts no formula.
    axes.set_title(headline, fontsize=fontsize, fontweight="bold", parse_math=False)
    axes.annotate(
        name,
        (0.5, 1),
        xytext=(0, 1.6 * fontsize + 6),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        fontsize=fontsize,
        parse_math=False,
    )


def _shorten(text: str, length: int = NAME_LENGTH) -> str:
    """Leave out the middle of a long name: both ends tell runs apart."""
    text = clean(text)
    half = (length - 3) // 2
    return text if len(text) <= length else f"{text[:half]}...{text[-half:]}"
