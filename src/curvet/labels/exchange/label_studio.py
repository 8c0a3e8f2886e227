"""Labels from Label Studio's export as JSON, and tasks with curves for it.

- Out: ``label-studio:FOLDER`` gets ``config.xml``, the labelling interface of a project, and
  ``tasks.json`` to import into it: a task for each run, with its losses as a time series. Labels
  that are there and the verdicts of a table of scores become predictions, not annotations: Label
  Studio takes annotations of its own users only.
- In: the file of "Export, JSON". An annotation is a label by the e-mail address of its user, or by
  ``label-studio-<number>`` where the export has no address; skipped ones are none.

https://labelstud.io/guide/export and https://labelstud.io/tags/timeseries
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from ...causes import CAUSES, title_of
from ...errors import CurvetError, LabelError
from ...readers import read
from ...report.thin import thin
from ...roles import assign
from ...run import Curve, Run
from ...whole import whole
from ..label import UNSURE, Label, Labels, hash_of
from ..rows import Entry, OnBad, Tell, refuse
from .base import Exchange, Options, per_run, some

_SCHEME = "label-studio:"
_RESULT = ("cause", "curves")  # names of the tags of the interface
N_BINS = 300  # of a curve that is shown


def _matches(address: str) -> bool:
    return address.startswith(_SCHEME)


def _read(address: str, tell: Tell) -> Iterator[Entry]:
    path = Path(address.removeprefix(_SCHEME))
    raise LabelError(f"{address}: import the .json file that Label Studio exported, as in {path}")
    yield  # as all others do


def is_export(content: Any) -> bool:
    """Tell whether JSON is a list of Label Studio's tasks."""
    first = content[0] if isinstance(content, list) and content else None
    marks = {"annotations", "annotation_id", "data"}
    return isinstance(first, dict) and not marks.isdisjoint(first)


def entries(source: str, tasks: list[Any], on_bad: OnBad | None) -> Iterator[Entry]:
    """Yield a row for each annotation of an export.

    Parameters
    ----------
    source : str
        Name of the file.
    tasks : list
        Its content.
    on_bad : callable (LabelError) -> object, optional
        Receives tasks that cannot be read; without it the first is raised.

    Raises
    ------
    LabelError
        No task of the interface that `EXCHANGE` writes.
    """
    for number, task in enumerate(tasks, 1):
        place = f"{source}, task {number}"
        try:
            yield from [(place, record) for record in _of_task(task)]
        except LabelError as error:
            refuse(LabelError(f"{place}: {error}"), on_bad)


def _of_task(task: Any) -> Iterator[dict[str, Any]]:
    data = task.get("data") if isinstance(task, dict) else None
    given = task.get("annotations") if isinstance(task, dict) else None
    if not isinstance(data, dict) or not isinstance(given, list):
        raise LabelError(
            "without data or annotations; accepted is Label Studio's export as JSON (not JSON-MIN)"
        )
    if "run_id" not in data:
        raise LabelError(
            f"its data names no run_id, but {some(list(map(str, data)))}; accepted are tasks that "
            "`curvet labels export --out label-studio:FOLDER` made"
        )
    for annotation in given:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result", []), list):
            raise LabelError(f"the annotation {annotation!r:.80} is none of Label Studio's")
        if annotation.get("was_cancelled") or not annotation.get("result"):
            continue
        results = [each for each in annotation["result"] if isinstance(each, dict)]
        choices = _values(results, "cause", "choices")
        if not choices:
            continue
        yield {
            "run_id": data["run_id"],
            "cause": [_key(choice) for choice in choices],
            "annotator": _annotator(annotation.get("completed_by")),
            "labelled_at": annotation.get("updated_at") or annotation.get("created_at"),
            "confidence": next(iter(_values(results, "confidence", "number")), None),
            "note": "\n".join(map(str, _values(results, "note", "text"))),
            "curve_hash": data.get("curve_hash"),
        }


def _values(results: list[dict[str, Any]], name: str, kind: str) -> list[Any]:
    """Return the values of one tag of the interface."""
    found: list[Any] = []
    for result in results:
        value = result.get("value")
        if result.get("from_name") == name and isinstance(value, dict) and kind in value:
            found += value[kind] if isinstance(value[kind], list) else [value[kind]]
    return found


def _key(choice: Any) -> Any:
    """Return the key of a cause that was chosen by its title."""
    return next((key for key in CAUSES if title_of(key) == choice), choice)


def _annotator(user: Any) -> str:
    if isinstance(user, dict):
        user = user.get("email") or user.get("id")
    return f"label-studio-{user}" if isinstance(user, int) else str(user or "")


def _write(labels: Labels, address: str, options: Options) -> int:
    if not options.runs:
        raise LabelError(
            f"{address}: Label Studio shows the curves of the runs, and nobody said where they "
            "are; add --runs PATH, the folder or server that was scored"
        )
    folder = Path(address.removeprefix(_SCHEME))
    given, verdicts = per_run(labels), _verdicts(options.scores)
    made = []
    failed: list[str] = []
    for run in read(options.runs, on_error=lambda error: failed.append(str(error.path))):
        try:
            task = _task(run)
        except CurvetError:
            failed.append(run.id)
            continue
        said = given.get(run.id, Labels(()))
        task["predictions"] = [_prediction_of(label) for label in said.current()]
        task["predictions"] += verdicts.get(run.id, [])
        made.append(task)
        options.progress(len(made), None)
    if failed:
        options.tell(f"{len(failed)} files have no curve to show: {some(failed)}")
    if lost := sorted(set(given) - {task["data"]["run_id"] for task in made}):
        options.tell(f"{len(lost)} labelled runs are not in {options.runs}: {some(lost)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(folder / "tasks.json") as unfinished:
            unfinished.write_text(json.dumps(made, allow_nan=False), encoding="utf-8")
        with whole(folder / "config.xml") as unfinished:
            unfinished.write_text(config(labels), encoding="utf-8")
    except OSError as error:
        raise LabelError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return len(made)


def config(labels: Labels) -> str:
    """Write the labelling interface: a choice for each cause, also the team's own."""
    titles = {key: title_of(key) for key in CAUSES}
    titles |= {key: cause.title for key, cause in labels.causes.items()}
    titles |= {UNSURE: "Cannot tell"}
    choices = "\n".join(
        f"    <Choice value={quoteattr(title)} alias={quoteattr(key)}/>"
        for key, title in titles.items()
    )
    cause, curves = _RESULT
    return f"""<View>
  <Header value="$title"/>
  <TimeSeries name="{curves}" valueType="json" value="$curves" timeColumn="step"
    overviewWidth="100%">
    <Channel column="loss" legend="Training loss" displayFormat=",.4f"/>
    <Channel column="val_loss" legend="Validation loss" displayFormat=",.4f"/>
  </TimeSeries>
  <Choices name="{cause}" toName="{curves}" choice="multiple" showInline="true" required="true">
{choices}
  </Choices>
  <Number name="confidence" toName="{curves}" min="0" max="1" step="0.1"/>
  <TextArea name="note" toName="{curves}" rows="2" placeholder="Note"/>
</View>
"""


def _task(run: Run) -> dict[str, Any]:
    """Make a task of a run; the steps ascend, as Label Studio demands.

    Its page draws a missing value as 0 and stays empty where all are missing, so that the
    validation loss is interpolated, and 0 where there is none.
    """
    channels = assign(run)
    step, loss = _ascending(channels.loss)
    if not len(step):
        raise LabelError(f"{run.id}: no finite training loss to show")
    val_step, val = _ascending(channels.val)
    title, shown = f"{run.id} (no validation loss, drawn as 0)", np.zeros(len(step))
    if len(val_step):
        title, shown = run.id, np.interp(step, val_step, val)
    curves = {"step": step.tolist(), "loss": loss.tolist(), "val_loss": shown.tolist()}
    data = {"run_id": run.id, "curve_hash": hash_of(channels), "title": title, "curves": curves}
    return {"data": data}


def _ascending(curve: Curve | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return steps and values, (n,); of a step that was logged twice the last value counts."""
    if curve is None:
        return np.empty(0), np.empty(0)
    step, value = thin(curve, N_BINS)
    unique, last = np.unique(step[::-1], return_index=True)
    return unique, value[::-1][last]


def _prediction_of(label: Label) -> dict[str, Any]:
    return _prediction(list(label.causes), f"label of {label.annotator}", label.confidence)


def _verdicts(scores: Path | None) -> dict[str, list[dict[str, Any]]]:
    if scores is None:
        return {}
    from ...page.table import read_scores

    return {
        score.run_id: [_prediction([score.cause], score.bundle or "curvet", score.probability)]
        for score in read_scores(scores)
        if score.cause is not None
    }


def _prediction(causes: list[str], who: str, sure: float | None) -> dict[str, Any]:
    from_name, to_name = _RESULT
    result = {
        "from_name": from_name,
        "to_name": to_name,
        "type": "choices",
        "value": {"choices": causes},
    }
    return {"model_version": who, "result": [result]} | ({} if sure is None else {"score": sure})


EXCHANGE = Exchange(
    name="label_studio",
    accepts="Label Studio's export as JSON",
    matches=_matches,
    read=_read,
    write=_write,
)
