"""Try random mistakes: configurations run by the command, and damaged results that are opened.

    python scripts/fuzz.py configs 20000
    python scripts/fuzz.py results 5000

Whatever is not refused in one line by an error of hooksim's is printed, each kind of it once with
the number that repeats it: `--only 1234`. Ends with 1 where there was anything.
"""

import argparse
import os
import re
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for scripts/fuzzing, wherever this is started

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "agg")

from scripts.fuzzing import configs, results  # noqa: E402

__all__ = ["fuzz", "main"]

KINDS = {"configs": configs, "results": results}
LONGEST = 60  # seconds for one try, beyond which it hangs


class HangsError(BaseException):
    """One try takes too long."""


def fuzz(kind: str, seeds: Iterable[int], *, quiet: bool = True) -> dict[str, int]:
    """Try each seed in a folder of its own.

    Args:
        kind: `configs` or `results`.
        seeds: One try each.
        quiet: Say nothing on the way.

    Returns:
        For each kind of finding, in words, the first seed that shows it; none where all is well.
    """
    first: dict[str, int] = {}
    counted: Counter[str] = Counter()
    with TemporaryDirectory() as name:
        work = Path(name) / "work" / "inner"  # so that `..` holds nothing else
        work.mkdir(parents=True)
        with chdir(work), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sys.path.insert(0, str(work))
            try:
                KINDS[kind].prepare(work)
                for number, seed in enumerate(seeds, 1):
                    found = _try(kind, seed)
                    if not quiet and number % 1000 == 0:
                        print(f"{number:,} tried", flush=True)
                    if found is None:
                        continue
                    word = re.sub(r"\d+", "N", found)
                    counted[word] += 1
                    if first.setdefault(word, seed) == seed and not quiet:
                        print(f"{seed}: {found[:1000]}", flush=True)
            finally:
                sys.path.remove(str(work))
    return {f"{counted[word]} times: {word}": seed for word, seed in first.items()}


def _try(kind: str, seed: int) -> str | None:
    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise HangsError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        found: str | None = KINDS[kind].try_one(seed)
        return found
    except HangsError:
        return f"hangs for more than {LONGEST} seconds"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> int:
    """Read the arguments and do what they say.

    Returns:
        0 where nothing was found, else 1.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("count", type=int, nargs="?", default=200, help="how many (200)")
    parser.add_argument("--start", type=int, default=0, help="the first number (0)")
    parser.add_argument("--only", type=int, help="this number alone")
    options = parser.parse_args()
    seeds = range(options.start, options.start + options.count)
    started = time.monotonic()
    found = fuzz(options.kind, seeds if options.only is None else [options.only], quiet=False)
    print("\n".join(f"{words[:500]} (--only {seed})" for words, seed in found.items()))
    tried = len(seeds) if options.only is None else 1
    print(f"{tried:,} {options.kind} in {time.monotonic() - started:.0f} s: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
