"""Options from a dataclass of settings, and help from a docstring."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_type_hints

import typer

from culet.core.settings import Setting


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces each parameter whose type is a dataclass by its fields, as keyword options with the fields' defaults.

    The command is called with the dataclass made of them, so that it is the dataclass which checks them.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}
    signature = inspect.signature(command)

    parameters = []
    for name, parameter in signature.parameters.items():
        if name in groups:
            parameters += [_option(field, hint) for field, hint in _settings(groups[name])]
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def expanded(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field, _ in _settings(kind)})
        command(**given)

    vars(expanded)["__signature__"] = signature.replace(parameters=parameters)
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


def reflowed(docstring: str) -> str:
    """The docstring with each paragraph on one line, for the terminal to wrap; examples (`[dim]`) stay as they are.

    Typer keeps the line breaks of the source in all paragraphs but the first.
    """
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(text if text.startswith("[dim]") else " ".join(text.split()) for text in paragraphs)


def _settings(kind: Any) -> list[tuple[dataclasses.Field, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    return [(field, hints[field.name]) for field in dataclasses.fields(kind)]


def _option(field: dataclasses.Field, hint: Any) -> inspect.Parameter:
    kind, setting = get_args(hint)
    assert isinstance(setting, Setting)
    flag = [f"--{field.name.replace('_', '-')}"] if kind is bool else []  # no --no-... beside it
    option = typer.Option(*flag, help=setting.help, min=setting.min, max=setting.max)
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=Annotated[kind, option]
    )
