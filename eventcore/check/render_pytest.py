"""Findings as tests: a file for pytest that fails for the same reason, until that is mended."""

from __future__ import annotations

from collections.abc import Iterator

from eventcore.check.aggregate import Asked
from eventcore.check.properties import OF_WAYS
from eventcore.check.report import Finding, Report
from eventcore.check.scope import STATES
from eventcore.check.source import Source, listed
from eventcore.check.trace import Trace
from eventcore.errors import NotSupported


def pytest_of(report: Report, target: str) -> str:
    """A test for each finding. `target` is where the aggregate or the Checked is found: `bank.account:checked`.

    Raises NotSupported where a value's class cannot be imported, since it was made within a function.
    """
    module, _, name = target.partition(":")
    source = Source()
    names = [finding.name for finding in report.findings]
    titles = [each.name if names.count(each.name) == 1 else f"{each.name}_{each.kind}" for each in report.findings]
    tests = [
        line
        for finding, title in zip(report.findings, titles, strict=True)
        for line in _test(report, finding, title, name, source)
    ]
    source.imports.setdefault(module, set()).add(name)
    local = sorted(f"{cls} in {where}" for where, names in source.imports.items() for cls in names if "<" in cls)
    if local:
        raise NotSupported(f"no test can be written: {local[0]} cannot be imported. Define it at the top of a module.")
    said = "; ".join(dict.fromkeys(finding.name for finding in report.findings))
    head = [f'"""Written by `eventcore check {target}`: {said}."""', ""]
    imports = [f"from {where} import {', '.join(sorted(names))}" for where, names in sorted(source.imports.items())]
    return "\n".join([*head, *imports, *tests, ""])


def _test(report: Report, finding: Finding, title: str, name: str, source: Source) -> Iterator[str]:
    yield from ("", "", f"def test_{title}() -> None:")
    if finding.trace is None or finding.kind in OF_WAYS or finding.kind == "not_symmetric":
        source.imports.setdefault("eventcore.check", set()).add("check")
        yield f"    report = check({', '.join([name, *_how(report, finding, source)])})"
        yield f"    assert {finding.name!r} not in [finding.name for finding in report.findings]"
        return
    source.imports.setdefault("eventcore.check", set()).add("retrace")
    yield f"    start = {source.of(finding.trace.initial)}"
    yield from _commands(finding.trace, source)
    yield f"    assert retrace({name}, start, commands) is None"


def _how(report: Report, finding: Finding, source: Source) -> Iterator[str]:
    """How a check is asked for, so that it comes as far as the one that found this: no other finding may end it."""
    yield "keep_going=True"
    if report.instances or finding.kind == "not_symmetric":
        yield "symmetric=True"
    if report.distinct > STATES:
        source.imports["eventcore.check"].add("Bounds")
        yield f"bounds=Bounds(states={2 * report.distinct})"


def _commands(trace: Trace, source: Source) -> Iterator[str]:
    if not trace.steps:
        yield "    commands = ()"
        return
    yield "    commands = ("
    for step in trace.steps:
        command = source.of(step.command if step.context is None else Asked(step.command, step.context))
        yield f"        {command},  # {listed(step.events) if step.after is not None else step.outcome}"
    yield "    )"
