"""The options of the commands that find, describe and export photos of the library."""

import math
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from facesets.ages import AgeRange
from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Checked, Option, check_ranges, day
from facesets.operations.options.shared import DryRun
from facesets.places import FARTHEST_KM, Near

DEFAULT_KM = 10.0
"""Default radius, about that of a town."""


def place_named(flag: str, text: str) -> Near:
    """Read a place in degrees, and a radius, from `LAT,LON` or `LAT,LON,KM`. Raises `WrongUsage`."""
    try:
        latitude, longitude, *around = text.strip().split(",")
        numbers = [
            float(part) for part in (latitude, longitude, *(each.removesuffix("km") for each in around))
        ]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(map(math.isfinite, numbers)):
        raise WrongUsage(
            f"{flag} {printable(text)} is not a place. Give latitude, longitude and kilometers around it, "
            "such as 48.137,11.575,5."
        )
    return near(flag, *numbers)


def near(flag: str, latitude: float, longitude: float, km: float = DEFAULT_KM) -> Near:
    """Return the area around a place. Raises `WrongUsage` for one that is not on Earth."""
    if not -90 <= latitude <= 90:
        raise WrongUsage(
            f"{flag}: {latitude:g} is not a latitude. The first number must be between -90 and 90."
        )
    if not -180 <= longitude <= 180:
        raise WrongUsage(
            f"{flag}: {longitude:g} is not a longitude. The second number must be between -180 and 180."
        )
    if not 0 < km <= math.ceil(FARTHEST_KM):
        raise WrongUsage(
            f"{flag}: the kilometers must be more than 0 and at most {math.ceil(FARTHEST_KM)}, not {km:g}."
        )
    return Near(latitude, longitude, km)


def age_range(flag: str, text: str) -> AgeRange:
    """Read `5-8`, or `5` for one year of age. Raises `WrongUsage`."""
    found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text.strip())
    if found is None:
        raise WrongUsage(f"{flag} {printable(text)} is not an age. Give full years, such as 5-8.")
    ages = AgeRange(int(found[1]), int(found[2] or found[1]))
    if ages.youngest > ages.oldest:
        raise WrongUsage(f"{flag} {printable(text)}: give the younger age first, such as 5-8.")
    return ages


@dataclass(frozen=True, slots=True)
class SearchOptions(Checked):
    """Conditions of `search`, in addition to words."""

    like: Annotated[Path | None, Option("Find photos similar to this one as a whole.", metavar="PHOTO")] = (
        None
    )
    face: Annotated[
        Path | None, Option("Find faces similar to the largest face in this photo.", metavar="PHOTO")
    ] = None
    box: Annotated[
        str | None,
        Option(
            "With --face: use the face in this box, in pixels of the upright photo.", metavar="X1,Y1,X2,Y2"
        ),
    ] = None
    all_faces: Annotated[bool, Option("With --face: search for every face in the photo.")] = False
    min_similarity: Annotated[
        float | None,
        Option(
            "With --face: minimum cosine similarity of a result.",
            least=-1,
            most=1,
            unset="that of the recognition model, usually 0.37",
        ),
    ] = None
    person: Annotated[
        tuple[str, ...],
        Option("Photos of this person; with several, photos of all of them together.", metavar="NAME"),
    ] = ()
    since: Annotated[
        date | None,
        Option(
            "Taken on this day or later.",
            metavar="DATE",
            flag="--from --taken-after",
            parse=day,
        ),
    ] = None
    until: Annotated[
        date | None,
        Option(
            "Taken on this day or earlier.",
            metavar="DATE",
            flag="--to --taken-before",
            parse=day,
        ),
    ] = None
    near: Annotated[
        Near | None,
        Option(
            f"Taken within KM kilometers of this place ({DEFAULT_KM:g} by default). North and east are "
            "positive; write a negative value as --near=-33.86,151.21.",
            metavar="LAT,LON[,KM]",
            parse=place_named,
        ),
    ] = None
    camera: Annotated[
        str | None, Option("Taken with a camera or lens of this name, or part of it.", metavar="TEXT")
    ] = None
    tag: Annotated[
        tuple[str, ...],
        Option(
            "With this tag, such as beach, or with its category, emotion:happy; repeat for photos "
            "with all of them. With --person, a face tag applies to the faces of those people.",
            metavar="TAG",
        ),
    ] = ()
    words: Annotated[
        str | None, Option("Photos with these words in their description (see `describe`).", metavar="WORDS")
    ] = None
    age: Annotated[
        AgeRange | None,
        Option(
            "With --person: age in the photo in full years, such as 5-8; with several people, of any "
            "of them.",
            metavar="YEARS",
            parse=age_range,
        ),
    ] = None
    limit: Annotated[int, Option("Maximum number of results.", least=1, most=10_000)] = 20


@dataclass(frozen=True, slots=True)
class DescribeOptions(Checked):
    """Options of `describe`: the photos, the data to send, and the maximum cost."""

    max_images: Annotated[
        int | None, Option("Maximum number of photos to send.", least=1, synonyms="--limit")
    ] = None
    no_batch: Annotated[
        bool,
        Option(
            "Send photos one by one: answers come at once, but cost twice as much where batches are offered."
        ),
    ] = False
    retry_failed: Annotated[bool, Option("Send failed photos again; they are charged again.")] = False
    max_cost: Annotated[float | None, Option("Maximum cost of this run.", metavar="USD", least=0)] = None
    blur_faces: Annotated[bool, Option("Blur every detected face; photos without face detection wait.")] = (
        False
    )
    send_names: Annotated[bool, Option("Send the names of the people in each photo.")] = False
    send_place: Annotated[bool, Option("Send where each photo was taken.")] = False
    check_batches: Annotated[bool, Option("Send nothing; save the answers of finished batches.")] = False
    wait: Annotated[bool, Option("With --check-batches: wait until all batches have finished.")] = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.wait and not self.check_batches:
            raise WrongUsage(f"{Field('wait')} requires {Field('check_batches')}.")


@dataclass(frozen=True, slots=True)
class ExportXmpOptions(Checked):
    """Options of `export-xmp`."""

    target: Annotated[
        tuple[Path, ...],
        Option(
            "Only photos below any of these folders.",
            metavar="DIR",
            unset="the whole library",
            flag="--under",
            synonyms="--target",
        ),
    ] = ()
    microsoft: Annotated[
        bool, Option("Also write Microsoft's regions, for programs that read no others.")
    ] = False
    replace: Annotated[
        bool,
        Option(
            "Overwrite sidecars that were edited since, and add regions beside those of another photo size."
        ),
    ] = False
    dry_run: DryRun = False
