"""The machine room: fit, checkpoints, meshes, data, metrics and plots. Knows nothing of any model."""
