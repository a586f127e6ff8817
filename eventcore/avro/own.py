"""The schemas of our own records, as they are frozen in `schemas/`: part of the storage format, the same for every app."""

from __future__ import annotations

from collections.abc import Mapping

from eventcore.avro.canonical import schema_text
from eventcore.avro.control import CONTROL_TEXTS
from eventcore.avro.envelope import ENVELOPE_SCHEMA
from eventcore.avro.facts import FACT_TEXTS
from eventcore.avro.outcome import OUTCOME_SCHEMA
from eventcore.avro.snapshot import SNAPSHOT_SCHEMA


def own_schemas() -> Mapping[str, str]:
    """The text of each schema of ours by its stem, as `eventcore.avro.frozen.freeze` takes them."""
    return {
        "eventcore/Envelope": schema_text(ENVELOPE_SCHEMA),
        "eventcore/Outcome": schema_text(OUTCOME_SCHEMA),
        "eventcore/Snapshot": schema_text(SNAPSHOT_SCHEMA),
        **CONTROL_TEXTS,
        **FACT_TEXTS,
    }
