"""Draw a saved result: the library calls behind `hooksim heatmap`."""

import argparse

from hooksim import Comparison

__all__ = ["main"]


def main() -> None:
    """Read the arguments, load, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", help="folder of a saved result")
    parser.add_argument("picture", help="file to write, its kind by its ending")
    parser.add_argument("--measure", help="one matrix; without it the first of each kind")
    parser.add_argument("--stderr", action="store_true", help="write standard errors in the cells")
    options = parser.parse_args()
    figure, _ = Comparison.load(options.result).plot(options.measure, show_stderr=options.stderr)
    figure.savefig(options.picture, dpi=150)
    print(options.picture)


if __name__ == "__main__":
    main()
