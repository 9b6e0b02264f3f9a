"""The options of `index`: its stages, and how pictures get through the models."""

from dataclasses import dataclass
from typing import Annotated, NoReturn

from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.imaging.limits import MAX_PIXELS
from facesets.operations.options.declaration import Checked, Option
from facesets.operations.options.shared import DryRun, Enrich, FastDecode, MaxPixels, RetryFailed, TrustMtime

STAGES = ("metadata", "detection", "bodies", "scene", "attributes", "face-tags", "describe")
"""Analysis steps in order: first quick ones, and those that others need."""

OVER_KNOWN_PHOTOS = tuple(stage for stage in STAGES if stage not in {"detection", "describe"})
"""The steps of `index --stage`: faces are found while photos are added, and `describe` is a command."""

IN_EVERY_RUN = ("metadata", "detection", "bodies", "scene", "attributes")
"""The steps of `index` for new photos, if there are models for them."""

IN_CACHES = ("metadata", "attributes")
"""The steps of `embed` that a cache stores: capture times, and age and sex of faces."""


def stage_named(flag: str, text: str) -> str:
    """Read a step's name. Raises `WrongUsage` if there is no such step."""
    return text if text in STAGES else _one_of(flag, text, STAGES)


def _one_of(flag: str, text: str, names: tuple[str, ...]) -> NoReturn:
    raise WrongUsage(f"{flag}: unknown analysis step {printable(text)}. Choose from {', '.join(names)}.")


def one_stage(flag: str, text: str) -> str:
    """Read the name of a step for known photos, or of one with a command of its own.

    Raises `WrongUsage` as `stage_named`.
    """
    return text if text in STAGES else _one_of(flag, text, OVER_KNOWN_PHOTOS)


def stages_named(flag: str, text: str) -> tuple[str, ...]:
    """Read names of steps with commas between, in the order in which they run; errors as `stage_named`."""
    named = {stage_named(flag, part.strip()) for part in text.split(",") if part.strip()}
    if "describe" in named:
        raise WrongUsage(
            f"{flag}: describe runs on its own because it costs time or money. Omit it, and run "
            f"{Command('describe')}."
        )
    return tuple(stage for stage in STAGES if stage in named)


def stages_of_cache(flag: str, text: str) -> tuple[str, ...]:
    """Do as `stages_named`, for steps that a cache can store; `none` for none."""
    named = () if text.strip() == "none" else stages_named(flag, text)
    if others := [each for each in named if each not in IN_CACHES]:
        raise WrongUsage(
            f"{flag}: a cache cannot store {', '.join(others)}. Choose from {', '.join(IN_CACHES)}, or "
            "none. The library stores all."
        )
    return named


Stages = Annotated[
    tuple[str, ...],
    Option(
        "Analysis steps for new photos, separated by commas.",
        metavar="NAME,...",
        unset=",".join(IN_EVERY_RUN) + ", if their models are here",
        parse=stages_named,
    ),
]
CacheStages = Annotated[
    tuple[str, ...],
    Option(
        "Further analysis steps for new photos, separated by commas, or none.",
        metavar="NAME,...",
        unset=",".join(IN_CACHES) + ", if their models are here",
        parse=stages_of_cache,
    ),
]
OneStage = Annotated[
    str | None,
    Option(
        f"Do only this step, for photos of the library that lack it: {', '.join(OVER_KNOWN_PHOTOS)}.",
        metavar="NAME",
        parse=one_stage,
    ),
]
Delete = Annotated[bool, Option("With --stage: delete the results of this step for all photos.")]
Force = Annotated[bool, Option("With --stage: repeat the step for all photos.")]


@dataclass(frozen=True, slots=True)
class BatchingOptions(Checked):
    """Options of batches: how many pictures the models process together, and how long the first one waits."""

    max_batch: Annotated[
        int,
        Option("Maximum number of photos that models process together.", least=1, most=256, advanced=True),
    ] = 32
    max_wait_ms: Annotated[
        float,
        Option(
            "Milliseconds that a photo waits for others to be processed together.",
            least=0,
            most=10_000,
            advanced=True,
        ),
    ] = 50.0


@dataclass(frozen=True, slots=True)
class IndexOptions(Checked):
    """Options of `index`.

    Attributes
    ----------
    concurrency : int
        Number of threads, each of which takes a batch from file to faces, or of concurrent requests.
    batch_size : int
        Number of files that a thread takes at a time.
    flush_every : int
        Number of files between commits; each image is stored with all its faces or not at all.
    flush_every_s : float
        Maximum seconds between commits.
    """

    concurrency: int = 4
    batch_size: int = 1
    flush_every: int = 50
    flush_every_s: float = 5.0
    max_images: Annotated[
        int | None, Option("Maximum number of files to read.", least=1, synonyms="--limit")
    ] = None
    max_minutes: Annotated[
        float | None, Option("Start no further file after this many minutes.", least=0)
    ] = None
    prune: Annotated[bool, Option("Remove missing files below the folders from the library.")] = False
    retry_failed: RetryFailed = False
    fast_decode: FastDecode = False
    max_pixels: MaxPixels = MAX_PIXELS
    enrich: Enrich = False
    stages: Stages = IN_EVERY_RUN
    trust_mtime: TrustMtime = False
    dry_run: DryRun = False

    @property
    def workers(self) -> int:
        """Return the name of the same option in `embed`."""
        return self.concurrency
