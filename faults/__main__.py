"""Play faults and print the table: `python -m faults [--only NAME] [--seed N] [--short]`.

Ends with 1 where anything promised did not hold. The seed decides what is sent, whom a fault meets and when; how the
processes interleave is not the seed's to say, so a run can be played again and need not come out the same.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from faults.catalogue import FAULTS, Fault
from faults.judge import Finding
from faults.scene import Report, Scene
from faults.stages import Stages
from faults.table import seen, show


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the faults; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m faults", description="Play faults and judge what comes of them.")
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--only", action="append", choices=names, help="play this one; may be given more than once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="inject each fault a few times only")
    options = parser.parse_args(arguments)
    chosen = [fault for fault in FAULTS if options.only is None or fault.name in options.only]
    reports: list[tuple[Fault, Report]] = []
    with Stages() as stages:
        for fault in chosen:
            report = play(fault, stages, options.seed, short=options.short)
            reports.append((fault, report))
            print(f"{fault.name}: {seen(report)}", flush=True)
    print(f"\nseed {options.seed}{', short' if options.short else ''}")
    show(reports)
    return int(any(report.verdict.findings for _, report in reports))


def play(fault: Fault, stages: Stages, seed: int, *, short: bool) -> Report:
    """Play one fault. A run that breaks off is a finding: the promise was not kept, or could not be tried."""
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{fault.name}-"))
    scene = Scene(fault.name, stages.of(fault), folder, seed, short=short)
    try:
        report = scene.run(
            fault.inject, workers=fault.workers, load=fault.load, arguments=fault.arguments, client=fault.client
        )
    except Exception as broken:  # noqa: BLE001 - the table tells it, and the code
        report = scene.report
        report.verdict.findings.append(Finding("wrong", "run", f"broke off: {type(broken).__name__}: {broken}"))
    if not report.verdict.findings:
        shutil.rmtree(folder)
    return report


if __name__ == "__main__":
    sys.exit(main())
