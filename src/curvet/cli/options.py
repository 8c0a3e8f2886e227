"""What the commands share: options, exit codes, and a group whose errors are one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from ..errors import CurvetError
from ..terminal import complain
from ..texts import LANGUAGES, language, use_language

EXIT_LIMIT, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_PIPE = 1, 2, 130, 141


class Group(click.Group):
    """A group whose errors are one line on stderr, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what goes wrong is told in a line and by the exit code."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except CurvetError as error:
            complain(str(error))
            ctx.exit(EXIT_INPUT)
        except KeyboardInterrupt:
            complain("interrupted")
            ctx.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            # The last flush at exit would complain again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(EXIT_PIPE)
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            ctx.exit(EXIT_INPUT)


def examples(*lines: str) -> str:
    """Write the end of a --help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


PATH = click.Path(path_type=Path)
OUT = click.option("--out", type=PATH, metavar="FILE", help="Write there, not to the screen.")


BUNDLE = click.option(
    "--bundle",
    type=PATH,
    metavar="DIR",
    help="Another predictor: a bundle, or a home of bundles for its champion.  [default: "
    "CURVET_BUNDLE, else the one that ships]",
)


def _speak(ctx: click.Context, parameter: click.Parameter, name: str | None) -> None:
    """Choose the language; one that is not known is told before any work is done."""
    use_language(name)
    language()


LANG = click.option(
    "--lang",
    metavar=f"[{'|'.join(LANGUAGES)}]",
    callback=_speak,
    expose_value=False,
    help="Language of the texts.  [default: CURVET_LANG, else en]",
)


PRIOR = click.option(
    "--prior",
    default="default",
    metavar="PRIOR",
    help="How common each cause is: default, uniform, archive (estimated from these runs), "
    "healthy=0.8, or a JSON file of shares.  [default: as the predictor was trained]",
)
COVERAGE = click.option(
    "--coverage",
    type=click.FloatRange(0.5, 0.99),
    default=0.9,
    metavar="SHARE",
    help="Share of runs whose likely causes shall hold the true one, 0.5 to 0.99.  [default: 0.9]",
)
