"""A case whose contestants take as long as they say, by a clock that only they move."""

from types import SimpleNamespace

import numpy as np

from scripts.benchmarks.case import Case, Contestant, Limit
from scripts.benchmarks.promises import ratio

__all__ = ["Clock", "case_of"]


class Clock:
    """Time that passes when it is told to, and who passed it."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.order = []
        self.environment = ""
        stopped = SimpleNamespace(perf_counter=lambda: self.now)
        monkeypatch.setattr("scripts.benchmarks.bench.time", stopped)

    def taking(self, name, *seconds, module="torch", values=None, **options):
        """A contestant whose runs take these seconds, the last of them ever after."""
        left = list(seconds)

        def run(inputs):
            if inputs == "small":
                return {}
            self.order.append(name)
            taken = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(taken, Exception):
                raise taken
            self.now += taken
            return {key: np.asarray(value) for key, value in (values or {}).items()}

        return Contestant(name, f"{name}()", run, module, **options)


def case_of(*contestants, **options):
    """A maker of a case; the inputs of the small one take no time."""

    def make(small):
        return Case(
            title="clockwork",
            prepare=lambda: "small" if small else "full",
            contestants=contestants,
            base=contestants[0].name,
            limits=[Limit("second / first", 2.0, ratio(contestants[-1].name, contestants[0].name))],
            **options,
        )

    return make
