"""Distils a student from a teacher, trains its twin on the same tokens alone, and compares them on held-out text."""

import argparse
import inspect

import jax

import culet

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--steps", type=int, default=60)
options = arguments.parse_args()

source = inspect.getsource(argparse)
cut = len(source) * 4 // 5
tokenizer = culet.lm.train_tokenizer([source[:cut]], vocabulary=512)
rows, held_out = (culet.lm.text_rows([text], tokenizer, length=64) for text in (source[:cut], source[cut:]))


def untrained(width: int, seed: int) -> culet.lm.Decoder:
    """A model of Gemma 2's shape with random weights."""
    config = culet.lm.scaled("gemma-2-2b", layers=2, width=width, vocabulary=512)
    return config.init(jax.random.key(seed))


recipe = culet.lm.Recipe(steps=options.steps, batch_size=8, learning_rate=5e-3)
teacher = culet.lm.train(untrained(64, 0), rows, recipe, name="teacher")
student = culet.lm.distil(untrained(32, 1), teacher, rows, recipe, name="student")
twin = culet.lm.train(untrained(32, 1), rows, recipe, name="twin")
for name, model in {"teacher": teacher, "student": student, "twin": twin}.items():
    print(f"{name}: {culet.lm.evaluate(model, held_out)['loss']:.3f} nats per held-out token")
