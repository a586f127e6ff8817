"""`new`: a project to start from, with two aggregates, a read model, a saga, tests and a workflow for continuous integration."""

from __future__ import annotations

import importlib.metadata
import keyword
import re
import sys
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from eventcore.cli.call import call_of
from eventcore.errors import InvalidValue, WrongUse

FORM = re.compile(r"[a-z][a-z0-9_]{0,39}")
PLACES = {
    "pyproject.toml": "pyproject.toml",
    "Makefile": "Makefile",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "ci.yml": ".github/workflows/ci.yml",
    "package.py": "{{name}}/__init__.py",
    "app.py": "{{name}}/app.py",
    "stock.py": "{{name}}/stock.py",
    "customer.py": "{{name}}/customer.py",
    "order.py": "{{name}}/order.py",
    "shelf.py": "{{name}}/shelf.py",
    "test_stock.py": "tests/test_stock.py",
    "test_orders.py": "tests/test_orders.py",
}
"""Where each template goes; its file is in the folder `template`, with `.template` after the name."""


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The project's and its package's name: a-z, 0-9 and _.")],
) -> None:
    """Make a project in the folder NAME: a small shop whose orders reserve stock, charge the customer and ship, or undo.

    It has two aggregates, a read model, a saga, tests, a Makefile and a workflow for continuous integration.
    """
    check_name(name)
    folder = Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WrongUse(f"{folder}/ is there already, and not empty; nothing was written. Choose another name")
    written = [str(folder / write(folder, template, name)) for template in PLACES]
    call_of(context).output.document(
        {"folder": name, "files": written}, [f"{name}/ is made. Next:", f"  cd {name} && make test"]
    )


def check_name(name: str) -> None:
    """Raise InvalidValue unless a package of this name can be made and imported."""
    problem = None
    if not FORM.fullmatch(name):
        problem = "a name has a lower-case letter, then at most 39 of a-z, 0-9 and _"
    elif keyword.iskeyword(name):
        problem = "it is a word of Python's"
    elif name in sys.stdlib_module_names or name == "tests":
        problem = "it is the name of another module, which would be imported instead"
    elif (spec := PathFinder.find_spec(name)) is not None and spec.origin is not None:
        problem = f"{spec.origin} is imported under this name"
    if problem is not None:
        raise InvalidValue("NAME", f"{name!r} cannot name a project: {problem}. A good one is shop")


def write(folder: Path, template: str, name: str) -> Path:
    """Write one file of the project; its path in it."""
    path = Path(filled(PLACES[template], name))
    source = files("eventcore.cli") / "template" / f"{template}.template"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(filled(source.read_text(encoding="utf-8"), name), encoding="utf-8", newline="\n")
    return path


def filled(text: str, name: str) -> str:
    """A template with the project's name and our version in their places."""
    version = importlib.metadata.version("eventcore-framework")
    return text.replace("{{name}}", name).replace("{{version}}", version)
