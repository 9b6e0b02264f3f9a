"""Long work on the library, each piece with a session of its own, as `Jobs` starts it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from facesets.assembly.indexing import assigned, index_again
from facesets.errors import SourceGone
from facesets.operations.ingest.index import IndexSummary
from facesets.operations.options.assign import AssignOptions
from facesets.operations.options.dual import DualOptions
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.options.training import TrainOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.assigning.prototypes import centroids
from facesets.operations.people.grouping.cluster_library import cluster_library
from facesets.operations.people.grouping.dual import cluster_dual
from facesets.operations.people.training.training import require_extra, train_heads
from facesets.stop import Stop
from facesets.store.postgres.connection import now
from facesets.store.postgres.library import Library
from facesets.store.postgres.run_list import IndexedFolder
from facesets.web.background import JobNotices, JobProgress, Work
from facesets.web.site import Site

T = TypeVar("T")


def _with_library(site: Site, do: Callable[[Library, JobProgress, Stop], T]) -> Work:
    """Work on the library with a session that nobody else has."""

    def work(progress: JobProgress, stop: Stop) -> T:
        with site.sessions.own() as session:
            progress.of_session(session)
            return do(Library(session), progress, stop)

    return work


def clustering(site: Site, options: ClusterLibraryOptions) -> Work:
    """`cluster`."""
    return _with_library(
        site,
        lambda library, progress, stop: cluster_library(
            library, options, progress=progress, stop=stop, by=site.by
        ),
    )


def dual_clustering(site: Site, options: ClusterLibraryOptions, dual: DualOptions) -> Work:
    """`cluster --dual`."""
    return _with_library(
        site,
        lambda library, progress, stop: cluster_dual(
            library, options, dual, progress=progress, stop=stop, by=site.by
        ),
    )


def assigning(site: Site, options: AssignOptions) -> Work:
    """`assign`."""
    return _with_library(
        site,
        lambda library, progress, stop: assign(library, options, progress=progress, stop=stop, by=site.by),
    )


def training(site: Site, options: TrainOptions) -> Work:
    """`train`. Raises `MissingExtra` at once where Torch is not installed."""
    require_extra()
    return _with_library(
        site,
        lambda library, progress, stop: train_heads(
            library,
            options,
            site.settings.state_dir / "models",
            progress=progress,
            on_epoch=lambda _: None,
            stop=stop,
        ),
    )


def remaking_centroids(site: Site) -> Work:
    """`people centroids`."""

    def do(library: Library, progress: JobProgress, _stop: Stop) -> Any:
        progress.begin("Making centroids")
        try:
            return centroids(library.database)
        finally:
            progress.end()

    return _with_library(site, do)


def indexing(site: Site, folders: Sequence[IndexedFolder], *, and_assign: bool) -> Work:
    """`index` of folders that are known, each as it was indexed before; its summary counts all of them."""

    def do(library: Library, progress: JobProgress, stop: Stop) -> IndexSummary:
        began = library.database.run(now)
        notices = JobNotices(progress, stop)
        total, seen = IndexSummary(), library
        for folder in folders:
            if stop.requested:
                return replace(total, stopped=True)
            try:
                summary, seen = index_again(
                    library, folder.path, folder.options, site.settings, notices, progress=progress, stop=stop
                )
            except SourceGone as error:
                if len(folders) == 1:
                    raise
                progress.say(error.sentence)
                summary = IndexSummary(away=[str(error)])
            total = _sum(total, summary)
        if not and_assign or total.stopped:
            return total
        return assigned(total, seen, began, AssignOptions(), by=site.by, progress=progress, stop=stop)

    return _with_library(site, do)


def _sum(one: IndexSummary, other: IndexSummary) -> IndexSummary:
    """What both did."""
    both = asdict(other)
    both["failures"] = [*one.failures, *other.failures]
    both["away"] = [*one.away, *other.away]
    both["passed_over"] = {
        kind: one.passed_over.get(kind, 0) + other.passed_over.get(kind, 0)
        for kind in one.passed_over.keys() | other.passed_over.keys()
    }
    both["stopped"] = one.stopped or other.stopped
    for name, value in asdict(one).items():
        if type(value) is int:
            both[name] += value
    return IndexSummary(**both)
