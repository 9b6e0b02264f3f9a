"""The table of long-running library commands: their arguments, needs and functions.

The command line, the queue, `pipeline` and the browser start them here. A new command is one new entry.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from facesets.assembly.describing import RequestedModels
from facesets.assembly.stores import LibraryWork
from facesets.errors import require_extra
from facesets.operations.options.grouping import EngineOptions
from facesets.operations.options.index import IndexOptions
from facesets.operations.options.library import DescribeOptions
from facesets.operations.options.people import AssignOptions, ClusterLibraryOptions, DualOptions
from facesets.operations.options.results import EnrichOptions
from facesets.operations.options.upkeep import MaintainOptions, Task, TrainOptions
from facesets.result import Result
from facesets.settings import Settings, load_llm
from facesets.stopwatch import Stopwatch
from facesets.words import people as words
from facesets.work import Work

if TYPE_CHECKING:
    from facesets.clustering.engine import Engine
    from facesets.sources.galleries import GallerySource


@dataclass(frozen=True, slots=True)
class Needs:
    """What a host needs for a command.

    Attributes
    ----------
    folders : tuple of str
        Folders of the library that must exist.
    models : bool
        Whether a model pack is needed, or a service in place of it.
    pack : str
        Name of the pack; empty for that of the library.
    here : bool
        Whether the models must be on the host itself, not at a service.
    service : str
        Address of a service that must answer; empty for none.
    faces : bool
        Whether models or a service are needed for faces.
    files : bool
        Whether the library's photos are needed, at their recorded paths.
    extra : str
        Name of a required optional dependency; empty for none.
    language_model : bool
        Whether a configured language model is needed.
    """

    folders: tuple[str, ...] = ()
    models: bool = False
    pack: str = ""
    here: bool = False
    service: str = ""
    faces: bool = True
    files: bool = False
    extra: str = ""
    language_model: bool = False

    def require(self) -> None:
        """Check that the optional dependency is installed. Raises `MissingExtra`."""
        if self.extra:
            require_extra(self.extra)


@dataclass(frozen=True, slots=True)
class Verb:
    """A long-running command.

    Attributes
    ----------
    run : function
        Run the command. Takes the work, and the command's arguments by name; the queue stores them with
        these names and types.
    words : function or None
        Return the lines to print for a result; None if the command line needs more than the result.
    details : function
        Return the further lines that -v prints for a result.
    needs : function
        Return what a host needs for these arguments.
    changes_people : bool
        Whether it changes people: workers run such commands one at a time, in the queued order.
    is_whole : bool
        Whether it cannot be stopped once it has begun.
    """

    run: Callable[..., Result]
    words: Callable[[Result], list[str]] | None = None
    needs: Callable[..., Needs] = lambda **_: Needs()
    changes_people: bool = False
    is_whole: bool = False
    details: Callable[[Result], list[str]] = lambda _: []

    def kinds(self) -> dict[str, Any]:
        """The type of each argument, by name."""
        hints = get_type_hints(self.run)
        return {name: hints[name] for name in list(signature(self.run).parameters)[1:]}


def _index(
    work: LibraryWork,
    source: "GallerySource",
    options: IndexOptions,
    asked: RequestedModels,
    body_model: Path | None = None,
    assign: AssignOptions | None = None,
    stopwatch: Stopwatch | None = None,
) -> Result:
    from facesets.assembly.indexing import index_folders

    return index_folders(
        work, source, options, asked, body_model=body_model, assign_by=assign, stopwatch=stopwatch
    )


def _cluster(work: LibraryWork, options: ClusterLibraryOptions, workers: EngineOptions) -> Result:
    from facesets.operations.people.grouping.cluster_library import cluster_library

    with open_engine(workers.for_method(options.method), work.settings) as engine:
        return cluster_library(work.library, options, work=work, engine=engine)


@contextmanager
def open_engine(options: EngineOptions, settings: Settings) -> "Iterator[Engine]":
    """Yield the engine that compares faces during the block: this process, or workers.

    Raises
    ------
    MissingExtra
        Workers are requested, but dask is not installed.
    Unreachable
        The scheduler does not answer, or its workers are unsuitable.
    CannotWrite
        There is no disk space for the arrays.
    """
    from facesets.clustering.engine import IN_PROCESS

    if options.engine is None:
        yield IN_PROCESS
        return
    require_extra("scale")
    from facesets.engines.dask_engine import local_engine, remote_engine

    folder = options.shards or settings.cache_dir / "shards"
    address = options.engine.scheduler
    workers = (
        local_engine(settings.cpus, folder) if address is None else remote_engine(address, folder.absolute())
    )
    with workers as engine:
        yield engine


def _cluster_needs(options: ClusterLibraryOptions, workers: EngineOptions) -> Needs:
    return Needs(extra="" if workers.for_method(options.method).engine is None else "scale")


def _cluster_dual(work: LibraryWork, options: ClusterLibraryOptions, dual: DualOptions) -> Result:
    from facesets.operations.people.grouping.dual import cluster_dual

    return cluster_dual(work.library, options, dual, work=work)


def _assign(work: LibraryWork, options: AssignOptions) -> Result:
    from facesets.operations.people.assigning.assigning import assign

    return assign(work.library, options, work=work)


def _centroids(work: LibraryWork) -> Result:
    from facesets.operations.people.assigning.prototypes import centroids

    with _stage(work, "Computing centroids"):
        return centroids(work.session)


def _enrich(work: LibraryWork, options: EnrichOptions, pack: str | None = None) -> Result:
    from facesets.assembly.embedding import enrich_store
    from facesets.store.postgres.claims import RunLock

    with RunLock(work.session, "enrich"):
        return enrich_store(
            work.library, options, work.settings, work.notices, pack=pack, provider="auto", work=work
        )


def _train(
    work: LibraryWork, options: TrainOptions, on_epoch: Callable[[Any], None] = lambda _: None
) -> Result:
    from facesets.operations.people.training.training import train_heads

    checkpoints = work.settings.state_dir / "models"
    return train_heads(work.library, options, checkpoints, work=work, on_epoch=on_epoch)


def _describe(
    work: LibraryWork,
    options: DescribeOptions,
    below: tuple[Path, ...] = (),
    llm_uri: str | None = None,
    # The user agreed when queueing it.
    agree: Callable[[Result], bool] = lambda _said: True,
) -> Result:
    from facesets.assembly.language_models import describe_photos

    return describe_photos(
        work.library,
        [str(folder) for folder in below],
        options,
        work.settings,
        work.llm or load_llm(),
        llm_uri,
        agree=agree,
        work=work,
    )


def _maintain(work: LibraryWork, tasks: tuple[Task, ...], options: MaintainOptions) -> Result:
    from facesets.operations.people.upkeep.tasks import maintain, named_in

    done = maintain(work.library, tasks, options, work=work)
    return Result(tasks=done, stopped=len(done) < len(named_in(tasks)))


@contextmanager
def _stage(work: Work, what: str) -> Iterator[None]:
    work.progress.begin(what)
    try:
        yield
    finally:
        work.progress.end()


VERBS: Mapping[str, Verb] = {
    "index": Verb(_index),
    "cluster": Verb(
        _cluster, words.cluster, _cluster_needs, changes_people=True, details=words.cluster_details
    ),
    "cluster --dual": Verb(
        _cluster_dual, words.cluster_dual, changes_people=True, details=words.dual_details
    ),
    "assign": Verb(_assign, words.assign, changes_people=True),
    "people centroids": Verb(
        _centroids,
        words.centroids,
        changes_people=True,
        is_whole=True,
        details=words.centroids_details,
    ),
    "enrich": Verb(
        _enrich, needs=lambda pack=None, **_: Needs(models=True, pack=pack or "", here=True, files=True)
    ),
    "train": Verb(_train, words.train, lambda **_: Needs(extra="train")),
    "describe": Verb(
        _describe, needs=lambda llm_uri=None, **_: Needs(files=True, language_model=llm_uri is None)
    ),
    "maintain": Verb(_maintain, changes_people=True),
}
"""Commands by name. All can be queued; `index` becomes many jobs (`facesets.jobs.indexing`)."""
