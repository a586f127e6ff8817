"""The program `eventcore`: its options, its verbs, and what becomes of their errors."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from eventcore.cli import cuts, db, logs, quarantine, sagas, schemas, topics
from eventcore.cli.ask import ask
from eventcore.cli.call import Call
from eventcore.cli.check import COULD_NOT_RUN, check_
from eventcore.cli.config import config, version
from eventcore.cli.diagram import diagram
from eventcore.cli.faults import DONE, INTERRUPTED, report
from eventcore.cli.new import new
from eventcore.cli.output import Output
from eventcore.cli.redecide import redecide_
from eventcore.cli.refine import refine_
from eventcore.cli.replay import replay
from eventcore.cli.run import run as run_worker
from eventcore.cli.send import send
from eventcore.cli.settings import Name, settle
from eventcore.cli.status import status
from eventcore.errors import WrongUse

# Typer bundles click, or imports it, by version; both name this class as what BadParameter is derived from.
USAGE_ERROR: Any = typer.BadParameter.__base__

VERDICTS = {"eventcore check", "eventcore refine", "eventcore redecide"}  # whose 2 says inconclusive

program = typer.Typer(
    name="eventcore",
    rich_markup_mode=None,  # help is read in pipes and pages too, and brackets in it mean brackets
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - how typer calls it
    if wanted:
        sys.stdout.write(f"eventcore {version()}\n")
        raise typer.Exit


@program.callback()
def options(
    context: typer.Context,
    *,
    app: Annotated[str | None, typer.Option(metavar="MODULE:NAME", help="The app, as bank.app:app.")] = None,
    log: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="sqlite:PATH or kafka://HOST:PORT[,HOST:PORT][?prefix=NAME].")
    ] = None,
    views: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="sqlite:PATH or postgresql://USER@HOST/DATABASE.")
    ] = None,
    partitions: Annotated[
        str | None, typer.Option(metavar="N", help="How many partitions new topics have; fixed once they exist.")
    ] = None,
    replication: Annotated[
        str | None,
        typer.Option(metavar="N", help="How many replicas new topics on Kafka have; else the cluster decides."),
    ] = None,
    kafka_config: Annotated[
        str | None, typer.Option(metavar="FILE", help="Options of the Kafka client library: name=value lines.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on stdout, errors as JSON on stderr. Also after the command.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="EVENTCORE_DEBUG", help="Show tracebacks. Also after the command.")
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Run an event-sourced app, send it commands, and look into its log.

    Each of app, log, views, partitions, replication and kafka-config is taken from its option, else from EVENTCORE_APP,
    EVENTCORE_LOG, EVENTCORE_VIEWS, EVENTCORE_PARTITIONS, EVENTCORE_REPLICATION, EVENTCORE_KAFKA_CONFIG, else from
    [tool.eventcore] in ./pyproject.toml. By default the log is sqlite:APP.db in the current folder and the views lie
    beside it. Any option of the Kafka client library may also be a variable: EVENTCORE_KAFKA_SECURITY_PROTOCOL.

    Exit codes: 0 done, and the answer is yes; 1 done, and the answer is no (not accepted, not found, broken); 2 the call
    was wrong; 3 a server, a file or a record was wrong; 4 a worker hung and is to be started again; 130 interrupted.
    """
    flags: dict[Name, str | None] = {"app": app, "log": log, "views": views, "partitions": partitions}
    flags |= {"replication": replication, "kafka_config": kafka_config}
    context.obj = Call(settle(flags, os.environ, Path()), Output(json), debug, os.environ)
    if context.invoked_subcommand is None:
        sys.stdout.write(f"{context.get_help()}\n")


program.command("run")(run_worker)
program.command("send")(send)
program.command("ask")(ask)
program.command("status")(status)
program.command("replay")(replay)
program.add_typer(logs.verbs, name="log")
program.add_typer(cuts.verbs, name="cut")
program.command("audit")(cuts.audit)
program.command("check")(check_)
program.command("refine")(refine_)
program.command("redecide")(redecide_)
program.command("diagram")(diagram)
program.add_typer(sagas.verbs, name="saga")
program.add_typer(quarantine.verbs, name="quarantine")
program.add_typer(schemas.verbs, name="schema")
program.add_typer(topics.verbs, name="topics")
program.add_typer(db.verbs, name="db")
program.command("config")(config)
program.command("new")(new)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Whatever is raised becomes a sentence on stderr."""
    as_json = "--json" in arguments
    debug = "--debug" in arguments or os.environ.get("EVENTCORE_DEBUG", "").lower() in {"1", "true", "yes", "on"}
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an id may hold what the terminal's encoding has not
    try:
        code = typer.main.get_command(program).main(list(arguments), prog_name="eventcore", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output, as `head`, has enough. The interpreter would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (KeyboardInterrupt, typer.Abort):
        return report(KeyboardInterrupt(), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the edge of the program: every error ends as a sentence and a code
        if isinstance(error, USAGE_ERROR):
            return _usage(error, as_json=as_json)
        return report(error, as_json=as_json, debug=debug)
    if code == INTERRUPTED:
        return report(KeyboardInterrupt(), as_json=as_json)
    return code if isinstance(code, int) else DONE


def _usage(error: Any, *, as_json: bool) -> int:
    """An option or argument that typer refuses, with the command whose help tells more."""
    where = error.ctx.command_path if error.ctx is not None else "eventcore"
    said: str = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help of a group of verbs
        sys.stdout.write(f"{said}\n")
        return DONE
    code = report(WrongUse(f"{said.rstrip('.')}. See `{where} --help`"), as_json=as_json)
    return COULD_NOT_RUN if where in VERDICTS else code
