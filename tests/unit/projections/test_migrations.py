"""The migrations are found beside the package, in a checkout and where a wheel was installed, and HEAD is the newest."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from eventcore.errors import WrongUse
from projections import schema


def installed_in(folder: Path) -> ModuleType:
    """The module `schema` as it would be in another folder of packages."""
    (folder / "projections").mkdir(parents=True)
    copied = shutil.copy(schema.__file__, folder / "projections" / "schema.py")
    spec = importlib.util.spec_from_file_location("schema_elsewhere", copied)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.scripts()))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_the_migrations_of_a_wheel_go_before_a_stranger_s_folder(tmp_path: Path) -> None:
    module = installed_in(tmp_path)
    shutil.copytree(schema.scripts(), tmp_path / "eventcore_migrations")
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "env.py").touch()
    assert module.scripts() == tmp_path / "eventcore_migrations"


def test_missing_migrations_are_told(tmp_path: Path) -> None:
    module = installed_in(tmp_path)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "env.py").touch()
    with pytest.raises(WrongUse, match="no migrations stand beside"):
        module.scripts()
