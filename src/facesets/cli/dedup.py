"""`facesets dedup`."""

from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import CacheArgument, DebugOption, DryRunOption, JsonOption
from facesets.cli.results import report, would
from facesets.operations.options import DedupOptions

_DEFAULT = DedupOptions()


def dedup(
    cache: CacheArgument,
    max_bits: Annotated[
        int, typer.Option(help="Most bits of 256 in which the look of two near-duplicates differs.")
    ] = _DEFAULT.max_bits,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Report copies and near-duplicates in CACHE as CACHE.duplicates.json; nothing is deleted."""
    from facesets.cli import assemble
    from facesets.operations.dedup import dedup as run

    options = DedupOptions(max_bits=max_bits, dry_run=dry_run)
    target = cache.with_name(cache.name + ".duplicates.json")
    with console.stoppable() as stop, console.progress() as progress:
        summary = run(assemble.open_cache(cache), target, options, progress=progress, stop=stop)
    report(
        summary,
        [
            (
                f"{summary.images} images: {summary.identical_groups} lie at several paths "
                f"({summary.spare_files} "
                f"spare files); {summary.near_groups} groups look the same "
                f"({summary.spare_images} spare images)."
            ),
            f"Report {would(dry_run, 'in', 'would go to')} {target}",
        ],
    )
