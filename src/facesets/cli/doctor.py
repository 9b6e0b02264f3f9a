"""`facesets doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DebugOption, JsonOption

_MARKS = {"ok": "ok", "note": "--", "problem": "!!"}


def doctor(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Further directories that will be written to."),
    ] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Look for what is wrong with this installation, and say which command mends it."""
    from facesets import settings
    from facesets.operations.doctor import doctor as run

    roots = settings.load().model_roots
    findings = run(roots, [Path.cwd(), *(path.absolute() for path in directories or [])])
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.level]}  {finding.subject}: {finding.state}")
        if finding.repair:
            lines.append(f"      mend it with: {finding.repair}")
    console.show_list(findings, "\n".join(lines))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)
