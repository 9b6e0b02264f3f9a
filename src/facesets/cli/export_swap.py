"""`facesets export-swap`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.exporting import left_out
from facesets.cli.params import (
    DatabaseOption,
    DebugOption,
    DryRunOption,
    JsonOption,
    PackOption,
    ProviderOption,
)
from facesets.cli.results import ReplaceOption, SheetOption, report, would
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.cache import ExportSwapOptions, Select
from facesets.plurals import counted

_DEFAULT = ExportSwapOptions()


def export_swap(
    first: Annotated[
        Path,
        typer.Argument(
            metavar="[CACHE]", help="The cache file; without one, the library.", show_default=False
        ),
    ],
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
    top_n: Annotated[int, typer.Option(help="Faces in the smaller bundle.")] = _DEFAULT.top_n,
    outlier_threshold: Annotated[
        float, typer.Option(help="Cosine distance from the set's centroid beyond which a face is left out.")
    ] = _DEFAULT.outlier_threshold,
    pad_ratio: Annotated[
        float, typer.Option(help="Padding around the box, in longer edges of it.")
    ] = _DEFAULT.pad_ratio,
    out_size: Annotated[int, typer.Option(help="Pixels of a PNG's edge.")] = _DEFAULT.out_size,
    min_face_short: Annotated[
        float, typer.Option(help="Fewest pixels of the short edge of the box.")
    ] = _DEFAULT.min_face_short,
    select: Annotated[
        Select,
        typer.Option(help="What the smaller bundle holds: the best, or good ones in diverse poses."),
    ] = _DEFAULT.select,
    raw_manifest: Annotated[
        Path | None, typer.Option(help="The manifest.json of `cluster`; needed for --candidates.")
    ] = None,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Match single faces to the sets, for review in _candidates.")
    ] = _DEFAULT.candidates,
    candidate_match_threshold: Annotated[
        float, typer.Option(help="Cosine distance for that.")
    ] = _DEFAULT.candidate_match_threshold,
    candidate_min_score: Annotated[
        float, typer.Option(help="Least quality for that.")
    ] = _DEFAULT.candidate_min_score,
    merge: Annotated[
        bool, typer.Option("--merge", help="Add to the sets in OUT, leaving those as they are.")
    ] = _DEFAULT.merge,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    sheet: SheetOption = _DEFAULT.sheet,
    replace: ReplaceOption = _DEFAULT.replace,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Export face sets of CACHE, or of the library, as single-face PNGs and as .fsz bundles."""
    from facesets import settings
    from facesets.assembly.crop_checker import crop_checker
    from facesets.assembly.stores import open_store
    from facesets.operations.face_sets.export_swap import export_swap as run

    cache, refine_manifest, out = (None, first, second) if third is None else (first, second, third)
    if cache is None and first.suffix == ".npz":
        raise WrongUsage(f"Where to? Say `facesets export-swap {printable(first)} {printable(second)} OUT`.")
    conf = settings.load()
    options = ExportSwapOptions(
        top_n=top_n,
        outlier_threshold=outlier_threshold,
        pad_ratio=pad_ratio,
        out_size=out_size,
        min_face_short=min_face_short,
        select=select,
        candidates=candidates,
        candidate_match_threshold=candidate_match_threshold,
        candidate_min_score=candidate_min_score,
        merge=merge,
        sheet=sheet,
        replace=replace,
        dry_run=dry_run,
    )
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, conf, console) as store,
    ):
        embedder = crop_checker(store, pack, provider, conf, console, progress, stop, fetch=not dry_run)
        summary = run(
            store,
            refine_manifest,
            out,
            embedder,
            options,
            raw_manifest=raw_manifest,
            progress=progress,
            stop=stop,
        )
    report(
        summary,
        [
            (
                f"{printable(out)}: {counted(summary.sets, 'face set')} "
                f"({summary.unchanged_sets} unchanged), "
                f"{counted(summary.faces, 'face')} {would(dry_run, 'exported', 'to export')} "
                f"({summary.masked} with bystanders masked), "
                f"{counted(summary.bundles, 'bundle')}, {counted(summary.candidates, 'candidate')}."
            ),
            left_out(summary),
        ],
    )
