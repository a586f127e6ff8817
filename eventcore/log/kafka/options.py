"""Whether the client library takes a user's options: asked of the library itself, before anything is used."""

from __future__ import annotations

import re
from typing import Any

from eventcore.errors import InvalidValue
from eventcore.log.kafka.client import Consumer, KafkaException, Producer
from eventcore.log.kafka.faults import error_of
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.names import nearest
from eventcore.log.kafka.settings import KafkaSettings

UNKNOWN = re.compile(r'No such configuration property: "([^"]*)"')
NAMED = re.compile(r"[a-z]+(?:[._][a-z_]+)+")


def check_options(settings: KafkaSettings) -> None:
    """Make one client of each kind and drop it: none of them connects. Costs about 10 ms where options are set.

    Raises InvalidValue, which names the option, where it was set, and for an unknown one what was probably meant; it shows
    no secret.
    """
    if not settings.options.values:
        return
    lines = ClientLines()
    nowhere = {"bootstrap.servers": ""}
    try:
        Producer(settings.appender(lines) | nowhere)
        for config in (settings.consumer("check", lines), settings.member("check", lines)):
            consumer: Any = Consumer(config | nowhere)
            consumer.close()
    except KafkaException as refused:
        raise _problem(settings, refused) from None  # the chain would show the text with its secrets


def _problem(settings: KafkaSettings, refused: KafkaException) -> InvalidValue:
    error = error_of(refused)
    said = settings.options.redacted(str(refused) if error is None else error.str())
    if (unknown := UNKNOWN.search(said)) is not None:
        near = nearest(unknown[1])
        meant = f"; the nearest are {', '.join(near)}" if near else ""
        return InvalidValue(settings.options.where(unknown[1]), f"the Kafka client library has no such option{meant}")
    for name in NAMED.findall(said):
        if name in settings.options.values:
            return InvalidValue(settings.options.where(name), f"the Kafka client library refuses it: {said}")
    return InvalidValue("Kafka options", f"the Kafka client library refuses them: {said}")
