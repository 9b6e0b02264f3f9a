"""The options of `assign`."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from facesets.operations.options.declaration import Checked, Option, day, number_or_auto
from facesets.operations.options.shared import DryRun, SameImageOk

USUAL_MARGIN = 0.05


def _threshold(flag: str, text: str) -> float | Literal["auto"]:
    number = number_or_auto(flag, text)
    return "auto" if number is None else number


@dataclass(frozen=True, slots=True)
class AssignOptions(Checked):
    """How `assign` decides whose a face is. What is None goes by the recogniser, or by the head in use.

    Attributes
    ----------
    threshold : float, "auto" or None
        The latter two measure it, or take what was measured when the head in use was trained.
    """

    threshold: Annotated[
        float | Literal["auto"] | None,
        Option(
            "Cosine similarity to a prototype from which on a face is that person's; or auto, which measures "
            "a fitting one on the library's faces. 0.6 is strict, 0.65 with the open pack.",
            least=0,
            most=1,
            metavar="NUMBER|auto",
            parse=_threshold,
        ),
    ] = "auto"
    margin: Annotated[
        float | None,
        Option(
            "By so much the next person has to be less similar.", least=0, most=1, unset=f"{USUAL_MARGIN:g}"
        ),
    ] = None
    review_threshold: Annotated[
        float | None,
        Option(
            "Cosine similarity from which on a face that is given to nobody is kept to be asked about.",
            least=0,
            most=1,
            unset="the threshold less 0.1, but at most 0.5, or 0.55 with the open pack",
        ),
    ] = None
    since: Annotated[
        date | None, Option("Only faces found on this day or later.", metavar="DATE", parse=day)
    ] = None
    taken_since: Annotated[
        date | None, Option("Only faces on photos taken on this day or later.", metavar="DATE", parse=day)
    ] = None
    max_faces: Annotated[int | None, Option("So many faces at most, the best first.", least=1)] = None
    same_image_ok: SameImageOk = False
    dry_run: DryRun = False
