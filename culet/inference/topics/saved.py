"""Saved topic models: a folder with `topics.json` and `topics.safetensors`.

Axis letters: V vocabulary, K topics.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from culet.core.files import atomic_write
from culet.inference.topics.hdp import HDPParameters
from culet.inference.topics.models import HDP, LDA, SparseLDA, TopicModel
from culet.inference.topics.sparse_lda import SparseTopics

_JSON, _TENSORS = "topics.json", "topics.safetensors"
_KINDS: dict[str, Any] = {kind.kind: kind for kind in (LDA, HDP, SparseLDA)}
_PARAMETERS: dict[str, Any] = {"lda": None, "hdp": HDPParameters, "sparse-lda": SparseTopics}
_EARLIER = {"document_prior": "alpha", "word_prior": "eta", "corpus_prior": "gamma", "beta": "word_weight"}


def save_topics(path: str | Path, model: TopicModel, vocabulary: Sequence[str]) -> None:
    """Writes a fitted model and the words of its columns into a folder; a model that stood there is replaced.

    Other files in the folder stay. Killed while it saves, it leaves the old model or none.

    Raises `ValueError` for a model that is not fitted or a vocabulary of another size, and `OSError`.
    """
    if len(vocabulary) != model.beta.shape[1]:
        raise ValueError(f"the model has {model.beta.shape[1]} words, the vocabulary {len(vocabulary)}")
    tensors = {name: np.asarray(array) for name, array in _named(model.kind, model.parameters).items()}
    about = {
        "kind": model.kind,
        "settings": model.get_params(),
        "steps": model.steps,
        "seen": model.seen,
        "vocabulary": list(vocabulary),
    }
    path = Path(path)
    data = safetensors.numpy.save(tensors)
    text = json.dumps(about, ensure_ascii=False, indent=1) + "\n"
    (path / _JSON).unlink(missing_ok=True)  # no reader takes the old words for those of the new numbers
    atomic_write(path / _TENSORS, data)
    atomic_write(path / _JSON, text)


def load_topics(path: str | Path) -> tuple[TopicModel, tuple[str, ...]]:
    """The model and the vocabulary that `save_topics` wrote; fitting can go on with `partial_fit`.

    Raises `FileNotFoundError` when it is no such folder, and `ValueError` when its files are broken or do not fit
    together.
    """
    path = Path(path)
    if not (path / _JSON).is_file() or not (path / _TENSORS).is_file():
        raise FileNotFoundError(f"{path}: no topic model; its folder holds {_JSON} and {_TENSORS}")
    try:
        about = json.loads((path / _JSON).read_text(encoding="utf-8"))
        model = _made(about)
        model.steps, model.seen = int(about["steps"]), int(about["seen"])
        vocabulary = tuple(map(str, about["vocabulary"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise ValueError(f"{path / _JSON}: not a saved topic model ({problem!r:.120})") from None
    try:
        tensors = safetensors.numpy.load_file(path / _TENSORS)
    except (safetensors.SafetensorError, OSError) as problem:
        raise ValueError(f"{path / _TENSORS}: not a whole safetensors file ({problem})") from None
    expected = {k: v.shape for k, v in _named(model.kind, model.initial(jax.random.key(0), len(vocabulary))).items()}
    if {k: v.shape for k, v in tensors.items()} != expected or any(v.dtype != np.float32 for v in tensors.values()):
        raise ValueError(f"{path / _TENSORS}: does not hold what {_JSON} announces, {expected}")
    arrays = {name: jnp.asarray(tensor) for name, tensor in tensors.items()}
    model.parameters = arrays["words"] if model.kind == "lda" else _PARAMETERS[model.kind](**arrays)
    return model, vocabulary


def _made(about: dict[str, Any]) -> TopicModel:
    """The model that a file describes; earlier ones had other names for priors, and the numbers of fitting apart."""
    kind = _KINDS[about["kind"]]
    settings: dict[str, Any] = {str(_EARLIER.get(name, name)): value for name, value in about["settings"].items()}
    fitting: dict[str, Any] = {
        name: value for name, value in about.get("fitting", {}).items() if name in kind.arguments
    }
    return kind(**settings, **fitting)


def _named(kind: str, parameters: Any) -> dict[str, jax.Array]:
    return {"words": parameters} if kind == "lda" else parameters._asdict()
