"""What `scripts/fuzz.py` runs: mutations, and what they are tried on."""
