"""Trains a tokenizer and a small Gemma 2 on some of Python's docstrings, saves it, and lets it continue a prompt."""

import argparse
import json
import textwrap

import jax

import culet

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--steps", type=int, default=60)
arguments.add_argument("--out", default="runs/train_and_talk")
options = arguments.parse_args()

texts = [module.__doc__ for module in (json, argparse, textwrap)]
tokenizer = culet.lm.train_tokenizer(texts, vocabulary=512)
config = culet.lm.scaled("gemma-2-2b", layers=2, width=64, vocabulary=512)
rows = culet.lm.text_rows(texts, tokenizer, length=64)

recipe = culet.lm.Recipe(steps=options.steps, batch_size=8, learning_rate=5e-3)
model = culet.lm.train(config.init(jax.random.key(0)), rows, recipe, folder=options.out)
print(f"loss on what it was trained on: {culet.lm.evaluate(model, rows)['loss']:.2f} nats per token")

culet.lm.save(f"{options.out}/model", model, tokenizer)  # transformers loads this folder
model, tokenizer = culet.lm.load(f"{options.out}/model")
for piece in culet.lm.stream(model, tokenizer, "JSON", max_new_tokens=40):
    print(piece.text, end="", flush=True)
print()
