"""What will leave the machine, to whom, and what it costs: said before the first photo."""

from facesets.descriptions.asking import EDGE, Estimate, Provider
from facesets.operations.library.descriptions.questions import Allowed
from facesets.result import Result


def announcement(
    provider: Provider,
    photos: int,
    allowed: Allowed,
    cost: Estimate,
    *,
    in_batches: bool,
    max_cost: float | None,
) -> Result:
    """What sending so many photos means."""
    faces = "with every face that was found blurred" if allowed.blur_faces else "with faces as they are"
    sends = [
        f"the picture as a JPEG of at most {EDGE} pixels, without what cameras write into files, {faces}",
        "its size, when it was taken, and how many faces were found on it",
        "your prompt",
    ]
    withheld = ["names of files and folders"]
    (sends if allowed.names else withheld).append("names of the people on it, as the library knows them")
    (sends if allowed.place else withheld).append("the place where it was taken, as the camera noted it")
    return Result(
        photos=photos,
        to=provider.place,
        provider=provider.name,
        model=provider.model.name,
        leaves=not provider.is_here,  # for another machine
        in_batches=in_batches,
        sends=sends,
        withheld=withheld,
        # What it will cost; None where the model has no known price.
        expected_usd=None if cost.expected is None else float(cost.expected),
        most_usd=None if cost.most is None else float(cost.most),
        priced=provider.model.priced_on,
        max_cost_usd=max_cost,  # where the run ends
    )
