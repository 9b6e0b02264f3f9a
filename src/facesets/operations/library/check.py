"""`check`: library integrity, and erasing photos without a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesets.errors import Changed, Field, WrongUsage
from facesets.files import has_something, is_there
from facesets.interfaces import Describer
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.ingest.index import index
from facesets.operations.ingest.library_intake import note_missing
from facesets.operations.ingest.stages import metadata_stage
from facesets.operations.ingest.unavailable_sources import is_below
from facesets.operations.options.index import IndexOptions
from facesets.operations.people.corrections.contradictions import describing
from facesets.operations.people.forgetting.finishing import finish_interrupted
from facesets.remote.service_embedder import service_model
from facesets.result import Result
from facesets.sources.galleries import GallerySource, thumbnails_of
from facesets.sources.missing import removed
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.integrity import Place, find_problems, places_to_read, repair_rows
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.corrections import load_corrections
from facesets.store.postgres.people.persons import drop_empty_persons, persons_of_faces
from facesets.store.postgres.people.steps import changing
from facesets.store.postgres.people.upkeep import empty_persons
from facesets.store.postgres.photos.missing import (
    best_faces_on,
    erase_images,
    faces_on,
    losses_of_people,
    missing_photos,
    places_of_missing,
    targets_of_runs,
)
from facesets.store.stored_crops import remove_pictures
from facesets.work import Work


@dataclass(frozen=True, slots=True)
class Skip:
    """A source without files, so that nothing is listed."""

    faces: bool
    clip: bool


Prepare = Callable[[Skip], tuple[Describer, IndexOptions]]
"""Loads the describer of pictures; called only when some must be read again."""


def check(library: Library, *, fix: bool, by: str = "") -> Result:
    """Check a library; with `fix`, repair what SQL can. `by` is recorded as the author."""
    note_missing(library)
    missing = [photo for _, photo in library.database.run(missing_photos)]
    found = Result(
        problems=library.database.run(find_problems),
        to_index=[],  # paths that `index` must look at again; only after a repair
        # Photos that must be read again but are missing; not after a repair, because then they must be
        # searched for again.
        lost=[],
        can_be_mended=False,  # a repair would put some of it right as things are
        out_of_reach=[],  # what may still hold forgotten people
        missing=missing,  # photos without any file left: they are no problem, and do not count
    )
    if not found.problems:
        return found
    if fix:
        to_index = library.database.run(repair_rows, by)
        return Result(found, to_index=to_index, out_of_reach=finish_interrupted(library.database))
    places = library.database.run(places_to_read)
    lost = _lost(places)
    by_sql = any(problem.by_sql for problem in found.problems)
    return Result(found, lost=lost, can_be_mended=by_sql or len(lost) < len(places))


def repair(library: Library, prepare: Prepare, *, work: Work) -> tuple[Result, Result, list[FileFailure]]:
    """Repair what SQL can, and read the other photos again if they exist; errors as `index`.

    Returns
    -------
    Result, Result, list of FileFailure
        The problems before and after, and photos that could not be read again.
    """
    found = check(library, fix=True, by=work.by)
    there = [Path(path) for path in found.to_index if is_at_hand(path)]
    failures: list[FileFailure] = []
    if there:
        embeds = bool(library.clip_models())
        describer, options = prepare(Skip(faces=embeds and library.settings is None, clip=not embeds))
        source = GallerySource(there)
        stages = [metadata_stage(lambda: np.datetime64("now", "us"))]
        summary = index(source, library, describer, options, stages=stages, work=work)
        failures = summary.failures
    return found, check(library, fix=False), failures


def require_service(library: Library, ml_uri: str | None) -> None:
    """Refuse to repair faces of a service without it: only the same service can find them again.

    Raises
    ------
    WrongUsage
        A service found the faces, but no service is given.
    """
    known = library.settings
    if ml_uri is None and known is not None and service_model(known) is not None:
        raise WrongUsage(
            f"The faces of {library.label} were found by a machine-learning service. Give its address: "
            f"check {Field('fix')} {Field('ml_uri', 'URL')}."
        )


def is_at_hand(path: str) -> bool:
    """Whether a path holds a file that `index` would read."""
    place = Path(path)
    return is_there(place) and place.is_file() and thumbnails_of(place) is None


def _lost(places: Sequence[Place]) -> list[FileFailure]:
    """Return the places of photos without any remaining file."""
    there = {place for place in places if place.path and is_at_hand(place.path)}
    images = {place.image for place in there} - {None}
    return [_described(place) for place in places if place not in there and place.image not in images]


def _described(place: Place) -> FileFailure:
    if place.image is None:
        return FileFailure(place.path, "is missing, and its photo is unknown")
    if not place.path:
        return FileFailure(f"photo {place.image}", "no file")
    return FileFailure(place.path, f"is missing; it was photo {place.image}")


def plan_erasing(library: Library) -> Result:
    """Return what `erase_missing` would erase."""
    note_missing(library)
    return library.database.run(_plan, _confirmed_missing(library))


def _confirmed_missing(library: Library) -> list[int]:
    """Return the missing photos, without those that may still have a file.

    A target of `index` that does not exist may be an unmounted drive.
    """
    places = library.database.run(places_of_missing)
    missing = set(removed(path for paths in places.values() for path in paths))
    targets = library.database.run(targets_of_runs)
    there = [root for root in targets if has_something(Path(root))]
    away = [root for root in set(targets).difference(there) if not any(is_below(root, top) for top in there)]
    return [
        number
        for number, paths in places.items()
        if missing.issuperset(paths) and not any(is_below(path, root) for path in paths for root in away)
    ]


def _plan(connection: Connection, numbers: list[int]) -> Result:
    chosen = set(numbers)
    faces = faces_on(connection, numbers)
    corrections, describe = load_corrections(connection), describing(connection)
    photos = [photo for number, photo in missing_photos(connection) if number in chosen]
    return Result(
        photos=photos,  # without those with a path where something is again, or that may be on a drive
        faces=len(faces),
        people=losses_of_people(connection, numbers),  # those with a name who are on them
        # All corrections of their faces that passed to no other face, in words.
        corrections=[
            *(describe(each) for each in corrections.faces if each.face in faces),
            *(describe(each) for each in corrections.face_pairs if faces & {each.first, each.second}),
            *(
                f"face {face} {'is a' if pinned else 'is no'} reference face of {name}"
                for face, name, pinned in best_faces_on(connection, numbers)
            ),
        ],
        # Former contents of changed files besides, from which all names and corrections have passed on.
        replaced=len(numbers) - len(photos),
        numbers=numbers,  # of all these images
        erased=False,
    )


def erase_missing(library: Library, plan: Result, *, pictures: Path | None = None) -> Result:
    """Erase what was planned; this cannot be undone.

    Parameters
    ----------
    pictures : Path, optional
        The folder of cached display pictures; those of these photos are removed.

    Raises
    ------
    Changed
        The plan is out of date.
    AlreadyRunning
        A run groups the library's faces.
    """

    def work(connection: Connection) -> list[str]:
        if not missing.issuperset(plan.numbers) or _plan(connection, plan.numbers) != plan:
            raise Changed("The missing photos changed meanwhile. Nothing was erased. Run the command again.")
        people = set(persons_of_faces(connection, sorted(faces_on(connection, plan.numbers))).values())
        contents = erase_images(connection, plan.numbers)
        # A person who never had a name consisted only of these faces.
        drop_empty_persons(connection, [person for person in empty_persons(connection) if person in people])
        return contents

    with RunLock(library.database, "cluster"):
        # Files may have come back while the user was asked.
        missing = set(_confirmed_missing(library))
        contents = changing(library.database, work)
    if pictures is not None:
        remove_pictures(pictures, contents)
    return Result(plan, erased=True)
