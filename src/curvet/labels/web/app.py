"""Requests of the page -> answers in JSON."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from ...causes import TeamCause
from ...errors import CurvetError, LabelError
from ...texts import catalogue, language, say
from .work import MAX_NAME, Work

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_NAME_COOKIE = "curvet_annotator"
_YEAR = 365 * 86400
_PARTS = {
    "label.js": (("page", "tools.js"), ("page", "plot.js"), ("labels.web", "label.js")),
    "label.css": (("page", "page.css"), ("labels.web", "label.css")),
}
_TYPES = {"label.js": "text/javascript", "label.css": "text/css"}

Fields = dict[str, Any]


def make_app(
    work: Work,
    title: str,
    annotator: str,
    *,
    ask: bool,
    complain: Callable[[str], object],
) -> Starlette:
    """Return the application, which the `Guard` has to stand before.

    Parameters
    ----------
    work : Work
        What it is about.
    title : str
        Of the page.
    annotator : str
        The name that a browser without one is offered.
    ask : bool
        Whether the name that a browser has kept is good enough; otherwise it is asked for one
        that is not `annotator`.
    complain : callable (text)
        Told of what should not have gone wrong.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Route

    def answer(content: Any, status: int = 200) -> Response:
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        return Response(text, status, media_type="application/json")

    def served(made: Callable[[], Any]) -> Response:
        """Answer a request; what goes wrong is told to the page, not lost."""
        try:
            return answer(made())
        except CurvetError as error:
            return answer({"error": str(error)}, 400)
        except Exception as error:  # the page goes on, whatever it was
            complain(f"{type(error).__name__}: {error!s:.300}")
            return answer({"error": f"{type(error).__name__}: {error!s:.300}"}, 500)

    def asking(made: Callable[[Request, str], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            def made_so() -> Any:
                return made(request, _name(request.query_params.get("annotator")))

            return await run_in_threadpool(served, made_so)

        return endpoint

    def telling(made: Callable[[Fields, str], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()

            def made_so() -> Any:
                fields = _fields(body)
                return made(fields, _name(fields.get("annotator")))

            return await run_in_threadpool(served, made_so)

        return endpoint

    content = _page(title)

    def page(request: Request) -> Response:
        return Response(content, media_type="text/html")

    def part(request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        return Response(_part(name), media_type=_TYPES[name])

    def start(request: Request) -> Response:
        kept = unquote(request.cookies.get(_NAME_COOKIE, ""))[:MAX_NAME]
        good = bool(kept) and (not ask or kept == annotator)
        words = {
            key.split(".", 1)[1]: text
            for prefix in ("report_page.", "label_page.")
            for key, text in catalogue(language()).items()
            if key.startswith(prefix)
        }
        return answer(
            {
                "language": language(),
                "words": words,
                "annotator": kept if good else annotator,
                "ask": not good,
                "order": work.order,
            }
        )

    async def name_me(request: Request) -> Response:
        try:
            name = _name(_fields(await request.body()).get("annotator"))
        except LabelError as error:
            return answer({"error": str(error)}, 400)
        response = answer({"annotator": name})
        response.set_cookie(
            _NAME_COOKIE, quote(name), max_age=_YEAR, httponly=True, samesite="strict"
        )
        return response

    def label(fields: Fields, annotator: str) -> Any:
        causes, confidence, note = (fields.get(name) for name in ("causes", "confidence", "note"))
        if not isinstance(causes, list) or not all(isinstance(key, str) for key in causes):
            raise LabelError("causes have to be a list of keys")
        if isinstance(confidence, bool) or not isinstance(confidence, int | float | None):
            raise LabelError("the confidence has to be a number or null")
        if not isinstance(note, str):
            raise LabelError("the note has to be a text")
        return work.label(_place(fields.get("run")), annotator, tuple(causes), confidence, note)

    def cause(fields: Fields, annotator: str) -> Any:
        key = fields.get("key")
        if not isinstance(key, str) or not isinstance(fields.get("remedies"), list):
            raise LabelError("a cause needs a key and a list of remedies")
        return work.add_cause(TeamCause.of(key, fields), annotator)

    return Starlette(
        routes=[
            Route("/", page),
            *(Route(f"/{name}", part) for name in _PARTS),
            Route("/start", start),
            Route("/news", asking(lambda request, name: work.news(name))),
            Route("/queue", asking(lambda request, name: work.queue(name))),
            Route("/mine", asking(lambda request, name: work.mine(name))),
            Route(
                "/run/{place:int}",
                asking(lambda request, name: work.run(request.path_params["place"], name)),
            ),
            Route("/annotator", name_me, methods=["POST"]),
            Route("/label", telling(label), methods=["POST"]),
            Route("/undo", telling(lambda fields, name: work.undo(name)), methods=["POST"]),
            Route("/cause", telling(cause), methods=["POST"]),
        ]
    )


def _fields(body: bytes) -> Fields:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise LabelError(f"this is no JSON ({error!s:.100})") from error
    if not isinstance(fields, dict):
        raise LabelError("this is no JSON object")
    return fields


def _name(given: Any) -> str:
    name = unicodedata.normalize("NFC", given).strip() if isinstance(given, str) else ""
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise LabelError(say("label_page.bad_name", most=MAX_NAME))
    return name


def _place(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise LabelError("a run is named by its number")
    return given


@cache
def _part(name: str) -> str:
    package = __package__.rsplit(".", 2)[0]
    return "\n".join(
        files(f"{package}.{where}").joinpath(file).read_text("utf-8")
        for where, file in _PARTS[name]
    )


def _page(title: str) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string(files(__package__).joinpath("label.html").read_text("utf-8"))
    return template.render(title=title, language=language(), say=say)
