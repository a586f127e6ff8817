"""Finding the app: `bank.app:app` is the value `app` in the module `bank.app`."""

from __future__ import annotations

import importlib
import re
import traceback
from types import ModuleType

from eventcore.app import App
from eventcore.cli.settings import Setting
from eventcore.errors import EventcoreError, InvalidValue, NotSupported, UnknownName

FORM = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


def load_app(setting: Setting) -> App:
    """Import the app that a setting names. Raises CallerError, saying what was found instead."""
    match = FORM.fullmatch(setting.value)
    if match is None:
        raise InvalidValue(
            f"app (from {setting.origin})", f"{setting.value!r} is not of the form MODULE:NAME, as bank.app:app"
        )
    module = import_named(match[1])
    apps = [name for name, value in vars(module).items() if isinstance(value, App)]
    found = getattr(module, match[2], None)
    if found is None:
        raise UnknownName(f"app in {module.__name__}", match[2], apps)
    if not isinstance(found, App):
        other = f" Its apps are: {', '.join(apps)}." if apps else " It should be an eventcore.app.App."
        raise InvalidValue(setting.value, f"is of type {type(found).__name__}, not App.{other}")
    return found


def import_named(name: str, what: str = "the app") -> ModuleType:
    """Import a module of the user's. Raises NotSupported, saying what is missing or what it raises."""
    try:
        return importlib.import_module(name)
    except EventcoreError:
        raise  # a definition that breaks a rule says so itself
    except ModuleNotFoundError as missing:
        if missing.name is not None and (name == missing.name or name.startswith(f"{missing.name}.")):
            raise UnknownModule(name, missing.name, what) from missing
        raise NotSupported(
            f"importing {name} needs the module {missing.name}, which is not installed here."
        ) from missing
    except Exception as fault:
        at = traceback.extract_tb(fault.__traceback__)[-1]
        raise NotSupported(
            f"importing {name} raises {type(fault).__name__}: {fault} ({at.filename}:{at.lineno}). "
            "With --debug the traceback is shown."
        ) from fault


class UnknownModule(NotSupported):
    """A module that was named is nowhere on the import path."""

    def __init__(self, name: str, missing: str, what: str) -> None:
        super().__init__(
            f"no module is named {missing!r}, so {what} in {name} cannot be imported. "
            f"Run this in the folder that holds {missing.partition('.')[0]}/, or install it."
        )
