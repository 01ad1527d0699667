"""The text that every Python brings along: the documentation of the language and the docstrings of its library.

Nothing is downloaded, and no module is imported to read it: docstrings come from the source files through `ast`.
(Only `builtins` and a few modules compiled into the interpreter, which have no source, are asked for theirs.)
"""

import ast
import functools
import importlib
import inspect
import re
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from culet.core.text import Document

_SKIPPED = {"test", "tests", "idle_test", "idlelib", "lib2to3", "turtledemo", "site-packages", "dist-packages"}
_SKIPPED |= {"__pycache__", "lib-dynload", "_pyrepl", "encodings", "pydoc_data", "ensurepip"}
_COMPILED = ("builtins", "itertools", "math", "time")  # not `sys`, whose hooks other programs replace
# Modules that hold, under another name, what users import as this.
_PUBLIC_NAMES = {
    "_pydecimal": "decimal",
    "_pyio": "io",
    "_collections_abc": "collections.abc",
    "_weakrefset": "weakref",
}


@dataclass(frozen=True)
class Entry:
    """A module, class or function with its docstring (cleaned, perhaps empty); `document` is the title it stands in.

    `arguments` are the node's own, without `self`; None for what takes none or hides them. `bases` are source text.
    """

    name: str
    kind: str  # "module", "class", "function" or "method"
    doc: str
    document: str
    arguments: ast.arguments | None = None
    bases: tuple[str, ...] = ()

    @property
    def public(self) -> bool:
        """Whether no part of its name is marked private."""
        return not any(part.startswith("_") for part in self.name.split("."))

    @property
    def heading(self) -> str:
        """Its name, with the arguments if it is called."""
        if self.kind == "class":
            return f"class {self.name}" + (f"({', '.join(self.bases)})" if self.bases else "")
        return self.name + (f"({ast.unparse(self.arguments)})" if self.arguments else "")


@functools.cache
def documents() -> tuple[Document, ...]:
    """The whole corpus: a document per chapter of the language's documentation, module, top-level class and function.

    A class stands with its methods. A paragraph that occurs in several places is kept in one. Order and
    content depend on the version of Python alone.

    Raises `FileNotFoundError` if this Python came without the sources of its library.
    """
    groups: dict[str, list[str]] = {}
    seen: set[str] = set()
    for entry in entries():
        doc = _without_copies(entry.doc, seen)
        if doc or entry.kind == "class":
            groups.setdefault(entry.document, []).append(f"{entry.heading}\n\n{doc}".strip())
    library = [(title, "\n\n\n".join(parts)) for title, parts in groups.items() if "\n" in "".join(parts)]
    topics = [(f"Python documentation: {title}", _without_copies(text.strip(), seen)) for title, text in _topics()]
    return tuple(Document(title, text + "\n") for title, text in (*topics, *library) if text)


@functools.cache
def entries() -> tuple[Entry, ...]:
    """All modules, classes, functions and methods of the standard library, in the order of their files' names.

    Raises as `documents` does.
    """
    root = Path(sysconfig.get_path("stdlib"))
    files = [path for path in sorted(root.rglob("*.py")) if _SKIPPED.isdisjoint(path.relative_to(root).parts)]
    if not files:
        raise FileNotFoundError(f"{root}: no sources of the standard library; use a Python that brings them along")
    console = Console(stderr=True)
    shown = track(
        files, "Reading Python's docstrings", console=console, transient=True, disable=not console.is_terminal
    )
    collected = [entry for name in _COMPILED for entry in _from_compiled(name)]
    for path in shown:
        collected += _from_source(path, _module_name(path.relative_to(root)))
    return tuple({entry.name: entry for entry in reversed(collected)}.values())[::-1]  # the first of each name


def normalised(text: str) -> str:
    """The words of a text in lower case with one space between them, for comparing paragraphs."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _topics() -> list[tuple[str, str]]:
    return sorted(importlib.import_module("pydoc_data.topics").topics.items())


def _without_copies(text: str, seen: set[str]) -> str:
    """`text` without the paragraphs that are in `seen`, where its own are put."""
    kept = []
    for paragraph in text.split("\n\n"):
        core = normalised(paragraph)
        if not core or core not in seen:
            kept.append(paragraph)
        seen.add(core)
    return "\n\n".join(kept).strip()


def _module_name(path: Path) -> str:
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    name = ".".join(parts)
    return _PUBLIC_NAMES.get(name, name)


def _from_source(path: Path, module: str) -> Iterator[Entry]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a bad escape in the library's own source is not our user's concern
        tree = ast.parse(path.read_bytes())
    yield Entry(module, "module", _doc(tree), module)
    for node in tree.body:
        yield from _definitions(node, module, "")


def _definitions(node: ast.stmt, prefix: str, document: str) -> Iterator[Entry]:
    """The class or function that a statement defines and, for a class, what is defined within."""
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    name = f"{prefix}.{node.name}"
    title = document or name
    if isinstance(node, ast.ClassDef):
        yield Entry(name, "class", _doc(node), title, bases=tuple(map(ast.unparse, node.bases)))
        for inner in node.body:
            yield from _definitions(inner, name, title)
    else:
        kind = "method" if document else "function"
        yield Entry(name, kind, _doc(node), title, _own_arguments(node.args, bound=bool(document)))


def _own_arguments(arguments: ast.arguments, bound: bool) -> ast.arguments:
    """The arguments without annotations, which old sources lack, and without the `self` or `cls` of a method."""
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    for group in (arguments.posonlyargs, arguments.args):
        if bound and group and group[0].arg in ("self", "cls"):
            if len(arguments.defaults) < len(arguments.posonlyargs) + len(arguments.args):
                del group[0]
            break
    return arguments


def _from_compiled(module: str) -> Iterator[Entry]:
    """The entries of a module without source, in alphabetical order."""
    content = vars(importlib.import_module(module))
    yield Entry(module, "module", inspect.cleandoc(content["__doc__"] or ""), module)
    for short in sorted(name for name in content if not name.startswith("_")):
        value, name = content[short], short if module == "builtins" else f"{module}.{short}"
        if inspect.isclass(value) and value.__name__ == short:
            yield Entry(name, "class", _live_doc(value), name, bases=tuple(base.__name__ for base in value.__bases__))
            for inner, method in sorted(vars(value).items()):
                if callable(method) and not inner.startswith("_"):
                    yield Entry(f"{name}.{inner}", "method", _live_doc(method), name, _live_arguments(method))
        elif inspect.isbuiltin(value):
            yield Entry(name, "function", _live_doc(value), name, _live_arguments(value))


def _live_doc(value: object) -> str:
    return inspect.cleandoc(value.__doc__) if isinstance(value.__doc__, str) else ""


def _live_arguments(value: object) -> ast.arguments | None:
    signature = re.sub(r"\$(self|module|type|cls)\b,?( /)?,? ?", "", getattr(value, "__text_signature__", None) or "")
    try:
        function = ast.parse(f"def f{signature}: ...").body[0] if signature else None
    except SyntaxError:
        return None
    return function.args if isinstance(function, ast.FunctionDef) else None


def _doc(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return "\n".join(line.rstrip() for line in (ast.get_docstring(node) or "").expandtabs().split("\n")).strip()
