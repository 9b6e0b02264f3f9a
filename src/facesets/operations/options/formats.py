"""In which formats face sets are exported."""

from typing import Annotated

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.formats.face_models.kinds import FORMATS, Format
from facesets.operations.options.declaration import Option


def formats_named(flag: str, text: str) -> tuple[Format, ...]:
    """Formats by their names with commas between, each once and in their order.

    Raises
    ------
    WrongUsage
        There is none of a name, or none is named.
    """
    named = {part.strip() for part in text.split(",") if part.strip()}
    unknown = sorted(named.difference(FORMATS))
    if unknown or not named:
        wrong = f" {printable(unknown[0])}: there is no such format" if unknown else ": no format is named"
        raise WrongUsage(f"{flag}{wrong}. Give one or more of {', '.join(FORMATS)}.")
    return tuple(each for each in FORMATS if each in named)


Formats = Annotated[
    tuple[Format, ...],
    Option(
        f"What to write of each set beside its crops, with commas between, of {', '.join(FORMATS)}; "
        "docs/face-models.md says which program reads which.",
        metavar="NAME,...",
        unset="fsz",
        parse=formats_named,
    ),
]
