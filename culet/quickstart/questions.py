"""Questions and short answers made from docstrings and signatures by rules, to tune a model on and to test it."""

import ast
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from culet.core.text import HELD_OUT_FRACTION, hash_fraction
from culet.quickstart.corpus import Entry, documents, entries, normalised

MOST_WORDS = 40
_FEWEST_WORDS = 3
_MARKUP = re.compile(r"(?::[\w:]+:)?`+([^`]+)`+")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)\s+(?=[\"'(`A-Z])")
_ODD = re.compile(r">>>|->|\.\. |::|=====|-----|\|", re.MULTILINE)
_COMMON_ARGUMENTS = ("path", "name", "timeout", "key", "encoding", "default", "mode", "flags", "limit", "strict")


@dataclass(frozen=True)
class QuestionAnswer:
    """A question, its answer of at most 40 words, and the full name of the thing it is about.

    `held_out` ones are for testing, and no training question is about the same thing. They are of two sorts: `seen`
    says that the documentation of the thing is in the training documents, so that only the question is new; if it is
    False, neither that documentation nor the sentence of the answer is anywhere in them, though other texts may mention
    the name. Training questions are all `seen`. `kind` names the rule that made the pair.
    """

    question: str
    answer: str
    source: str
    held_out: bool
    seen: bool
    kind: str


@functools.cache
def questions() -> tuple[QuestionAnswer, ...]:
    """All pairs, in the order of the library's files. No question occurs twice, nor any description as an answer.

    Raises `FileNotFoundError` as `culet.quickstart.corpus.documents` does.
    """
    library = [entry for entry in entries() if entry.public]
    withheld = {document.title for document in documents() if document.held_out}
    training_text = normalised("\n".join(document.text for document in documents() if not document.held_out))
    sentences = _sentences(library)
    names = Counter(entry.name.rpartition(".")[2] for entry in library if entry.kind in ("function", "class"))
    makers: dict[str, Callable[[Entry], Iterator[tuple[str, str]]]] = {
        "description": lambda entry: _about(entry, sentences.get(entry.name)),
        "module": lambda entry: _home(entry, unique=names[entry.name.rpartition(".")[2]] == 1),
        "arguments": _arguments,
        "default": _defaults,
        "has argument": _has_argument,
        "class or function": _kind,
        "base class": _bases,
    }
    pairs: dict[str, QuestionAnswer] = {}
    for entry in library:
        withheld_text = entry.document in withheld
        sentence = sentences.get(entry.name)
        if withheld_text and sentence and normalised(sentence) in training_text:
            continue  # its sentence is in training under another name: neither seen nor unseen
        held_out = withheld_text or hash_fraction("question " + entry.name) < HELD_OUT_FRACTION
        for rule, make in makers.items():
            for question, answer in make(entry):
                pair = QuestionAnswer(question, answer, entry.name, held_out, not withheld_text, rule)
                if len(answer.split()) <= MOST_WORDS:
                    pairs.setdefault(normalised(question), pair)
    return tuple(pairs.values())


def first_sentence(entry: Entry) -> str | None:
    """The first sentence of the docstring, if it is a plain sentence of 3 to 40 words; else None."""
    short = entry.name.rpartition(".")[2]
    for paragraph in re.split(r"\n\s*\n", entry.doc)[:2]:
        text = " ".join(paragraph.split())
        text = re.sub(rf"^({re.escape(entry.name)}|{re.escape(short)})\s*(--?|:)\s+", "", text)
        if text.startswith((short + "(", entry.name + "(")) or len(text.split()) < _FEWEST_WORDS:
            continue  # a signature or a bare name; the sentence follows
        sentence = _MARKUP.sub(r"`\1`", _SENTENCE_END.split(text)[0])
        if _ODD.search(sentence) or not sentence[0].isalpha() or sentence.endswith((":", ",")):
            return None
        if not _FEWEST_WORDS <= len(sentence.split()) <= MOST_WORDS:
            return None
        sentence = sentence[0].upper() + sentence[1:]
        return sentence if sentence.endswith((".", "!", "?")) else sentence + "."
    return None


def _sentences(library: list[Entry]) -> dict[str, str]:
    """The first sentence of each entry, left out where a sentence so much like it came before."""
    kept: dict[str, str] = {}
    seen: set[str] = set()
    for entry in library:
        sentence = first_sentence(entry)
        core = re.sub(r"\b(the|a|an|this|returns?)\b|\d", "", normalised(sentence or ""))
        core = " ".join(core.split())
        if sentence and core and core not in seen:
            kept[entry.name] = sentence
        seen.add(core)
    return kept


def _choose(entry: Entry, *forms: str) -> str:
    """One of several ways to ask, always the same for the same thing."""
    return forms[int(hash_fraction(f"form {forms[0]} {entry.name}") * len(forms))]


def _about(entry: Entry, sentence: str | None) -> Iterator[tuple[str, str]]:
    if sentence is None:
        return
    name, kind = entry.name, entry.kind
    what = f"What does `{name}` do?" if kind in ("function", "method") else f"What is the {kind} `{name}`?"
    yield _choose(entry, what, f"What is `{name}` for?", f"Explain `{name}` in one sentence."), sentence
    if entry.name.rpartition(".")[2].lower() not in sentence.lower():
        ask = _choose(entry, f"Which {kind} fits this: {sentence}", f"What is the name of the {kind}? {sentence}")
        yield ask, f"It is `{name}`."


def _home(entry: Entry, unique: bool) -> Iterator[tuple[str, str]]:
    module, _, short = entry.name.rpartition(".")
    if entry.kind in ("function", "class") and unique and module and len(short) > 3:
        ask = _choose(entry, f"Which module has the {entry.kind} `{short}`?", f"Where is the {entry.kind} `{short}`?")
        yield ask, f"It is in `{module}`."


def _arguments(entry: Entry) -> Iterator[tuple[str, str]]:
    given = entry.arguments
    if given is None or not entry.doc:
        return
    plain = [argument.arg for argument in (*given.posonlyargs, *given.args)]
    plain += [f"*{given.vararg.arg}"] if given.vararg else []
    keyword = [argument.arg for argument in given.kwonlyargs] + ([f"**{given.kwarg.arg}"] if given.kwarg else [])
    listed = _listed(plain) or "nothing by position"
    answer = f"It takes {listed}" + (f", and by keyword {_listed(keyword)}." if keyword else ".")
    if len(plain) + len(keyword) > 8:
        return
    ask = _choose(entry, f"What arguments does `{entry.name}` take?", f"Which are the arguments of `{entry.name}`?")
    yield ask, answer if plain or keyword else "It takes no arguments."


def _defaults(entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.arguments is None or not entry.doc:
        return
    for name, default in _with_defaults(entry.arguments):
        if (
            isinstance(default, ast.Constant | ast.Name | ast.Attribute | ast.UnaryOp)
            and len(ast.unparse(default)) < 30
        ):
            ask = _choose(entry, f"What is the default of `{name}` in `{entry.name}`?")
            yield ask, f"It is `{ast.unparse(default)}`."
            return


def _has_argument(entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.arguments is None or not entry.doc or entry.arguments.kwarg or entry.arguments.vararg:
        return
    taken = [argument.arg for argument in ast.walk(entry.arguments) if isinstance(argument, ast.arg)]
    others = [name for name in _COMMON_ARGUMENTS if name not in taken]
    yes = bool(taken) and hash_fraction("yes " + entry.name) < 0.5
    pool = taken if yes else others
    name = pool[int(hash_fraction("argument " + entry.name) * len(pool))]
    instead = f"No, it takes {_listed(taken)}." if taken else "No, it takes no arguments."
    yield f"Does `{entry.name}` take an argument called `{name}`?", "Yes, it does." if yes else instead


def _kind(entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.kind in ("function", "class") and entry.doc:
        ask = _choose(entry, f"Is `{entry.name}` a function or a class?", f"Is `{entry.name}` a class or a function?")
        yield ask, f"It is a {entry.kind}."


def _bases(entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.kind == "class" and len(entry.bases) == 1 and re.fullmatch(r"[^\W_]\w*(\.[^\W_]\w*)*", entry.bases[0]):
        ask = _choose(entry, f"Which class does `{entry.name}` extend?", f"What is the base class of `{entry.name}`?")
        yield ask, f"It is `{entry.bases[0]}`."


def _with_defaults(given: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    """The names of the arguments that have a default, with it."""
    plain = [*given.posonlyargs, *given.args]
    for argument, default in zip(plain[len(plain) - len(given.defaults) :], given.defaults, strict=True):
        yield argument.arg, default
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if default is not None:
            yield argument.arg, default


def _listed(names: list[str]) -> str:
    """The names in backquotes, with commas and an "and"."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)
