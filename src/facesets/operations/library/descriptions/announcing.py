"""What will leave the machine, to whom, and what it costs: said before the first photo."""

from dataclasses import dataclass
from decimal import Decimal

from facesets.descriptions.asking import EDGE, Provider, money
from facesets.descriptions.estimates import Estimate
from facesets.errors import Field
from facesets.installation import page
from facesets.operations.library.descriptions.questions import Allowed
from facesets.plurals import counted


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is about to be sent.

    Attributes
    ----------
    to : str
        The server or account.
    leaves : bool
        Whether it is another machine.
    sends : list of str
        What is sent of each photo.
    withheld : list of str
        What is not.
    expected_usd, most_usd : float or None
        What it will cost; None where the model has no known price.
    priced : str
        Where the price is from.
    max_cost_usd : float or None
        Where the run ends.
    """

    photos: int
    to: str
    provider: str
    model: str
    leaves: bool
    in_batches: bool
    sends: list[str]
    withheld: list[str]
    expected_usd: float | None
    most_usd: float | None
    priced: str
    max_cost_usd: float | None


def announcement(
    provider: Provider,
    photos: int,
    allowed: Allowed,
    cost: Estimate,
    *,
    in_batches: bool,
    max_cost: float | None,
) -> Announcement:
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
    return Announcement(
        photos,
        provider.place,
        provider.name,
        provider.model.name,
        not provider.is_here,
        in_batches,
        sends,
        withheld,
        None if cost.expected is None else float(cost.expected),
        None if cost.most is None else float(cost.most),
        provider.model.priced_on,
        max_cost,
    )


def lines_of(said: Announcement, cost: Estimate) -> list[str]:
    """The announcement in words."""
    where = f"{said.to}, model {said.model or 'of the server'}"
    where += ", in batches" if said.in_batches else ""
    photos = counted(said.photos, "photo")
    if said.leaves:
        first = f"{photos} will leave this machine and go to {where}. Of each photo is sent:"
    else:
        first = f"{photos} will be described on this machine, by {where}. Nothing leaves it. The model gets:"
    lines = [first, *(f"  - {each}" for each in said.sends)]
    lines.append(f"Not sent: {'; '.join(said.withheld)}.")
    if cost.expected is None or cost.most is None:
        lines.append(
            f"The price of {said.model or 'this model'} is not known, and so the cost is not. facesets.toml "
            f"can say it (see {page('describe.md')})."
        )
    elif cost.most:
        limit = (
            ""
            if said.max_cost_usd is None
            else f" {Field('max_cost')} ends the run at ${said.max_cost_usd:g}."
        )
        lines.append(
            f"Estimated cost: {money(cost.expected)}, at most {money(cost.most)} (prices {said.priced})."
            f"{limit}"
        )
    return lines


def estimate_of(said: Announcement) -> Estimate:
    """What it costs, from what was said of it."""
    if said.expected_usd is None or said.most_usd is None:
        return Estimate(None, None)
    return Estimate(Decimal(str(said.expected_usd)), Decimal(str(said.most_usd)))
