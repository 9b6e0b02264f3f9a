"""The options of the commands that keep a library current: `pipeline`, `maintain`, `train` and `worker`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Checked, Option, check_ranges
from facesets.operations.options.shared import DryRun, SameImageOk

AFTER_TRAINING = 0.75
"""Cosine similarity from which a face belongs to a person, in the second round of `full`."""


@dataclass(frozen=True, slots=True)
class PipelineOptions(Checked):
    """Options of `pipeline`: the steps between `index` and `stats`."""

    dual: Annotated[bool, Option("Use cluster --dual in place of cluster, assign and centroids.")] = False
    full: Annotated[
        bool,
        Option(
            "In place of them: cluster --dual, then train, then cluster --dual again with the person "
            f"threshold {AFTER_TRAINING:g}."
        ),
    ] = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.dual and self.full:
            raise WrongUsage(f"{Field('dual')} and {Field('full')} are mutually exclusive. Give only one.")


Task = Literal[
    "centroids",
    "medoids",
    "empty",
    "statistics",
    "must-links",
    "violations",
    "merge-similar",
    "unassigned",
    "associate",
    "staleness",
    "health",
    "daily",
    "weekly",
]


def tasks_named(names: Sequence[str]) -> list[Task]:
    """Read names of tasks. Raises `WrongUsage` for one that does not exist."""
    known = {task: task for task in get_args(Task)}
    for name in names:
        if name not in known:
            raise WrongUsage(f"Unknown task {printable(name)}. Choose from {', '.join(known)}.")
    return [known[name] for name in names]


_DAYS = {"": 1, "d": 1, "w": 7, "y": 365}


def _days(flag: str, text: str) -> int:
    number, unit = text.rstrip("dwy"), text[len(text.rstrip("dwy")) :]
    if not number.isdecimal() or unit not in _DAYS:
        raise WrongUsage(
            f"{flag} {printable(text)} is not a time span. Give days such as 90d, or weeks such as 12w."
        )
    return int(number) * _DAYS[unit]


@dataclass(frozen=True, slots=True)
class MaintainOptions(Checked):
    """Options of `maintain`.

    Attributes
    ----------
    max_centroid_distance, threshold : float or None
        None for the recognizer's default.
    older_than : int
        Days.
    """

    threshold: Annotated[
        float | None,
        Option(
            "associate: maximum cosine distance between the centroids of one person's clusters.",
            flag="--threshold --max-cosine-distance",
            least=0,
            most=2,
            unset="0.40, or 0.30 with the open pack",
        ),
    ] = None
    max_centroid_distance: Annotated[
        float | None,
        Option(
            "merge-similar: maximum cosine distance between the centroids of clusters to merge.",
            least=0,
            most=2,
            unset="0.25, or 0.19 with the open pack",
            advanced=True,
        ),
    ] = None
    older_than: Annotated[
        int,
        Option(
            "unassigned: minimum time that faces have been unassigned.",
            metavar="TIME",
            unset="90d",
            parse=_days,
        ),
    ] = 90
    same_image_ok: SameImageOk = False
    dry_run: DryRun = False


@dataclass(frozen=True, slots=True)
class TrainOptions(Checked):
    """Options of `train`."""

    epochs: Annotated[
        int,
        Option(
            "Number of passes over all faces.",
            least=10,
            most=100,
            variable="FACESETS_TRAIN_EPOCHS FACE_TRAINING_EPOCHS",
            advanced=True,
        ),
    ] = 20
    margin: Annotated[
        float,
        Option(
            "How much farther another person's face must be than one of the same person.",
            least=0.1,
            most=0.5,
            variable="FACESETS_TRAIN_MARGIN FACE_TRIPLET_MARGIN",
        ),
    ] = 0.2
    batch_size: Annotated[
        int, Option("Number of faces compared with each other.", least=16, most=128, advanced=True)
    ] = 32
    learning_rate: Annotated[float, Option("Learning rate.", least=1e-6, most=0.1, advanced=True)] = 1e-4
    min_faces: Annotated[int, Option("Minimum number of faces of a person to learn from.", least=4)] = 5
    min_quality: Annotated[
        float, Option("Minimum quality of a face to learn from.", least=0, most=1, advanced=True)
    ] = 0.5
    dry_run: DryRun = False


DEFAULT_HEARTBEAT_S = 10.0

_ALSO_CALLED = {"embed": "index photos"}
"""Jobs by further names: `index photos` embeds the photos that `index` listed."""


def _names(flag: str, text: str) -> tuple[str, ...]:  # noqa: ARG001 - as declared
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(_ALSO_CALLED.get(part, part) for part in parts)


@dataclass(frozen=True, slots=True)
class WorkerOptions(Checked):
    """Options of `worker`.

    Attributes
    ----------
    concurrency : int or None
        Number of photos processed at a time; jobs run one at a time.
    """

    jobs: Annotated[
        tuple[str, ...],
        Option(
            "Take only jobs of these commands, separated by commas, such as index,cluster; embed is "
            "the part of index that reads photos.",
            metavar="NAME,...",
            flag="--jobs --only",
            unset="all that this host can do",
            parse=_names,
        ),
    ] = ()
    concurrency: Annotated[
        int | None,
        Option(
            "Photos worked on at a time. To do several jobs at a time, start more workers.",
            flag="--concurrency --workers",
            least=1,
            unset="as measured on this machine, else one per processor; with a service 4",
        ),
    ] = None
    gpu: Annotated[
        bool, Option("Take only jobs that need models, and run them on the GPU; fail without one.")
    ] = False
    until_empty: Annotated[bool, Option("End when no jobs are left. For cron.")] = False
    heartbeat: Annotated[
        float,
        Option(
            "Seconds between heartbeats. After three missed ones the job goes to another worker. Use "
            "the same value for all workers of a library.",
            least=0.2,
            most=60,
            advanced=True,
        ),
    ] = DEFAULT_HEARTBEAT_S
