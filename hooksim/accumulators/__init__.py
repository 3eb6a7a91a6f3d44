"""Mergeable running sums over blocks; their size depends on the layers, never on the samples."""
