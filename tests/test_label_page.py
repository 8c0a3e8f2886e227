"""The page of `curvet label`, in a real browser, and what its server refuses."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect

import curvet.score.job as job
from curvet.causes import CAUSES, TeamCause, title_of
from curvet.cli import main
from curvet.errors import LabelError
from curvet.labels import Label, Labels, Store, curve_hash, open_store
from curvet.labels.suggest import OVERLAP, Suggestion, arrange, in_turns, suggest, teaching_order
from curvet.labels.web.guard import HEADERS, MAX_BODY
from curvet.labels.web.keys import STROKES, strokes
from curvet.labels.web.serve import prepare
from curvet.labels.web.work import ORDERS, Work
from curvet.page.table import Score, read_scores
from curvet.readers import read

from .conftest import Postgres

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'+alert(1)+'",
    "{{ 7 * 7 }}{% raw %}",
    "two\nlines",
    "\U0001f469\u200d\U0001f52c \u05e9\u05dc\u05d5\u05dd \u202eright to left",
    "=1+1",
    "\u2028\u2029",
]
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def write_log(path: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    losses = 2 * np.exp(-np.arange(60) / 20) + 0.1 + 0.02 * rng.random(60)
    if seed % 3 == 0:
        losses[30:] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{step},{loss:.5f},{loss + 0.1:.5f}" for step, loss in enumerate(losses)]
    path.write_text("\n".join(["step,loss,val_loss", *lines, ""]))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the scores of some runs, a few with names that try to get out."""
    folder = tmp_path_factory.mktemp("archive") / "runs"
    for number in range(22):
        write_log(folder / f"team{number % 3}/{number}/log.csv", number)
    for place, name in enumerate(NASTY):
        write_log(folder / "names" / name.replace("/", "\u2215") / "log.csv", 1000 + place)
    (folder / "empty.csv").touch()
    out = folder.parent / "scores.parquet"
    job.score([folder], out, job.Options(workers=1))
    return out


@pytest.fixture
def serve(table: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serve the page in a thread, and return its address."""
    with ExitStack() as stack:

        def start(labels: Path | str | None = None, scores: Path = table, **options: Any) -> str:
            page = prepare(scores, labels or tmp_path / "labels.db", **options)
            return stack.enter_context(page.running())

        yield start


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody; what it complains about or asks elsewhere is an error in the end."""
    trouble: list[str] = []
    contexts = []

    def open_(
        url: str, name: str = "ada", *, width: int = 1400, dark: bool = False, calm: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            bypass_csp=False,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        if calm:
            page.on("console", lambda message: trouble.append(message.text))
            page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("http://127.0.0.1:", "data:"))
                else trouble.append(request.url)
            ),
        )
        page.goto(url)
        field = page.locator("#name-field")
        expect(field).to_be_visible()
        field.fill(name)
        page.keyboard.press("Enter")
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not trouble


def shown(page: Page) -> str:
    return page.locator("#run-title").text_content() or ""


def press(page: Page, key: str) -> str:
    """Press the key of a cause; return the run that it was pressed for."""
    before = shown(page)
    page.keyboard.press(key)
    expect(page.locator("#run-title")).not_to_have_text(before)
    return before


def kept(path: Path | str) -> Labels:
    with closing(open_store(path)) as store:
        return store.labels()


# --- which key, which order -----------------------------------------------------------------------


def test_every_cause_has_a_key_of_its_own() -> None:
    found = strokes(["mine", "yours"])
    assert set(CAUSES) < set(found)
    assert len(set(found.values())) == len(found)
    assert "" not in found.values()
    assert not set("clnsu123") & set(found.values())  # these do other things
    assert list(found.values())[: len(CAUSES)] == list(STROKES)[: len(CAUSES)]


def test_keys_do_not_move_when_a_cause_is_added() -> None:
    names = [f"cause{number}" for number in range(9)]
    for n in range(9):
        before, after = strokes(names[:n]), strokes(names[: n + 1])
        assert {key: after[key] for key in before} == before
    assert strokes(names)["cause8"] == ""  # to be clicked


def some(number: int, chances: dict[str, float], **fields: Any) -> Score:
    plain = Score(
        run_id=f"run{number}",
        source=f"runs/{number}",
        format="table",
        status="ok",
        error="",
        cause="healthy",
        probability=0.9,
        likely=("healthy",),
        reason="",
        evidence="",
        n_points=100,
        bundle="stand-in",
        probabilities=chances,
        novelty=0.5,
    )
    return replace(plain, **fields)


def said(number: int, annotator: str, cause: str = "healthy") -> Label:
    return Label(f"run{number}", (cause,), annotator, AT + timedelta(seconds=number))


@pytest.fixture(scope="module")
def mixed_scores() -> list[Score]:
    rng = np.random.default_rng(0)
    chances = rng.dirichlet([0.3] * 5, 90)
    keys = list(CAUSES)[:5]
    return [
        some(n, dict(zip(keys, row.tolist(), strict=True)), novelty=float(rng.random()))
        for n, row in enumerate(chances)
    ]


def test_each_cluster_comes_before_any_comes_twice(mixed_scores: list[Score]) -> None:
    found = suggest(mixed_scores, Labels(()), "ada")
    assert sorted(each.place for each in found) == list(range(90))
    whys = [each.why for each in found]
    n = whys.count("cluster")
    assert whys[:n] == ["cluster"] * n
    assert n == round(90**0.5)
    assert {"uncertain", "novel"} == set(whys[n:])
    assert suggest(mixed_scores, Labels(()), "bob") == found
    assert suggest(mixed_scores, Labels(()), "ada", seed=1) != found


def test_the_most_uncertain_and_the_most_novel_of_a_cluster_come_next() -> None:
    distances, uncertain = np.array([3.0, 1, 2, 9]), np.array([0.9, 0.1, 0.3, 0.2])
    novel = np.array([0.1, 0.2, 0.3, 0.9])
    assert list(in_turns([0, 1, 2, 3], distances, uncertain, novel)) == [
        (1, "cluster"),
        (0, "uncertain"),
        (3, "novel"),
        (2, "uncertain"),
    ]
    unknown = np.full(4, -np.inf)
    assert [row for row, _ in in_turns([0, 1, 2, 3], distances, uncertain, unknown)] == [1, 0, 2, 3]


def test_rows_without_probabilities_are_not_suggested() -> None:
    assert suggest([some(0, {}), some(1, {"a": 1.0})], Labels(()), "ada") == [
        Suggestion(1, "cluster")
    ]
    assert suggest([some(0, {})], Labels(()), "ada") == []


def test_what_others_have_said_moves_a_run(mixed_scores: list[Score]) -> None:
    labels = Labels(
        (
            said(3, "ada"),
            said(4, "bob"),
            said(5, "bob"),
            said(5, "eve", "overfitting"),
            said(6, "bob"),
            said(6, "eve"),
            said(7, "bob"),
            said(7, "bob").withdrawn(AT + timedelta(hours=1)),
        )
    )
    order = teaching_order(mixed_scores)
    found = [each.place for each in arrange(order, mixed_scores, labels, "ada")]
    assert 3 not in found
    assert sorted(found) == [n for n in range(90) if n != 3]
    assert found[0] == 5
    assert arrange(order, mixed_scores, labels, "ada")[0].why == "disagreement"
    # One label is ada's own, so the tenth is at place 8; the other one follows ten later.
    assert {found[OVERLAP - 2], found[2 * OVERLAP - 2]} == {4, 6}


def test_two_who_work_at_once_rarely_meet(mixed_scores: list[Score]) -> None:
    order = teaching_order(mixed_scores)
    labels = Labels((said(0, "eve"),))
    one, other = (
        [each.place for each in arrange(order, mixed_scores, labels, name)] for name in "ab"
    )
    assert sum(a == b for a, b in zip(one[:20], other[:20], strict=True)) < 5
    rank = {each.place: n for n, each in enumerate(order)}
    assert max(rank[place] - n for n, place in enumerate(one[:-1])) <= 22


@pytest.mark.parametrize("order", ORDERS)
def test_every_sound_run_is_offered_once(order: Any, table: Path, tmp_path: Path) -> None:
    scores = read_scores(table)
    with closing(open_store(tmp_path / "labels.db")) as store:
        work = Work(scores, {}, store, order)
        found = work.queue("ada")["places"]
        sound = [n for n, score in enumerate(scores) if score.status == "ok"]
        assert sorted(found) == sound
        assert (found == sound) == (order == "table")
        assert work.queue("ada")["places"] == found
        if order == "random":
            assert work.queue("bob")["places"] != found


def test_a_table_without_a_sound_run_is_refused(tmp_path: Path) -> None:
    with (
        closing(open_store(tmp_path / "labels.db")) as store,
        pytest.raises(LabelError, match="nothing to label"),
    ):
        Work([some(0, {}, status="error")], {}, store)


# --- what the server refuses ----------------------------------------------------------------------


Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@dataclass(frozen=True)
class Asked:
    """A server that is asked without a browser, and where it keeps its labels."""

    url: str
    labels: Path


@pytest.fixture(scope="module")
def asked(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    labels = tmp_path_factory.mktemp("asked") / "labels.db"
    with prepare(table, labels).running() as url:
        yield Asked(url, labels)


@pytest.fixture
def ask(asked: Asked) -> Ask:
    """Ask the server as a program would that knows the token; anything can be left out."""
    url = urlsplit(asked.url)
    token = url.query.removeprefix("token=")
    port = url.port

    def request(
        method: str = "GET", path: str = "/news?annotator=eve", body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        sent = {
            "Host": f"127.0.0.1:{port}",
            "Cookie": f"curvet_{port}={token}",
            "Origin": f"http://127.0.0.1:{port}",
            "Content-Type": "application/json",
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.putrequest(method, path, skip_host=True)
            for name, value in sent.items():
                if value:
                    connection.putheader(name, value.format(port=port, token=token))
            if body and "Transfer_Encoding" not in headers:
                connection.putheader("Content-Length", str(len(body)))
            # In one piece: who refuses the headers and hangs up must not reset what is still sent.
            pieces: list[bytes] = []
            connection.send = pieces.append  # type: ignore[method-assign,assignment]
            connection.endheaders(body or None)
            del connection.send
            connection.send(b"".join(pieces))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    return request


LABEL = {"run": 5, "annotator": "eve", "causes": ["healthy"], "confidence": None, "note": ""}
BODY = json.dumps(LABEL).encode()


def test_a_sound_request_is_answered(ask: Ask, asked: Asked) -> None:
    status, headers, body = ask()
    assert status == 200
    assert json.loads(body)["mine"] == 0
    lower = {name.lower(): value for name, value in headers.items()}
    assert {name: lower[name.lower()] for name in HEADERS} == HEADERS
    assert "unsafe" not in lower["content-security-policy"]
    assert "server" not in lower
    status, _, body = ask("POST", "/label", BODY)
    assert status == 200, body
    assert [label.annotator for label in kept(asked.labels).rows] == ["eve"]
    assert ask("POST", "/undo", BODY)[0] == 200


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"Cookie": ""}, 403),
        ({"Cookie": "curvet_{port}=nonsense"}, 403),
        ({"Cookie": "curvet_1={token}"}, 403),
        ({"Cookie": "curvet_{port}={token}x"}, 403),
        ({"Host": ""}, 400),  # no HTTP
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1.evil.example:{port}"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),  # another port of this machine
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": ""}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_what_does_not_come_from_the_page_changes_nothing(
    wrong: dict[str, str], status: int, ask: Ask, asked: Asked
) -> None:
    before = kept(asked.labels)
    headers = {name.replace("Content_Type", "Content-Type"): value for name, value in wrong.items()}
    found, sent, body = ask("POST", "/label", BODY, **headers)
    assert found == status, body
    assert kept(asked.labels) == before
    if status != 400:
        assert sent["X-Content-Type-Options".lower()] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/", "/label.js", "/label.css", "/start", "/news?annotator=a", "/queue", "/run/5"]
)
def test_nothing_is_told_without_the_token(path: str, ask: Ask) -> None:
    for headers in ({"Cookie": ""}, {"Host": "evil.example"}):
        status, _, body = ask(path=path, **headers)
        assert status == 403
        assert b"open the address that curvet label has printed" in body
        assert len(body) < 120
    if path != "/":  # that one may be reached by a link
        assert ask(path=path, Sec_Fetch_Site="same-site")[0] == 403


def test_a_wrong_token_opens_nothing(ask: Ask) -> None:
    for path in ("/?token=nonsense", "/?token=", "/?token=%00%ff", "/?" + "token=x&" * 500):
        status, headers, _ = ask(path=path, Cookie="")
        assert status == 403
        assert "set-cookie" not in headers


def test_the_token_goes_into_a_strict_cookie_and_out_of_the_address(asked: Asked) -> None:
    url = urlsplit(asked.url)
    with closing(http.client.HTTPConnection(url.netloc, timeout=20)) as connection:
        connection.request("GET", f"/?{url.query}")
        answer = connection.getresponse()
        body = answer.read().decode()
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "url=/" in body
    assert url.query.removeprefix("token=") not in body


def test_the_address_for_the_own_browser_opens_once(table: Path, tmp_path: Path) -> None:
    page = prepare(table, tmp_path / "labels.db")
    assert page.once != page.url
    with page.running():
        for expected in (200, 403):
            url = urlsplit(page.once)
            with closing(http.client.HTTPConnection(url.netloc, timeout=20)) as connection:
                connection.request("GET", f"/?{url.query}")
                assert connection.getresponse().status == expected


def test_a_large_body_is_refused(ask: Ask, asked: Asked) -> None:
    before = kept(asked.labels)
    large = json.dumps({**LABEL, "note": "x" * MAX_BODY}).encode()
    assert ask("POST", "/label", large)[0] == 413
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)
    status, headers, _ = ask("POST", "/label", chunked, Transfer_Encoding="chunked")
    assert status == 413
    assert headers["x-content-type-options"] == "nosniff"
    assert kept(asked.labels) == before


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/label", b"{", "no JSON"),
        ("/label", b"[" * 20000, "no JSON"),
        ("/label", b"[]", "no JSON object"),
        ("/label", {**LABEL, "run": 10**6}, "there is no run 1000000"),
        ("/label", {**LABEL, "run": -1}, "there is no run -1"),
        ("/label", {**LABEL, "run": 0}, "there is no run 0 to label"),  # empty.csv
        ("/label", {**LABEL, "run": "0"}, "named by its number"),
        ("/label", {**LABEL, "run": True}, "named by its number"),
        ("/label", {**LABEL, "causes": []}, "Choose a cause first"),
        ("/label", {**LABEL, "causes": "healthy"}, "a list of keys"),
        ("/label", {**LABEL, "causes": ["nonsense"]}, "unknown cause"),
        ("/label", {**LABEL, "causes": ["healthy", "healthy"]}, "twice"),
        ("/label", {**LABEL, "causes": ["unknown", "healthy"]}, "beside a cause"),
        ("/label", {**LABEL, "confidence": 7}, "a confidence of 7"),
        ("/label", {**LABEL, "confidence": "1"}, "a number or null"),
        ("/label", {**LABEL, "confidence": True}, "a number or null"),
        ("/label", {**LABEL, "note": "x" * 3000}, "at most 2000"),
        ("/label", {**LABEL, "note": None}, "a text"),
        ("/label", {**LABEL, "annotator": " "}, "1 to 60 letters"),
        ("/label", {**LABEL, "annotator": "x" * 61}, "1 to 60 letters"),
        ("/label", {**LABEL, "annotator": "a\nb"}, "1 to 60 letters"),
        ("/annotator", {"annotator": 7}, "1 to 60 letters"),
        ("/undo", {"annotator": "eve"}, "no label to take back"),
        ("/cause", {"annotator": "eve", "key": 7, "remedies": []}, "a key"),
        ("/cause", {"annotator": "eve", "key": "healthy", "title": "x", "remedies": []}, "already"),
        ("/cause", {"annotator": "eve", "key": "A b", "title": "x", "remedies": []}, "no key of"),
        ("/cause", {"annotator": "eve", "key": "ab", "title": " ", "remedies": []}, "a title"),
        ("/cause", {"annotator": "eve", "key": "ab", "title": "x", "remedies": [7]}, "no text"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    path: str, body: Any, reason: str, ask: Ask, asked: Asked
) -> None:
    before = kept(asked.labels)
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, answer = ask("POST", path, sent)
    assert status == 400
    assert reason in json.loads(answer)["error"]
    assert kept(asked.labels) == before


def test_only_what_there_is_can_be_had(ask: Ask) -> None:
    for path in ("/../labels.db", "/label.html", "/labels.db", "/run/x", "/run/1/2"):
        assert ask(path=path)[0] == 404
    assert ask("GET", "/label")[0] == 405
    assert ask("POST", "/news", BODY)[0] == 405


def test_it_listens_on_this_machine_alone(table: Path, tmp_path: Path) -> None:
    with closing(prepare(table, tmp_path / "labels.db")) as page:
        assert page.listening.getsockname()[0] == "127.0.0.1"


# --- the command ----------------------------------------------------------------------------------


def curvet(*words: object) -> str:
    done = CliRunner().invoke(main, ["label", *map(str, words)])
    assert done.exit_code == 2, done.output
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_is_wrong_is_told_in_a_line(table: Path, tmp_path: Path) -> None:
    assert "no such file" in curvet(tmp_path / "scores.csv")
    (tmp_path / "file").touch()
    assert "cannot be opened" in curvet(table, "--labels", tmp_path / "file/labels.db")
    assert "a folder" in curvet(table, "--labels", tmp_path)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of this machine cannot be used" in curvet(table, "--port", port)


def test_labels_that_cannot_be_written_are_told_at_once(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import curvet.labels.web.serve as serve_module

    def read_only(where: Path | str) -> Store:
        from sqlalchemy import create_engine

        open_store(where).close()
        engine = create_engine(
            "sqlite://",
            creator=lambda: __import__("sqlite3").connect(f"file:{where}?mode=ro", uri=True),
        )
        return Store(str(where), engine)

    monkeypatch.setattr(serve_module, "open_store", read_only)
    told = curvet(table, "--labels", tmp_path / "labels.db")
    assert "labels cannot be written there (attempt to write a readonly database)" in told


def test_a_missing_extra_is_named(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    told = curvet(table, "--labels", tmp_path / "labels.db")
    assert "needs the package starlette; pip install 'curvet[label]'" in told
    assert not (tmp_path / "labels.db").exists()


@pytest.mark.parametrize(
    ("words", "display", "opens"),
    [((), ":0", True), ((), "", False), (("--no-browser",), ":0", False)],
)
def test_the_browser_is_opened_where_there_is_a_screen(
    words: tuple[str, ...],
    display: str,
    opens: bool,
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import click

    import curvet.labels.web.serve as serve_module

    def interrupted(page: Any) -> None:
        page.close()
        raise KeyboardInterrupt

    opened: list[str] = []
    monkeypatch.setattr(serve_module.Page, "run", interrupted)
    monkeypatch.setattr(click, "launch", opened.append)
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    copy = tmp_path / table.name
    shutil.copy(table, copy)
    done = CliRunner().invoke(main, ["label", str(copy), "--order", "table", *words])
    assert done.exit_code == 0
    assert f"labels: {tmp_path / 'labels.db'}\n" in done.stderr
    assert bool(opened) == opens
    (url,) = re.findall(r"^page: (\S+)$", done.stderr, re.MULTILINE)
    assert url not in opened  # the one that others of the machine may see is another


# --- the page -------------------------------------------------------------------------------------


def test_a_key_labels_and_goes_on(
    serve: Callable[..., str], show: Callable[..., Page], table: Path, tmp_path: Path
) -> None:
    page = show(serve(), "  Ada L\u00f6v ")
    assert page.url.endswith("/")  # without the token
    first = press(page, "b")
    (label,) = kept(tmp_path / "labels.db").rows
    assert (label.run_id, label.causes, label.annotator) == (
        first,
        ("lr_too_high",),
        "Ada L\u00f6v",
    )
    assert (label.confidence, label.note) == (None, "")
    (run,) = read(table.parent / "runs" / first)
    assert label.curve_hash == curve_hash(run)
    assert abs((label.labelled_at - datetime.now(UTC)).total_seconds()) < 60
    expect(page.locator("#progress-text")).to_have_text("1 by you, 1 by anyone, of 30 runs")
    expect(page.locator("#status")).to_contain_text(f"Saved: {first}")
    counted = page.locator(".cause[data-key=lr_too_high] .number")
    expect(counted).to_contain_text("\u27131")
    second = press(page, "z")
    assert kept(tmp_path / "labels.db").rows[-1].causes == ("unknown",)
    assert second != first


def test_two_causes_a_note_and_how_sure(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    page = show(serve())
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Choose a cause first.")
    page.keyboard.press("Shift+H")
    page.keyboard.press("Shift+D")
    page.keyboard.press("Shift+K")
    page.keyboard.press("Shift+D")  # not that one
    chosen = page.locator(".cause.chosen-one")
    expect(chosen).to_have_count(2)
    page.keyboard.press("2")
    page.keyboard.press("n")
    page.keyboard.type("late, at step 40: s u b")
    page.keyboard.press("Enter")
    press(page, "Enter")
    page.keyboard.press("Shift+Z")
    page.keyboard.press("Shift+A")  # in place of "I cannot tell"
    expect(chosen).to_have_count(1)
    press(page, "e")
    first, second = kept(tmp_path / "labels.db").rows
    assert first.causes == ("overfitting", "noisy_labels")
    assert first.note == "late, at step 40: s u b"
    assert first.confidence == 0.75
    assert second.causes == ("healthy", "exploding_gradients")
    assert (second.note, second.confidence) == ("", None)


def test_labels_are_taken_back_one_after_another(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    page = show(serve(), calm=False)  # a refusal is noted in the console
    one = press(page, "a")
    other = press(page, "b")
    third = shown(page)
    page.keyboard.press("u")
    expect(page.locator("#run-title")).to_have_text(other)
    expect(page.locator("#said-before")).to_contain_text("You said: Learning rate too high")
    page.keyboard.press("Control+z")
    expect(page.locator("#run-title")).to_have_text(one)
    expect(page.locator("#progress-text")).to_contain_text("0 by you")
    assert not kept(tmp_path / "labels.db").current()
    page.keyboard.press("u")
    expect(page.locator("#status")).to_have_text("you have no label to take back")
    press(page, "d")  # another in its place
    assert shown(page) == other
    press(page, "Enter")  # the same again
    assert shown(page) == third
    labels = kept(tmp_path / "labels.db")
    assert {label.run_id: label.causes for label in labels.current()} == {
        one: ("lr_too_low",),
        other: ("lr_too_high",),
    }
    assert len(labels.rows) == 6  # nothing was overwritten


def test_what_is_skipped_comes_last(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    page = show(serve())
    later = shown(page)
    page.keyboard.press("Shift+B")
    press(page, "s")
    seen = [press(page, "a") for _ in range(28)]
    again = press(page, "ArrowRight")
    assert shown(page) == later
    expect(page.locator(".cause.chosen-one")).to_have_count(1)  # as it was left
    press(page, "Enter")
    assert shown(page) == again
    page.keyboard.press("a")
    expect(page.locator("#finished")).to_be_visible()
    labels = kept(tmp_path / "labels.db").current()
    assert {label.run_id for label in labels} == {*seen, later, again}
    assert len(labels) == 30
    assert next(label.causes for label in labels if label.run_id == later) == ("lr_too_high",)
    page.keyboard.press("u")
    expect(page.locator("#run-title")).to_have_text(again)


def test_a_new_cause_is_there_for_everybody_at_once(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    url = serve()
    ada, bob = show(url, "ada"), show(url, "bob", calm=False)
    ada.keyboard.press("c")
    ada.keyboard.type("Repeated shard <b>!")
    expect(ada.locator("#cause-key")).to_have_value("repeated_shard_b")
    ada.locator("#cause-sign").fill("The same dip again and again.")
    ada.locator("#cause-remedies").fill("shuffle the shards\n\n seed the sampler \n")
    ada.locator("#cause button[type=submit]").click()
    expect(ada.locator("#cause")).to_be_hidden()
    for page in (ada, bob):
        item = page.locator(".cause[data-key=repeated_shard_b]")
        expect(item.locator(".called")).to_have_text("Repeated shard <b>!")
        expect(item.locator("kbd")).to_have_text("4")
    assert kept(tmp_path / "labels.db").causes["repeated_shard_b"] == TeamCause(
        "repeated_shard_b",
        "Repeated shard <b>!",
        "The same dip again and again.",
        ("shuffle the shards", "seed the sampler"),
    )
    press(bob, "4")
    assert kept(tmp_path / "labels.db").rows[0].causes == ("repeated_shard_b",)
    bob.keyboard.press("c")
    bob.keyboard.type("Repeated shard B")
    bob.keyboard.press("Enter")
    expect(bob.locator("#cause .refused")).to_have_text("there is a cause repeated_shard_b already")


def test_two_browsers_label_at_once(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    """Each with a server of its own, and both into one file."""
    pages = [show(serve(), name) for name in ("ada", "bob")]
    runs: dict[str, list[str]] = {"ada": [], "bob": []}
    for number in range(10):
        for page in pages:  # neither waits for the other
            page.keyboard.press("abdefghijk"[number])
        for page, name in zip(pages, runs, strict=True):
            expect(page.locator("#progress-text")).to_contain_text(f"{number + 1} by you")
            expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
            runs[name].append(shown(page))
    labels = kept(tmp_path / "labels.db")
    assert len(labels.rows) == 20
    assert len(labels.current()) == 20
    for name in runs:
        own = [label for label in labels.rows if label.annotator == name]
        assert [label.causes for label in own] == [
            (key,) for key in CAUSES if strokes([])[key] in "abdefghijk"
        ]
        assert len({label.run_id for label in own}) == 10
        assert [label.run_id for label in own[1:]] == runs[name][:-1]


def test_two_browsers_label_into_postgresql(
    postgres: Postgres, serve: Callable[..., str], show: Callable[..., Page]
) -> None:
    """Each with a server of its own, and the database is away for a moment."""
    url = postgres.create("label page")
    pages = [show(serve(url), name, calm=False) for name in ("ada", "bob")]
    ada, bob = pages
    for number in range(5):
        for page in pages:
            page.keyboard.press("abdef"[number])
        for page in pages:
            expect(page.locator("#progress-text")).to_contain_text(f"{number + 1} by you")
            expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    ada.keyboard.press("c")
    ada.keyboard.type("Repeated shard")
    ada.keyboard.press("Enter")
    for page in pages:
        item = page.locator(".cause[data-key=repeated_shard]")
        expect(item.locator(".called")).to_have_text("Repeated shard")
    press(bob, "4")
    open_run, trouble = shown(ada), [page.locator("#trouble") for page in pages]
    postgres.stop()
    try:
        ada.locator("#note").fill("worth keeping")
        ada.locator("#run-title").focus()
        ada.keyboard.press("4")
        expect(trouble[0]).to_contain_text("Not saved: postgresql://team:***@127.0.0.1")
        expect(trouble[1]).to_contain_text("the labels cannot be read")  # nobody has pressed a key
        expect(trouble[1]).not_to_contain_text("SELECT")
        ada.wait_for_timeout(3500)  # a look at what others do must not hide it
        expect(trouble[0]).to_contain_text("Not saved")
    finally:
        postgres.start()
    expect(trouble[1]).to_be_empty()
    ada.wait_for_timeout(3500)
    expect(trouble[0]).to_contain_text("Not saved")  # which is still so
    assert shown(ada) == open_run
    assert press(ada, "Enter") == open_run
    expect(trouble[0]).to_be_empty()
    for number in range(4):
        for page in pages:
            page.keyboard.press("ghij"[number])
        for page in pages:
            expect(page.locator("#progress-text")).to_contain_text(f"{number + 7} by you")
            expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    labels = kept(url)
    assert len(labels.rows) == len(labels.current()) == 20
    assert len({(label.annotator, label.run_id) for label in labels.rows}) == 20
    (noted,) = [label for label in labels.rows if label.note]
    assert (noted.run_id, noted.causes, noted.note) == (
        open_run,
        ("repeated_shard",),
        "worth keeping",
    )
    assert labels.causes["repeated_shard"].title == "Repeated shard"


def test_labels_that_are_imported_meanwhile_are_counted(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    page = show(serve(order="table"))
    first = press(page, "a")
    causes = {"repeated_shard": {"title": "A shard is read twice", "sign": "", "remedies": []}}
    (tmp_path / "causes.json").write_text(json.dumps(causes))
    rows = [f"{first},overfitting", f"{shown(page)},repeated_shard", "elsewhere,healthy"]
    (tmp_path / "sheet.csv").write_text("\n".join(["run_id,cause", *rows]))
    words = ["labels", "import", str(tmp_path / "sheet.csv"), "--into", str(tmp_path / "labels.db")]
    done = CliRunner().invoke(main, [*words, "--causes", str(tmp_path / "causes.json")])
    assert done.exit_code == 0, done.output
    expect(page.locator("#progress-text")).to_have_text("1 by you, 2 by anyone, of 30 runs")
    item = page.locator(".cause[data-key=repeated_shard]")
    expect(item.locator(".called")).to_have_text("A shard is read twice")
    expect(item.locator(".number")).to_contain_text("\u27131")
    press(page, "4")
    assert len(kept(tmp_path / "labels.db").rows) == 5


def test_what_others_say_is_shown_afterwards(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    url = serve(order="table")
    one, other = show(url, "Quentin"), show(url, "bob")
    run = press(one, "b")
    assert shown(other) == run
    expect(other.locator("#said-before")).to_be_empty()
    assert "Quentin" not in (other.locator("main").text_content() or "")
    press(other, "d")
    expect(other.locator("#status")).to_contain_text("Others say: Quentin: Learning rate too high")


def test_all_is_done_with_the_mouse(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    page = show(serve())
    first = shown(page)
    page.locator("[data-key=overfitting] .second").click()
    page.locator("[data-key=healthy] .second").click()
    page.locator("[data-key=healthy] .second").click()
    page.locator("#sure button", has_text="guess").click()
    page.locator("#note").fill("by hand")
    page.locator("#save").click()
    expect(page.locator("#run-title")).not_to_have_text(first)
    second = shown(page)
    page.locator("[data-key=lr_too_low] .choose").click()
    expect(page.locator("#run-title")).not_to_have_text(second)
    third = shown(page)
    page.keyboard.press("Enter")  # the button that was clicked must not be pressed again
    expect(page.locator("#status")).to_have_text("Choose a cause first.")
    page.locator("#skip").click()
    expect(page.locator("#run-title")).not_to_have_text(third)
    page.locator("#undo").click()
    expect(page.locator("#run-title")).to_have_text(second)
    page.locator("#open-help").click()
    expect(page.locator("#help")).to_be_visible()
    page.locator("#help [data-close]").click()
    page.locator("#open-list").click()
    page.locator("#labels button", has_text=first).click()
    expect(page.locator("#run-title")).to_have_text(first)
    expect(page.locator("#note")).to_have_value("by hand")
    page.locator("[data-key=noisy_labels] .choose").click()
    expect(page.locator("#run-title")).to_have_text(second)
    labels = kept(tmp_path / "labels.db")
    (current,) = labels.current()
    assert (current.run_id, current.causes) == (first, ("noisy_labels",))
    assert (current.note, current.confidence) == ("by hand", 0.5)
    assert labels.rows[0].causes == ("overfitting",)


def test_all_is_done_with_the_keyboard(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    """By Tab and Space alone, without the keys of the causes."""
    page = show(serve())
    first = shown(page)
    assert page.evaluate("document.activeElement.id") == "run-title"
    for _ in range(80):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        if page.evaluate("document.activeElement.getAttribute('aria-labelledby')") == (
            "called-under_capacity"
        ):
            break
    press(page, "Space")
    assert page.evaluate("document.activeElement.id") == "run-title"
    (label,) = kept(tmp_path / "labels.db").rows
    assert (label.run_id, label.causes) == (first, ("under_capacity",))
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("a")  # no cause while the help is open
    page.keyboard.press("Escape")
    page.keyboard.press("l")
    expect(page.locator("#list")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#run-title")).to_have_text(first)
    expect(page.locator("#said-before")).to_contain_text("Too little capacity")
    page.locator(".plots").focus()
    page.keyboard.press("+")  # the curves have keys of their own
    page.keyboard.press("l")
    expect(page.locator("#list")).to_be_hidden()
    assert len(kept(tmp_path / "labels.db").rows) == 1


def test_what_cannot_be_saved_stays(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    page = show(serve(), calm=False)
    page.locator("#note").fill("worth keeping")
    page.locator("#run-title").focus()
    page.route("**/label", lambda route: route.abort())
    first = shown(page)
    page.keyboard.press("b")
    expect(page.locator("#trouble")).to_contain_text("Not saved: curvet label does not answer")
    assert shown(page) == first
    expect(page.locator("#note")).to_have_value("worth keeping")
    page.unroute("**/label")
    press(page, "Enter")
    expect(page.locator("#trouble")).to_be_empty()
    (label,) = kept(tmp_path / "labels.db").rows
    assert (label.causes, label.note) == (("lr_too_high",), "worth keeping")


def test_a_run_that_cannot_be_fetched_is_asked_for_again(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    page = show(serve(), calm=False)
    page.route(re.compile(r"/run/\d+"), lambda route: route.abort())
    seen = set()
    while not page.locator("#trouble").text_content():
        seen.add(shown(page))  # those that were fetched before
        page.keyboard.press("a")
        expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
        page.wait_for_timeout(200)
    page.wait_for_timeout(3500)
    expect(page.locator("#trouble")).to_contain_text("curvet label does not answer")
    last = shown(page)
    page.unroute(re.compile(r"/run/\d+"))
    expect(page.locator("#run-title")).not_to_have_text(last)
    expect(page.locator("#trouble")).to_be_empty()
    seen.add(press(page, "a"))
    assert {label.run_id for label in kept(tmp_path / "labels.db").rows} == seen


def test_a_run_whose_log_is_gone_can_be_labelled(
    table: Path, serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    write_log(tmp_path / "runs/a/log.csv", 1)
    scores = tmp_path / "scores.csv"
    job.score([tmp_path / "runs"], scores, job.Options(workers=1))
    shutil.rmtree(tmp_path / "runs")
    page = show(serve(scores=scores))
    expect(page.locator("#run-body .note").first).to_contain_text("no such file")
    expect(page.locator("#run-body")).to_contain_text("There are no curves to look at.")
    page.keyboard.press("a")
    expect(page.locator("#finished")).to_be_visible()
    (label,) = kept(tmp_path / "labels.db").rows
    assert label.curve_hash == ""


def test_names_that_try_to_get_out_are_text(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    names = {f"names/{name.replace('/', chr(0x2215))}/log.csv" for name in NASTY}
    page = show(serve(order="table"), "<b onclick='alert(1)'>eve</b>")
    for _ in range(len(names)):
        name = press(page, "a")
        expect(page.locator("#status")).to_contain_text("Saved: ")
        names.discard(name)
    assert not names
    page.keyboard.press("l")
    expect(page.locator("#labels li")).to_have_count(len(NASTY))
    assert page.locator("main img, #labels b, header b").count() == 0


def test_the_plot_marks_the_evidence(serve: Callable[..., str], show: Callable[..., Page]) -> None:
    page = show(serve(order="table"))
    while not (page.locator("#details .facts button").count()):
        press(page, "s")
    assert page.locator(".plots .mark").count() > 0
    assert page.locator(".plots path.val").count() > 0
    page.locator("#details .facts button").first.click()
    expect(page.locator(".plots .panel").first).to_be_visible()


def test_words_are_those_of_the_language(
    serve: Callable[..., str], show: Callable[..., Page]
) -> None:
    from curvet.texts import use_language

    use_language("zh")
    page = show(serve())
    expect(page.locator("#answer-title")).to_contain_text("\u8bad\u7ec3")
    expect(page.locator("[data-key=overfitting] .called")).to_have_text(title_of("overfitting"))
    assert page.locator("html").get_attribute("lang") == "zh"


def test_the_name_is_kept_by_the_browser(
    serve: Callable[..., str], show: Callable[..., Page], tmp_path: Path
) -> None:
    page = show(serve(), "ada")
    press(page, "a")
    page.goto(serve(tmp_path / "other.db"))  # another port
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#open-name")).to_have_text("ada")
    page.locator("#open-name").click()
    page.locator("#name-field").fill("eve")
    page.keyboard.press("Enter")
    expect(page.locator("#open-name")).to_have_text("eve")
    page.goto(serve(tmp_path / "third.db", annotator="bob"))  # asked for by --annotator
    expect(page.locator("#name-field")).to_have_value("bob")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#name-field")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#open-name")).to_have_text("bob")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_axe_finds_nothing(
    width: int, dark: bool, serve: Callable[..., str], show: Callable[..., Page]
) -> None:
    page = show(serve(order="table"), width=width, dark=dark)
    every: Any = {"resultTypes": ["violations", "incomplete"]}

    def check() -> None:
        found = Axe().run(page, options=every)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    press(page, "b")
    page.keyboard.press("Shift+B")
    page.keyboard.press("1")
    expect(page.locator(".plots .panel").first).to_be_visible()
    check()
    page.keyboard.press("u")
    expect(page.locator("#said-before p")).to_be_visible()
    press(page, "Enter")
    for key in ("?", "c", "l"):
        page.keyboard.press(key)
        expect(page.locator("dialog[open]")).to_be_visible()
        check()
        page.keyboard.press("Escape")


# --- killed ---------------------------------------------------------------------------------------


def started(table: Path, labels: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "curvet", "label", table, "--labels", labels),
            *("--no-browser", "--order", "table"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if found := re.match(r"page: (http://127\.0\.0\.1:\d+/\?token=\S+)$", line):
            assert f"labels: {labels}\n" in told
            return process, found[1]
    pytest.fail("".join(told))


def test_killed_in_the_middle_nothing_that_was_confirmed_is_lost(
    table: Path, show: Callable[..., Page], tmp_path: Path
) -> None:
    labels = tmp_path / "labels.db"
    process, url = started(table, labels)
    page = show(url, calm=False)
    seen = [press(page, key) for key in "abdef"]
    page.keyboard.press("g")  # whatever becomes of this one
    process.kill()
    process.communicate()
    expect(page.locator("#trouble")).not_to_be_empty()
    found = kept(labels).rows
    assert [label.run_id for label in found[:5]] == seen
    process, url = started(table, labels)
    try:
        page = show(url, calm=False)
        expect(page.locator("#progress-text")).to_contain_text(f"{len(found)} by you")
        assert shown(page) not in {label.run_id for label in found}
        press(page, "h")
        assert len(kept(labels).rows) == len(found) + 1
    finally:
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)
    assert process.returncode == 0
    assert rest.endswith("ended\n")
    assert "Traceback" not in rest
    assert "GET" not in rest


def test_many_threads_write_at_once(table: Path, tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "labels.db")) as store:
        work = Work(read_scores(table), {}, store)

        def label(number: int) -> None:
            work.label(number % 30, f"name{number // 30}", ("healthy",), None, "")

        places = set(work.place_of.values())
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(label, [n for n in range(120) if n % 30 in places]))
        assert len(store.labels().current()) == 4 * len([n for n in range(30) if n in places])
