"""Random programs of appends, transactions, take-overs and reads, against a model of ten lines."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from eventcore.errors import Fenced
from eventcore.log.port import Follower, Log, Record, Recorded, Writer
from tests.contracts.log.places import LANE_READER, TOPICS, Fresh, read

LANE_TOPICS = TOPICS[1:]
blobs = st.one_of(st.none(), st.binary(max_size=20))
records = st.lists(
    st.builds(
        Record,
        key=st.binary(max_size=10),
        value=blobs,
        envelope=blobs,
        time_ms=st.integers(1, 2_000_000_000_000),
        headers=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.binary(max_size=5)), max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


def program(fresh: Fresh) -> type[RuleBasedStateMachine]:
    """The machine for logs of one kind; `fresh` gives an empty one and how its rival is opened."""

    class AnyProgram(RuleBasedStateMachine):
        """What is committed, what is open, and what is consumed: all that a log remembers."""

        def __init__(self) -> None:
            super().__init__()
            self.log, self.rival = fresh()
            self.committed: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
            self.open: dict[str, list[Record]] = {topic: [] for topic in LANE_TOPICS}
            self.offsets: dict[str, list[int]] = {topic: [] for topic in TOPICS}
            self.consumed: int | None = None
            self.former: list[Writer] = []
            self.logs: list[Log] = [self.log]

        @initialize()
        def own(self) -> None:
            """The lane has an owner from the start."""
            self.writer = self.log.own(TOPICS, 0)
            self.follower: Follower = self.log.follow(TOPICS.events, {0: 0})
            self.followed: list[Recorded] = []

        @rule(batch=records)
        def client_appends(self, batch: list[Record]) -> None:
            """Commands come from everybody."""
            self.offsets[TOPICS.commands] += self.log.append(TOPICS.commands, 0, batch)
            self.committed[TOPICS.commands] += batch

        @rule(topic=st.sampled_from(LANE_TOPICS), batch=records)
        def lane_appends(self, topic: str, batch: list[Record]) -> None:
            """The owner adds to its transaction."""
            self.writer.append(topic, batch)
            self.open[topic] += batch

        @rule(consumed=st.one_of(st.none(), st.integers(0, 1_000)))
        def lane_commits(self, consumed: int | None) -> None:
            """What was open is there, with the position."""
            for topic, offsets in self.writer.commit(consumed).items():
                self.offsets[topic] += offsets
            for topic, batch in self.open.items():
                self.committed[topic] += batch
                batch.clear()
            self.consumed = self.consumed if consumed is None else consumed

        @rule()
        def lane_aborts(self) -> None:
            """What was open is gone."""
            self.writer.abort()
            for batch in self.open.values():
                batch.clear()

        @rule()
        def another_takes_over(self) -> None:
            """What was open is gone, and its writer can do nothing any more."""
            self.former.append(self.writer)
            taken = self.rival()
            self.logs.append(taken)
            self.writer = taken.own(TOPICS, 0)
            for batch in self.open.values():
                batch.clear()

        @precondition(lambda self: bool(self.former))
        @rule(data=st.data())
        def a_former_owner_tries(self, data: st.DataObject) -> None:
            """It is refused at its commit, or before."""
            former = data.draw(st.sampled_from(self.former))
            with pytest.raises(Fenced):
                _write(former)

        @rule(most=st.integers(1, 3))
        def a_follower_polls(self, most: int) -> None:
            """It sees a prefix of what is committed."""
            self.followed += self.follower.poll(most, 0.0).get(0, ())
            assert as_written(self.followed) == self.committed[TOPICS.events][: len(self.followed)]

        @invariant()
        def the_model_holds(self) -> None:
            """Each topic holds what was committed, in order, at the offsets that were told."""
            if any(self.open.values()):
                return
            for topic in TOPICS:
                found = read(self.log, topic)
                assert as_written(found) == self.committed[topic]
                assert [r.offset for r in found] == self.offsets[topic]
            assert self.log.saved(LANE_READER, TOPICS.commands, 0) == self.consumed

        def teardown(self) -> None:
            """Close what this program opened."""
            for log in self.logs:
                with contextlib.suppress(Fenced):
                    log.close()

    return AnyProgram


def _write(writer: Writer) -> None:
    writer.append(TOPICS.events, [Record(b"zombie", None)])
    writer.commit(1_000)


def as_written(found: list[Recorded]) -> list[Record]:
    """Records without their offsets."""
    return [Record(r.key or b"", r.value, r.envelope, r.time_ms, r.headers) for r in found]


def test_any_program_on_a_log_in_one_process_does_what_the_model_says(fresh_embedded: Fresh) -> None:
    run_state_machine_as_test(
        program(fresh_embedded), settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )


def test_any_program_on_kafka_does_what_the_model_says(fresh_kafka: Fresh) -> None:
    bounded = settings(
        max_examples=6,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    )
    run_state_machine_as_test(program(fresh_kafka), settings=bounded)
