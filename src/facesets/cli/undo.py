"""`facesets undo`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.files import PEOPLE, SETS, is_there
from facesets.operations.options.shared import DryRun
from facesets.words import results as words


def undo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder of results.", show_default=False)],
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]", help="Its name or number; without one, the runs are listed.", show_default=False
        ),
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """List the runs that changed OUT, or take one back: the newest first, and never over an edit of yours.

    Whatever a command wrote in OUT is taken back, drawings too. What `relocate` changed lies in the cache or
    the library: move the folder back and relocate it back. OUT keeps what its last 10 runs replaced, in
    .facesets-journal, fewer where that is more than 2 GiB.
    """
    from facesets.operations.undo import known_runs
    from facesets.operations.undo import undo as take_back
    from facesets.results.placement import WITHOUT_ORIGINAL

    if not run:
        known = known_runs(out)
        below = [path for path in (out / PEOPLE, out / SETS) if is_there(path)]
        console.show(known, words.runs(known, below=below), asked_for=True)
        return
    done = take_back(out, run, dry_run=dry_run)
    console.show(done, words.undo(done, aside=WITHOUT_ORIGINAL))
