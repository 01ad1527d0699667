"""Numbers that a user may set: a dataclass says once, for Python and command line, what each means and its bounds."""

from typing import NamedTuple


class Setting(NamedTuple):
    """Stands beside the type of a dataclass's field: `steps: Annotated[int, Setting("Training steps.", min=1)]`."""

    help: str
    min: float | None = None
    max: float | None = None
