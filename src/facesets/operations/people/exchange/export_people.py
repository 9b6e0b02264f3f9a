"""`people export`: all names and corrections, in one file."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from uuid import UUID

from facesets import __version__
from facesets.files import require_suffix
from facesets.operations.people.exchange.people_file import (
    FileFace,
    FileFaceCorrection,
    FileFacePair,
    FilePerson,
    FilePersonPair,
    FilePrototype,
    PeopleFile,
    write_people,
)
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.corrections import Corrections, load_corrections
from facesets.store.postgres.people.person_corrections import (
    BirthDate,
    PrototypeCorrection,
    load_births,
    load_prototype_corrections,
    names_and_status,
)
from facesets.store.postgres.photos.face_places import places_of


def export_people(database: Database, path: Path) -> Result:
    """Write names and corrections; faces are identified by image and box.

    Raises
    ------
    WrongUsage
        The file name does not end in `.json`.
    CannotWrite
        It cannot be written.
    """
    require_suffix(path, ".json")
    library = Library(database).identity
    people = database.run(_read, library)
    write_people(path, people)
    count = len(people.of_faces) + len(people.of_two_faces) + len(people.of_two_people)
    count += sum(person.birth_year is not None for person in people.people)
    return Result(file=str(path), people=len(people.people), faces=len(people.faces), statements=count)


def _read(connection: Connection, library: str) -> PeopleFile:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    corrections, exemplars = load_corrections(connection), load_prototype_corrections(connection)
    mentioned = {each.person for each in corrections.faces} | {each.person for each in exemplars}
    born = load_births(connection)
    mentioned |= born.keys() | {end for pair in corrections.person_pairs for end in (pair.first, pair.second)}
    known = names_and_status(connection, sorted(mentioned))
    places = places_of(connection, _faces(corrections, exemplars))
    person = {each: number for number, each in enumerate(known)}
    face = {each: number for number, each in enumerate(places)}
    return PeopleFile(
        program=__version__,
        library=library,
        people=tuple(
            FilePerson(
                each, tuple(names), "hidden" if status == "hidden" else "active", *_birth(born.get(each))
            )
            for each, (names, status) in known.items()
        ),
        faces=tuple(
            FileFace(place.sha256, place.width, place.height, place.box, place.found_by)
            for place in places.values()
        ),
        of_faces=tuple(
            FileFaceCorrection(face[each.face], person[each.person], each.is_person)
            for each in sorted(corrections.faces, key=lambda each: (each.face, each.person))
            if each.person in person
        ),
        of_two_faces=tuple(
            FileFacePair(face[each.first], face[each.second], each.same)
            for each in sorted(corrections.face_pairs, key=lambda each: (each.first, each.second))
        ),
        of_two_people=tuple(
            FilePersonPair(person[each.first], person[each.second])
            for each in sorted(corrections.person_pairs, key=lambda each: (each.first, each.second))
            if each.first in person and each.second in person
        ),
        exemplars=_exemplars(exemplars, face, person),
    )


def _birth(birth: BirthDate | None) -> tuple[int | None, date | None]:
    return (None, None) if birth is None else (birth.year, birth.day)


def _faces(corrections: Corrections, exemplars: Sequence[PrototypeCorrection]) -> list[int]:
    faces = {each.face for each in corrections.faces} | {each.face for each in exemplars}
    return sorted(faces | {end for pair in corrections.face_pairs for end in (pair.first, pair.second)})


def _exemplars(
    exemplars: Sequence[PrototypeCorrection], face: dict[int, int], person: dict[UUID, int]
) -> tuple[FilePrototype, ...]:
    return tuple(
        FilePrototype(face[each.face], person[each.person], each.pinned)
        for each in exemplars
        if each.person in person
    )
