"""`facesets dedup`."""

from pathlib import Path
from typing import Annotated

from facesets.cli.opening import work_on_store
from facesets.cli.params import DatabaseOption, OptionalCacheArgument
from facesets.cli.results import report
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.dedup import DedupOptions
from facesets.plurals import counted
from facesets.words.phrases import would

_OF_LIBRARY = "library.duplicates.json"


def dedup(
    cache: OptionalCacheArgument = None,
    database: DatabaseOption = None,
    out: Annotated[
        Path | None,
        Option(
            "Where the report goes.",
            unset=f"CACHE.duplicates.json; of the library {_OF_LIBRARY} in this folder",
        ),
    ] = None,
    *,
    options: DedupOptions,
) -> None:
    """Report copies and near-duplicates in CACHE, or in the library; nothing is deleted."""
    from facesets.operations.reports.dedup import dedup as run

    beside = Path(_OF_LIBRARY) if cache is None else cache.with_name(cache.name + ".duplicates.json")
    target = out or beside
    with work_on_store(cache, database) as (store, progress, stop):
        summary = run(store, target, options, progress=progress, stop=stop)
    report(
        summary,
        [
            (
                f"{counted(summary.images, 'image')}: {summary.identical_groups} at several paths "
                f"({counted(summary.spare_files, 'spare file')}); "
                f"{counted(summary.near_groups, 'group')} that look the same "
                f"({counted(summary.spare_images, 'spare image')})."
            ),
            *(
                [f"{counted(summary.left_out, 'path')} left out: links, or files that are gone or changed."]
                if summary.left_out
                else []
            ),
            f"Report {would(options.dry_run, 'in', 'would go to')} {printable(target)}",
        ],
    )
