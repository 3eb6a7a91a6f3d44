"""`python -m hooksim` and the `hooksim` command."""

import sys

from hooksim.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
