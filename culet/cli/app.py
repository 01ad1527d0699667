"""The command tree: one Typer application, one file per subcommand."""

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def culet() -> None:
    """Culet: small language models of the Gemma line, from nothing to a model that talks."""


def main() -> None:
    """Runs the command line."""
    app()
