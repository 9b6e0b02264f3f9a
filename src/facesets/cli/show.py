"""`facesets show`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DebugOption, JsonOption


def show(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="CACHE|MANIFEST", help="A cache, a manifest, or a manifest's folder.", show_default=False
        ),
    ],
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what is in a cache or in a manifest."""
    from facesets.cli import assemble
    from facesets.exports.manifest_files import is_manifest
    from facesets.operations.show import show_manifest, show_store

    contents = show_manifest(path) if is_manifest(path) else show_store(assemble.open_cache(path))
    facts = console.table([contents.kind, ""], list(contents.facts.items()))
    table = ["", console.table(contents.headings, contents.rows)] if contents.rows else []
    console.show(contents, [facts, *table])
    console.finish()
