"""`config`, `schema`, `db`, and the program's own options and errors."""

import json
from pathlib import Path

import pytest

from tests.integration.cli.conftest import APP, ROOT, Program


def test_a_flag_goes_before_the_environment_and_that_before_the_project(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {
        name: each["from"]
        for name, each in program("config", "--json", app=None).data.items()
        if isinstance(each, dict)
    } == {
        "app": "not set",
        "log": "not set: " + NO_APP,
        "views": "not set: " + NO_APP,
        "partitions": "default for new topics",
        "replication": "the cluster's default for new topics",
        "kafka_config": "not set",
    }
    Path("pyproject.toml").write_text(f'[tool.eventcore]\napp = "{APP}"\nlog = "sqlite:p.db"\npartitions = 2\n')
    monkeypatch.setenv("EVENTCORE_LOG", "sqlite:e.db")
    found = program("--views", "sqlite:f.db", "config", "--json", app=None).data
    assert found["app"] == {"value": APP, "from": "pyproject.toml"}
    assert found["log"] == {"value": "sqlite:e.db", "from": "EVENTCORE_LOG"}
    assert found["views"] == {"value": "sqlite:f.db", "from": "--views"}
    assert found["partitions"] == {"value": "2", "from": "pyproject.toml"}
    program("send", "jar", "a", "Add", '{"count": 1}', app=None)
    assert Path("e.db").exists()
    assert len(program("status", "--json", app=None).data["machines"][0]["partitions"]) == 2


NO_APP = (
    "no app is named: write --app MODULE:NAME before the command, as --app bank.app:app, set EVENTCORE_APP, "
    'or put app = "bank.app:app" under [tool.eventcore] in ./pyproject.toml'
)


def test_topics_keep_their_number_of_partitions_and_another_is_refused(program: Program) -> None:
    program("--partitions", "3", "send", "jar", "a", "Add", '{"count": 1}')
    assert program("send", "jar", "a", "Add", '{"count": 1}').code == 0
    refused = program("--partitions", "5", "send", "jar", "a", "Add", '{"count": 1}')
    assert refused.code == 2
    assert "pantry.jar.commands has 3, planned are 5" in refused.err


def test_passwords_are_shown_nowhere(program: Program) -> None:
    addresses = ("--log", "kafka://user:hush@host:1", "--views", "postgresql://user:hush@host:1/x?sslpassword=hush")
    for arguments in (
        [*addresses, "config"],
        [*addresses, "status"],
        [*addresses[:2], "config"],
        [*addresses[:2], "ask", "holdings", "a"],
    ):
        ran = program(*arguments)
        assert "hush" not in ran.out + ran.err
    assert "user:***@host:1/x?sslpassword=***" in program(*addresses, "config").out


def test_options_of_the_kafka_client_stand_in_a_file_and_in_variables_and_no_secret_is_shown(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("client.properties").write_text("# of the cluster\nsasl.username=hans\nsasl.password = hush=hush\n")
    monkeypatch.setenv("EVENTCORE_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("EVENTCORE_KAFKA_SSL_KEY_PASSWORD", "hush")
    where = ("--log", "kafka://127.0.0.1:1", "--kafka-config", "client.properties")
    ran = program(*where, "config", "--json")
    assert ran.data["kafka_options"] == [
        {"name": "sasl.username", "value": "hans", "from": "client.properties:2"},
        {"name": "sasl.password", "value": "***", "from": "client.properties:3"},
        {"name": "security.protocol", "value": "SASL_SSL", "from": "EVENTCORE_KAFKA_SECURITY_PROTOCOL"},
        {"name": "ssl.key.password", "value": "***", "from": "EVENTCORE_KAFKA_SSL_KEY_PASSWORD"},
    ]
    shown = program(*where, "config")
    assert "hush" not in ran.out + ran.err + shown.out + shown.err


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("TRANSACTIONAL_ID", "eventcore sets it itself: it is what fences a lane's former owner"),
        ("SASL_PASWORD", "no such option; the nearest are sasl.password"),
        ("SECURITY_PROTOCOL", "the Kafka client library refuses it"),
        ("SASL_JAAS_CONFIG", "is an option of Kafka's Java client; write sasl.username and sasl.password"),
    ],
)
def test_an_option_that_cannot_be_set_is_one_sentence_without_its_value_and_2(
    program: Program, monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    monkeypatch.setenv(f"EVENTCORE_KAFKA_{variable}", "hush" if "SASL" in variable else "loud")
    ran = program("--log", "kafka://127.0.0.1:1", "status")
    assert ran.code == 2
    assert said in ran.err
    assert f"(from EVENTCORE_KAFKA_{variable})" in ran.err
    assert "hush" not in ran.err


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (
            "nowhere.app:app",
            "no module is named 'nowhere', so the app in nowhere.app cannot be imported. Run this in the folder",
        ),
        (APP.replace(":app", ":ap"), "the app in tests.integration.cli.pantry names here are: app"),
        (APP.replace(":app", ":not_an_app"), "is of type Aggregate, not App. Its apps are: app."),
        ("pantry", "'pantry' is not of the form MODULE:NAME"),
        ("raises:app", "importing raises raises ZeroDivisionError: division by zero"),
        ("needs:app", "importing needs needs the module nowhere_at_all, which is not installed here"),
        ("breaks_a_rule:app", "cannot name an app"),
        (None, NO_APP),
    ],
)
def test_an_app_that_cannot_be_had_is_one_sentence_and_2(program: Program, app: str | None, said: str) -> None:
    Path("raises.py").write_text('"""Raises."""\n1 / 0\n')
    Path("needs.py").write_text('"""Needs."""\nimport nowhere_at_all\n')
    Path("breaks_a_rule.py").write_text('"""Breaks."""\nfrom eventcore.app import App\napp = App("no name", [])\n')
    ran = program("send", "jar", "a", "Add", app=app)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool", "cannot be read as TOML"),
        ("[tool.eventcore]\nlogs = 'x'", "'logs'; the setting in"),
        ("[tool.eventcore]\nlog = 5", "expected str, got 5"),
        ("[tool]\neventcore = 5", "is not a table"),
    ],
)
def test_a_project_file_that_cannot_be_meant_is_said(program: Program, text: str, said: str) -> None:
    Path("pyproject.toml").write_text(text)
    ran = program("config")
    assert ran.code == 2
    assert said in ran.err


def test_memory_is_refused_because_no_other_command_would_see_it(program: Program) -> None:
    assert "Name a file: --log sqlite:PATH" in program("--log", "memory:", "send", "jar", "a", "Drop").err


def test_a_file_that_is_no_log_is_left_as_it_was(program: Program) -> None:
    Path("other.db").write_bytes(b"not a database at all, whatever its name says" * 50)
    before = Path("other.db").read_bytes()
    ran = program("--log", "sqlite:other.db", "status")
    assert ran.code == 3
    assert "It is not a log of ours" in ran.err
    assert Path("other.db").read_bytes() == before


def test_a_log_that_is_away_is_said_as_json_where_that_is_wanted(program: Program) -> None:
    ran = program("--json", "--log", "sqlite:nowhere/deep/x.db", "send", "jar", "a", "Drop")
    assert (ran.code, ran.out) == (3, "")
    error = json.loads(ran.err)
    assert (error["error"], error["exit_code"]) == ("LogUnavailable", 3)
    assert "does its folder exist" in error["message"]


def test_without_a_command_and_with_help_the_commands_are_listed(program: Program) -> None:
    ran = program(app=None)
    assert (ran.code, ran.out) == (0, program("--help", app=None).out)
    assert "Commands:" in ran.out
    group = program("schema", app=None)
    assert (group.code, group.err) == (0, "")
    assert "freeze" in group.out
    assert "No such command 'statsu'" in program("statsu", app=None).err
    assert program("--version", app=None).out.startswith("eventcore ")


def test_debug_shows_the_traceback(program: Program) -> None:
    assert "Traceback" in program("ask", "nothing", "a", "--debug").err
    assert "Traceback" not in program("ask", "nothing", "a").err


def test_schemas_are_frozen_once_and_a_change_is_shown(program: Program) -> None:
    missing = program("schema", "diff")
    assert missing.code == 1
    assert "pantry/jar/Added is not frozen yet" in missing.out
    frozen = program("schema", "freeze", "--json")
    assert {each["done"] for each in frozen.data["files"]} == {"written"}
    paths = {each["path"] for each in frozen.data["files"]}
    assert {f"pantry/jar/{name}.v1.avsc" for name in ("Added", "Taken", "Add", "Take", "Drop", "Jar")} <= paths
    assert {f"pantry/move/{name}.v1.avsc" for name in ("Move", "Moving", "StepRequested", "Progress")} <= paths
    assert program("schema", "diff").code == 0
    assert {each["done"] for each in program("schema", "freeze", "--json").data["files"]} == {"unchanged"}
    path = Path("schemas/pantry/jar/Added.v1.avsc")
    path.write_text(path.read_text().replace('"count"', '"amount"'))
    changed = program("schema", "diff")
    assert changed.code == 1
    assert '-      "name": "amount",' in changed.out
    assert program("schema", "freeze").out.splitlines()[0] == "written schemas/pantry/jar/Added.v2.avsc"


def test_the_views_database_is_upgraded_once(program: Program) -> None:
    first, second = program("db", "upgrade", "--json"), program("db", "upgrade", "--json")
    assert (first.data["before"], second.data["before"]) == (None, first.data["version"])
    assert program("db", "current").code == 0


def test_the_reference_page_says_what_the_program_says() -> None:
    from eventcore.cli.reference import page

    written = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m eventcore.cli.reference > docs/reference/cli.md"
