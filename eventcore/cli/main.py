"""The entry of the program `eventcore`. It imports nothing that a folder of the user's could shadow before it has looked.

The current directory comes first on the import path, so that `--app bank.app:app` finds the app that lies there. The
packages `projections` and `sagas` bear common words as names, and a folder of the user's of such a name would be
imported instead of ours, or ours instead of it. Either ends in an error far from its cause, so it is looked for here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from eventcore.cli.faults import report
from eventcore.errors import WrongUse

NEIGHBOURS = ("projections", "sagas")
FLAGS = ("--json", "--debug")  # taken before the verb, or after it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors are sentences on stderr; see `faults` for the codes."""
    given = flags_first(list(sys.argv[1:] if arguments is None else arguments))
    path = ["", *sys.path]
    if (problem := shadowed(path)) is not None:
        return report(WrongUse(problem), as_json="--json" in given)
    sys.path[:] = path
    from eventcore.cli.program import run  # imports the neighbours

    return run(given)


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with FLAGS moved to the front, where the program looks for them; after `--` nothing is moved."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before, after = arguments[:end], arguments[end:]
    flags = [flag for flag in FLAGS if flag in before]
    return [*flags, *(argument for argument in before if argument not in FLAGS), *after]


def shadowed(path: Sequence[str]) -> str | None:
    """Say which package of ours would not be imported from beside `eventcore`, looking along `path`; None where all are."""
    home = Path(__file__).resolve().parents[2]
    for name in NEIGHBOURS:
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.origin is None:
            return (
                f"eventcore's package {name!r} does not lie in {home}, where eventcore does; install eventcore again."
            )
        found = Path(spec.origin).resolve()
        if not found.is_relative_to(home / name):
            return (
                f"{found} would be imported as {name!r}, which is a package of eventcore's (in {home}). "
                f"Rename yours, or start in another folder."
            )
    return None
