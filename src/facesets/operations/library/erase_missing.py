"""`check --erase-missing`: photos of which no file is left, erased with their faces."""

from pathlib import Path

from facesets.errors import Changed
from facesets.files import has_something
from facesets.operations.ingest.missing_photos import note_missing
from facesets.operations.ingest.unavailable_sources import is_below
from facesets.operations.people.corrections.statement_words import describing
from facesets.result import Result
from facesets.sources.missing import removed
from facesets.store.kept_pictures import remove_pictures
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.persons import drop_empty_persons, persons_of_faces
from facesets.store.postgres.people.statements import load_statements
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


def plan_erasing(library: Library) -> Result:
    """What `erase_missing` would take; erases nothing."""
    note_missing(library)
    return library.database.run(_plan, _surely_gone(library))


def _surely_gone(library: Library) -> list[int]:
    """The missing images, without those with a path where something may be.

    A target of `index` that is not there may be a drive, wherever it was mounted.
    """
    places = library.database.run(places_of_missing)
    gone = set(removed(path for paths in places.values() for path in paths))
    targets = library.database.run(targets_of_runs)
    there = [root for root in targets if has_something(Path(root))]
    away = [root for root in set(targets).difference(there) if not any(is_below(root, top) for top in there)]
    return [
        number
        for number, paths in places.items()
        if gone.issuperset(paths) and not any(is_below(path, root) for path in paths for root in away)
    ]


def _plan(connection: Connection, numbers: list[int]) -> Result:
    chosen = set(numbers)
    faces = faces_on(connection, numbers)
    said, describe = load_statements(connection), describing(connection)
    photos = [photo for number, photo in missing_photos(connection) if number in chosen]
    return Result(
        photos=photos,  # without those with a path where something is again, or that may be on a drive
        faces=len(faces),
        people=losses_of_people(connection, numbers),  # those with a name who are on them
        # All that was said by hand of their faces and went to no other face, in words.
        corrections=[
            *(describe(each) for each in said.faces if each.face in faces),
            *(describe(each) for each in said.face_pairs if faces & {each.first, each.second}),
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
    """Erase what was planned; it cannot be undone.

    Parameters
    ----------
    pictures : Path, optional
        Where pictures are kept that were made to look at: those of these photos go.

    Raises
    ------
    Changed
        It would take something else by now.
    AlreadyRunning
        A run groups the library's faces.
    """

    def work(connection: Connection) -> list[str]:
        if not gone.issuperset(plan.numbers) or _plan(connection, plan.numbers) != plan:
            raise Changed("The missing photos changed meanwhile, and nothing was erased. Look again.")
        people = set(persons_of_faces(connection, sorted(faces_on(connection, plan.numbers))).values())
        contents = erase_images(connection, plan.numbers)
        # Somebody who never had a name was nothing but these faces.
        drop_empty_persons(connection, [person for person in empty_persons(connection) if person in people])
        return contents

    with RunLock(library.database, "cluster"):
        # Files may have come back while somebody was asked.
        gone = set(_surely_gone(library))
        contents = changing(library.database, work)
    if pictures is not None:
        remove_pictures(pictures, contents)
    return Result(plan, erased=True)
