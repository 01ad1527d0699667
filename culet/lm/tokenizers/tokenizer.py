"""Text to token ids and back, for the tokenizer files that Gemma folders hold.

Decoding is by token: each id stands for some bytes, and the bytes of all ids together are read as UTF-8. That is what
makes streaming exact. Vocabularies are read through their makers' libraries (`tokenizers` for `tokenizer.json`,
`sentencepiece` for `tokenizer.model`). Only byte-fallback vocabularies of Gemma's kind are taken: there a token's text
does not depend on its neighbours, and encoding adds no space in front.
"""

import codecs
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from culet.core.files import atomic_write

TURNS = ("<start_of_turn>", "<end_of_turn>")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_DECODERS = {"Sequence", "Replace", "ByteFallback", "Fuse"}
_MOST_IDS = 2**24  # ids are table rows; a file that claims more is broken


class JsonFile:
    """A `tokenizer.json`, as the tokenizers library writes it. `name` is the file's, for messages.

    `specials` maps the names of control tokens to their ids, `size` counts ids, up to the highest one.

    Raises `ValueError` if it is broken or its decoder is not of Gemma's kind.
    """

    FILE: ClassVar[str] = "tokenizer.json"
    TRANSFORMERS_CLASS: ClassVar[str] = "PreTrainedTokenizerFast"
    DEFAULTS: ClassVar[dict[str, str]] = {"bos": "<bos>", "eos": "<eos>", "pad": "<pad>"}

    def __init__(self, data: bytes, name: str):
        from tokenizers import Tokenizer

        try:
            content = json.loads(data.decode("utf-8"))
            if isinstance(content, dict):
                _check_prefix(content.get("model"), name)
            _check_decoder(content.get("decoder") if isinstance(content, dict) else None, name)
            backend = Tokenizer.from_str(data.decode("utf-8"))
        except ValueError as problem:
            if str(problem).startswith(name):
                raise
            raise ValueError(f"{name}: not valid JSON ({str(problem)[:120]})") from None
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as problem:  # the library raises bare Exception, and its panics are BaseException
            raise ValueError(f"{name}: not a tokenizer ({str(problem)[:120]})") from None
        backend.no_truncation()
        backend.no_padding()
        self.size = 1 + max(backend.get_vocab().values(), default=-1)
        if not 0 < self.size <= _MOST_IDS:
            raise ValueError(f"{name}: ids up to {self.size - 1}; a vocabulary has between 1 and {_MOST_IDS} of them")
        added = backend.get_added_tokens_decoder()
        self.specials = {token.content: i for i, token in added.items() if token.special}
        self._added = set(added)
        self._backend = backend

    def encode(self, text: str) -> list[int]:
        """Ids without beginning or end token; control tokens' names become those tokens."""
        try:
            return self._backend.encode(text, add_special_tokens=False).ids
        except (TypeError, UnicodeEncodeError):
            raise _not_unicode(text) from None

    def token_bytes(self, token: int) -> bytes:
        """The bytes that one id stands for, none for an id that the file leaves out."""
        text = self._backend.id_to_token(token)
        if text is None:
            return b""
        byte = None if token in self._added else _BYTE.fullmatch(text)
        return bytes([int(byte[1], 16)]) if byte else self._backend.decoder.decode([text]).encode()

    def id(self, name: str) -> int | None:
        """The id of the token called `name`."""
        return self._backend.token_to_id(name)

    def serialise(self) -> bytes:
        """The file's content."""
        return self._backend.to_str(pretty=True).encode()


class SentencePieceFile:
    """A `tokenizer.model`, as SentencePiece writes it. `name` is the file's, for messages.

    Raises `ValueError` if it is broken or puts a space in front of texts, as other families' do.
    """

    FILE: ClassVar[str] = "tokenizer.model"
    TRANSFORMERS_CLASS: ClassVar[str] = "GemmaTokenizer"
    DEFAULTS: ClassVar[dict[str, str]] = {"bos": "<bos>", "eos": "<eos>", "pad": "<pad>"}

    def __init__(self, data: bytes, name: str):
        from sentencepiece import SentencePieceProcessor

        model: Any = SentencePieceProcessor()
        try:
            loaded = bool(data) and model.LoadFromSerializedProto(data) and 0 < model.GetPieceSize() <= _MOST_IDS
            pieces = [model.IdToPiece(i) for i in range(model.GetPieceSize())] if loaded else []
            begun = model.EncodeAsPieces("a") if loaded else []
        except (RuntimeError, ValueError, TypeError):  # a damaged piece is no UTF-8, which is a ValueError
            pieces = begun = []
        if not begun or any(model.IsByte(i) and not _BYTE.fullmatch(piece) for i, piece in enumerate(pieces)):
            raise ValueError(f"{name}: not a SentencePiece model (empty, cut short or another kind of file)")
        if begun[0].startswith("▁"):
            raise ValueError(
                f"{name}: puts a space in front of every text; train it with add_dummy_prefix=false, as Gemma's is"
            )
        self._model, self._data, self._pieces = model, data, pieces
        self.size = len(pieces)
        self.specials = {piece: i for i, piece in enumerate(pieces) if model.IsControl(i)}
        names = "|".join(map(re.escape, sorted(self.specials, key=len, reverse=True)))
        self._special = re.compile(f"({names})") if names else None

    def encode(self, text: str) -> list[int]:
        """Ids without beginning or end token; control tokens' names become those tokens."""
        # The library itself takes control tokens' names for plain text.
        parts = self._special.split(text) if self._special else [text]
        try:
            return [
                i
                for part in parts
                for i in ([self.specials[part]] if part in self.specials else self._model.EncodeAsIds(part))
            ]
        except (UnicodeEncodeError, TypeError, RuntimeError):
            raise _not_unicode(text) from None

    def token_bytes(self, token: int) -> bytes:
        """The bytes that one id stands for."""
        text = self._pieces[token]
        if self._model.IsByte(token):
            return bytes([int(text[3:5], 16)])
        return (self._model.DecodeIds([token]) if self._model.IsUnknown(token) else text.replace("▁", " ")).encode()

    def id(self, name: str) -> int | None:
        """The id of the token called `name`."""
        token = self._model.PieceToId(name)  # that of the unknown token if there is no such name
        return token if self._pieces[token] == name else None

    def serialise(self) -> bytes:
        """The file's content."""
        return self._data


Backend = JsonFile | SentencePieceFile
_FORMATS = (JsonFile, SentencePieceFile)  # in a folder with both, the first is read


class Tokenizer:
    """A vocabulary with its beginning, end and padding tokens, and the chat template that came with it.

    `vocabulary` counts ids (the highest one plus 1), `bos_id`, `eos_id` and `pad_id` are ids (`pad_id` falls back to
    `eos_id`), `stop_ids` are those that end a completion, `specials` maps the names of control tokens to ids,
    `chat_template` is a Jinja text or None. Raises `ValueError` where there is no beginning or end token.
    """

    def __init__(self, backend: Backend, settings: dict[str, Any] | None = None, name: str = "tokenizer"):
        self._backend = backend
        self._settings = dict(settings or {})
        self._bytes: dict[int, bytes] = {}
        self.vocabulary: int = backend.size
        self.bos_id, self.eos_id = (self._required(role, name) for role in ("bos", "eos"))
        pad_id = self._find("pad")
        self.pad_id: int = self.eos_id if pad_id is None else pad_id
        turns = {turn: token for turn in TURNS if (token := backend.id(turn)) is not None}
        named = {self._name(token): token for _, token in self._roles()}
        self.specials: dict[str, int] = {**backend.specials, **turns, **named}
        self._special_ids = frozenset(self.specials.values())
        self.stop_ids: tuple[int, ...] = tuple(sorted({self.eos_id, turns.get(TURNS[1], self.eos_id)}))
        self.chat_template: str | None = _template(self._settings.get("chat_template"), name)
        names = sorted(self.specials, key=len, reverse=True)
        self._special = re.compile("(?=" + "|".join(map(re.escape, names)) + ")")  # matches overlapping names too

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Reads a folder with `tokenizer.json` or `tokenizer.model`, or one such file, and the settings beside it.

        Raises `FileNotFoundError` where there is none, `ValueError` for a broken file or one of an unsupported kind.
        """
        path = Path(path)
        if path.is_dir():
            files = [(kind, path / kind.FILE) for kind in _FORMATS if (path / kind.FILE).is_file()]
        else:
            files = [(kind, path) for kind in _FORMATS if path.is_file() and path.suffix == Path(kind.FILE).suffix]
        if not files:
            wanted = " or ".join(kind.FILE for kind in _FORMATS)
            raise FileNotFoundError(f"{path}: no tokenizer here; give a folder that holds {wanted}, or such a file")
        kind, file = files[0]
        return cls(kind(file.read_bytes(), str(file)), _settings(file.parent), str(file))

    def encode(
        self, text: str | Sequence[str], *, bos: bool = True, eos: bool = False, special: bool = True
    ) -> list[int]:
        """The ids of `text`: exactly one beginning token in front if `bos`, exactly one end token behind if `eos`.

        Names of control tokens within the text ("<start_of_turn>") become those tokens, as in transformers, so a
        prompt may be written out by hand; a text that starts with "<bos>" gets no second one. For text that is not
        yours say `special=False`: the names stay plain text. (Chat templates do so for what people say.)
        A sequence of pieces is encoded piece by piece, with no token across their borders. Empty text has no ids
        but those asked for. Raises `ValueError` for text that is not Unicode (a lone surrogate).
        """
        pieces = [text] if isinstance(text, str) else text
        if not special:
            pieces = [part for piece in pieces for part in self.split_specials(piece)]
        ids = [i for piece in pieces for i in self._backend.encode(piece)]
        if bos:
            first = next((k for k, i in enumerate(ids) if i != self.bos_id), len(ids))
            ids = [self.bos_id, *ids[first:]]
        if eos:
            ids = [*ids, self.eos_id] if ids[-1:] != [self.eos_id] else ids
        return ids

    def split_specials(self, text: str) -> list[str]:
        """Cuts `text` after the first letter of every control token's name, so that encoding the parts makes none."""
        cuts = [0, *(match.start() + 1 for match in self._special.finditer(text)), len(text)]
        return [text[start:end] for start, end in itertools.pairwise(cuts)]

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """The text of `ids`, without control tokens if `skip_special`. Bytes that are no UTF-8 become U+FFFD.

        Raises `ValueError` for an id outside the vocabulary.
        """
        return b"".join(self.token_bytes(i, skip_special=skip_special) for i in ids).decode("utf-8", "replace")

    def token_bytes(self, token: int, *, skip_special: bool = False) -> bytes:
        """The bytes that one id stands for; a character may be spread over several ids. Raises as `decode` does."""
        token = int(token)
        if token not in self._bytes:
            if not 0 <= token < self.vocabulary:
                raise ValueError(f"token id {token} is outside the tokenizer's vocabulary of {self.vocabulary}")
            self._bytes[token] = self._backend.token_bytes(token)
        return b"" if skip_special and token in self._special_ids else self._bytes[token]

    def save(self, folder: str | Path) -> None:
        """Writes the files from which transformers' `AutoTokenizer`, and `load`, make this tokenizer again."""
        folder = Path(folder)
        named = {f"{role}_token": self._name(token) for role, token in self._roles()}
        settings = {
            "add_bos_token": True,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
            "tokenizer_class": self._backend.TRANSFORMERS_CLASS,
            **self._settings,
            **named,
        }
        settings.pop("chat_template", None)
        if self.chat_template is not None:
            settings["chat_template"] = self.chat_template
        atomic_write(folder / self._backend.FILE, self._backend.serialise())
        atomic_write(folder / "special_tokens_map.json", _json(named))
        atomic_write(folder / "tokenizer_config.json", _json(settings))

    @property
    def bos(self) -> str:
        """The name of the beginning token, which chat templates write themselves."""
        return self._name(self.bos_id)

    def _roles(self) -> list[tuple[str, int]]:
        return [("bos", self.bos_id), ("eos", self.eos_id), ("pad", self.pad_id)]

    def _name(self, token: int) -> str:
        return self._backend.token_bytes(token).decode("utf-8", "replace")

    def _find(self, role: str) -> int | None:
        named = self._settings.get(f"{role}_token")
        named = named.get("content") if isinstance(named, dict) else named
        return self._backend.id(named if isinstance(named, str) else self._backend.DEFAULTS[role])

    def _required(self, role: str, name: str) -> int:
        token = self._find(role)
        if token is None:
            wanted = self._settings.get(f"{role}_token") or self._backend.DEFAULTS[role]
            raise ValueError(
                f"{name}: no token {wanted!r}; give the {role} token's name as {role}_token in tokenizer_config.json"
            )
        return token


class StreamDecoder:
    """Turns ids that arrive one by one into text, holding a character back until all its bytes are there.

    The pieces that `push` gives and the rest that `finish` gives are, joined, what `decode` gives for all the ids.
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True):
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that this id completes, often none."""
        return self._decoder.decode(self._tokenizer.token_bytes(token, skip_special=self._skip_special))

    def finish(self) -> str:
        """What stands for a character that never became whole: U+FFFD, or nothing."""
        return self._decoder.decode(b"", final=True)


def _settings(folder: Path) -> dict[str, Any]:
    """The settings that transformers keeps beside the vocabulary; a template in a file of its own has precedence."""
    settings: dict[str, Any] = {}
    file = folder / "tokenizer_config.json"
    if file.is_file():
        try:
            settings = json.loads(file.read_bytes())
        except (ValueError, RecursionError) as problem:
            raise ValueError(f"{file}: not valid JSON ({str(problem)[:120]})") from None
        if not isinstance(settings, dict):
            raise ValueError(f"{file}: must hold one JSON object, not a {type(settings).__name__}")
    template = folder / "chat_template.jinja"
    if template.is_file():
        try:
            settings["chat_template"] = template.read_text(encoding="utf-8")
        except UnicodeDecodeError as problem:
            raise ValueError(f"{template}: not UTF-8 text ({problem.reason} at byte {problem.start})") from None
    return settings


def _template(value: object, name: str) -> str | None:
    """The template out of `chat_template`: a text, or a list of named ones, of which "default" counts."""
    if isinstance(value, list):
        named = {entry.get("name"): entry.get("template") for entry in value if isinstance(entry, dict)}
        value = named.get("default")
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: chat_template in tokenizer_config.json must be text, not a {type(value).__name__}")
    return value


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _check_prefix(model: Any, name: str) -> None:
    """Raises `ValueError` for a prefix of pieces within a word: where merges do not bear it, the library aborts."""
    if isinstance(model, dict) and model.get("continuing_subword_prefix"):
        raise ValueError(f"{name}: a continuing_subword_prefix is not supported; Gemma's tokenizers have none")


def _check_decoder(decoder: object, name: str) -> None:
    """Raises unless the text of a token depends on that token alone."""
    kind = decoder.get("type") if isinstance(decoder, dict) else None
    if kind not in _DECODERS:
        raise ValueError(
            f"{name}: decoder {kind!s:.40} is not supported; Culet reads byte-fallback vocabularies as Gemma's are "
            f"({', '.join(sorted(_DECODERS))})"
        )
    inner = decoder.get("decoders", []) if isinstance(decoder, dict) else []
    for part in inner if isinstance(inner, list) else [None]:
        _check_decoder(part, name)


def _not_unicode(text: str) -> ValueError:
    where = next((k for k, letter in enumerate(text) if "\ud800" <= letter <= "\udfff"), 0)
    return ValueError(f"text is not valid Unicode: a lone surrogate at character {where}; decode the input with care")
