"""Blocks of a page that a script writes, between two comments that stay."""

from __future__ import annotations

import re
from collections.abc import Sequence


def filled(page: str, name: str, lines: Sequence[str]) -> str:
    """Replace what stands between the two comments of a name."""
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not block.search(page):
        raise SystemExit(f"no block {name!r} in the page: write <!-- {name} --> and its end")
    return block.sub(lambda match: match[1] + "\n".join(lines) + "\n" + match[2], page)
