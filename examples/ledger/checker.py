"""Hold the ledger's topics on Kafka to the bank's file: `python -m examples.ledger.checker HOST:PORT PREFIX`.

A judge that shares no code with what it judges: a plain consumer, fastavro, the schemas in the log, and the bank's file.
Of committed records it finds:

E1  Each of the bank's transactions is one event, with the file's account, day, side and amount; no event is there twice.
E2  The versions of each account grow by one, and each event's balance is the one before with its amount.
E3  The sequence of events in each partition grows by one, and terms never go back.
O1  Each command id has exactly one outcome that is not a repeat, it is accepted, and its events are there.
O2  The sequence of outcomes in each partition grows by one, and terms never go back.

It counts the records of aborted transactions as well: what a reader of uncommitted records sees beyond that.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from examples.ledger.bank_file import IS_CREDIT, Line, day_of, lines

EVENTS, OUTCOMES, SCHEMAS = "ledger.account.events", "ledger.account.outcomes", "ledger.schemas"
POLL_S = 30.0  # a broker that is silent for this long has failed
PROBLEMS_MAX = 20  # the first says enough
HEAD_BYTES = 10  # c3 01, and the fingerprint of the schema


class Framed(NamedTuple):
    """A decoded single-object record: the name of its schema, and its fields."""

    name: str
    fields: Mapping[str, Any]


@dataclass
class Findings:
    """What was found in the topics. Without problems, all of it is as it should be."""

    events: int = 0
    accounts: int = 0
    outcomes: int = 0
    repeats: int = 0
    terms: int = 0
    aborted: Counter[str] = field(default_factory=Counter[str])
    problems: list[str] = field(default_factory=list[str])

    def require(self, condition: bool, where: str, problem: str) -> None:  # noqa: FBT001 - reads as an assertion
        """Note a problem unless `condition` holds."""
        if not condition:
            self.problems.append(f"{where}: {problem}")

    def lines(self) -> Iterator[str]:
        """The findings, for people."""
        if not self.problems:
            yield f"{self.events:,} events of {self.accounts:,} accounts: each transaction once, versions contiguous"
            yield f"{self.outcomes:,} outcomes, one a command; {self.repeats:,} repeats; {self.terms} terms"
        yield f"aborted records: {', '.join(f'{n:,} in {topic}' for topic, n in sorted(self.aborted.items())) or 'none'}"
        for problem in self.problems[:PROBLEMS_MAX]:
            yield f"WRONG: {problem}"
        if len(self.problems) > PROBLEMS_MAX:
            yield f"WRONG: and {len(self.problems) - PROBLEMS_MAX:,} more"


class Topics:
    """The ledger's topics on one broker, below one prefix."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._schemas = {
            message.key().decode(): fastavro.parse_schema(json.loads(message.value())) for message in self.read(SCHEMAS)
        }

    def read(self, topic: str, isolation: str = "read_committed") -> Iterator[Any]:
        """Every message of a topic up to its end: the partitions mixed, each in its own order."""
        consumer: Any = Consumer({
            "bootstrap.servers": self._bootstrap,
            "group.id": f"{self._prefix}checker",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        })  # fmt: skip
        name = self._prefix + topic
        open_partitions = set(consumer.list_topics(name, timeout=POLL_S).topics[name].partitions)
        consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for partition in open_partitions])
        while open_partitions:
            message = consumer.poll(POLL_S)
            if message is None:
                sys.exit(f"{name}: the broker at {self._bootstrap} says nothing for {POLL_S:.0f} s")
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                open_partitions.discard(message.partition())
            else:
                sys.exit(f"{name}: {message.error()}")
        consumer.close()

    def decode(self, topic: str, record: bytes) -> Framed:
        """Decode a single-object record with the schema that the log holds for it."""
        schema: Any = self._schemas[f"{topic}/{record[2:HEAD_BYTES].hex()}"]
        decoded: Any = fastavro.schemaless_reader(io.BytesIO(record[HEAD_BYTES:]), schema)
        return Framed(schema["name"], decoded)


def check(bootstrap: str, prefix: str, until: date = date.max) -> Findings:
    """Hold the topics to the bank's file up to the day `until`."""
    topics, findings = Topics(bootstrap, prefix), Findings()
    commands = _check_events(topics, {int(line["trans_id"]): line for line in lines(until)}, findings)
    _check_outcomes(topics, commands, findings)
    for topic in (EVENTS, OUTCOMES):
        written = sum(1 for _ in topics.read(topic, "read_uncommitted"))
        committed = findings.events if topic == EVENTS else findings.outcomes + findings.repeats
        if written != committed:
            findings.aborted[topic] = written - committed
    return findings


class _Contiguous:
    """Sequence numbers and terms of the partitions of one topic."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._last: dict[int, tuple[int, int]] = {}

    def take(self, partition: int, where: str, fields: Mapping[str, Any]) -> None:
        sequence, term = _number(fields["sequence"]), _number(fields["term"])
        before, last_term = self._last.get(partition, (0, 0))
        self._findings.require(sequence == before + 1, where, f"sequence {sequence} follows {before}")
        self._findings.require(term >= last_term, where, f"term {term} follows {last_term}")
        self._findings.terms = max(self._findings.terms, term)
        self._last[partition] = (sequence, term)


def _check_events(topics: Topics, file: dict[int, Line], findings: Findings) -> set[bytes]:
    """E1 to E3; return the ids of the commands that have events."""
    contiguous, commands = _Contiguous(findings), set[bytes]()
    versions, balances = Counter[str](), Counter[str]()
    for message in topics.read(EVENTS):
        where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        account = message.key().decode()
        event = topics.decode(EVENTS, message.value())
        envelope = topics.decode(EVENTS, dict(message.headers())["eventcore"]).fields
        contiguous.take(message.partition(), where, envelope)
        command_id, version = envelope["command_id"], _number(envelope["version"])
        findings.require(command_id not in commands, where, f"command {command_id.hex()} has an event already")
        commands.add(command_id)
        findings.require(version == versions[account] + 1, where, f"version {version} follows {versions[account]}")
        versions[account] = version
        is_credit = event.name.endswith("Credited")
        balances[account] += _hellers(event.fields["amount"]) * (1 if is_credit else -1)
        left = _hellers(event.fields["balance"])
        findings.require(left == balances[account], where, f"the balance is {left}, the sum is {balances[account]}")
        transaction = event.fields["details"]["transaction"]
        line = file.pop(transaction, None)
        if line is None:
            findings.problems.append(f"{where}: transaction {transaction} is not the bank's, or is there already")
        else:
            told = (account, event.fields["day"], is_credit, event.fields["amount"])
            expected = (line["account_id"], day_of(line), IS_CREDIT[line["type"]], Decimal(line["amount"]))
            findings.require(told == expected, where, f"transaction {transaction} is {told}, the bank's is {expected}")
        findings.events += 1
    findings.accounts = len(versions)
    findings.require(not file, EVENTS, f"{len(file):,} transactions have no event, the first is {min(file, default=0)}")
    return commands


def _check_outcomes(topics: Topics, with_events: set[bytes], findings: Findings) -> None:
    """O1 and O2."""
    contiguous, decided = _Contiguous(findings), set[bytes]()
    for message in topics.read(OUTCOMES):
        where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        outcome = topics.decode(OUTCOMES, message.value()).fields
        contiguous.take(message.partition(), where, outcome)
        command_id = outcome["command_id"]
        if outcome["repeated"]:
            findings.repeats += 1
            findings.require(command_id in decided, where, "a repeat of what was not decided before")
            continue
        findings.outcomes += 1
        findings.require(command_id not in decided, where, f"command {command_id.hex()} was decided before")
        findings.require(outcome["kind"] == "accepted", where, f"it was {outcome['kind']}: {outcome['reason']}")
        findings.require(command_id in with_events, where, f"command {command_id.hex()} was accepted and has no event")
        decided.add(command_id)
    findings.require(decided == with_events, OUTCOMES, f"{len(with_events - decided):,} events have no outcome")


def _number(fixed: bytes) -> int:
    return int.from_bytes(fixed, "big")


def _hellers(crowns: Decimal) -> int:
    return int(crowns * 100)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings; 0 where everything is as it should be, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m examples.ledger.checker", description="Judge the ledger's topics.")
    parser.add_argument("bootstrap", help="HOST:PORT of a broker")
    parser.add_argument("prefix", nargs="?", default="", help="what stands before the names of topics")
    parser.add_argument("--until", type=date.fromisoformat, default=date.max, help="the last day that was sent")
    options = parser.parse_args(arguments)
    findings = check(options.bootstrap, options.prefix, options.until)
    for line in findings.lines():
        print(line)
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
