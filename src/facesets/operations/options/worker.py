"""The options of `worker`."""

from dataclasses import dataclass
from typing import Annotated

from facesets.operations.options.declaration import Checked, Option

USUAL_HEARTBEAT_S = 10.0


_ALSO_CALLED = {"embed": "index photos"}
"""The part of `index` that looks at photos; the other one lists folders."""


def _names(flag: str, text: str) -> tuple[str, ...]:  # noqa: ARG001 - as declared
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(_ALSO_CALLED.get(part, part) for part in parts)


@dataclass(frozen=True, slots=True)
class WorkerOptions(Checked):
    """Which jobs a worker takes, and how.

    Attributes
    ----------
    concurrency : int or None
        Photos worked on at a time; jobs are done one after the other.
    """

    jobs: Annotated[
        tuple[str, ...],
        Option(
            "Take only jobs of these commands, with commas between, such as index,cluster; embed is the "
            "part of index that looks at photos.",
            metavar="NAME,...",
            unset="all that this host can do",
            parse=_names,
        ),
    ] = ()
    concurrency: Annotated[
        int | None,
        Option(
            "Photos worked on at a time. Start further workers to do several jobs at a time.",
            least=1,
            unset="as measured on this machine, else one a processor; with a service 4",
        ),
    ] = None
    gpu: Annotated[
        bool,
        Option("Take only jobs that need models, and run these on the GPU; refuse to start without one."),
    ] = False
    until_empty: Annotated[bool, Option("End when there is nothing left to take. For cron.")] = False
    heartbeat: Annotated[
        float,
        Option(
            "Seconds between two signs of life. After three that are missing the job goes to another worker. "
            "The same for all workers of a library.",
            least=0.2,
            most=60,
        ),
    ] = USUAL_HEARTBEAT_S
