"""`schema freeze` and `schema diff`: the schemas of the app's classes, as files that never change once released."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from eventcore.annotations import unknown_in
from eventcore.app.wiring import Wiring
from eventcore.avro.codec import codec_for
from eventcore.avro.frozen import Difference, differences, freeze, stem_of
from eventcore.cli.call import call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.errors import NotSupported
from eventcore.value import Value

verbs = typer.Typer(help="Schemas: freeze them as files, and compare the code with the files.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option(help="The folder of the frozen files.", file_okay=False)]
SCHEMAS = Path("schemas")


def app_schemas(wiring: Wiring) -> Mapping[str, str]:
    """The schema text of every command, event and state of an app, by stem: `bank/account/Deposited`."""
    found: dict[str, str] = {}
    for machine in wiring.machines.values():
        state_type: type[Value] = machine.aggregate.state_type
        state = codec_for(state_type, machine.events.namespace)
        for codec in (*machine.commands.codecs, *machine.events.codecs, state):
            found[stem_of(codec.name)] = codec.text
    return found


def refuse_unknown(wiring: Wiring) -> None:
    """Raise NotSupported where a command, event or state has a field typed Any: its schema promises nothing."""
    for machine in wiring.machines.values():
        aggregate = machine.aggregate
        for cls in (*aggregate.command_checks, *aggregate.event_checks, aggregate.state_type):
            if unknown := unknown_in(cls):
                raise NotSupported(
                    f"{machine.name}: {', '.join(unknown)} is typed Any, and what is unknown cannot be released: "
                    "nobody could read it later. Name its type."
                )


@verbs.command("freeze")
def freeze_(
    context: typer.Context,
    *,
    folder: Folder = SCHEMAS,
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Change the newest file instead of adding the next. Not after a release.")
    ] = False,
) -> None:
    """Write the schemas of the app's commands, events and states that the files do not hold yet.

    A new class becomes v1, a changed one the next number: FOLDER/APP/AGGREGATE/CLASS.vN.avsc.
    """
    call = call_of(context)
    refuse_unknown(call.wiring)
    done = freeze(folder, app_schemas(call.wiring), rewrite=rewrite)
    changed = [each for each in done if each.done != "unchanged"]
    data = {"folder": str(folder), "files": [{"path": str(each.path), "done": each.done} for each in done]}
    lines = [f"{each.done} {folder / each.path}" for each in changed]
    call.output.document(data, [*lines, f"{len(done)} schemas, {len(done) - len(changed)} unchanged"])


@verbs.command("diff")
def diff(context: typer.Context, folder: Folder = SCHEMAS) -> int:
    """Show where the code's schemas differ from the newest frozen files.

    Ends with 0 where they agree, with 1 where they differ.
    """
    call = call_of(context)
    schemas = app_schemas(call.wiring)
    found = differences(folder, schemas)
    data = {
        "folder": str(folder),
        "differences": [{"path": str(d.path), "problem": d.problem, "diff": d.diff} for d in found],
    }
    if not found:
        call.output.document(data, [f"{len(schemas)} schemas are as frozen in {folder}"])
        return DONE
    lines = [line for d in found for line in _shown(folder, d)]
    lines.append(f"{len(found)} of {len(schemas)} schemas are not as frozen; `eventcore schema freeze` writes them")
    call.output.document(data, lines)
    return ANSWER_IS_NO


def _shown(folder: Path, difference: Difference) -> list[str]:
    """What is wrong, and for a changed schema how; a new one would be shown whole, which says nothing more."""
    changed = (folder / difference.path).exists()
    return [difference.problem, *([difference.diff.rstrip("\n"), ""] if changed else [])]
