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
    """Which server is meant, and how long it is waited for."""

    url: Annotated[str | None, Option("Address of the server.", unset="IMMICH_URL")] = None
    api_key_file: Annotated[Path | None, Option("A file that holds the API key.", unset="IMMICH_API_KEY")] = (
        None
    )
    timeout_s: Annotated[
        float,
        Option("Seconds that the server may be silent.", least=0.1, name="timeout", last=True, advanced=True),
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
            "Seconds to wait for a lost server before the run ends.",
            least=0,
            name="patience",
            last=True,
            advanced=True,
        ),
    ] = 5.0


@dataclass(frozen=True, slots=True)
class StageOptions(Checked):
    """What `immich-stage` takes from a server."""

    workers: Annotated[int, Option("Assets worked on at a time.", least=1, most=64)] = 8
    min_face_short: Annotated[
        float,
        Option("Least short edge of a photo's largest face, in original pixels.", least=0, metavar="PX"),
    ] = 90.0
    thumbnails: Annotated[
        bool,
        Option(
            "Immich's own thumbnails, indexed as photos.", flag="--include-thumbnails/--exclude-thumbnails"
        ),
    ] = False
    trashed: Annotated[bool, Option("Photos in the trash.", flag="--include-trashed/--exclude-trashed")] = (
        False
    )
    hidden: Annotated[bool, Option("Photos that Immich hides.", flag="--include-hidden/--exclude-hidden")] = (
        False
    )
    locked: Annotated[
        bool,
        Option("The locked folder, if the server lets a key.", flag="--include-locked/--exclude-locked"),
    ] = False
    archived: Annotated[
        bool, Option("Photos in the archive.", flag="--include-archived/--exclude-archived")
    ] = True
    edited: Annotated[
        bool, Option("Originals of photos edited in Immich.", flag="--include-edited/--exclude-edited")
    ] = True
    partners: Annotated[
        bool,
        Option(
            "Photos of other accounts, too, which partners share or albums hold. They are never written to.",
            flag="--with-partners",
        ),
    ] = False
    faceless: Annotated[
        bool,
        Option(
            "Photos in which the server found no face: `immich-push` adds those that are found here.",
            flag="--include-faceless/--exclude-faceless",
        ),
    ] = False
    albums: Annotated[
        tuple[str, ...],
        Option("Only photos of this album; with several, of any of them.", name="album", metavar="NAME"),
    ] = ()
    people: Annotated[
        tuple[str, ...],
        Option(
            "Only photos of this person, by the server's account; with several, of any of them.",
            name="person",
            metavar="NAME",
        ),
    ] = ()
    since: Annotated[
        datetime | None,
        Option("Only photos taken from then on: 2024-05-01.", metavar="DATE", parse=moment),
    ] = None
    until: Annotated[
        datetime | None,
        Option("Only photos taken until then, that day included.", metavar="DATE", parse=_end_of_day),
    ] = None
    recheck: Annotated[bool, Option("Ask again about photos that had no face in Immich.")] = False
    dry_run: DryRun = False


@dataclass(frozen=True, slots=True)
class PushOptions(Checked):
    """What `immich-push` may change on a server."""

    rename: Annotated[bool, Option("Where a user of the server gave another name, ours counts.")] = False
    hidden: Annotated[
        bool, Option("People whom the server hides.", flag="--include-hidden/--exclude-hidden")
    ] = False
    new_faces: Annotated[
        bool, Option("Add faces that the server has not found.", flag="--add-faces/--no-add-faces")
    ] = True
    min_faces: Annotated[
        int,
        Option("Fewest faces of ours that make a nameless person of the server's ours as a whole.", least=1),
    ] = 3
    # With half or less, one person of the server's could be two of ours.
    min_purity: Annotated[
        float,
        Option(
            "Of that person's faces that are somebody's here, the least share of ours.",
            least=0.51,
            most=1,
            advanced=True,
        ),
    ] = 0.8
    min_share: Annotated[
        float,
        Option(
            "Of that person's photos, the least share that we know, to name or merge it.",
            least=0,
            most=1,
            advanced=True,
        ),
    ] = 0.5
    workers: Annotated[int, Option("Photos worked on at a time.", least=1, most=64, last=True)] = 8
    dry_run: DryRun = False
