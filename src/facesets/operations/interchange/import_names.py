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
from facesets.operations.people.corrections.who import called, folded, kept_step
from facesets.operations.people.exchange.import_steps import follow_corrections
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.corrections import (
    Corrections,
    FaceCorrection,
    correct_each,
    keep_people,
    load_corrections,
)
from facesets.store.postgres.people.imported_names import (
    FaceState,
    ImportedName,
    imported_of_images,
    keep_imported,
    named_by_programs,
    states_of_faces,
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

_KEPT_AT_ONCE = 20_000
_LEAST_TO_TELL = 3
"""Minimum number of faces of a person who may have another name elsewhere."""


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
        What `named_photos` gives, and what it keeps of the files.
    source : str
        Where it comes from, for the log.
    places : mapping, optional
        Where folders of another machine are here.

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
    said = load_corrections(connection)
    images = sorted({row.image for row in rows})
    states = states_of_faces(connection, sorted({row.face for row in rows if row.face is not None}))
    rows = [row if row.face is None or row.face in states else replace(row, face=None) for row in rows]
    here = Here(
        states=states,
        homes={each.face: each.person for each in said.faces if each.is_person},
        refused={(each.face, each.person) for each in said.faces if not each.is_person},
        people=_people_of_names(connection, rows),
        named=named_people(connection),
        own=named_by_programs(connection, images),
    )
    claims = weigh(rows, doubtful, here)
    with making_step(connection, "import-names", by, f"names of {source} imported") as step:
        meant = _people(step, claims, here)
        refused = _say(step, claims.given, meant, said)
        asked = [*claims.asked, *refused]
        _keep(step, rows, meant)
        ask_about_imported(
            connection,
            [(row.face, meant[folded(row.name)], row.program) for row in asked if row.face is not None],
        )
    new = {each for name, each in meant.items() if name not in here.people}
    given = {row.face for row in claims.given} - {row.face for row in refused}
    return Result(
        photos=found.photos,  # of the library, on which somebody is named
        photos_not_here=found.not_here,  # besides, that are not in the library
        names=len(rows),  # given to somebody on these photos, each counted once a photo and program
        people=len(set(meant.values())),  # who have such a name here
        new_people=len(new),  # of them, or had no name before
        # Faces that are whom a program calls them from now on, and those that were before.
        named=len(given),
        known=len({row.face for row in claims.known} - given),
        # Names of places where no face is, and of photos as a whole.
        without_face=sum(row.face is None and row.box is not None for row in rows),
        without_place=sum(row.face is None and row.box is None for row in rows),
        # Names of faces that are somebody else here: those to be asked about, and those answered before.
        asked=len(asked),
        answered=len(claims.answered),
        nameless=files.nameless,  # faces that Picasa gives to contacts of whom no file says the name
        also_called=_also_called(connection, asked, here),
        no_names=found.no_names,  # what stands in the place of a name and is none
        failed=files.failed,  # files that could not be read
        empty=len(files.empty),  # sidecars without a byte, which were passed over
        stopped=found.stopped,  # the names of some photos were not read
        dry_run=False,
        step=kept_step(connection, step),
    )


def _people_of_names(connection: Connection, rows: Sequence[ImportedName]) -> dict[str, UUID]:
    """Return the people with the names of rows, by folded name."""
    people = {folded(name): person for name, person in all_names(connection)}
    unknown = list({row.name for row in rows if folded(row.name) not in people})
    return people | {folded(name): person for name, person in people_called(connection, unknown).items()}


def _people(step: Step, claims: NameClaims, here: Here) -> dict[str, UUID]:
    """Return the people for the names of faces, by folded name, creating new people.

    Whose most of a name's faces are, if that one has no name, is who is called so.
    """
    meant = {
        name: here.people[name]
        for row in (*claims.known, *claims.given, *claims.asked, *claims.answered)
        if (name := folded(row.name)) in here.people
    }
    texts: dict[str, str] = {}
    for row in (*claims.given, *claims.asked):
        texts.setdefault(folded(row.name), row.name)
    faces: dict[str, set[int]] = {name: set() for name in texts if name not in meant}
    for row in claims.given:
        if row.face is not None and folded(row.name) in faces:
            faces[folded(row.name)].add(row.face)
    owners = {name: _owner(theirs, here.states) for name, theirs in faces.items()}
    states = person_states(step.connection, [owner for owner in owners.values() if owner is not None])
    # Nobody gets two of these names, and who was hidden none.
    free = {owner for owner, state in states.items() if state.status == "active"} - here.named
    to_server = lowered(step.connection, [texts[name] for name in faces])
    named: dict[str, UUID] = {}
    called_now: dict[UUID, str] = {}
    new: list[UUID] = []
    for name in sorted(faces, key=lambda each: (-len(faces[each]), each)):
        owner = owners[name]
        # What is one name for the server is of one person, though we tell them apart.
        person = named.get(to_server[texts[name]])
        if person is None:
            is_free = owner is not None and owner in free
            person = owner if owner is not None and is_free else uuid4()
            free.discard(person)
            new += [] if is_free else [person]
            named[to_server[texts[name]]] = person
            called_now[person] = texts[name]
        meant[name] = person
    make_people(step, new)
    add_names(step, called_now)
    keep_people(step, list(called_now))
    return meant


def _owner(faces: Iterable[int], states: Mapping[int, FaceState]) -> UUID | None:
    """Return the person of most of some faces."""
    owners = [states[face].person for face in faces]
    counts = Counter(owner for owner in owners if owner is not None)
    if not counts:
        return None
    owner, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return owner if 2 * most > len(owners) else None


def _say(
    step: Step, given: Sequence[ImportedName], meant: Mapping[str, UUID], said: Corrections
) -> list[ImportedName]:
    """Assign people to faces; return what contradicts earlier corrections."""
    new: dict[FaceCorrection, ImportedName] = {}
    for row in given:
        if row.face is not None:
            new.setdefault(FaceCorrection(row.face, meant[folded(row.name)], is_person=True), row)
    faces = {each.face for each in new}
    # What the same program said of a face before is replaced.
    standing = Corrections(
        [each for each in said.faces if not (each.is_person and each.face in faces)],
        said.face_pairs,
        said.person_pairs,
    )
    kept, refused = without_contradictions(standing, new)
    against = set(refused)
    saying = [each for each in new if each not in against]
    theirs, persons = [each.face for each in saying], [each.person for each in saying]
    correct_each(step, theirs, persons)
    give_each(step, theirs, persons, "imported")
    keep_people(step, list(dict.fromkeys(persons)))
    follow_corrections(step, kept)
    return [row for each, row in new.items() if each in against]


def _keep(step: Step, rows: Sequence[ImportedName], meant: Mapping[str, UUID]) -> None:
    """Store the names from programs, some photos at a time."""
    some: list[ImportedName] = []
    for _, said in groupby(sorted(rows, key=attrgetter("image")), key=attrgetter("image")):
        some += said
        if len(some) >= _KEPT_AT_ONCE:
            _keep_some(step, some, meant)
            some = []
    _keep_some(step, some, meant)


def _keep_some(step: Step, rows: Sequence[ImportedName], meant: Mapping[str, UUID]) -> None:
    """Store the names from programs, replacing outdated ones of the same photos."""
    before = imported_of_images(step.connection, sorted({row.image for row in rows}))
    now = [row if row.face is None else replace(row, person=meant.get(folded(row.name))) for row in rows]
    known = {each.said for each in before}
    said = {each.said for each in now}
    faces = {(each.program, each.face) for each in now if each.face is not None}
    sources = {(each.program, each.image) for each in now}
    gone = [
        each
        for each in before
        if each.said not in said
        and (each.program, each.image) in sources
        and (each.face is None or (each.program, each.face) in faces)
    ]
    keep_imported(step, [each for each in now if each.said not in known], gone)


def _also_called(connection: Connection, asked: Sequence[ImportedName], here: Here) -> list[str]:
    """List names whose faces mostly belong to another person here."""
    owners: dict[str, list[UUID | None]] = {}
    for row in asked:
        if row.face is not None:
            owners.setdefault(row.name, []).append(here.homes.get(row.face) or here.states[row.face].person)
    found: list[tuple[str, UUID, int]] = []
    for name, theirs in owners.items():
        ((owner, most),) = Counter(theirs).most_common(1)
        if owner is not None and most >= _LEAST_TO_TELL and 2 * most > len(theirs):
            found.append((name, owner, most))
    states = person_states(connection, [owner for _, owner, _ in found])
    return [
        f"{name}: {counted(most, 'face')} are {called(states[owner])} here"
        for name, owner, most in found
        if owner in states
    ]
