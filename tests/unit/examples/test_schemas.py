"""The examples' schemas: what the code writes is what stands frozen in `schemas/`."""

from pathlib import Path

import pytest

from eventcore.app import App
from eventcore.avro.frozen import differences
from eventcore.cli.schemas import app_schemas
from examples.bank.app import app as bank
from examples.ledger.app import app as ledger

SCHEMAS = Path(__file__).parents[3] / "schemas"


@pytest.mark.parametrize("app", [bank, ledger], ids=lambda app: app.name)
def test_code_and_frozen_schemas_say_the_same(app: App) -> None:
    found = differences(SCHEMAS, app_schemas(app.wiring))
    assert not found, "\n".join(f"{d.path}: {d.problem}\n{d.diff}" for d in found) + (
        f"A change on purpose: eventcore --app examples.{app.name}.app:app schema freeze"
    )
