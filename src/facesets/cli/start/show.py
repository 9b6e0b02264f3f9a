"""`facesets show`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import opened_store
from facesets.cli.params import DatabaseOption, Guesses, refuse_several_results
from facesets.cli.wording import worded
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.words.phrases import table

_WORDS = {"persons": "people"}
"""Printed labels of facts, by their names in files."""


def show(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CACHE|MANIFEST|PHOTO]",
            help="A cache, a result folder or its manifest, or a photo of the library by path or hash. "
            "[default: the library]",
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        str | None,
        Option("List the faces of one person or face set, and how each got there.", metavar="NAME"),
    ] = None,
    database: DatabaseOption = None,
    guesses: Guesses = False,
) -> None:
    """Show what a cache, a library, a result or a photo holds."""
    from facesets.operations.ingest.norms import how_to_measure
    from facesets.operations.library.show_photo import means_photo
    from facesets.operations.reports.show import WITHOUT_NORM, show_manifest, show_store
    from facesets.results.manifest_json import is_manifest

    if path is not None and group is None and means_photo(str(path)):
        from facesets.cli.library.explain import show_of_library

        show_of_library(database, str(path), guesses=guesses)
        console.finish()
        return
    if path is not None:
        refuse_several_results(path, "show")
    if path is not None and is_manifest(path):
        contents = show_manifest(path, group)
    elif group is not None:
        raise WrongUsage("--group needs a manifest. Give a result folder of `cluster` or `refine`.")
    else:
        with opened_store(path, database) as store:
            contents = show_store(store, "library" if path is None else "cache")
    named = [
        [_WORDS.get(name, name), value] for name, value in contents.facts.items() if name != WITHOUT_NORM
    ]
    facts = _table([contents.kind, ""], named)
    table = ["", _table(contents.headings, contents.rows)] if contents.rows else []
    lacking, cache = contents.facts.get(WITHOUT_NORM), () if path is None else (printable(path),)
    more = ["", worded(how_to_measure(int(lacking), *cache))] if lacking else []
    console.show(contents, [facts, *table, *more], asked_for=True)
    console.finish()


def _table(headings: Sequence[str], rows: Sequence[Sequence[str | int | float]]) -> str:
    """Return a table whose texts, which come from files, have no control characters."""
    return table(headings, [[printable(c) if isinstance(c, str) else c for c in row] for row in rows])
