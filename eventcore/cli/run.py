"""`run`: a worker, until it is told to stop. What it does goes to stderr with times; how it ended, to stdout."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from types import FrameType
from typing import Annotated, NoReturn

import typer

from eventcore.app import Worker
from eventcore.app.children import relays_of
from eventcore.app.health import Health
from eventcore.app.supervision import PAUSE_FIRST_S, PAUSE_MOST_S, Supervised
from eventcore.app.watchdog import HANG_S
from eventcore.app.wiring import provision
from eventcore.app.worker import DRAIN_S, LOOK_S, Wanted, everything
from eventcore.cli.call import EMBEDDED, Call, call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE, HUNG
from eventcore.cli.output import Grid
from eventcore.cli.supervise import Supervisor, show_life, supervised_command
from eventcore.cli.values import time_text
from eventcore.errors import InvalidValue, LogUnavailable, ViewsUnavailable
from eventcore.log.address import masked
from eventcore.log.port import Log
from projections import Views, open_views

START_S = 120.0  # how long a start waits for servers that may be starting too, as after a machine's restart
PORT_MAX = 65_535
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
    drain: Annotated[
        str, typer.Option(metavar="TIME", help="How long to finish what is begun, once told to end: 30s, 2m.")
    ] = f"{DRAIN_S:.0f}s",
    hang: Annotated[
        str, typer.Option(metavar="TIME", help="End with code 4 when a part has not returned for so long.")
    ] = f"{HANG_S:.0f}s",
    health: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve /live, /ready and /metrics there: 127.0.0.1:8080."),
    ] = None,
    *,
    supervise: Annotated[
        bool, typer.Option("--supervise", help="Run the worker as a child process that is started again when it dies.")
    ] = False,
) -> int:
    """Run a worker: its share of the lanes, relays and projections of the app, until SIGINT or SIGTERM.

    On Kafka as many workers as you like share the partitions: start one more, and it takes its part; stop one, and the
    others take over. Topics and read models that are missing are made. A Postgres database must have been prepared by
    `db upgrade`. What happens is logged on stderr; how each part ended is printed at the end. A second signal ends at
    once.

    Ends with 0 when it was told to stop, with 1 where a part failed (halted, gave up, or was cut off), and with 4 when a
    part hung: then it must be started again, which --supervise does.
    """
    call = call_of(context)
    drain_s, hang_s = seconds_of(drain, "--drain"), seconds_of(hang, "--hang")
    wanted = parts_of(only, call)
    at = None if health is None else host_and_port(health)
    log_to_stderr(as_json=call.output.json, debug=call.debug)
    if supervise:
        return Supervisor(supervised_command(), drain_s=drain_s, hang_s=hang_s).run()
    return run_here(call, wanted, drain_s=drain_s, hang_s=hang_s, health=at)


class Told:
    """Whether this program was told to end, and whom it tells."""

    def __init__(self) -> None:
        self.stopping = False
        self.worker: Worker | None = None

    def stop(self) -> None:
        """Take note, and tell the worker. Safe in a signal handler."""
        self.stopping = True
        if self.worker is not None:
            self.worker.stop()

    def hear(self, number: int, _: FrameType | None) -> None:
        """Handle a signal; the next one ends at once."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        self.stop()
        logger.info("%s: stopping; once more ends at once", signal.Signals(number).name)


def run_here(
    call: Call, wanted: Wanted, *, drain_s: float, hang_s: float, health: tuple[str, int] | None = None
) -> int:
    """Run a worker in this process until it is told to end; the exit code."""
    told = Told()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, told.hear)
    show_life(told.stop)
    log = call.open_log()
    try:
        views = open_views(call.views.value)
        try:
            worker = Worker(call.app, log, views, wanted=wanted, drain_s=drain_s, hang_s=hang_s, hangs=end_hung)
            with nullcontext() if health is None else Health(worker, *health):
                if not patiently(told, lambda: prepare(call, log, views)):
                    return DONE
                told.worker = worker
                logger.info("starts %s", describe(call, log, wanted))
                if told.stopping:  # told between the two looks
                    worker.stop()
                code = ended(call, worker.run())
            if worker.cut_off:  # closing would wait for what does not return
                leave(code)
            return code
        finally:
            views.close()
    finally:
        log.close()


def end_hung(name: str, seconds: float) -> None:
    """End this process because a part of it hangs: nothing can end a thread from outside."""
    logger.critical("%s hangs (%.0f s): this process ends with %d, to be started again", name, seconds, HUNG)
    leave(HUNG)


def leave(code: int) -> NoReturn:
    """End this process without waiting for any thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def host_and_port(text: str) -> tuple[str, int]:
    """An address to listen at: `127.0.0.1:8080`, `[::1]:8080`, or `:8080` for every address. Raises InvalidValue."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > PORT_MAX:
        raise InvalidValue("--health", f"{text!r} is no address to listen at; write 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


def seconds_of(text: str, option: str) -> float:
    """A length of time: `30s`, `2m`, `1.5`. Raises InvalidValue."""
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    if matched is None or float(matched[1]) == 0:
        raise InvalidValue(option, f"{text!r} is no length of time; write 30s, 2m or 500ms")
    return float(matched[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}[matched[2] or "s"]


def prepare(call: Call, log: Log, views: Views) -> None:
    """Make what is missing in the log and the views. Views in a server must have been upgraded: WrongUse says so."""
    provision(log, call.wiring, call.partitions(log))
    if call.views.value.startswith(EMBEDDED):
        views.upgrade()
    else:
        views.check()
    views.prepare(list(call.wiring.projections.values()))


def patiently(told: Told, action: Callable[[], None]) -> bool:
    """Try until the servers are there; False where it is told to end first. Raises their fault after START_S."""
    deadline = time.monotonic() + START_S
    pause = PAUSE_FIRST_S
    while not told.stopping:
        try:
            action()
        except (LogUnavailable, ViewsUnavailable) as away:
            if told.stopping:
                return False
            if time.monotonic() > deadline:
                raise
            logger.warning("waits %.1f s and tries again: %s", pause, away)
            until = time.monotonic() + pause
            while not told.stopping and time.monotonic() < until:
                time.sleep(LOOK_S)
            pause = min(PAUSE_MOST_S, pause * 2)
        else:
            return True
    return False


def parts_of(only: str | None, call: Call) -> Wanted:
    """Which parts `--only` means; all where it is not given. Raises InvalidValue for a part that there is not."""
    if only is None:
        return everything
    wanted = {part.strip() for part in only.split(",")}
    for part in wanted:
        kind, _, name = part.partition(":")
        names = {"lanes": call.wiring.machines, "projections": call.wiring.projections}.get(kind, {})
        if kind not in KINDS or (":" in part and name not in names):
            known = [f"{kind}:{name}" for name in names] if kind in KINDS else list(KINDS)
            raise InvalidValue("--only", f"{part!r} is no part of {call.wiring.name}; there are: {', '.join(known)}")
    return lambda kind, name: kind in wanted or f"{kind}:{name}" in wanted


def describe(call: Call, log: Log, wanted: Wanted) -> str:
    """What a worker may run, and where."""
    wiring = call.wiring
    lanes = [m for m in wiring.machines.values() if wanted("lanes", m.name)]
    counts = {
        "lanes": sum(log.partitions(machine.topics.commands) for machine in lanes),
        "relays": sum(wanted("relays", relay.reads) for relay in relays_of(wiring, log)),
        "projections": sum(wanted("projections", name) for name in wiring.projections),
    }
    listed = ", ".join(f"{kind}: {count}" for kind, count in counts.items() if count) or "nothing"
    return f"{call.app.name} ({listed}); log {masked(call.log.value)}, views {masked(call.views.value)}"


def ended(call: Call, children: list[Supervised]) -> int:
    """Print what became of each child; the exit code."""
    rows = [(c.name, c.status, f"{c.records:,}", c.reason) for c in children]
    parts = [{"name": c.name, "status": c.status, "records": c.records, "reason": c.reason} for c in children]
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
