"""A process in one of the environments, kept alive and asked over a pipe."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

__all__ = ["Worker"]

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """Runs `scripts.benchmarks.bench` with some Python.

    Args:
        python: The interpreter of the environment.
        threads: Threads of every library in it.
    """

    def __init__(self, python: str, threads: int) -> None:
        self._python = python
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [python, "-m", "scripts.benchmarks.bench"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Args:
            request: As for `Bench.ask`.

        Returns:
            The answer.

        Raises:
            RuntimeError: The process ended, or could not do it.
        """
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise RuntimeError(f"{self._python}: there is no pipe.")
        requests.write(json.dumps(request) + "\n")
        requests.flush()
        line = answers.readline()
        if not line:
            raise RuntimeError(
                f"{self._python}: ended with {self._process.wait()} at {dict(request)}; see above."
            )
        answer: dict[str, Any] = json.loads(line)
        if "broken" in answer:
            raise RuntimeError(f"{self._python}: {answer['broken']}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        self.close()
