"""Holds the read model in Postgres to the judge's own fold of the log."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from faults.judge import Finding, Money


def wrong_rows(url: str, accounts: Mapping[str, Money]) -> list[Finding]:
    """What differs between the table `balances` and the accounts."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT account, balance, held FROM balances").fetchall()
    rows = {account: (balance, held) for account, balance, held in found}
    expected = {account: (money.balance, money.held) for account, money in accounts.items()}
    findings = [
        Finding(
            "wrong",
            f"row {account}",
            f"says {rows.get(account, 'nothing')}, the log {expected.get(account, 'nothing')}",
        )
        for account in sorted(rows.keys() | expected.keys())
        if rows.get(account) != expected.get(account)
    ]
    if len(found) != len(rows):
        findings.append(Finding("doubled", "balances", f"{len(found)} rows for {len(rows)} accounts"))
    return findings
