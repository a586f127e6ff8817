"""Small changes to a user's functions, one at a time: a guard dropped, a comparison turned, a field forgotten.

The functions are those that `decide` and `evolve` reach by name in the user's modules. A change is made in the syntax tree
of one of them; the others are bound anew, so that they meet the changed one. Classes and modules stay the same objects,
so methods and what is reached through a module are not changed, and are named. What claims are made with (invariants,
properties) stays as it is: it is what is graded.
"""

# Functions are taken apart here, and their parts have any type at all:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from eventcore.check.mutants_unseen import is_users, names_in, unchanged_below

TURNED: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], str]] = {
    ast.Lt: (ast.LtE, "< becomes <="),
    ast.LtE: (ast.Lt, "<= becomes <"),
    ast.Gt: (ast.GtE, "> becomes >="),
    ast.GtE: (ast.Gt, ">= becomes >"),
    ast.Eq: (ast.NotEq, "== becomes !="),
    ast.NotEq: (ast.Eq, "!= becomes =="),
    ast.Is: (ast.IsNot, "is becomes is not"),
    ast.IsNot: (ast.Is, "is not becomes is"),
    ast.In: (ast.NotIn, "in becomes not in"),
    ast.NotIn: (ast.In, "not in becomes in"),
}
SIGNS: Mapping[type[ast.operator], tuple[type[ast.operator], str]] = {
    ast.Add: (ast.Sub, "+ becomes -"),
    ast.Sub: (ast.Add, "- becomes +"),
}
SHOWN_MAX = 60  # letters of the source that a change is named with
ANNOTATIONS = annotations.compiler_flag  # annotations stay text, as in the module that the function is from

Function = types.FunctionType
Edit = tuple[str, ast.AST, Callable[[ast.AST], None]]  # what it does, to what, and how on the node of a copy


@dataclass(frozen=True)
class Change:
    """One change: in which function, at which line of which file, what, and how to get the functions with it."""

    function: str
    where: str
    what: str
    make: Callable[[Function], Function]


@dataclass(frozen=True)
class Changes:
    """All changes to what some functions reach, and the functions that could not be changed, with the reason."""

    changes: Sequence[Change]
    untouched: Sequence[str]


def changes_of(*functions: Callable[..., Any]) -> Changes:
    """Every change that is known for these functions and what they reach."""
    given = [each for each in functions if isinstance(each, Function)]
    reached = _reached(given)
    changes: list[Change] = []
    untouched = [f"{each!r} is no plain function" for each in functions if not isinstance(each, Function)]
    for function in reached:
        tree = _tree_of(function)
        if tree is None:
            untouched.append(f"{function.__qualname__} is not defined at the top of a module whose source is there")
            continue
        file = function.__code__.co_filename.rpartition("/")[2]
        found: list[tuple[int, Change]] = []
        for number, node in enumerate(ast.walk(tree)):
            for which, (what, at, _) in enumerate(_edits(node)):
                line = function.__code__.co_firstlineno + getattr(at, "lineno", 1) - 1
                make = _maker(reached, function, tree, number, which)
                found.append((line, Change(function.__name__, f"{file}:{line}", what, make)))
        changes += [change for _, change in sorted(found, key=lambda each: each[0])]
    return Changes(changes, [*untouched, *unchanged_below(reached, given)])


def _reached(functions: Sequence[Function]) -> list[Function]:
    """These functions and those of the user's modules that they name."""
    found = list(dict.fromkeys(functions))
    for function in found:  # which grows while it is read
        for name in names_in(function.__code__):
            other = function.__globals__.get(name)
            if isinstance(other, Function) and other not in found and _is_users(other):
                found.append(other)
    return found


def _is_users(function: Function) -> bool:
    return is_users(function.__module__, function.__code__.co_filename)


def _tree_of(function: Function) -> ast.FunctionDef | None:
    if function.__closure__ is not None or "<" in function.__qualname__:
        return None
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except OSError:
        return None
    node = ast.parse(source).body[0]
    return node if isinstance(node, ast.FunctionDef) and not node.decorator_list else None


def _maker(
    reached: Sequence[Function], changed: Function, tree: ast.FunctionDef, number: int, which: int
) -> Callable[[Function], Function]:
    """What gives, for one of the functions, the same function in a world where `changed` is changed."""
    worlds: list[dict[Function, Function]] = []

    def made(function: Function) -> Function:
        if not worlds:
            worlds.append(_world(reached, changed, _edited(tree, number, which)))
        return worlds[0].get(function, function)

    return made


def _edited(tree: ast.FunctionDef, number: int, which: int) -> ast.FunctionDef:
    edited = copy.deepcopy(tree)
    node = next(node for place, node in enumerate(ast.walk(edited)) if place == number)
    _edits(node)[which][2](node)
    return ast.fix_missing_locations(edited)


def _world(reached: Sequence[Function], changed: Function, tree: ast.FunctionDef) -> dict[Function, Function]:
    """Copies of all functions, which meet each other, one of them with another body."""
    scopes = {id(each.__globals__): dict(each.__globals__) for each in reached}
    copies: dict[Function, Function] = {}
    for function in reached:
        scope = scopes[id(function.__globals__)]
        if function is changed:
            flags = function.__code__.co_flags & ANNOTATIONS
            code = compile(ast.Module([tree], []), function.__code__.co_filename, "exec", flags, dont_inherit=True)
            exec(code, scope)  # noqa: S102 - the user's own function, a little changed
            copies[function] = cast("Function", scope[function.__name__])
        else:
            copies[function] = types.FunctionType(
                function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
            )
            copies[function].__annotations__ = function.__annotations__
            copies[function].__kwdefaults__ = function.__kwdefaults__
    for scope in scopes.values():
        for name, value in list(scope.items()):
            if isinstance(value, Function) and value in copies:
                scope[name] = copies[value]
    return copies


# --- the changes -----------------------------------------------------------------------------------------------------


def _edits(node: ast.AST) -> list[Edit]:
    """What can be changed at one node."""
    match node:
        case ast.FunctionDef(body=body) | ast.If(body=body) | ast.match_case(body=body):
            return [*_dropped(body)]
        case ast.Compare(ops=ops):
            return [_turned(node, number, op) for number, op in enumerate(ops) if type(op) in TURNED]
        case ast.BoolOp(values=values):
            return [_without(number, value) for number, value in enumerate(values)]
        case ast.BinOp(op=op) if type(op) in SIGNS:
            sign, what = SIGNS[type(op)]
            return [(f"{what} in {_source(node)}", node, lambda n: setattr(n, "op", sign()))]
        case ast.Call(keywords=keywords):
            named = [(number, each) for number, each in enumerate(keywords) if each.arg is not None and _replaces(node)]
            return [
                (f"{each.arg} is left as it was in {_source(node)}", each, _popped("keywords", n)) for n, each in named
            ]
        case ast.Return(value=ast.List(elts=events)):
            return [(f"{_source(event)} is not emitted", event, _unemitted(n)) for n, event in enumerate(events)]
        case _:
            return []


def _dropped(body: Sequence[ast.stmt]) -> Iterator[Edit]:
    """Statements that only refuse: `require(...)`, a call that does, `raise`."""
    for number, statement in enumerate(body):
        if isinstance(statement, ast.Raise) or (
            isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        ):
            yield f"{_source(statement)} is dropped", statement, _passed(number)


def _passed(number: int) -> Callable[[ast.AST], None]:
    def edit(node: ast.AST) -> None:
        cast("ast.If", node).body[number] = ast.Pass()

    return edit


def _popped(field: str, number: int) -> Callable[[ast.AST], None]:
    def edit(node: ast.AST) -> None:
        getattr(node, field).pop(number)

    return edit


def _unemitted(number: int) -> Callable[[ast.AST], None]:
    def edit(node: ast.AST) -> None:
        cast("ast.List", cast("ast.Return", node).value).elts.pop(number)

    return edit


def _turned(at: ast.AST, number: int, op: ast.cmpop) -> Edit:
    other, what = TURNED[type(op)]

    def edit(node: ast.AST) -> None:
        cast("ast.Compare", node).ops[number] = other()

    return f"{what} in {_source(at)}", at, edit


def _without(number: int, value: ast.expr) -> Edit:
    def edit(node: ast.AST) -> None:
        values = cast("ast.BoolOp", node).values
        values.pop(number)
        if len(values) == 1:
            values.append(copy.deepcopy(values[0]))

    return f"{_source(value)} is not asked", value, edit


def _replaces(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name == "replace"


def _source(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 2]} …"
