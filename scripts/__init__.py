"""What anyone can run from a checkout, and the cases of the benchmark."""
