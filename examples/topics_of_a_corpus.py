"""Finds topics in the documentation of Python's statements and types by stochastic variational inference."""

import argparse
from pydoc_data.topics import topics as chapters

from culet.inference import LDA, count_words

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--topics", type=int, default=6)
arguments.add_argument("--passes", type=int, default=10)
options = arguments.parse_args()

corpus = count_words(sorted(chapters.items()))
held_out = list(range(0, len(corpus.titles), 8))
training = [document for document in range(len(corpus.titles)) if document % 8]
model = LDA(topics=options.topics, passes=options.passes, batch_size=16).fit(corpus.counts[training])
for words in model.top_words(corpus.vocabulary, 8):
    print(" ".join(words))
print(f"held-out score: {model.score(corpus.counts[held_out]):.3f} nats per token")
