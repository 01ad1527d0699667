"""Culet beside transformers: same weights, same machine, same threads, by turns. See each file's first lines."""
