"""Tests that were written from findings, run: which of them fail."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from unittest.mock import patch

from eventcore.check import Checked, Report
from eventcore.check.render_pytest import pytest_of


def failing(report: Report, checked: Checked[Any, Any, Any]) -> dict[str, bool]:
    """Each test written from a report by its name, and whether it fails where it finds this Checked."""
    module: Any = ModuleType("what_is_checked")
    module.checked = checked
    held: dict[str, Any] = {}
    with patch.dict(sys.modules, {module.__name__: module}):
        exec(pytest_of(report, f"{module.__name__}:checked"), held)
        tests = {name: each for name, each in held.items() if name.startswith("test_")}
        return {name: _fails(test) for name, test in tests.items()}


def _fails(test: Callable[[], None]) -> bool:
    try:
        test()
    except AssertionError:
        return True
    return False
