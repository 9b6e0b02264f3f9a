"""Which kinds of looking at photos there are, and which of them a run does."""

from typing import Annotated

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option

STAGES = ("metadata", "detection", "bodies", "scene", "attributes", "describe")
"""In their order: what is quick and what others build upon comes first."""

IN_EVERY_RUN = ("metadata", "detection", "bodies", "scene", "attributes")
"""What `index` does with new photos, where there are models for it."""


def stage_named(flag: str, text: str) -> str:
    """A stage by its name. Raises `WrongUsage` where there is none of that name."""
    if text not in STAGES:
        raise WrongUsage(
            f"{flag} {printable(text)}: there is no such stage. Give one of {', '.join(STAGES)}."
        )
    return text


def stages_named(flag: str, text: str) -> tuple[str, ...]:
    """Stages by their names with commas between, in the order in which they run; errors as `stage_named`."""
    named = {stage_named(flag, part.strip()) for part in text.split(",") if part.strip()}
    if "describe" in named:
        raise WrongUsage(
            f"{flag}: describing photos costs time or money, so that it is done on its own. Leave out "
            "describe, and run `facesets describe`."
        )
    return tuple(stage for stage in STAGES if stage in named)


Stages = Annotated[
    tuple[str, ...],
    Option(
        "What to find out about new photos, with commas between.",
        metavar="NAME,...",
        unset=",".join(IN_EVERY_RUN) + ", as far as there are models",
        parse=stages_named,
    ),
]
OneStage = Annotated[
    str | None,
    Option(
        f"Only this, over photos that are in the library and lack it: {', '.join(STAGES)}.",
        metavar="NAME",
        parse=stage_named,
    ),
]
Delete = Annotated[bool, Option("With --stage: delete what it found about all photos, and look at none.")]
Force = Annotated[bool, Option("With --stage: over all photos, though they do not lack it.")]
