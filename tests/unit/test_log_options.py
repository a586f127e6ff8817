"""Options of the Kafka client library: read, refused and shown, without a cluster."""

import contextlib
import logging
from pathlib import Path

import pytest

from eventcore.errors import InvalidValue
from eventcore.log.address import open_log
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.names import concerns, nearest
from eventcore.log.kafka.settings import KafkaSettings
from eventcore.log.options import HELD, HIDDEN, ClientOptions, read_options

NOWHERE = "kafka://127.0.0.1:1"
SECRETS = (
    "sasl.password",
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.key.pem",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.config",
)


def opened(**options: str) -> None:
    """Open a log with options, `_` for dots, and close it."""
    values = {name.replace("_", "."): value for name, value in options.items()}
    contextlib.closing(open_log(NOWHERE, ClientOptions(values))).__exit__(None, None, None)


def test_a_file_is_read_as_kafkas_tools_read_it(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# a comment\n! another\n\n security.protocol = SSL \nsasl.password=a=b#c\n")
    options = read_options({}, file)
    assert dict(options.values) == {"security.protocol": "SSL", "sasl.password": "a=b#c"}
    assert options.origins["sasl.password"] == f"{file}:5"


def test_a_variable_wins_over_the_file_and_an_empty_one_sets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("client.id=file\nclient.rack=file\n")
    given = {
        "EVENTCORE_KAFKA_CLIENT_ID": "variable",
        "EVENTCORE_KAFKA_CLIENT_RACK": "",
        "EVENTCORE_KAFKA_CONFIG": str(file),
        "KAFKA_CLIENT_ID": "another program's",
    }
    assert dict(read_options(given, file).values) == {"client.id": "variable", "client.rack": "file"}


@pytest.mark.parametrize(
    "text", ["sasl.password hush", "hush", "client.id=a\nclient.id=hush", "\xff", "[kafka]\nclient.id='hush'"]
)
def test_a_line_that_cannot_be_meant_is_named_by_its_number_and_not_repeated(tmp_path: Path, text: str) -> None:
    file = tmp_path / "client.properties"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidValue) as raised:
        read_options({}, file)
    assert str(file) in str(raised.value)
    assert "hush" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"none\.properties: the file of Kafka options cannot be read"):
        read_options({}, tmp_path / "none.properties")


@pytest.mark.parametrize("name", sorted(HELD))
def test_an_option_that_a_guarantee_stands_on_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        ClientOptions({name: "hush"})
    assert HELD[name] in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        *("acks", "auto.offset.reset", "bootstrap.servers", "enable.auto.commit", "enable.auto.offset.store"),
        *("enable.gapless.guarantee", "enable.idempotence", "enable.partition.eof", "group.id", "isolation.level"),
        *("message.max.bytes", "message.timeout.ms", "retry.backoff.ms", "transaction.timeout.ms", "transactional.id"),
    ],
)
def test_whatever_we_set_ourselves_for_a_guarantee_is_held(name: str) -> None:
    assert name in HELD


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_text_of_its_options(name: str, tmp_path: Path) -> None:
    options = ClientOptions({name: "hush", "client.id": "loud"})
    texts = [repr(options), str(list(options.shown())), repr(KafkaSettings("127.0.0.1:1", options=options))]
    assert all("hush" not in text and "loud" in text for text in texts)
    assert (name, HIDDEN, "the program") in options.shown()
    assert options.redacted("it was hush") == f"it was {HIDDEN}"


def test_an_unknown_option_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(InvalidValue, match=r"sasl\.pasword .*no such option; the nearest are sasl\.password"):
        opened(sasl_pasword="hush")
    with pytest.raises(InvalidValue, match=r"the Kafka client library has no such option$"):
        opened(zz="1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"security_protocol": "TLS"}, "Kafka option security.protocol"),
        ({"session_timeout_ms": "3000"}, "not supported for `group.protocol=consumer`"),
        ({"security_protocol": "SSL", "ssl_ca_location": "/no/such/file"}, "Kafka option ssl.ca.location"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanisms": "PLAIN"}, "sasl.username and sasl.password must be set"),
        ({"security_protocol": "SSL", "ssl_key_pem": "hush"}, "not in PEM format"),
        ({"linger_ms": "soon"}, "queue.buffering.max.ms"),  # the library's own name for it
        ({"fetch_min_bytes": "few"}, "Kafka option fetch.min.bytes"),
    ],
)
def test_a_value_that_the_library_refuses_is_refused_when_the_log_is_opened(
    options: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(InvalidValue) as raised:
        opened(**options)
    assert said in str(raised.value)
    assert "hush" not in str(raised.value) + caplog.text
    assert raised.value.__cause__ is None


def test_the_classic_group_protocol_may_be_chosen_with_its_session_and_moves_partitions_one_by_one() -> None:
    options = ClientOptions({"group.protocol": "classic", "session.timeout.ms": "6000"})
    opened(group_protocol="classic", session_timeout_ms="6000")
    member = KafkaSettings("127.0.0.1:1", options=options).member("group", ClientLines())
    assert member["partition.assignment.strategy"] == "cooperative-sticky"
    assert "session.timeout.ms" not in KafkaSettings("127.0.0.1:1", options=options).consumer("group", ClientLines())


def test_what_may_be_tuned_is_tuned_where_it_belongs_and_nothing_else_changes() -> None:
    tuned = KafkaSettings("127.0.0.1:1", options=ClientOptions({"linger.ms": "20", "client.id": "me"}))
    plain, lines = KafkaSettings("127.0.0.1:1"), ClientLines()
    assert tuned.transactional("t", lines) == plain.transactional("t", lines) | {"linger.ms": "20", "client.id": "me"}
    assert tuned.consumer("g", lines) == plain.consumer("g", lines) | {"client.id": "me"}
    assert tuned.admin(lines) == plain.admin(lines) | {"client.id": "me"}


def test_an_option_that_no_list_knows_goes_to_every_client() -> None:
    assert concerns("an.option.of.tomorrow", "admin")
    assert nearest("an.option.of.tomorrow") == []


def test_another_log_does_not_ask_for_the_options(tmp_path: Path) -> None:
    open_log(f"sqlite:{tmp_path / 'a.db'}", ClientOptions({"zz": "1"})).close()
