"""Typed reading of one object of a configuration file, with errors that name file and key."""

from collections.abc import Mapping
from typing import Any, NoReturn

from culet.lm.formats.json_file import ConfigError, brief


class Section:
    """One JSON object. A key that is absent or null has the default given to the method that reads it."""

    def __init__(self, data: Mapping[str, Any], source: str, path: str = ""):
        self.data = data
        self.source = source
        self.path = path

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raises `ConfigError` with file and key before the problem."""
        raise ConfigError(f"{self.source}: {self.path}{key}: {problem}")

    def inner(self, key: str, default: dict[str, Any]) -> "Section":
        """The object under `key` as a section of its own."""
        value = self._get(key, default)
        if not isinstance(value, dict):
            self.fail(key, f"must be an object, not {brief(value)}")
        return Section(value, self.source, f"{self.path}{key}.")

    def text(self, key: str, default: str | None) -> str | None:
        """A string."""
        value = self._get(key, default)
        if value is not None and not isinstance(value, str):
            self.fail(key, f"must be text, not {brief(value)}")
        return value

    def integer(self, key: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self._get(key, default)
        if type(value) is not int or not 1 <= value <= most:
            self.fail(key, f"must be a whole number from 1 to {most}, not {brief(value)}")
        return value

    def number(self, key: str, default: float) -> float:
        """A positive number, at most 1e12."""
        value = self._get(key, default)
        if type(value) not in (int, float) or not 1e-12 <= value <= 1e12:
            self.fail(key, f"must be a number from 1e-12 to 1e12, not {brief(value)}")
        return float(value)

    def optional_number(self, key: str, default: float | None) -> float | None:
        """A positive number, or None where the file says null."""
        return None if self.data.get(key, default) is None else self.number(key, default or 0.0)

    def flag(self, key: str, allowed: bool) -> None:
        """Raises unless the boolean under `key` is absent or `allowed`."""
        if self._get(key, allowed) is not allowed:
            self.fail(key, f"is {brief(self.data[key])}; only {str(allowed).lower()} is supported")

    def kinds(self, key: str, default: list[str], letters: Mapping[str, str]) -> str:
        """A list of names, one letter for each."""
        names = self._get(key, default)
        if not isinstance(names, list) or not names or len(names) > 1024:
            self.fail(key, f"must be a list of 1 to 1024 layer types, not {brief(names)}")
        for name in names:
            if not isinstance(name, str) or name not in letters:
                self.fail(key, f"unknown layer type {brief(name)}; known: {', '.join(letters)}")
        return "".join(letters[name] for name in names)

    def _get(self, key: str, default: Any) -> Any:
        value = self.data.get(key)
        return default if value is None else value
