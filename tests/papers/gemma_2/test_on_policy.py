"""How far students are from their teacher, token by token, against logits of one sequence at a time."""

import jax
import jax.numpy as jnp
import numpy as np

from culet.papers.gemma_2.on_policy import student, teacher, yardstick


def test_a_teacher_is_nowhere_apart_from_itself():
    measure = yardstick("smoke", 0, "tuning")
    np.testing.assert_allclose(measure.apart(measure.start), 0, atol=1e-6)
    assert abs(measure(measure.start)["kl"]) < 1e-5


def test_apart_is_the_divergence_of_the_student_from_its_teacher_at_each_place():
    measure, pupil = yardstick("smoke", 0, "tuning"), student("smoke", 1)
    rollout = measure.written(pupil, 1.0, 0)
    found, counts = np.zeros(rollout.mask.shape[1]), np.zeros(rollout.mask.shape[1])
    for row in range(len(rollout.mask)):
        begun = int(rollout.prompts.padding[row])
        prompt = np.asarray(rollout.prompts.tokens[row])[begun:]
        tokens = jnp.concatenate([prompt, rollout.completions[row]])
        true, other = (jax.nn.log_softmax(model(tokens)[len(prompt) - 1 : -1]) for model in (teacher("smoke"), pupil))
        mask = np.asarray(rollout.mask[row])
        found += mask * np.asarray(jnp.sum(jnp.exp(true) * (true - other), axis=-1))
        counts += mask
    np.testing.assert_allclose(measure.apart(pupil), found / np.maximum(counts, 1), atol=1e-5)
