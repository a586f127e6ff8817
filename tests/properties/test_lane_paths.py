"""The lane's common path writes byte for byte what its careful path writes, and remembers the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventcore import Value
from eventcore.avro.control import Release, write_control
from eventcore.avro.envelope import Options
from eventcore.lane.lane import Lane
from eventcore.lane.memory import LaneMemory
from eventcore.lane.window import Window
from eventcore.log.port import Recorded
from tests.bank import COMMANDS, EVENTS, TOPICS, Deposit, Look, Split, Withdraw, accounts, command

NOW_MS = 1_700_000_000_000
PARTITIONS = 2  # so that some instances are not at home in partition 0

amounts = st.sampled_from([1, 2, 3, 400, 900])
domain: st.SearchStrategy[Value] = st.one_of(
    st.builds(Deposit, amounts),
    st.builds(Withdraw, amounts),
    st.builds(Split, st.lists(amounts, max_size=3).map(tuple)),
    st.builds(Look),
)


ORDER = write_control(Release())


@st.composite
def recorded(draw: st.DrawFn) -> Recorded:
    """A record of the commands topic without its offset: mostly a plain command, now and then something else."""
    options = draw(st.sampled_from([Options(), Options(), Options(), Options(expires=1), Options(reply="3/abc")]))
    made = command(draw(st.sampled_from("abcdef")), draw(domain), draw(st.integers(0, 30)), options=options)
    key: bytes | None = made.key
    value, envelope = made.value, made.envelope
    match draw(st.integers(0, 15)):
        case 0:
            value = draw(st.sampled_from([None, b"", b"garbage", ORDER]))
        case 1:
            envelope = draw(
                st.sampled_from([None, b"", b"garbage", (envelope or b"")[:26], b"x" + (envelope or b"")[1:]])
            )
        case 2:
            key = draw(st.sampled_from([None, b"", b"\xff"]))
        case _:
            pass
    return Recorded(0, key, value, envelope, 1_000)


@given(st.lists(st.lists(recorded(), min_size=1, max_size=12), max_size=6), st.integers(1, 20))
def test_whichever_path_a_command_takes_the_same_is_written_and_known(
    given_: list[list[Recorded]], window: int
) -> None:
    plain, careful = lane(window), lane(window)
    offset = 0
    for records in given_:
        placed = [Recorded(offset + n, r.key, r.value, r.envelope, r.time_ms) for n, r in enumerate(records)]
        offset += len(placed)
        careful._known.clear()  # nothing is common to it
        one, other = plain.take(placed, NOW_MS), careful.take(placed, NOW_MS)
        assert one.events == other.events
        assert one.outcomes == other.outcomes
        assert one.replies == other.replies
        assert one.snapshots == other.snapshots
        assert plain.memory == careful.memory


def lane(window: int) -> Lane:
    """A lane that knows nothing yet, with a small window."""
    return Lane(
        accounts, TOPICS, 0, PARTITIONS, commands=COMMANDS, events=EVENTS, memory=LaneMemory(decided=Window(window))
    )
