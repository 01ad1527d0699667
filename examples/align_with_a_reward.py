"""Teaches a small model by REINFORCE to answer in three words, and shows reward against divergence as it goes."""

import argparse

import jax

import culet
from culet.align import AlignRecipe, Frontier, PromptRow, PromptSet, align
from culet.align.methods import Reinforce
from culet.align.rewards import length_near

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--steps", type=int, default=30)
options = arguments.parse_args()

texts = [f"line {n}: the cat saw {n * n} dogs." for n in range(64)]
tokenizer = culet.lm.train_tokenizer(texts, vocabulary=400)
size = {"vocabulary": tokenizer.vocabulary, "width": 32, "window": 16, "context": 64}
policy = culet.lm.scaled("gemma-2-2b", layers=1, **size).init(jax.random.key(0))
policy = culet.lm.train(policy, culet.lm.text_rows(texts, tokenizer, 32), culet.lm.Recipe(steps=60, batch_size=8))

prompts = [PromptRow(text=f"line {n}:", tokens=tokenizer.encode(f"line {n}:")) for n in range(24)]
reward = length_near(target=3)
frontier = Frontier(policy, PromptSet(prompts[16:], tokenizer), 12, reward=reward)
recipe = AlignRecipe(steps=options.steps, batch_size=8, new_tokens=12, learning_rate=3e-3, evaluate_every=10)
align(
    policy, Reinforce(samples=4, beta=0.02), PromptSet(prompts[:16], tokenizer), recipe,
    reward=reward, evaluate=frontier,
)  # fmt: skip
for point in frontier.rows:
    print(f"step {point['step']:3}: reward {point['reward']:.2f} at {point['kl']:.2f} nats from the start")
