"""What scripts write into a page: blocks between two comments that stay, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence


def filled(page: str, name: str, lines: Sequence[str]) -> str:
    """Replace what stands between the two comments of a name."""
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not block.search(page):
        raise SystemExit(f"no block {name!r} in the page: write <!-- {name} --> and its end")
    return block.sub(lambda match: match[1] + "\n".join(lines) + "\n" + match[2], page)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write a table of Markdown, its first column to the left and the others to the right."""
    yield f"| {' | '.join(head)} |"
    yield "| --- |" + " ---: |" * (len(head) - 1)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
