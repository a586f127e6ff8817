"""The program on Kafka and Postgres: prepared by `db upgrade`, run by `run`, and spoken to by the rest."""

import json
import signal

from tests.integration.cli.conftest import Program, Start


def test_the_same_app_runs_on_kafka_and_postgres(
    program: Program, start: Start, kafka: str, kafka_prefix: str, postgres_url: str
) -> None:
    where = ("--log", f"kafka://{kafka}?prefix={kafka_prefix}", "--views", postgres_url, "--partitions", "2")

    missing = start(*where, "run").ended()
    assert missing.code == 2
    assert "run `eventcore db upgrade`" in missing.err
    assert program(*where, "db", "current").code == 1
    assert program(*where, "db", "upgrade").code == 0
    assert program(*where, "db", "current").code == 0

    worker = start(*where, "--json", "run")
    worker.wait_for("9 of 9 parts stand ready")
    sent = program(*where, "send", "jar", "a", "Add", '{"count": 5}', "--id", "first", "--json")
    assert (sent.code, sent.data["kind"]) == (0, "accepted")
    again = program(*where, "send", "jar", "a", "Add", '{"count": 5}', "--id", "first", "--json")
    assert (again.data["repeated"], again.data["version"]) == (True, 1)
    assert program(*where, "send", "jar", "a", "Take", '{"count": 9}').code == 1
    assert program(*where, "send", "move", "m1", "Move", '{"source": "a", "target": "b", "count": 2}').code == 0
    while program(*where, "saga", "list", "move", "--status", "completed", "--json").data["sagas"] == []:
        assert worker.popen.poll() is None

    cut = program(*where, "cut").out.strip()
    assert program(*where, "cut", "check", cut).code == 0
    assert program(*where, "ask", "holdings", "b", "--at-least", cut, "--json").data["row"] == {"jar": "b", "count": 2}
    assert program(*where, "ask", "intakes", "a", "tea", "--at-least", cut, "--json").data["row"]["times"] == 1
    assert [e["after"]["count"] for e in program(*where, "replay", "jar", "a", "--json").entries] == [5, 3]
    assert program(*where, "audit", "--at", cut).code == 0
    shown = program(*where, "log", "show", "jar.outcomes", "--key", "a", "--json").entries
    assert [e["value"]["kind"] for e in shown] == ["accepted", "accepted", "refused", "accepted"]
    jar = program(*where, "status", "--json").data["machines"][0]
    assert sum(each["lag"] for each in jar["partitions"]) == 0

    worker.popen.send_signal(signal.SIGTERM)
    ended = worker.ended()
    assert ended.code == 0
    assert {part["status"] for part in json.loads(ended.out)["parts"]} == {"stopped"}
