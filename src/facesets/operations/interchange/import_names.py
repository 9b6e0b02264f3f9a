"""`import-names`: import names from other programs as one change of the library."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from uuid import UUID, uuid4

from facesets.errors import Command, WrongUsage
from facesets.formats.named_photos import NamedPhoto
from facesets.operations.interchange.name_claims import Here, NameClaims, place_whole_names, weigh
from facesets.operations.interchange.name_sources import FilesRead
from facesets.operations.interchange.names_read import NamesRead, read_names
from facesets.operations.people.corrections.contradictions import without_contradictions
from facesets.operations.people.corrections.lookup import called, folded, step_number
from facesets.operations.people.exchange.import_steps import follow_corrections
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.corrections import (
    Corrections,
    FaceCorrection,
    load_corrections,
    store_face_owners,
    store_person_corrections,
)
from facesets.store.postgres.people.imported_names import (
    FaceState,
    ImportedName,
    imported_of_images,
    named_by_programs,
    states_of_faces,
    store_imported,
)
from facesets.store.postgres.people.persons import (
    add_names,
    all_names,
    give_each,
    lowered,
    make_people,
    named_people,
    people_called,
    person_states,
)
from facesets.store.postgres.people.steps import Step, changing, making_step
from facesets.store.postgres.people.suggestions import ask_about_imported
from facesets.work import Work

_STORED_AT_ONCE = 20_000
_MIN_FACES_TO_REPORT = 3
"""Minimum number of faces of a person who is reported to have another name elsewhere."""


def import_names(
    library: Library,
    photos: Iterable[NamedPhoto],
    files: FilesRead,
    source: str,
    *,
    work: Work,
    places: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> Result:
    """Match names to faces and assign people to them. Corrections made here stay.

    Parameters
    ----------
    photos, files : iterable of NamedPhoto, FilesRead
        The output of `named_photos`, and its record of the files.
    source : str
        The source, for the log.
    places : mapping, optional
        Folders of another machine, and the same folders here.

    Raises
    ------
    WrongUsage
        Nothing was indexed yet, or a source cannot be read.
    """
    database = library.database
    detector = database.run(library.detector)
    if detector is None:
        raise WrongUsage(f"There are no faces in {library.label} yet. Run {Command('index')}.")
    found = read_names(database, detector.id, photos, places or {}, work=work)
    rows, doubtful = database.run(place_whole_names, found)

    def write(connection: Connection) -> Result:
        with connection.transaction(force_rollback=dry_run):
            done = _import(connection, found, files, rows, doubtful, source, work.by)
            return Result(done, dry_run=True, step=None) if dry_run else done

    return changing(database, write)


def _import(
    connection: Connection,
    found: NamesRead,
    files: FilesRead,
    rows: Sequence[ImportedName],
    doubtful: set[ImportedName],
    source: str,
    by: str,
) -> Result:
    corrections = load_corrections(connection)
    images = sorted({row.image for row in rows})
    states = states_of_faces(connection, sorted({row.face for row in rows if row.face is not None}))
    rows = [row if row.face is None or row.face in states else replace(row, face=None) for row in rows]
    here = Here(
        states=states,
        homes={each.face: each.person for each in corrections.faces if each.is_person},
        refused={(each.face, each.person) for each in corrections.faces if not each.is_person},
        people=_people_of_names(connection, rows),
        named=named_people(connection),
        own=named_by_programs(connection, images),
    )
    claims = weigh(rows, doubtful, here)
    with making_step(connection, "import-names", by, f"names of {source} imported") as step:
        person_of = _people(step, claims, here)
        refused = _assign(step, claims.given, person_of, corrections)
        review = [*claims.for_review, *refused]
        _store(step, rows, person_of)
        ask_about_imported(
            connection,
            [(row.face, person_of[folded(row.name)], row.program) for row in review if row.face is not None],
        )
    new = {each for name, each in person_of.items() if name not in here.people}
    given = {row.face for row in claims.given} - {row.face for row in refused}
    return Result(
        photos=found.photos,  # of the library, with a name
        photos_not_here=found.not_here,  # named photos that are not in the library
        names=len(rows),  # on these photos, each counted once a photo and program
        people=len(set(person_of.values())),  # with such a name here
        new_people=len(new),  # new or unnamed before
        # Faces that got the person of their name, and faces that already had it.
        named=len(given),
        known=len({row.face for row in claims.known} - given),
        # Names of places without a face, and of whole photos.
        without_face=sum(row.face is None and row.box is not None for row in rows),
        without_place=sum(row.face is None and row.box is None for row in rows),
        # Names of faces of another person here: names for review, and names that a human denied before.
        asked=len(review),
        answered=len(claims.denied),
        nameless=files.nameless,  # faces of Picasa contacts without a name in any file
        also_called=_also_called(connection, review, here),
        no_names=found.no_names,  # invalid texts in place of a name
        failed=files.failed,  # files that could not be read
        empty=len(files.empty),  # sidecars without a byte, which were passed over
        stopped=found.stopped,  # the names of some photos were not read
        dry_run=False,
        step=step_number(connection, step),
    )


def _people_of_names(connection: Connection, rows: Sequence[ImportedName]) -> dict[str, UUID]:
    """Return the people with the names of rows, by folded name."""
    people = {folded(name): person for name, person in all_names(connection)}
    unknown = list({row.name for row in rows if folded(row.name) not in people})
    return people | {folded(name): person for name, person in people_called(connection, unknown).items()}


def _people(step: Step, claims: NameClaims, here: Here) -> dict[str, UUID]:
    """Return the people for the names of faces, by folded name, creating new people.

    An unnamed person with most faces of a name gets it.
    """
    person_of = {
        name: here.people[name]
        for row in (*claims.known, *claims.given, *claims.for_review, *claims.denied)
        if (name := folded(row.name)) in here.people
    }
    texts: dict[str, str] = {}
    for row in (*claims.given, *claims.for_review):
        texts.setdefault(folded(row.name), row.name)
    faces: dict[str, set[int]] = {name: set() for name in texts if name not in person_of}
    for row in claims.given:
        if row.face is not None and folded(row.name) in faces:
            faces[folded(row.name)].add(row.face)
    owners = {name: _owner(theirs, here.states) for name, theirs in faces.items()}
    states = person_states(step.connection, [owner for owner in owners.values() if owner is not None])
    # A person gets at most one of these names, a hidden person none.
    free = {owner for owner, state in states.items() if state.status == "active"} - here.named
    to_server = lowered(step.connection, [texts[name] for name in faces])
    named: dict[str, UUID] = {}
    called_now: dict[UUID, str] = {}
    new: list[UUID] = []
    for name in sorted(faces, key=lambda each: (-len(faces[each]), each)):
        owner = owners[name]
        # Names that the server does not distinguish belong to one person.
        person = named.get(to_server[texts[name]])
        if person is None:
            is_free = owner is not None and owner in free
            person = owner if owner is not None and is_free else uuid4()
            free.discard(person)
            new += [] if is_free else [person]
            named[to_server[texts[name]]] = person
            called_now[person] = texts[name]
        person_of[name] = person
    make_people(step, new)
    add_names(step, called_now)
    store_person_corrections(step, list(called_now))
    return person_of


def _owner(faces: Iterable[int], states: Mapping[int, FaceState]) -> UUID | None:
    """Return the person of most of some faces."""
    owners = [states[face].person for face in faces]
    counts = Counter(owner for owner in owners if owner is not None)
    if not counts:
        return None
    owner, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return owner if 2 * most > len(owners) else None


def _assign(
    step: Step, given: Sequence[ImportedName], person_of: Mapping[str, UUID], corrections: Corrections
) -> list[ImportedName]:
    """Assign people to faces; return what contradicts earlier corrections."""
    new: dict[FaceCorrection, ImportedName] = {}
    for row in given:
        if row.face is not None:
            new.setdefault(FaceCorrection(row.face, person_of[folded(row.name)], is_person=True), row)
    faces = {each.face for each in new}
    # Earlier names of a face from the same program are replaced.
    remaining = Corrections(
        [each for each in corrections.faces if not (each.is_person and each.face in faces)],
        corrections.face_pairs,
        corrections.person_pairs,
    )
    accepted, refused = without_contradictions(remaining, new)
    contradicted = set(refused)
    assigned = [each for each in new if each not in contradicted]
    theirs, persons = [each.face for each in assigned], [each.person for each in assigned]
    store_face_owners(step, theirs, persons)
    give_each(step, theirs, persons, "imported")
    store_person_corrections(step, list(dict.fromkeys(persons)))
    follow_corrections(step, accepted)
    return [row for each, row in new.items() if each in contradicted]


def _store(step: Step, rows: Sequence[ImportedName], person_of: Mapping[str, UUID]) -> None:
    """Store the names from programs, some photos at a time."""
    some: list[ImportedName] = []
    for _, of_image in groupby(sorted(rows, key=attrgetter("image")), key=attrgetter("image")):
        some += of_image
        if len(some) >= _STORED_AT_ONCE:
            _store_some(step, some, person_of)
            some = []
    _store_some(step, some, person_of)


def _store_some(step: Step, rows: Sequence[ImportedName], person_of: Mapping[str, UUID]) -> None:
    """Store the names from programs, replacing outdated ones of the same photos."""
    before = imported_of_images(step.connection, sorted({row.image for row in rows}))
    now = [row if row.face is None else replace(row, person=person_of.get(folded(row.name))) for row in rows]
    known = {each.content for each in before}
    current = {each.content for each in now}
    faces = {(each.program, each.face) for each in now if each.face is not None}
    sources = {(each.program, each.image) for each in now}
    outdated = [
        each
        for each in before
        if each.content not in current
        and (each.program, each.image) in sources
        and (each.face is None or (each.program, each.face) in faces)
    ]
    store_imported(step, [each for each in now if each.content not in known], outdated)


def _also_called(connection: Connection, review: Sequence[ImportedName], here: Here) -> list[str]:
    """List names with faces that mostly belong to another person here."""
    owners: dict[str, list[UUID | None]] = {}
    for row in review:
        if row.face is not None:
            owners.setdefault(row.name, []).append(here.homes.get(row.face) or here.states[row.face].person)
    found: list[tuple[str, UUID, int]] = []
    for name, theirs in owners.items():
        ((owner, most),) = Counter(theirs).most_common(1)
        if owner is not None and most >= _MIN_FACES_TO_REPORT and 2 * most > len(theirs):
            found.append((name, owner, most))
    states = person_states(connection, [owner for _, owner, _ in found])
    return [
        f"{name}: {counted(most, 'face')} are {called(states[owner])} here"
        for name, owner, most in found
        if owner in states
    ]
