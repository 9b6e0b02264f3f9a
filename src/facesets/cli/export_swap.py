"""`facesets export-swap`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli.exporting import exporting
from facesets.cli.params import DatabaseOption, PackOption, ProviderOption
from facesets.cli.results import CacheOrResultArgument, report
from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import ExportSwapOptions
from facesets.words import face_sets as words


def export_swap(
    first: CacheOrResultArgument,
    second: Annotated[
        Path,
        typer.Argument(
            metavar="REFINE_MANIFEST", help="The refine_manifest.json, or its folder.", show_default=False
        ),
    ],
    third: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Folder for the results.", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    raw_manifest: Annotated[
        Path | None, Option("The manifest.json of `cluster`; needed for --candidates.")
    ] = None,
    *,
    options: ExportSwapOptions,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Export face sets of CACHE, or of the library, as single-face PNGs, .fsz bundles, and face models."""
    from facesets.operations.face_sets.export_swap import export_swap as run

    cache, refine_manifest, out = (None, first, second) if third is None else (first, second, third)
    if cache is None and first.suffix == ".npz":
        raise WrongUsage(
            f"Where to? Say {Command('export-swap', printable(first), printable(second), 'OUT')}."
        )
    with exporting(cache, database, pack, provider, options) as (store, checker, work):
        done = run(
            store,
            refine_manifest,
            out,
            checker,
            options,
            raw_manifest=raw_manifest,
            work=work,
            modeller=checker,
        )
    report(done, words.export_swap(done))
