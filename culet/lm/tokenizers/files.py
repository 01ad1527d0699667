"""The two formats in which the vocabulary of a Gemma model is stored: `tokenizer.json` and SentencePiece's protobuf.

Both are read through their makers' libraries (`tokenizers`, `sentencepiece`). Only byte-fallback vocabularies of
Gemma's kind are taken: there a token's text does not depend on its neighbours, and encoding adds no space in front.

`specials` maps the names of control tokens to their ids, `size` counts ids, up to the highest one.
"""

import json
import re
from typing import Any, ClassVar

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_DECODERS = {"Sequence", "Replace", "ByteFallback", "Fuse"}
_MOST_IDS = 2**24  # ids are table rows; a file that claims more is broken


class JsonFile:
    """A `tokenizer.json`, as the tokenizers library writes it. `name` is the file's, for messages.

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
        found = self._model.PieceToId(name)
        return None if self._pieces[found] != name else found

    def serialise(self) -> bytes:
        """The file's content."""
        return self._data


Backend = JsonFile | SentencePieceFile


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
