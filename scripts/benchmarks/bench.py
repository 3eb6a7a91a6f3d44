"""The side of the benchmark that holds models and runs contestants, in a process of its own.

`python -m scripts.benchmarks.bench` answers JSON requests, one a line.
"""

import ctypes
import gc
import importlib.util
import io
import json
import os
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmarks.case import Case, Contestant, Values

__all__ = ["Bench", "main"]

Cases = Mapping[str, Callable[[bool], Case]]
PACKAGES = (
    "torch numpy transformers tensordict hooksim pytorch-cka torch_cka tdhook dadapy scikit-learn"
)


class Bench:
    """Answers requests about cases, as the process at the other end of a pipe or in this one.

    State: the inputs of one case at a time, the latest values of each contestant, the references.

    Args:
        cases: Makers of cases by name; each takes whether it is small.
    """

    def __init__(self, cases: Cases) -> None:
        self._cases = cases
        self._inputs: Any = None
        self._device = "cpu"
        self._case: Case | None = None
        self._values: dict[str, Values] = {}
        self._references: dict[str, Values] = {}

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request.

        Args:
            request: `do`, the name of a method below, and its arguments.

        Returns:
            The answer, ready for JSON.
        """
        arguments = {key: value for key, value in request.items() if key != "do"}
        answers: dict[str, Callable[..., dict[str, Any]]] = {
            "surroundings": surroundings,
            "prepare": self._prepare,
            "run": self._run,
            "values": self._give_values,
            "reference": self._reference,
        }
        return answers[request["do"]](**arguments)

    def _prepare(
        self, case: str, small: bool, modules: Sequence[str], device: str = "cpu"
    ) -> dict[str, Any]:
        """Make the inputs, and run what imports these once on small ones: libraries load."""
        self._inputs = self._case = None
        self._values, self._references = {}, {}
        gc.collect()
        self._device = device
        tiny = self._cases[case](True)
        tiny_inputs = placed(tiny.prepare(), device)
        for contestant in tiny.contestants:
            if contestant.module in modules:
                _outcome(contestant, tiny_inputs)
        self._case = self._cases[case](small)
        self._inputs = placed(self._case.prepare(), device)
        return {"fingerprint": self._case.fingerprint(self._inputs)}

    def _run(self, name: str) -> dict[str, Any]:
        """Run a contestant once."""
        contestant = self._contestant(name)
        self._values.pop(name, None)
        gc.collect()
        held = reset_peak(self._device)
        started, processor = time.perf_counter(), processor_time()
        values, failure = _outcome(contestant, self._inputs)
        finish(self._device)
        seconds, processor = time.perf_counter() - started, processor_time() - processor
        peak = peak_since(held, self._device)
        if values is not None:
            self._values[name] = values
        return {
            "seconds": seconds,
            "processor_seconds": processor,
            "peak": peak,
            "failure": failure,
        }

    def _give_values(self, name: str) -> dict[str, Any]:
        """Give what the latest run of a contestant found."""
        return {"values": as_lists(self._values[name])}

    def _reference(self, quantity: str) -> dict[str, Any]:
        """Compute what is right."""
        if self._case is None:
            raise RuntimeError("no case is prepared.")
        if quantity not in self._references:
            inputs = placed(self._inputs, "cpu")
            self._references[quantity] = self._case.references[quantity](inputs)
        return {"values": as_lists(self._references[quantity])}

    def _contestant(self, name: str) -> Contestant:
        contestants = self._case.contestants if self._case is not None else ()
        return next(each for each in contestants if each.name == name)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _outcome(contestant: Contestant, inputs: Any) -> tuple[Values | None, str]:
    """The values, or why there are none, without progress bars and warnings."""
    try:
        with (
            redirect_stderr(io.StringIO()),
            redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            return contestant.run(inputs), ""
    except ImportError:  # a broken environment says nothing about the tool
        raise
    except Exception as error:  # whatever it is, it is what a user would meet
        traceback.print_exc()
        return None, f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]


def processor_time() -> float:
    """Seconds that the processors have spent on this process and on those that it ended."""
    return sum(os.times()[:4])


def placed(value: Any, device: str) -> Any:
    """Inputs of a case on a device: models, tensors, and what is made of them."""
    import torch

    if isinstance(value, torch.Tensor | torch.nn.Module):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: placed(each, device) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(placed(each, device) for each in value))
    if isinstance(value, list | tuple):
        return type(value)(placed(each, device) for each in value)
    return value


def finish(device: str) -> None:
    """Wait until an accelerator has done all it was asked for."""
    import torch

    if device != "cpu":
        torch.accelerator.synchronize()


def as_lists(values: Values) -> dict[str, Any]:
    """Arrays as nested lists, for JSON."""
    return {key: np.asarray(value, dtype=np.float64).tolist() for key, value in values.items()}


def surroundings() -> dict[str, Any]:
    """The machine, the threads and the versions."""
    import torch

    versions = {}
    for package in PACKAGES.split():
        try:
            versions[package] = version(package).split("+")[0]
        except PackageNotFoundError:
            continue
    modules = ("torch", "hooksim", "cka", "torch_cka", "tdhook", "dadapy")
    return {
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": versions,
        "modules": [module for module in modules if _installed(module)],
    }


def processor_name() -> str:
    """What the processor calls itself, where the system tells."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


# ------------------------------------------------------------------------------ the memory's peak


def status_bytes(field: str) -> int | None:
    """A number of bytes of `/proc/self/status`; None on other systems."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text(encoding="utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) << 10
    return None


def reset_peak(device: str = "cpu") -> int | None:
    """Forget the peak so far and give what is held now; None where the system cannot."""
    import torch

    if device != "cpu":
        torch.accelerator.reset_peak_memory_stats()
        return torch.accelerator.memory_allocated()
    try:
        # What the allocator keeps of earlier runs would hide what this one takes.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except (OSError, AttributeError):
        return None
    return status_bytes("VmRSS")


def peak_since(held: int | None, device: str = "cpu") -> int | None:
    """Bytes at the peak above what was held when it was reset; an accelerator's where there is."""
    import torch

    on_cpu = device == "cpu"
    peak = status_bytes("VmHWM") if on_cpu else torch.accelerator.max_memory_allocated()
    return None if held is None or peak is None else max(peak - held, 0)


# ----------------------------------------------------------------------------------- the process


def main() -> None:
    """Answer requests until there are no more."""
    import torch

    from scripts.benchmarks.registry import CASES

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    # Nothing but answers may reach the pipe: whatever else is printed goes to the error stream.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    bench = Bench(CASES)
    for line in sys.stdin:
        try:
            answer = bench.ask(json.loads(line))
        except Exception as error:
            traceback.print_exc()
            answer = {"broken": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
