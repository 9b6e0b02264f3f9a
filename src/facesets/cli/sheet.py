"""`facesets sheet`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import working
from facesets.cli.results import refuse_several_results
from facesets.operations.options.shared import DryRun
from facesets.words import face_sets as words


def sheet(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A manifest, or its folder.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Argument(metavar="[OUT.png]", help="The first page. [default: sheet.png beside the manifest]"),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Draw contact sheets of a manifest: a row a person, and what was left out with the reason."""
    from facesets.operations.reports.evaluation_sheet import sheet as run

    refuse_several_results(manifest, "sheet")
    with working() as work:
        done = run(manifest, out, dry_run=dry_run, work=work)
    console.show(done, words.sheet(done))
    console.finish()
