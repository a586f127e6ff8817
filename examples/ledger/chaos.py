"""Kill the worker with `kill -9` again and again while the ledger is replayed on Kafka, and judge what comes of it.

    python -m examples.ledger.chaos --log kafka://HOST:PORT?prefix=NAME --views postgresql://USER@HOST/DATABASE

One process sends the ledger as a client does; another is the worker, slowed down (`slow_worker`) so that there is
something to interrupt. It is killed soon after marks that lie between 5 % and 95 % of the work, drawn from a seed, and started
again each time. Then the topics are judged by `checker` and the read model by `verify`, as if nothing had happened.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, urlsplit

from eventcore import Cut
from eventcore.app import Client
from eventcore.app.app import PARTITIONS
from eventcore.app.wiring import provision
from eventcore.errors import OutcomeUnknown
from eventcore.log.address import open_log
from eventcore.log.port import Log
from examples.ledger.app import app
from examples.ledger.bank_file import printed_balances
from examples.ledger.checker import EVENTS, check
from examples.ledger.days import balances_by_day
from examples.ledger.progress import Progress
from examples.ledger.slow_worker import HEARS
from examples.ledger.transactions import Transaction, transactions
from examples.ledger.verify import verify
from projections import open_views

ROOT = Path(__file__).parents[2]  # where the worker finds its module
OUTCOME_S = 180.0  # a client's patience: several restarts and the slow worker fit in
ASK_S = 15.0  # how long it waits before it asks again
CATCH_UP_S = 180.0  # the same for the read model
MARKER_S = 0.5  # after this, what is committed is stable; what is not stable then belongs to nobody alive
HEARS_S = 0.05
END_S = 30.0  # how long a worker may take to finish its batches


class Workers:
    """The one worker process at a time, and what became of those before it."""

    def __init__(self, log: Log, command: Sequence[str], output: IO[bytes]) -> None:
        self._log = log
        self._command = command
        self._output = output
        self._process = self._start()
        self.kills = 0
        self.kills_in_a_transaction = 0

    def _start(self) -> subprocess.Popen[bytes]:
        self._before = Path(self._output.name).stat().st_size  # what the workers before this one have said
        return subprocess.Popen(self._command, cwd=ROOT, stdout=self._output, stderr=subprocess.STDOUT)  # noqa: S603 - ours

    def kill(self) -> None:
        """End the worker as `kill -9` does, see whether it had a transaction open, and start the next one."""
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"the worker ended by itself with code {code}, and was not asked to")
        self._process.kill()
        self._process.wait()
        time.sleep(MARKER_S)
        self.kills += 1
        self.kills_in_a_transaction += any(
            self._log.end(EVENTS, partition) > self._log.stable_end(EVENTS, partition)
            for partition in range(PARTITIONS)
        )
        self._process = self._start()

    def end(self) -> None:
        """End the worker in order, which it must have come to hear of: the last one may just have been started."""
        deadline = time.monotonic() + END_S
        while HEARS.encode() not in Path(self._output.name).read_bytes()[self._before :]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the last worker did not come up")
            time.sleep(HEARS_S)
        self._process.terminate()
        if (code := self._process.wait(END_S)) != 0:
            raise RuntimeError(f"the last worker ended with code {code}")

    def close(self) -> None:
        """Leave no process behind."""
        self._process.kill()
        self._process.wait()


def marks(count: int, total: int, seed: int) -> list[int]:
    """After how many commands to kill: `count` numbers between 5 % and 95 % of `total`, in order."""
    return sorted(random.Random(seed).sample(range(max(1, total // 20), total - total // 20), count))  # noqa: S311 - not a secret


def replay(log: Log, workers: Workers, sent: list[Transaction], kill_at: list[int]) -> Cut:
    """Send everything, killing the worker at the marks; return a cut that holds all of it.

    What comes after a mark is sent when all before it is answered, and the kill follows its first answer: so there is
    always work under way to be interrupted.
    """
    client, progress, cut = Client(app, log), Progress("commands", len(sent)), Cut()
    for first, last in pairwise([0, *kill_at, len(sent)]):
        left, heard_s, doomed = sent[first:last], time.monotonic(), first > 0
        while left:
            answered = 0
            try:
                for outcome in client.send_all(left, timeout_s=ASK_S):
                    if not outcome.accepted:
                        raise RuntimeError(f"{outcome.command_id} was {outcome}")
                    if not outcome.cut <= cut:
                        cut |= outcome.cut
                    answered, heard_s = answered + 1, time.monotonic()
                    progress.add()
                    if doomed:
                        doomed = False
                        workers.kill()
            except OutcomeUnknown:
                # A worker that is killed after its commit answers nobody: ask again with the same ids.
                if time.monotonic() > heard_s + OUTCOME_S:
                    raise
            left = left[answered:]
    progress.close()
    client.close()
    return cut


def run(log_address: str, views_address: str, kills: int, seed: int, until: date) -> int:
    """Replay with kills, judge, and print; 0 where everything is as if nobody had been killed."""
    sent = transactions(until)
    kill_at = marks(kills, len(sent), seed)
    print(
        f"seed {seed}: kill -9 after {', '.join(f'{mark:,}' for mark in kill_at)} of {len(sent):,} commands", flush=True
    )
    log, views = open_log(log_address), open_views(views_address)
    provision(log, app.wiring, PARTITIONS)
    views.upgrade()
    views.prepare([balances_by_day])
    module = "examples.ledger.slow_worker"
    command = [sys.executable, "-m", module, "--log", log_address, "--views", views_address]
    with tempfile.NamedTemporaryFile(prefix="ledger-workers-", suffix=".log", delete=False) as output:
        workers = Workers(log, command, output)
        try:
            cut = replay(log, workers, sent, kill_at)
            views.ask(balances_by_day, ("1", date.min), at_least=cut, timeout_s=CATCH_UP_S)
            workers.end()
        except Exception:
            print(f"what the workers said is in {output.name}", file=sys.stderr)
            raise
        finally:
            workers.close()
            views.close()
            log.close()
    Path(output.name).unlink()
    print(f"{workers.kills} kills, {workers.kills_in_a_transaction} of them inside an open transaction", flush=True)
    return judge(log_address, views_address, until)


def judge(log_address: str, views_address: str, until: date) -> int:
    """Judge topics and read model, and print; 0 where nothing is wrong."""
    parts = urlsplit(log_address)
    prefix = parse_qs(parts.query).get("prefix", [""])[0]
    findings, report = check(parts.netloc, prefix, until), verify(views_address, printed_balances(until))
    for line in (*findings.lines(), *report.lines()):
        print(line)
    return 1 if findings.problems or report.problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m examples.ledger.chaos", description="Kill the ledger's worker.")
    parser.add_argument("--log", required=True, help="kafka://HOST:PORT?prefix=NAME, a prefix that nobody used before")
    parser.add_argument("--views", required=True, help="postgresql://USER@HOST/DATABASE, an empty database")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1994)
    parser.add_argument("--until", type=date.fromisoformat, default=date.max, help="send up to this day only")
    options = parser.parse_args(arguments)
    return run(options.log, options.views, options.kills, options.seed, options.until)


if __name__ == "__main__":
    sys.exit(main())
