"""The cases of `scripts/benchmark.py`, one a file, and what measures them."""
