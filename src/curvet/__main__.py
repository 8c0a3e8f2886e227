"""``python -m curvet`` is ``curvet``."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="curvet")
