"""The layers: linear maps, norms, attention, recurrences. Each acts on one sequence; batches come from `vmap`."""
