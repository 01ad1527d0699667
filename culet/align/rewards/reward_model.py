"""A reward model: a decoder that reads a whole text and gives one number for it. Its training, its folder, its uses.

The number says what a human would have preferred (2203.02155), or whether what was read last follows from what was read
first (2306.00186). Training is the one loop of language models with the loss of Bradley and Terry, on the rows that
`culet.align.rewards.examples` makes; a statement is a pair whose second text has the score 0, so that the loss is then
the binary cross-entropy of the first one's log-odds. A folder has the form of transformers' classes for sequences with
one label: `score.weight` [1, D] stands beside the decoder's tensors, `id2label` in config.json holds the meaning, and
`centre`, which transformers ignores, what its score is greater by than ours.

Axis letters: T tokens, D width, B texts, answers, statements or examples in a batch, K texts in an example (two
answers, or one statement).
"""

import contextlib
import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree
from rich.console import Console

from culet.align.rewards.answer import Answer, Reward
from culet.align.rewards.examples import Statement, encode_answer, encode_statement
from culet.align.scorer import Scorer
from culet.lm import Decoder, Recipe, Tokenizer, load_model, save_model, train
from culet.lm._train import Rows, filled
from culet.lm.formats.checkpoint import CONFIG, staged
from culet.lm.formats.json_file import ConfigError, TensorError, brief, read_object, write_json
from culet.lm.formats.safetensors import TensorFolder
from culet.objectives import Loss, Objective, bradley_terry

Meaning = Literal["reward", "entailment"]
SHORTEST = 32  # tokens that the smallest program of `scores` reads
CENTRED_ON = 1024  # pairs
_HEAD = "score.weight"
_MEANINGS: dict[str, Meaning] = {
    "reward": "reward",
    "entailment": "entailment",
    "LABEL_0": "reward",  # what transformers calls the label of reward models that other tools trained
}
_SUFFIX = "ForSequenceClassification"


class RewardModel(Scorer):
    """A scorer of whole texts, read at the last token (2203.02155, section 3.5), and what its score means.

    The `meaning` is "reward", of which only differences count, so that its zero is put where `centre` says; or
    "entailment", the log-odds that what was read last follows from what was read first.
    """

    centre: Float[Array, ""]
    meaning: Meaning = eqx.field(static=True)

    def __init__(self, decoder: Decoder, meaning: Meaning = "reward", *, key: Key[Array, ""]):
        """Any decoder with a fresh head, normal with variance 1 / (D + 1) (as in 2009.01325)."""
        width = decoder.config.width
        self.decoder = decoder
        self.head = jax.random.normal(key, (width,)) * (width + 1) ** -0.5
        self.centre = jnp.zeros(())
        self.meaning = meaning

    def __call__(
        self, tokens: Int[Array, "T"], length: Int[Array, ""] | None = None, *, remat: bool = False, scan: bool = False
    ) -> Float[Array, ""]:
        """The score of one text, its last token the one before place `length`; what follows is padding, unseen."""
        product = super().__call__(tokens, length, remat=remat, scan=scan)
        return product - self.centre.astype(jnp.float32)


def scores(model: RewardModel, texts: Sequence[Sequence[int]], batch_size: int = 16) -> Float[np.ndarray, "B"]:
    """What the model gives to texts as token ids, in float32.

    Texts are padded to the next power of two and read `batch_size` at a time, so that one program is compiled for each
    such length that occurs, and that of a text depends on nothing but its own length.

    Raises ValueError for an empty text, and for one that is longer than the model's context: a text is never cut.
    """
    context = model.decoder.config.context
    lengths = np.array([len(text) for text in texts], np.int32)
    for number in np.flatnonzero((lengths == 0) | (lengths > context))[:1]:
        raise ValueError(
            f"text {number} has {lengths[number]} tokens; the model that judges it reads 1 to {context} and nothing is "
            "cut: give shorter texts or a model with a longer context"
        )
    slots = np.array([_slots(int(length), context) for length in lengths])
    result = np.zeros(len(texts), np.float32)
    pending = []  # on the device until the end, so that batches follow each other without a wait
    for size in np.unique(slots):
        alike = np.flatnonzero(slots == size)
        for start in range(0, len(alike), batch_size):
            chosen = alike[start : start + batch_size]
            tokens, counts = np.zeros((batch_size, size), np.int32), np.ones(batch_size, np.int32)
            for row, number in enumerate(chosen):
                tokens[row, : lengths[number]] = texts[number]
                counts[row] = lengths[number]
            pending.append((chosen, _batch_scores(model, jnp.asarray(tokens), jnp.asarray(counts))))
    for chosen, values in pending:
        result[chosen] = np.asarray(values)[: len(chosen)]
    return result


def _slots(length: int, context: int) -> int:
    return min(max(SHORTEST, 1 << (length - 1).bit_length()), context)


@eqx.filter_jit
def _batch_scores(model: RewardModel, tokens: Int[Array, "B T"], lengths: Int[Array, "B"]) -> Float[Array, "B"]:
    return jax.vmap(model)(tokens, lengths)


def judgement(*, remat: bool = False, scan: bool = False) -> Objective:
    """The cross-entropy of labels, hard or soft, under a `RewardModel`; every example has its weight in the mean."""

    def loss(model: RewardModel, batch: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        del key
        read = jax.vmap(jax.vmap(lambda tokens, length: model(tokens, length, remat=remat, scan=scan)))
        scored = read(batch["tokens"], batch["lengths"])
        first, second = scored[:, 0], scored[:, 1] if scored.shape[1] == 2 else jnp.zeros_like(scored[:, 0])
        return bradley_terry(first, second, batch["labels"], batch["weights"])

    return loss


def evaluate_judgement(model: RewardModel, rows: Rows, batch_size: int = 16) -> dict[str, float]:
    """The mean loss in nats over `rows`, and the `accuracy`: the fraction of labels other than 0.5 that it agrees with.

    The accuracy of labels that are all 0.5 is NaN.
    """
    sums = []  # on the device until the end, so that batches follow each other without a wait
    for start in range(0, len(rows["labels"]), batch_size):
        batch = {
            name: jnp.asarray(filled(array[start : start + batch_size], batch_size)) for name, array in rows.items()
        }
        loss = _sums(model, batch)
        sums.append((loss.total, loss.weight, loss.metrics["accuracy"], loss.metrics["decided"]))
    total, weight, right, decided = (np.sum(part, dtype=np.float64) for part in zip(*jax.device_get(sums), strict=True))
    return {"loss": float(total / weight), "accuracy": float(right / decided) if decided else float("nan")}


def train_reward_model(
    model: RewardModel,
    rows: Rows,
    recipe: Recipe,
    *,
    trainable: PyTree = eqx.is_inexact_array,
    held_out: Rows | None = None,
    folder: str | Path | None = None,
    name: str = "reward model",
    progress: bool = True,
) -> RewardModel:
    """Trains a reward model on `preference_rows`, or one of entailment on `statement_rows`; gives the trained one.

    `trainable` is an Equinox filter of the decoder's parameters; the head is trained in any case. `held_out` rows are
    evaluated on as the run goes, by loss and accuracy. In the end the zero of a reward is put at its mean over both
    answers of the training pairs (of `CENTRED_ON`, evenly spaced, if there are more).

    Raises ValueError for rows of the other kind than the model's meaning, else as `culet.core.fit` does.
    """
    texts = {"reward": 2, "entailment": 1}[model.meaning]
    for given in (rows,) if held_out is None else (rows, held_out):
        if given["tokens"].shape[1] != texts:
            raise ValueError(
                f"a model of {model.meaning} learns from examples of {texts} texts, not {given['tokens'].shape[1]}"
            )
    only = eqx.tree_at(lambda tree: (tree.decoder, tree.head, tree.centre), model, (trainable, True, False))
    trained = train(
        model, rows, recipe, loss=_kept(remat=recipe.remat, scan=recipe.scan), trainable=only, held_out=held_out,
        measure=evaluate_judgement, folder=folder, name=name, progress=progress,
    )  # fmt: skip
    if model.meaning == "entailment":
        return trained
    with Console(stderr=True).status("putting the zero") if progress else contextlib.nullcontext():
        return _centred(trained, rows, recipe.batch_size)


_kept = functools.cache(judgement)  # so that reward models of the same shapes share what is compiled


def _centred(model: RewardModel, rows: Rows, batch_size: int) -> RewardModel:
    """The model whose mean score over the pairs is 0."""
    counted = np.flatnonzero(rows["weights"])
    chosen = counted[np.linspace(0, len(counted) - 1, min(len(counted), CENTRED_ON)).astype(int)]
    texts = [
        row[:length].tolist()
        for tokens, lengths in zip(rows["tokens"][chosen], rows["lengths"][chosen], strict=True)
        for row, length in zip(tokens, lengths, strict=True)
    ]
    mean = jnp.asarray(scores(model, texts, batch_size).mean())
    return eqx.tree_at(lambda tree: tree.centre, model, model.centre + mean)


@eqx.filter_jit
def _sums(model: RewardModel, batch: Mapping[str, Array]) -> Loss:
    return judgement()(model, batch, jax.random.key(0))


def learned_reward(model: RewardModel, tokenizer: Tokenizer, *, batch_size: int = 16) -> Reward:
    """The score of prompt and answer. `tokenizer` is the model's own, whatever the one that the policy writes with.

    The end token stands behind every answer, as in training, also where it was cut off: the text is judged as it
    stands. Raises ValueError for a model of entailment; the reward raises as `scores` does.
    """
    _check(model, "reward")

    def judge(answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        texts = [encode_answer(tokenizer, answer.prompt, answer.text) for answer in answers]
        return scores(model, texts, batch_size)

    return judge


def entailment_reward(
    model: RewardModel, tokenizer: Tokenizer, *, premise: str | None = None, batch_size: int = 16
) -> Reward:
    """The log P(the answer follows from the premise), in nats, at most 0: the reward of 2306.00186.

    The premise is the text in the column of that name, by default the prompt. An empty answer says nothing false and
    may score high: report lengths beside this reward, or add one for length.

    Raises ValueError for a model of another meaning. The reward raises ValueError for an answer without that column,
    and as `scores` does where premise and answer are together longer than the context: neither is ever cut.
    """
    _check(model, "entailment")
    return entailed(
        lambda statements: entailment_scores(model, tokenizer, statements, batch_size=batch_size), premise=premise
    )


def entailed(
    log_odds: Callable[[Sequence[Statement]], Float[np.ndarray, "B"]], *, premise: str | None = None
) -> Reward:  # fmt: skip
    """The same by any scorer of statements, such as one from `train_lexical_scorer`, which gives their log-odds."""

    def judge(answers: Sequence[Answer]) -> Float[np.ndarray, "B"]:
        statements = [
            Statement(premise=_premise(answer, number, premise), hypothesis=answer.text, label=0.5)
            for number, answer in enumerate(answers)
        ]
        odds = log_odds(statements)
        return -np.logaddexp(np.zeros_like(odds), -odds)

    return judge


def entailment_scores(
    model: RewardModel, tokenizer: Tokenizer, statements: Sequence[Statement], *, batch_size: int = 16
) -> Float[np.ndarray, "B"]:
    """The log-odds that each hypothesis follows from its premise. Labels are not looked at. Raises as `scores` does."""
    _check(model, "entailment")
    texts = [encode_statement(tokenizer, each.premise, each.hypothesis) for each in statements]
    return scores(model, texts, batch_size)


def _check(model: RewardModel, meaning: Meaning) -> None:
    if model.meaning != meaning:
        raise ValueError(f"this model's score means {model.meaning}, where a model of {meaning} is needed")


def _premise(answer: Answer, number: int, column: str | None) -> str:
    if column is None:
        return answer.prompt
    text = answer.columns.get(column)
    if not isinstance(text, str):
        raise ValueError(f"answer {number}: no text in the column {column!r}; columns: {', '.join(answer.columns)}")
    return text


def save_reward_model(path: str | Path, model: RewardModel, tokenizer: Tokenizer, *, dtype: str | None = None) -> None:
    """Writes a folder that `load_reward_model` reads, and transformers where it has such a class (Gemma, Gemma 2, 3).

    `dtype` is that of the file, by default the model's. The folder changes all at once, after everything is on disk.
    Raises as `culet.lm.save` does.
    """
    family = model.decoder.config.family
    with staged(Path(path)) as stage:
        tokenizer.save(stage)
        save_model(stage, model.decoder, dtype=dtype, beside={_HEAD: model.head[None]})
        config = json.loads((stage / CONFIG).read_bytes())
        stem = "Gemma3Text" if family == "gemma3_text" else config["architectures"][0].removesuffix("ForCausalLM")
        config |= {
            "architectures": [stem + _SUFFIX],
            "id2label": {"0": model.meaning},
            "label2id": {model.meaning: 0},
            "centre": float(model.centre),
            "bos_token_id": tokenizer.bos_id,
            "eos_token_id": tokenizer.eos_id,
            "pad_token_id": tokenizer.pad_id,
        }
        write_json(stage / CONFIG, config)


def load_reward_model(path: str | Path, *, dtype: str | None = None) -> tuple[RewardModel, Tokenizer]:
    """The model and tokenizer of a folder that `save_reward_model` wrote.

    `dtype` is that of the decoder, by default what config.json names; the head is float32. Raises ConfigError and
    TensorError, which are ValueErrors, naming file and key or tensor, for a folder that holds no such model.
    """
    folder = Path(path)
    file = folder / CONFIG
    config = read_object(file, ConfigError)
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not all(str(name).endswith(_SUFFIX) for name in architectures or [""]):
        raise ConfigError(
            f"{file}: architectures is {brief(architectures)}, which is no reward model; train one with "
            "culet train --preferences or --entailment"
        )
    labels, centre = config.get("id2label"), config.get("centre", 0.0)
    label = labels.get("0") if isinstance(labels, dict) and len(labels) == 1 else None
    meaning: Meaning | None = _MEANINGS.get(str(label))
    if meaning is None:
        raise ConfigError(
            f"{file}: id2label must hold one label, {', '.join(_MEANINGS)}; this model has another purpose"
        )
    if not isinstance(centre, int | float) or not math.isfinite(centre):
        raise ConfigError(f"{file}: centre must be a finite number, not {brief(centre)}")
    decoder = load_model(folder, dtype=dtype, beside=(_HEAD,))
    model = RewardModel(decoder, meaning, key=jax.random.key(0))
    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocabulary > decoder.config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.vocabulary} tokens but the model embeds "
            f"{decoder.config.vocabulary}; they do not belong together"
        )
    return _with_head(model, TensorFolder(folder), float(centre)), tokenizer


def _with_head(model: RewardModel, tensors: TensorFolder, centre: float) -> RewardModel:
    entry, width = tensors.entries.get(_HEAD), model.decoder.config.width
    if entry is None:
        raise TensorError(f"{tensors.folder}: tensor {_HEAD!r} is missing; this is no reward model")
    if entry.shape != (1, width) or entry.dtype.name not in ("bfloat16", "float16", "float32"):
        raise TensorError(
            f"{entry.file}: tensor {_HEAD!r} is {entry.dtype}{list(entry.shape)}; it must be floats of [1, {width}]"
        )
    head = jnp.asarray(tensors.read(_HEAD)[0].astype("float32"))
    return eqx.tree_at(lambda tree: (tree.head, tree.centre), model, (head, jnp.asarray(centre, jnp.float32)))
