"""`pipeline`, put together: the options of each of its steps, and what does it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesets.assembly.describing import Asked
from facesets.assembly.engines import open_engine, require_engine
from facesets.assembly.indexing import index_photos
from facesets.assembly.notices import Notices
from facesets.errors import Field, WrongUsage
from facesets.interfaces import Progress
from facesets.operations.ingest.index import IndexSummary
from facesets.operations.library.pipeline import PipelineStep, PipelineSummary, StepDone, pipeline
from facesets.operations.options.assign import AssignOptions
from facesets.operations.options.dual import DualOptions
from facesets.operations.options.engine import EngineOptions
from facesets.operations.options.library import ClusterLibraryOptions, IndexOptions
from facesets.operations.options.pipeline import AFTER_TRAINING, PipelineOptions
from facesets.operations.options.training import TrainOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.assigning.prototypes import CentroidsSummary, centroids
from facesets.operations.people.grouping.cluster_library import cluster_library
from facesets.operations.people.grouping.cluster_summary import ClusterLibrarySummary
from facesets.operations.people.grouping.dual import DualSummary, cluster_dual
from facesets.operations.people.training.training import TrainSummary, require_extra, train_heads
from facesets.result import Result
from facesets.settings import Settings
from facesets.sources.galleries import GallerySource
from facesets.stop import Stop
from facesets.store.postgres.library import Library

if TYPE_CHECKING:
    from facesets.store.postgres.connection import Database


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """The options of the steps: each as the command of its name.

    Attributes
    ----------
    targets : tuple of Path
        Folders of photos.
    asked : Asked
        By which models photos are looked at.
    workers : EngineOptions
        Who compares faces where `cluster` groups them.
    """

    targets: tuple[Path, ...]
    options: PipelineOptions = field(default_factory=PipelineOptions)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    index: IndexOptions = field(default_factory=IndexOptions)
    asked: Asked = field(default_factory=Asked)
    body_model: Path | None = None
    cluster: ClusterLibraryOptions = field(default_factory=ClusterLibraryOptions)
    dual: DualOptions = field(default_factory=DualOptions)
    workers: EngineOptions = field(default_factory=EngineOptions)
    assign: AssignOptions = field(default_factory=AssignOptions)
    train: TrainOptions = field(default_factory=TrainOptions)


def run_pipeline(
    database: "Database",
    request: PipelineRequest,
    conf: Settings,
    notices: Notices,
    *,
    by: str,
    on_step: Callable[[StepDone], None] = lambda _: None,
    progress: Progress,
    stop: Stop,
) -> PipelineSummary:
    """Take all steps on a library; see `pipeline`.

    Raises
    ------
    MissingExtra
        Training is asked for and Torch is not installed, or workers and dask; nothing was done.
    WrongUsage
        Without faces there is nothing to group.
    As `pipeline`.
    """
    if request.asked.skip_faces:
        raise WrongUsage(f"Without faces there are no people. Leave out {Field('skip_faces')}.")
    dry_run = request.options.dry_run
    if request.options.full and not dry_run:
        require_extra()
    if not (request.options.dual or request.options.full):
        require_engine(request.workers.for_method(request.cluster.method))
    source = GallerySource(request.targets, include=request.include, exclude=request.exclude)
    library = Library(database)

    def index() -> IndexSummary:
        return index_photos(
            library,
            source,
            replace(request.index, dry_run=dry_run),
            request.asked,
            conf,
            notices,
            body_model=request.body_model,
            progress=progress,
            stop=stop,
        ).summary

    return pipeline(
        database,
        PipelineStep("index", index),
        people_steps(library, request, conf, by, progress, stop),
        _told(source, request),
        dry_run=dry_run,
        on_step=on_step,
        stop=stop,
    )


def people_steps(
    library: Library,
    request: PipelineRequest,
    conf: Settings,
    by: str,
    progress: Progress,
    stop: Stop,
) -> list[PipelineStep]:
    """The steps that give faces to people."""
    dry_run = request.options.dry_run
    grouping = replace(request.cluster, dry_run=dry_run)

    def dual(chosen: DualOptions) -> DualSummary:
        return cluster_dual(library, grouping, chosen, progress=progress, stop=stop, by=by)

    def train() -> TrainSummary:
        chosen = replace(request.train, dry_run=dry_run)
        checkpoints = conf.state_dir / "models"
        return train_heads(
            library, chosen, checkpoints, progress=progress, on_epoch=lambda _: None, stop=stop
        )

    def cluster() -> ClusterLibrarySummary:
        with open_engine(request.workers.for_method(grouping.method), conf) as engine:
            return cluster_library(library, grouping, progress=progress, stop=stop, by=by, engine=engine)

    def give() -> Result:
        chosen = replace(request.assign, dry_run=dry_run)
        return assign(library, chosen, progress=progress, stop=stop, by=by)

    def make_centroids() -> CentroidsSummary:
        progress.begin("Making centroids")
        try:
            return centroids(library.database)
        finally:
            progress.end()

    if request.options.full:
        again = replace(request.dual, person_threshold=AFTER_TRAINING)
        return [
            PipelineStep("dual", lambda: dual(request.dual)),
            PipelineStep("train", train),
            PipelineStep("dual again", lambda: dual(again)),
        ]
    if request.options.dual:
        return [PipelineStep("dual", lambda: dual(request.dual))]
    steps = [PipelineStep("cluster", cluster), PipelineStep("assign", give)]
    # Centroids follow from the faces that people have: nothing is decided there that could be said before.
    return steps if dry_run else [*steps, PipelineStep("centroids", make_centroids)]


def _told(source: GallerySource, request: PipelineRequest) -> dict[str, Any]:
    """The request, as the library keeps it with the run: only a run with the same goes on."""
    asked = request.asked
    service = _shown(asked.ml_uri) if asked.ml_uri else None
    models = (*asked.detection, asked.clip_pack, service, request.body_model)
    steps = {name: asdict(getattr(request, name)) for name in ("index", "cluster", "dual", "assign", "train")}
    return {
        "targets": source.roots,
        **source.patterns,
        **asdict(request.options),
        "models": [each if each is None else str(each) for each in models],
        "steps": {
            name: {field: _plain(value) for field, value in options.items()}
            for name, options in steps.items()
        },
    }


def _shown(ml_uri: str) -> str:
    """The address of a service without what nobody else may read."""
    from facesets.remote.access import plain_url

    return plain_url(ml_uri, what="machine-learning service", example="http://HOST:3003")[1]


def _plain(value: object) -> object:
    """A value as JSON has it."""
    return value if value is None or isinstance(value, bool | int | float) else str(value)
