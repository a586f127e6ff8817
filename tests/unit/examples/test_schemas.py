"""The examples' schemas: what the code writes is what stands frozen in `schemas/`."""

from pathlib import Path

import pytest

from eventcore.app import App
from eventcore.avro.codec import codec_for
from eventcore.avro.frozen import differences, stem_of
from examples.bank.app import app as bank
from examples.ledger.app import app as ledger

SCHEMAS = Path(__file__).parents[3] / "schemas"


def schemas_of(app: App) -> dict[str, str]:
    """The text of every command, event and state of an app by its stem."""
    return {
        stem_of(codec.name): codec.text
        for machine in app.wiring.machines.values()
        for codec in (
            *machine.commands.codecs,
            *machine.events.codecs,
            codec_for(machine.aggregate.state_type, f"{app.name}.{machine.name}"),
        )
    }


@pytest.mark.parametrize("app", [bank, ledger], ids=lambda app: app.name)
def test_code_and_frozen_schemas_say_the_same(app: App) -> None:
    found = differences(SCHEMAS, schemas_of(app))
    assert not found, "\n".join(f"{d.path}: {d.problem}\n{d.diff}" for d in found) + (
        f"A change on purpose: eventcore --app examples.{app.name}.app:app schema freeze"
    )
