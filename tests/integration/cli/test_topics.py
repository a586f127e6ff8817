"""`topics plan` and `topics apply`, and that a worker refuses topics that would lose data."""

from tests.integration.cli.conftest import Program, Start
from tests.servers.topics import create_topic


def states(program: Program, *arguments: str) -> set[str]:
    return {each["state"] for each in program(*arguments, "--json").data["topics"]}


def test_missing_topics_are_planned_made_and_then_as_planned(program: Program, kafka: str, kafka_prefix: str) -> None:
    where = ("--log", f"kafka://{kafka}?prefix={kafka_prefix}", "--partitions", "3", "--replication", "1")
    planned = program(*where, "topics", "plan")
    assert planned.code == 1
    assert "to be made" in planned.out
    assert states(program, *where, "topics", "plan") == {"to be made"}
    assert states(program, *where, "topics", "apply") == {"made"}
    again = program(*where, "topics", "apply", "--json")
    assert (again.code, again.data["differences"]) == (0, [])
    assert {each["state"] for each in again.data["topics"]} == {"as planned"}
    assert {each["partitions"] for each in again.data["topics"] if "jar" in each["name"]} == {3}
    assert program(*where, "topics", "plan").code == 0


def test_a_topic_that_would_lose_data_is_named_and_a_worker_refuses_it(
    program: Program, start: Start, kafka: str, kafka_prefix: str
) -> None:
    where = ("--log", f"kafka://{kafka}?prefix={kafka_prefix}", "--partitions", "2")
    create_topic(kafka, f"{kafka_prefix}pantry.jar.events", partitions=2)  # deletes after 7 days, by default
    planned = program(*where, "topics", "plan")
    assert planned.code == 1
    assert "pantry.jar.events: retention.ms is 604800000, planned is -1: records older than 7 days" in planned.out
    assert "kafka-configs.sh" in planned.out
    applied = program(*where, "topics", "apply", "--json")
    assert applied.code == 1
    assert {each["state"] for each in applied.data["topics"] if each["name"] != "pantry.jar.events"} == {"made"}
    refused = start(*where, "--views", "sqlite:views.db", "run").ended()
    assert refused.code == 2
    assert "would lose data as they are set: pantry.jar.events: retention.ms is 604800000" in refused.err


def test_a_file_has_topics_without_settings(program: Program) -> None:
    assert states(program, "topics", "apply") == {"made"}
    planned = program("topics", "plan", "--json")
    assert (planned.code, planned.data["differences"]) == (0, [])
