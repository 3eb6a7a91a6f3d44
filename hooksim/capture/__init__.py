"""From a model and a loader to rows: hooks, layers, row policies, batches, and the one loop."""
