"""Train one small vision transformer on scikit-learn's digits, checkpoints kept along the way."""

import argparse

from hooksim.cli.training import CHECKPOINTS, train_digits

__all__ = ["main"]


def main() -> None:
    """Read the arguments, train, print the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="where the folders checkpoint-N go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--checkpoints",
        type=int,
        nargs="+",
        default=CHECKPOINTS,
        metavar="STEP",
        help="steps after which a checkpoint is kept; the last one ends the training",
    )
    options = parser.parse_args()
    accuracy = train_digits(
        options.folder, seed=options.seed, checkpoints=sorted(options.checkpoints)
    )
    print(f"accuracy on unseen digits: {accuracy:.3f}")


if __name__ == "__main__":
    main()
