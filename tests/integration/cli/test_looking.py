"""`replay`, `log show`, `status`, `saga`, `cut` and `audit`: what stands in a log, and what is wrong with it."""

from collections.abc import Sequence

import pytest

from eventcore import Cut
from eventcore.cli import survey
from eventcore.log.port import Record
from eventcore.log.sqlite import SqliteLog
from eventcore.topics import partition_of
from tests.integration.cli.conftest import Program


@pytest.fixture
def filled(program: Program) -> Program:
    """Two jars: five in `a`, of which two were moved to `b`; and a move of nine that was undone."""
    program("send", "jar", "a", "Add", '{"count": 5}')
    program("send", "move", "m1", "Move", '{"source": "a", "target": "b", "count": 2}')
    program("send", "move", "m2", "Move", '{"source": "a", "target": "c", "count": 9}')
    return program


def write(topic: str, records: Sequence[Record], partition: int = 0) -> None:
    """Write to the log as another program would."""
    log = SqliteLog("pantry.db")
    try:
        log.append(topic, partition, records)
    finally:
        log.close()


def home(jar: str) -> int:
    return partition_of(jar.encode(), 4)


# --- replay ----------------------------------------------------------------------------------------------------------


def test_replay_shows_each_event_with_the_states_around_it(filled: Program) -> None:
    ran = filled("replay", "jar", "a", "--json")
    assert ran.code == 0
    assert [(e["version"], e["event"], e["before"]["count"], e["after"]["count"]) for e in ran.entries] == [
        (1, {"type": "Added", "data": {"kind": "tea", "count": 5}}, 0, 5),
        (2, {"type": "Taken", "data": {"kind": "tea", "count": 2}}, 5, 3),
    ]
    assert [e["position"] for e in ran.entries] == [f"pantry.jar.events[{home('a')}]@{offset}" for offset in (0, 1)]
    text = filled("replay", "jar", "a").out
    assert 'Taken {"kind":"tea","count":2}\n    {"count":5,"kind":"tea"} -> {"count":3,"kind":"tea"}\n' in text


def test_replay_ends_at_a_cut_and_one_of_nothing_ends_with_1(filled: Program) -> None:
    cut = Cut({("pantry.jar.events", home("a")): 1})
    assert len(filled("replay", "jar", "a", "--at", str(cut), "--json").entries) == 1
    nothing = filled("replay", "jar", "z")
    assert (nothing.code, nothing.out, nothing.err) == (1, "", "jar z has no event yet\n")


def test_replay_shows_a_foreign_record_and_goes_on(filled: Program) -> None:
    write("pantry.jar.events", [Record(b"a", b"nonsense")], home("a"))
    entries = filled("replay", "jar", "a", "--json").entries
    assert len(entries) == 3
    assert "no header named eventcore" in entries[2]["foreign"]


def test_replay_knows_sagas(filled: Program) -> None:
    entries = filled("replay", "move", "m1", "--json").entries
    assert [e["event"]["type"] for e in entries] == [
        "Moving", "StepRequested", "StepDone", "StepRequested", "StepDone", "Finished",
    ]  # fmt: skip
    assert entries[-1]["after"]["status"] == "completed"


# --- log show --------------------------------------------------------------------------------------------------------


def test_log_show_decodes_every_topic_with_the_schemas_in_the_log(filled: Program) -> None:
    commands = filled("log", "show", "jar.commands", "--key", "a", "--json").entries
    assert [(e["type"], e["value"]) for e in commands[:2]] == [
        ("Add", {"count": 5, "kind": "tea"}),
        ("Take", {"count": 2}),
    ]
    assert commands[1]["envelope"]["step"] == {
        "saga": "move",
        "id": "m1",
        "step": "take",
        "action": "do",
        "$type": "SagaStep",
    }
    (first, *_) = filled("log", "show", "pantry.jar.outcomes", "--key", "a", "--json").entries
    assert first["value"]["kind"] == "accepted"
    assert first["value"]["command"] == {"type": "Add", "data": {"count": 5, "kind": "tea"}}
    assert all(e["type"] == "schema" for e in filled("log", "show", "schemas", "--json").entries)
    for topic in ("jar", "move", "jar.commands", "jar.outcomes", "move.commands", "move.outcomes"):
        assert all(e["problem"] is None for e in filled("log", "show", topic, "--json").entries), topic


def test_log_show_takes_a_range_and_a_limit_and_tells_how_to_go_on(filled: Program) -> None:
    at = str(home("a"))
    ran = filled("log", "show", "jar", "--partition", at, "--limit", "1")
    assert len(ran.out.splitlines()) == 1
    assert ran.err == f"more follow; the next is pantry.jar.events[{at}]@1 (--limit, --from)\n"
    ran = filled("log", "show", "jar", "--partition", at, "--from", "1", "--to", "2", "--json")
    assert [e["offset"] for e in ran.entries] == [1]
    assert filled("log", "show", "jar", "--from", "900").out == ""
    assert "has the partitions 0 to 3" in filled("log", "show", "jar", "--partition", "4").err
    assert "pantry.jar.snapshots" in filled("log", "show", "jug").err


def test_log_show_says_why_a_record_cannot_be_read_and_goes_on(filled: Program) -> None:
    good = filled("log", "show", "jar.commands", "--key", "a", "--limit", "1", "--json").entries[0]
    write(
        "pantry.jar.commands",
        [
            Record(b"a", b"nonsense"),
            Record(b"a", b"\xc3\x01" + bytes(8) + b"x"),
            Record(b"\xff\x1b[31m", None),
            Record(b"a", b"\xc3\x01" + b"x" * 100, b"damaged"),
        ],
        home("a"),
    )
    entries = filled("log", "show", "jar.commands", "--json").entries[-4:]
    assert "expected c3 01" in entries[0]["problem"]
    assert "0000000000000000 is not in this topic's catalogue" in entries[1]["problem"]
    assert (entries[2]["key"], entries[2]["type"]) == ("\\xff\x1b[31m", "tombstone")
    assert "the header begins with" in entries[3]["problem"]
    assert good["problem"] is None
    text = filled("log", "show", "jar.commands").out
    assert "\x1b" not in text
    assert "cannot be read: the record begins with 6e 6f 6e 73 65 6e 73 65" in text


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_shows_how_far_everything_is(filled: Program) -> None:
    data = filled("status", "--deep", "--json").data
    jar, move = data["machines"]
    lane = jar["partitions"][home("a")]
    assert (lane["commands"], lane["decided"], lane["lag"]) == (lane["outcomes"], lane["outcomes"], 0)
    assert move["sagas"] == {"completed": 1, "compensated": 1}
    assert [(p["name"], p["lag"], p["parked"], p["problem"]) for p in data["projections"]] == [
        ("holdings", 0, 0, ""),
        ("intakes", 0, 0, ""),
    ]
    assert "move: 1 compensated, 1 completed" in filled("status", "--deep").out
    assert "sagas" not in filled("status", "--json").data["machines"][1]


def test_status_shows_what_waits_and_what_has_stopped(filled: Program) -> None:
    filled("send", "jar", "a", "Drop")
    filled("send", "jar", "a", "Add", '{"count": 1}')
    filled("send", "jar", "b", "Add", '{"count": 11}')
    write("pantry.jar.commands", [Record(b"b", b"nonsense")], home("b"))
    filled("ask", "holdings", "b")
    write("pantry.jar.commands", [Record(b"a", b"waits"), Record(b"a", b"too")], home("a"))
    jar = filled("status", "--deep", "--json").data["machines"][0]
    stopped = {each["id"]: each for each in jar["stopped"]}
    assert stopped["a"]["why"] == "ZeroDivisionError: the jar is in pieces"
    assert stopped["a"]["parked"] == 2
    assert stopped["b"]["why"] == "violated never_thirteen"
    assert {each["id"] for each in filled("status", "--json").data["machines"][0]["stopped"]} == {"a", "b"}
    assert (jar["set_aside_count"], jar["set_aside"][0]["reason"]) == (1, "undecodable")
    assert jar["partitions"][home("a")]["lag"] == 2
    text = filled("status", "--deep").out
    assert "jar: 2 instances are quarantined; their commands are parked" in text
    assert "jar: 1 records were parked because they are no commands of this app" in text


def test_status_says_where_it_did_not_look_for_what_has_stopped(
    filled: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled("send", "jar", "a", "Drop")
    monkeypatch.setattr(survey, "SEARCHED_MOST", 3)
    monkeypatch.setattr(survey, "FACTS_MOST", 0)
    jar = filled("status", "--json").data["machines"][0]
    assert jar["stopped"] == []
    assert jar["unread"] > 0
    assert f"jar: {jar['unread']} snapshots were not searched for quarantined instances" in filled("status").out
    assert "were not searched" not in filled("status", "--deep").out


def test_status_without_views_shows_the_log_all_the_same(filled: Program) -> None:
    data = filled("--views", "sqlite:none.db", "status", "--json").data
    assert data["machines"][0]["partitions"]
    assert "there are no views at sqlite:none.db yet" in data["projections"][0]["problem"]


# --- sagas -----------------------------------------------------------------------------------------------------------


def test_sagas_are_listed_with_their_steps(filled: Program) -> None:
    assert [(s["id"], s["status"]) for s in filled("saga", "list", "move", "--json").data["sagas"]] == [
        ("m1", "completed"),
        ("m2", "compensated"),
    ]
    only = filled("saga", "list", "move", "--status", "compensated")
    assert only.out.splitlines()[1:] == ["m2  compensated  take refused (refused: not_enough)"]
    assert filled("saga", "list", "move", "--status", "done").code == 2
    assert "the saga names here are: move" in filled("saga", "list", "jar").err


def test_a_sagas_ledger_is_shown_with_its_commands(filled: Program) -> None:
    ran = filled("saga", "show", "move", "m1")
    assert 'StepRequested take: jar a Take {"count":2}' in ran.out
    assert ran.err == "move m1 is completed: take done, add done\n"
    entries = filled("saga", "show", "move", "m1", "--json").entries
    assert entries[3]["data"] == {
        "step": "add", "to": "jar", "id": "b", "type": "Add", "command": {"count": 2, "kind": "tea"},
    }  # fmt: skip
    missing = filled("saga", "show", "move", "m9")
    assert (missing.code, missing.err) == (1, "no move was started under the id m9\n")


# --- cuts and audits -------------------------------------------------------------------------------------------------


def test_a_captured_cut_is_proved_and_one_without_a_cause_is_not(filled: Program) -> None:
    captured = filled("cut", "--json").cut
    assert filled("cut").out == f"{captured}\n"
    assert filled("cut", "check", captured).code == 0
    without = Cut({at: offset for at, offset in Cut.parse(captured).items() if not at[0].startswith("pantry.move")})
    ran = filled("cut", "check", str(without), "--json")
    assert (ran.code, ran.data["consistent"]) == (1, False)
    assert "its cause pantry.move.events" in ran.data["breaches"][0]["problem"]


def test_an_invariant_is_judged_now_or_at_a_cut(filled: Program) -> None:
    held = filled("audit", "few_enough", "--json")
    assert (held.code, held.data["verdicts"]) == (
        0,
        [{"invariant": "few_enough", "holds": True, "instances": 2, "summary": {"$type": "Total", "count": 5}}],
    )
    for jar in ("d", "e"):
        filled("send", "jar", jar, "Add", '{"count": 900}')
    broken = filled("audit")
    assert (broken.code, broken.out.splitlines()[0]) == (1, "few_enough is BROKEN over 4 instances: Total(count=1805)")
    assert filled("audit", "--at", held.cut).code == 0
    half = Cut({at: offset for at, offset in Cut.parse(held.cut).items() if not at[0].startswith("pantry.move")})
    refused = filled("audit", "--at", str(half))
    assert refused.code == 2
    assert "the cut is not consistent" in refused.err
    assert "few_enough" in filled("audit", "much").err
