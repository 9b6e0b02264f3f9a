"""What a job is done with, and what each command does; each calls one operation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from facesets.assembly.describing_photos import describe_photos
from facesets.assembly.engines import open_engine
from facesets.assembly.enriching import enrich_store
from facesets.jobs.hosts import Host
from facesets.jobs.orders import read
from facesets.jobs.progress import JobProgress
from facesets.operations.options.assign import AssignOptions
from facesets.operations.options.cache import EnrichOptions
from facesets.operations.options.describe import DescribeOptions
from facesets.operations.options.dual import DualOptions
from facesets.operations.options.engine import EngineOptions
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.options.training import TrainOptions
from facesets.operations.options.upkeep import MaintainOptions, tasks_named
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.assigning.prototypes import centroids
from facesets.operations.people.grouping.cluster_library import cluster_library
from facesets.operations.people.grouping.dual import cluster_dual
from facesets.operations.people.training.training import train_heads
from facesets.operations.people.upkeep.tasks import maintain, named_in
from facesets.result import Result
from facesets.stop import Stop
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.paths import from_text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """A job at hand.

    Attributes
    ----------
    session : Database
        One that nobody else has.
    options : mapping
        As they were queued.
    by : str
        Who queued it.
    """

    number: int
    session: Database
    host: Host
    options: Mapping[str, Any]
    by: str
    progress: JobProgress
    stop: Stop

    @property
    def library(self) -> Library:
        """What the job works on."""
        return Library(self.session)

    def read(self, kind: type[T], name: str = "options") -> T:
        """Some of the options, as a kind."""
        return read(self.options.get(name, {}), kind)


def _cluster(work: Work) -> object:
    options, workers = work.read(ClusterLibraryOptions), work.read(EngineOptions, "workers")
    with open_engine(workers, work.host.conf) as engine:
        return cluster_library(
            work.library, options, progress=work.progress, stop=work.stop, by=work.by, engine=engine
        )


def _cluster_dual(work: Work) -> object:
    options, dual = work.read(ClusterLibraryOptions), work.read(DualOptions, "dual")
    return cluster_dual(work.library, options, dual, progress=work.progress, stop=work.stop, by=work.by)


def _assign(work: Work) -> object:
    return assign(work.library, work.read(AssignOptions), progress=work.progress, stop=work.stop, by=work.by)


def _centroids(work: Work) -> object:
    work.progress.begin("Making centroids")
    return centroids(work.session)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What came of the tasks that were done, and whether others are left."""

    tasks: list[Result]
    stopped: bool


def _maintain(work: Work) -> object:
    tasks = tasks_named(work.options.get("tasks", ()))
    options = work.read(MaintainOptions)
    done = maintain(work.library, tasks, options, by=work.by, progress=work.progress, stop=work.stop)
    return Upkeep(done, stopped=len(done) < len(named_in(tasks)))


def _train(work: Work) -> object:
    return train_heads(
        work.library,
        work.read(TrainOptions),
        work.host.conf.state_dir / "models",
        progress=work.progress,
        on_epoch=lambda _: None,
        stop=work.stop,
    )


def _enrich(work: Work) -> object:
    with RunLock(work.session, "enrich"):
        return enrich_store(
            work.library,
            work.read(EnrichOptions),
            work.host.conf,
            work.host.notices,
            pack=work.options.get("pack"),
            provider="auto",
            progress=work.progress,
            stop=work.stop,
        )


def _describe(work: Work) -> object:
    return describe_photos(
        work.library,
        [from_text(folder) for folder in work.options.get("below", ())],
        work.read(DescribeOptions),
        work.host.conf,
        work.host.llm,
        work.options.get("llm_uri"),
        # Whoever queued it was asked to say so.
        agree=lambda _said, _cost: True,
        progress=work.progress,
        stop=work.stop,
    )


COMMANDS: Mapping[str, Callable[[Work], object]] = {
    "cluster": _cluster,
    "cluster --dual": _cluster_dual,
    "assign": _assign,
    "people centroids": _centroids,
    "maintain": _maintain,
    "train": _train,
    "enrich": _enrich,
    "describe": _describe,
}
"""What can be queued, beside `index`."""
