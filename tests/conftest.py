"""Settings of every test: no network, no window, the same random numbers."""

import os

# Before numpy is imported: on busy cores two BLAS threads take a hundred times as long as one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
import torch
from hypothesis import settings

# The tests' tensors are small: a second thread waits for the first, and on busy cores spins.
torch.set_num_threads(1)

settings.register_profile("hooksim", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("hooksim")


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Start every test from the same random state."""
    torch.manual_seed(0)
