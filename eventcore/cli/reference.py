"""`python -m eventcore.cli.reference` prints docs/reference/cli.md, made of the program itself; a test compares them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import typer

from eventcore.cli.program import program

SHELL = {"install_completion", "show_completion"}  # typer's own, and the same for every program

OPENING = """\
# The command line

*Made by `python -m eventcore.cli.reference > docs/reference/cli.md`; a test holds this page to the program.*

"""


def page() -> str:
    """The whole page, in Markdown."""
    command: Any = typer.main.get_command(program)
    return OPENING + "\n".join(_sections(command, "eventcore"))


def _sections(command: Any, path: str) -> Iterator[str]:
    options = [p for p in command.params if p.param_type_name == "option" and p.name not in SHELL]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    verbs: dict[str, Any] = getattr(command, "commands", {})
    verb = "" if not verbs else "[COMMAND]" if command.invoke_without_command else "COMMAND"
    usage = " ".join([path, "[OPTIONS]" if options else "", *map(_shown, arguments), verb])
    yield f"{'#' * max(2, path.count(' ') + 1)} {path}\n"
    yield f"`{' '.join(usage.split())}`\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    rows = [(f"`{_shown(p)}`", p.help or "") for p in arguments]
    rows += [(f"`{_option(p)}`", _help(p)) for p in options]
    if rows:
        yield "| | |\n| --- | --- |"
        yield from (f"| {name} | {text} |" for name, text in rows)
        yield ""
    for name, each in verbs.items():
        yield from _sections(each, f"{path} {name}")


def _shown(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = f"{name}..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    flag = option.opts[-1]
    return flag if option.is_flag else f"{flag} {option.metavar or option.name.strip('_').upper()}"


def _help(option: Any) -> str:
    default = option.default
    if default is None or default is False:
        return option.help or ""
    return f"{option.help or ''} Default: {f'{default:g}' if isinstance(default, float) else default}."


if __name__ == "__main__":
    sys.stdout.write(page())
