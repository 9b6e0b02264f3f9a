"""`facesets people split`: somebody who may be several people."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets.cli import console
from facesets.cli.opening import work_on_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people import WhoArgument
from facesets.cli.user import current_user
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.people import SplitOptions
from facesets.plurals import counted
from facesets.words.phrases import how_to_undo

if TYPE_CHECKING:
    from facesets.operations.people.corrections.splitting import SplitSummary


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

    with work_on_library(database) as (library, progress, stop):
        if apply:
            summary = apply_split(library.database, who, options, by=current_user())
        else:
            summary = propose_split(library.database, who, options)
        if sheet is not None:
            draw_split(library.database, summary, sheet, progress=progress, stop=stop)
    if len(summary.parts) < 2:
        lines = [_whole(summary, options)]
    else:
        numbers = [str(number) for number in range(1, len(summary.parts) + 1)]
        rows = [
            (
                number,
                len(part.faces),
                part.photos,
                printable(part.name) or "somebody new",
                *map(_shown, part.distances),
            )
            for number, part in zip(numbers, summary.parts, strict=True)
        ]
        headings = ("part", "faces", "photos", "is", *(f"to {number}" for number in numbers))
        done = f"Split into {counted(len(rows), 'part')}.{how_to_undo(summary.step)}"
        lines = [
            console.table(headings, rows),
            "The last columns are cosine distances between the parts' means.",
            done if apply else "Nothing was changed: --apply makes people of the parts.",
        ]
    lines += [f"Drawn into {printable(sheet)}."] if sheet else []
    console.show(summary, lines, asked_for=True)


def _whole(summary: "SplitSummary", options: SplitOptions) -> str:
    """That somebody falls into no parts."""
    faces = f"{printable(summary.name)}: {counted(summary.faces, 'face')} that"
    if options.parts is None or options.parts < 2:
        return f"{faces} hold together. --parts N asks for so many all the same."
    smaller = " A lower --min-size allows smaller ones." if options.min_size > 1 else ""
    least = counted(options.min_size, "face")
    return f"{faces} do not fall into {options.parts} parts of {least} or more.{smaller}"


def _shown(distance: float) -> str:
    return "-" if distance < 1e-6 else f"{distance:.2f}"
