"""Small changes of a program that its tests must notice.

Signs, swapped arguments, dropped terms, constants and comparisons; not the defaults of settings, which are choices.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
_OPPOSITES = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
_SCOPES = ast.FunctionDef | ast.ClassDef
_OF_SETTINGS = ("Setting", "TypeVar", "lazy", "field", "lru_cache", "filter_jit", "jit")


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    kind: str  # "sign", "swap", "drop", "constant" or "comparison"
    line: int
    scope: str  # the function or class that it is in
    before: str
    after: str
    source: str  # of the whole file, changed

    @property
    def name(self) -> str:
        """What identifies it as long as the changed expression stays the same."""
        return f"{self.scope}: {self.before} -> {self.after}"


def mutants(source: str) -> Iterator[Mutant]:
    """All mutants of a file; annotations, decorators, errors and docstrings are left alone."""
    tree = ast.parse(source)
    for node, scope in _expressions(tree):
        for kind, changed in _changes(node):
            start, end = _span(source, node)
            text = ast.unparse(changed)
            if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare):
                text = f"({text})"
            mutated = source[:start] + text + source[end:]
            try:
                compile(mutated, "<mutant>", "exec")
            except (SyntaxError, ValueError):
                continue
            yield Mutant(kind, node.lineno, scope, ast.unparse(node), ast.unparse(changed), mutated)


def _expressions(tree: ast.AST, scope: str = "module") -> Iterator[tuple[ast.expr, str]]:
    """Each expression that computes something, with the function or class it is in."""
    for child in ast.iter_child_nodes(tree):
        if _left_alone(tree, child):
            continue
        inner = f"{scope}.{child.name}".removeprefix("module.") if isinstance(child, _SCOPES) else scope
        if isinstance(child, ast.expr):
            yield child, inner
        yield from _expressions(child, inner)


def _left_alone(parent: ast.AST, child: ast.AST) -> bool:
    """Whether this is text for people, a type, a choice of default, or machinery of importing."""
    if isinstance(child, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.arguments):
        return True
    if isinstance(parent, ast.ClassDef) and isinstance(child, ast.AnnAssign | ast.expr):  # fields' defaults, decorators
        return True
    if isinstance(parent, ast.FunctionDef) and (child in parent.decorator_list or child is parent.returns):
        return True
    if isinstance(parent, ast.AnnAssign) and child is parent.annotation:
        return True
    if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
        return True
    if isinstance(child, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id in ("_HOME", "__all__") for target in child.targets)
    return isinstance(child, ast.Call) and ast.unparse(child.func).split(".")[-1] in _OF_SETTINGS


def _changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.BinOp(left=left, op=op) if type(op) in _SIGNS and not _is_text(node):
            yield "sign", _with(node, op=_SIGNS[type(op)]())
            if isinstance(op, ast.Add | ast.Sub):
                yield "drop", left
        case ast.UnaryOp(op=ast.USub(), operand=operand) if not isinstance(operand, ast.Constant):
            yield "sign", operand
        case ast.Compare(ops=[op]) if type(op) in _OPPOSITES:
            yield "comparison", _with(node, ops=[_OPPOSITES[type(op)]()])
        case ast.Call(args=[first, second, *rest]) if _exchangeable(first, second):
            yield "swap", _with(node, args=[second, first, *rest])
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield "constant", ast.Constant(value * 1.5 if value else 1.0)


def _with(node: ast.expr, **changes: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def _exchangeable(first: ast.expr, second: ast.expr) -> bool:
    """Whether two arguments could be mistaken for each other: not the same, and neither a literal nor a function."""
    plain = not any(isinstance(one, ast.Lambda | ast.Constant | ast.Starred) for one in (first, second))
    return plain and ast.dump(first) != ast.dump(second)


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(side, ast.JoinedStr | ast.Constant) and not _is_number(side) for side in sides)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _span(source: str, node: ast.expr) -> tuple[int, int]:
    """Where an expression begins and ends; columns of `ast` are bytes."""
    lines = source.splitlines(keepends=True)

    def place(line: int, column: int) -> int:
        return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())

    assert node.end_lineno is not None and node.end_col_offset is not None
    return place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)
