"""The ledger's worker is killed with `kill -9` in the middle of its work, and nobody can tell afterwards."""

import re

import pytest

from examples.ledger import chaos


@pytest.mark.slow
def test_a_worker_killed_inside_its_transactions_leaves_the_ledger_as_if_it_had_not_been(
    kafka: str, kafka_prefix: str, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = f"kafka://{kafka}?prefix={kafka_prefix}"
    code = chaos.main(["--log", log, "--views", postgres_url, "--kills", "3", "--until", "1993-06-28"])
    said = capsys.readouterr().out
    assert code == 0, said
    kills = re.search(r"3 kills, (\d) of them inside an open transaction", said)
    assert kills is not None
    assert int(kills[1]) >= 1, said
    assert re.search(r"aborted records: \d+ in ledger\.account\.events", said), said
    assert "4,724 events of 551 accounts: each transaction once, versions contiguous" in said
    assert "4,406 account-days met within 0.70 CZK" in said
