"""`telehealth drill`: rehearsals, in a server that is thrown away."""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import FAILED, OK, CommandRefused, Said
from telehealth.log import configure


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "drill", "Rehearsals that touch no real data.")
    text = "From a stolen token to the report a breach notice needs, timed. Exit code 1 when something is missing."
    breach = verb(verbs, common, "breach", text, local=_breach)
    breach.add_argument("--report", type=Path, metavar="FILE", help="keep the rehearsed report (invented patients)")


def _breach(args: argparse.Namespace, _config: Any) -> Said:
    from telehealth.drill import DrillFailed, rehearse  # loads the whole server

    configure(level="CRITICAL")
    try:
        with tempfile.TemporaryDirectory(prefix="telehealth-drill-") as folder:
            found = asyncio.run(rehearse(Path(folder)))
    except (DrillFailed, TimeoutError) as error:
        raise CommandRefused(
            "drill_failed", f"The drill broke off: {error or 'nothing was detected in time'}."
        ) from error
    if args.report is not None:
        args.report.touch(mode=0o600)
        args.report.write_text(json.dumps(found.report, ensure_ascii=False, indent=2), "utf-8")
    steps = [{"step": step.name, "seconds": step.seconds, "text": step.text} for step in found.steps]
    ok = not found.problems
    data = {"ok": ok, "seconds": round(found.seconds, 3), "steps": steps, "problems": found.problems}
    lines = [f"{step.seconds:8.2f} s  {step.name}: {step.text}" for step in found.steps]
    last = "Nothing is missing in the report." if ok else f"MISSING in the report: {', '.join(found.problems)}"
    lines += [f"{found.seconds:8.2f} s  from the first stolen request to the report", last]
    return Said(data, [*lines, "What people must add stands in the report. See docs/alerts.md."], OK if ok else FAILED)
