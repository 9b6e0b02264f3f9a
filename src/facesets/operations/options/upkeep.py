"""The options of `maintain`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Checked, Option
from facesets.operations.options.shared import DryRun, SameImageOk

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
    """The tasks of these names. Raises `WrongUsage` for one that does not exist."""
    known = {task: task for task in get_args(Task)}
    for name in names:
        if name not in known:
            raise WrongUsage(f"There is no task {printable(name)}. There are {', '.join(known)}.")
    return [known[name] for name in names]


_DAYS = {"": 1, "d": 1, "w": 7, "y": 365}


def _days(flag: str, text: str) -> int:
    number, unit = text.rstrip("dwy"), text[len(text.rstrip("dwy")) :]
    if not number.isdecimal() or unit not in _DAYS:
        raise WrongUsage(f"{flag} {printable(text)} is no time. Give days such as 90d, or weeks such as 12w.")
    return int(number) * _DAYS[unit]


@dataclass(frozen=True, slots=True)
class MaintainOptions(Checked):
    """What upkeep goes by.

    Attributes
    ----------
    max_centroid_distance, threshold : float or None
        None for what fits the recogniser.
    older_than : int
        Days.
    """

    threshold: Annotated[
        float | None,
        Option(
            "associate: largest cosine distance between the centroids of one person's clusters.",
            least=0,
            most=2,
            unset="0.40, or 0.30 with the open pack",
        ),
    ] = None
    max_centroid_distance: Annotated[
        float | None,
        Option(
            "merge-similar: largest cosine distance between the centroids of clusters that become one.",
            least=0,
            most=2,
            unset="0.25, or 0.19 with the open pack",
        ),
    ] = None
    older_than: Annotated[
        int,
        Option("unassigned: faces that are left over for so long.", metavar="TIME", unset="90d", parse=_days),
    ] = 90
    same_image_ok: SameImageOk = False
    dry_run: DryRun = False
