"""What the front says of a policy, against sums over every text that it can write."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align.frontier import Frontier
from culet.core.log import read_log
from tests.align.tiny import TEXTS, WORDS, many_a, policy, prompts

LONGEST = 8
normalised = eqx.filter_jit(lambda model, tokens: jax.nn.log_softmax(model(tokens)))


def exact(model, start, new_tokens):
    """KL(model || start), reward, length and entropy per token of all texts, averaged over the prompts."""
    found = np.zeros(3)
    tokens = 0.0
    for text in TEXTS:
        prompt = WORDS.encode(text)
        rows = {(): (1.0, 0.0)}  # what was written so far: its probability and its divergence
        for _ in range(new_tokens):
            grown = {}
            for ids, (mass, apart) in rows.items():
                if ids and ids[-1] == WORDS.eos_id:
                    grown[ids] = mass, apart
                    continue
                read = [*prompt, *ids]
                padded = jnp.array(read + [0] * (LONGEST - len(read)))
                p, q = (np.asarray(normalised(m, padded))[len(read) - 1] for m in (model, start))
                found[2] -= mass * (np.exp(p) * p).sum() / len(TEXTS)
                for token in range(len(p)):
                    grown[*ids, token] = mass * np.exp(p[token]), apart + p[token] - q[token]
            rows = grown
        for ids, (mass, apart) in rows.items():
            said = WORDS.decode([token for token in ids if token != WORDS.eos_id])
            found[:2] += np.array([mass * apart, mass * said.count("a")]) / len(TEXTS)
            tokens += mass * len(ids) / len(TEXTS)
    return found[0], found[1], tokens, found[2] / tokens


def test_a_point_is_what_sums_over_all_texts_say(tmp_path):
    held = prompts()
    held.rows, many = held.rows * 60, np.tile(np.arange(4), 60)
    held.prompts = held.repeated(many, 1)
    start, model = policy(0), policy(1)
    front = Frontier(start, held, 2, reward=many_a, folder=tmp_path / "run")
    point = front(model, 7)
    kl, reward, length, entropy = exact(model, start, 2)
    np.testing.assert_allclose(point["kl"], kl, rtol=0.05)
    np.testing.assert_allclose(point["reward"], reward, rtol=0.1)
    np.testing.assert_allclose(point["length"], length, rtol=0.02)
    np.testing.assert_allclose(point["entropy"], entropy, rtol=0.04)
    assert 0.3 < point["win_rate"] < 0.9
    first, second = read_log(tmp_path / "run" / "front.jsonl")
    assert first["step"] == 0 and abs(first["kl"]) < 1e-5 and abs(first["win_rate"] - 0.5) < 0.03
    assert second == {"step": 7, **point}
    assert (tmp_path / "run" / "front.png").read_bytes().startswith(b"\x89PNG")
    samples = read_log(tmp_path / "run" / "samples.jsonl")
    assert [row["step"] for row in samples] == [0] * 6 + [7] * 6
    assert samples[6]["reward"] == samples[6]["text"].count("a")


def test_a_run_that_goes_on_writes_later_points_again(tmp_path):
    for _ in range(2):
        front = Frontier(policy(), prompts(), 3, reward=many_a, folder=tmp_path)
        front(policy(1), 5)
        front(policy(1), 10)
        assert [row["step"] for row in read_log(tmp_path / "front.jsonl")] == [0, 5, 10]


def test_a_judge_that_compares_gives_the_win_rate():
    def longer(firsts, seconds):
        return np.array([float(a.tokens > b.tokens) for a, b in zip(firsts, seconds, strict=True)])

    front = Frontier(policy(), prompts(), 3, compare=longer)
    assert front.best_of_n() == []
    assert set(front.rows[0]) == {"step", "kl", "length", "entropy", "win_rate"}
    with pytest.raises(ValueError, match="needs a reward or a judge"):
        Frontier(policy(), prompts(), 3)


def test_further_rewards_are_measured_on_the_same_completions():
    def length(answers):
        return np.array([float(answer.tokens) for answer in answers])

    both = Frontier(policy(), prompts(), 3, reward=many_a, measures={"tokens": length})
    alone = Frontier(policy(), prompts(), 3, reward=length)
    point, by_length = both(policy(1), 5), alone(policy(1), 5)
    assert point["tokens"] == point["length"] == by_length["reward"]
    assert point["tokens_win_rate"] == by_length["win_rate"] != point["win_rate"]
    assert [answer.tokens for answer in both.answers] == both.scores["tokens"].ravel().tolist()
    assert both.reference_scores["tokens"].shape == (4, 16) and both.columns()["step"].tolist() == [0, 5]
    with pytest.raises(ValueError, match="the measure 'length' needs another name: each point has a length already"):
        Frontier(policy(), prompts(), 3, reward=many_a, measures={"length": length})
