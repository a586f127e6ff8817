"""`run`: a worker, until it is told to stop. What it does goes to stderr with times; how it ended, to stdout."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from eventcore.app import Worker
from eventcore.app.wiring import provision
from eventcore.app.worker import PAUSE_FIRST_S, PAUSE_MOST_S, Supervised
from eventcore.cli.call import EMBEDDED, Call, call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.output import Grid
from eventcore.cli.settings import masked
from eventcore.cli.values import time_text
from eventcore.errors import InvalidValue, LogUnavailable, ViewsUnavailable
from eventcore.lane.runner import LaneRunner
from eventcore.log.address import open_log
from eventcore.log.port import Log
from eventcore.relay import Relay
from projections import Views, open_views

START_S = 120.0  # how long a start waits for servers that may be starting too, as after a machine's restart
KINDS = ("lanes", "relays", "projections")

logger = logging.getLogger("eventcore.run")


def run(
    context: typer.Context,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="PARTS",
            help="Parts to run, by commas: lanes, relays, projections, or one: projections:balances, lanes:account.",
        ),
    ] = None,
) -> int:
    """Run a worker: every lane, relay and projection of the app, until SIGINT or SIGTERM.

    Topics and read models that are missing are made. A Postgres database must have been prepared by `db upgrade`.
    What happens is logged on stderr; how each part ended is printed at the end. A second signal ends at once.

    Ends with 0 when it was told to stop, with 1 where a part failed: fenced by another worker, halted, or gave up.
    """
    call = call_of(context)
    wanted = parts_of(only, call)
    log_to_stderr(as_json=call.output.json, debug=call.debug)
    stop = threading.Event()
    worker: Worker | None = None

    def told(number: int, _: FrameType | None) -> None:
        logger.info("%s: stopping; once more ends at once", signal.Signals(number).name)
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        stop.set()
        if worker is not None:
            worker.stop()

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, told)
    log = open_log(call.log.value)
    try:
        views = open_views(call.views.value)
        try:
            if not patiently(stop, lambda: prepare(call, log, views)):
                return DONE
            worker = Worker(call.app, log, views)
            worker.children = [child for child in worker.children if wanted(child)]
            logger.info("starts %s", describe(call, worker))
            if stop.is_set():  # told between the two looks
                worker.stop()
            return ended(call, worker.run())
        finally:
            views.close()
    finally:
        log.close()


def prepare(call: Call, log: Log, views: Views) -> None:
    """Make what is missing in the log and the views. Views in a server must have been upgraded: WrongUse says so."""
    provision(log, call.wiring, call.partitions(log))
    if call.views.value.startswith(EMBEDDED):
        views.upgrade()
    else:
        views.check()
    views.prepare(list(call.wiring.projections.values()))


def patiently(stop: threading.Event, action: Callable[[], None]) -> bool:
    """Try until the servers are there; False where `stop` came first. Raises their fault after START_S."""
    deadline = time.monotonic() + START_S
    pause = PAUSE_FIRST_S
    while not stop.is_set():
        try:
            action()
        except (LogUnavailable, ViewsUnavailable) as away:
            if stop.is_set():
                return False
            if time.monotonic() > deadline:
                raise
            logger.warning("waits %.1f s and tries again: %s", pause, away)
            stop.wait(pause)
            pause = min(PAUSE_MOST_S, pause * 2)
        else:
            return True
    return False


def parts_of(only: str | None, call: Call) -> Callable[[Supervised], bool]:
    """Which children `--only` means; all where it is not given. Raises InvalidValue for a part that there is not."""
    if only is None:
        return lambda _: True
    wanted = {part.strip() for part in only.split(",")}
    for part in wanted:
        kind, _, name = part.partition(":")
        names = {"lanes": call.wiring.machines, "projections": call.wiring.projections}.get(kind, {})
        if kind not in KINDS or (":" in part and name not in names):
            known = [f"{kind}:{name}" for name in names] if kind in KINDS else list(KINDS)
            raise InvalidValue("--only", f"{part!r} is no part of {call.wiring.name}; there are: {', '.join(known)}")

    def is_wanted(supervised: Supervised) -> bool:
        kind, name = part_of(supervised)
        return kind in wanted or f"{kind}:{name}" in wanted

    return is_wanted


def part_of(supervised: Supervised) -> tuple[str, str]:
    """The kind of a child, and the name of what it runs."""
    child = supervised.child
    if isinstance(child, LaneRunner):
        return "lanes", child.topics.commands.removesuffix(".commands").rpartition(".")[2]
    if isinstance(child, Relay):
        return "relays", child.reads
    return "projections", child.name.removeprefix("projection:")


def describe(call: Call, worker: Worker) -> str:
    """What a worker runs, and where."""
    kinds = [part_of(child)[0] for child in worker.children]
    counts = ", ".join(f"{kind}: {kinds.count(kind)}" for kind in KINDS if kind in kinds) or "nothing"
    return f"{call.app.name} ({counts}); log {masked(call.log.value)}, views {masked(call.views.value)}"


def ended(call: Call, children: list[Supervised]) -> int:
    """Print what became of each child; the exit code."""
    rows = [(c.child.name, c.status, f"{c.records:,}", c.reason) for c in children]
    parts = [{"name": c.child.name, "status": c.status, "records": c.records, "reason": c.reason} for c in children]
    call.output.document({"parts": parts}, [Grid(("part", "ended", "records", "why"), rows)])
    return ANSWER_IS_NO if any(child.failed for child in children) else DONE


def log_to_stderr(*, as_json: bool, debug: bool) -> None:
    """Send what the library logs to stderr, with times; the Kafka client's own lines only with `debug`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Lines("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if not debug:
        logging.getLogger("eventcore.log.kafka").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)


class Lines(logging.Formatter):
    """A log record as text, its time in UTC."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        """The time, as everywhere in this program."""
        return time_text(int(record.created * 1_000))


class JsonLines(Lines):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)
