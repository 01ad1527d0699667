"""What the experiments on language models learn from: the documentation's tokens, and the numbers of a run."""

import numpy as np

from culet.core import warmup_cosine
from culet.tasks.python_docs import SIZES, Course, streams


def test_streams_are_two_texts_of_the_vocabulary():
    training, held_out = streams("smoke")
    assert len(training) > 4 * len(held_out) > 0
    assert max(training.max(), held_out.max()) < SIZES["smoke"].vocabulary


def test_a_course_is_a_recipe_with_a_tenth_of_warm_up():
    course = Course(steps=160, batch_size=8, length=16, learning_rate=1e-2)
    assert course.tokens == 160 * 8 * 16
    recipe = course.recipe(3)
    assert (recipe.steps, recipe.batch_size, recipe.learning_rate, recipe.seed) == (160, 8, 1e-2, 3)
    warmup = int(recipe.warmup * recipe.steps)
    schedule = warmup_cosine(1e-2, steps=160, warmup=warmup)
    np.testing.assert_allclose(np.array([schedule(warmup), schedule(160)]), [1e-2, 1e-3])
    assert warmup == 16
