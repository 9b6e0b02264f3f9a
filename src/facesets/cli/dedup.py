"""`facesets dedup`."""

from pathlib import Path
from typing import Annotated

from facesets.cli.opening import work_on_store
from facesets.cli.params import DatabaseOption, OptionalCacheArgument
from facesets.cli.results import report
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import DedupOptions
from facesets.words import face_sets as words

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
    with work_on_store(cache, database) as (store, work):
        done = run(store, out or beside, options, work=work)
    report(done, words.dedup(done))
