"""`facesets people split`: somebody who may be several people."""

from pathlib import Path
from typing import Annotated

from facesets.cli import console
from facesets.cli.opening import work_on_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people import WhoArgument
from facesets.cli.user import current_user
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.people import SplitOptions
from facesets.words import corrections as words


def split(
    who: WhoArgument,
    database: DatabaseOption = None,
    sheet: Annotated[Path | None, Option("Draw the parts into a picture.", metavar="FILE.png")] = None,
    apply: Annotated[bool, Option("Make people of the parts; without it they are only shown.")] = False,
    *,
    options: SplitOptions,
) -> None:
    """Show into which people one may fall; --apply makes them."""
    from facesets.operations.people.corrections.splitting import apply_split, draw_split, propose_split

    with work_on_library(database) as work:
        if apply:
            summary = apply_split(work.session, who, options, by=current_user())
        else:
            summary = propose_split(work.session, who, options)
        if sheet is not None:
            draw_split(work.session, summary, sheet, work=work)
    lines = words.split(summary, parts=options.parts, min_size=options.min_size, apply=apply)
    lines += [f"Drawn into {printable(sheet)}."] if sheet else []
    console.show(summary, lines, asked_for=True)
