"""Options of the commands that talk to an Immich server."""

from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Annotated

from facesets.operations.options.declaration import Checked, Option, moment
from facesets.operations.options.shared import DryRun


def _end_of_day(flag: str, text: str) -> datetime:
    return moment(flag, text, time.max)


@dataclass(frozen=True, slots=True)
class ServerOptions(Checked):
    """Options to reach a server."""

    url: Annotated[str | None, Option("Address of the server.", unset="IMMICH_URL", metavar="URL")] = None
    api_key_file: Annotated[Path | None, Option("A file that holds the API key.", unset="IMMICH_API_KEY")] = (
        None
    )
    timeout_s: Annotated[
        float,
        Option(
            "Seconds to wait for an answer of the server.",
            least=0.1,
            name="timeout",
            last=True,
            advanced=True,
        ),
    ] = 60.0
    first_wait_s: Annotated[
        float,
        Option(
            "Seconds before a failed request is repeated; doubles each time.",
            least=0,
            name="backoff",
            last=True,
            advanced=True,
        ),
    ] = 1.0
    patience_s: Annotated[
        float,
        Option(
            "Seconds to wait for an unreachable server before the run ends.",
            least=0,
            name="patience",
            last=True,
            advanced=True,
        ),
    ] = 5.0


@dataclass(frozen=True, slots=True)
class StageOptions(Checked):
    """Options of `immich-stage`."""

    workers: Annotated[
        int, Option("Photos worked on at a time.", least=1, most=64, synonyms="--concurrency")
    ] = 8
    min_face_short: Annotated[
        float,
        Option("Minimum short edge of a photo's largest face, in original pixels.", least=0, metavar="PX"),
    ] = 90.0
    thumbnails: Annotated[
        bool,
        Option(
            "Include Immich's own thumbnails that were indexed as photos.",
            flag="--include-thumbnails/--exclude-thumbnails",
        ),
    ] = False
    trashed: Annotated[
        bool, Option("Include photos in the trash.", flag="--include-trashed/--exclude-trashed")
    ] = False
    hidden: Annotated[
        bool, Option("Include photos that Immich hides.", flag="--include-hidden/--exclude-hidden")
    ] = False
    locked: Annotated[
        bool,
        Option(
            "Include the locked folder, if the server allows it for API keys.",
            flag="--include-locked/--exclude-locked",
        ),
    ] = False
    archived: Annotated[
        bool, Option("Include photos in the archive.", flag="--include-archived/--exclude-archived")
    ] = True
    edited: Annotated[
        bool,
        Option("Include originals of photos edited in Immich.", flag="--include-edited/--exclude-edited"),
    ] = True
    partners: Annotated[
        bool,
        Option(
            "Include photos of other accounts that partners share or albums hold. These are never "
            "written to.",
            flag="--with-partners",
        ),
    ] = False
    faceless: Annotated[
        bool,
        Option(
            "Include photos in which the server found no face: `immich-push` adds the faces found here.",
            flag="--include-faceless/--exclude-faceless",
        ),
    ] = False
    albums: Annotated[
        tuple[str, ...],
        Option("Only photos of this album, or of any of several.", name="album", metavar="NAME"),
    ] = ()
    people: Annotated[
        tuple[str, ...],
        Option(
            "Only photos of this person as Immich knows them, or of any of several.",
            name="person",
            metavar="NAME",
        ),
    ] = ()
    since: Annotated[
        datetime | None,
        Option(
            "Only photos taken on this day or later, such as 2024-05-01.",
            metavar="DATE",
            parse=moment,
            flag="--taken-after",
            synonyms="--since",
        ),
    ] = None
    until: Annotated[
        datetime | None,
        Option(
            "Only photos taken on this day or earlier.",
            metavar="DATE",
            parse=_end_of_day,
            flag="--taken-before",
            synonyms="--until",
        ),
    ] = None
    recheck: Annotated[
        bool,
        Option("Check again photos that had no face in Immich.", flag="--force", synonyms="--recheck"),
    ] = False
    dry_run: DryRun = False


@dataclass(frozen=True, slots=True)
class PushOptions(Checked):
    """Options of `immich-push`: what it may change on a server."""

    rename: Annotated[bool, Option("Replace names that were given in Immich with ours.")] = False
    hidden: Annotated[
        bool, Option("Include people that are hidden in Immich.", flag="--include-hidden/--exclude-hidden")
    ] = False
    new_faces: Annotated[
        bool, Option("Add faces that Immich has not found.", flag="--add-faces/--no-add-faces")
    ] = True
    min_faces: Annotated[
        int,
        Option(
            "Minimum number of our faces for an unnamed Immich person to become ours as a whole.", least=1
        ),
    ] = 3
    # With half or less, one Immich person could be two of our people.
    min_purity: Annotated[
        float,
        Option(
            "Minimum share of an Immich person's identified faces that match ours.",
            least=0.51,
            most=1,
            advanced=True,
        ),
    ] = 0.8
    min_share: Annotated[
        float,
        Option(
            "Minimum share of an Immich person's photos that are known here, to name or merge them.",
            least=0,
            most=1,
            advanced=True,
        ),
    ] = 0.5
    workers: Annotated[
        int,
        Option("Photos worked on at a time.", least=1, most=64, last=True, synonyms="--concurrency"),
    ] = 8
    dry_run: DryRun = False
