"""`people import`: names and corrections from elsewhere, imported as one change."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections.contradictions import (
    Correction,
    describing,
    without_contradictions,
)
from facesets.operations.people.corrections.lookup import cleaned, current_person, folded, short, step_number
from facesets.operations.people.exchange.import_steps import (
    follow_corrections,
    going_to_be_called,
    of_name,
    store_births,
    store_corrections,
)
from facesets.operations.people.exchange.people_file import FilePerson, PeopleFile
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.corrections import (
    FaceCorrection,
    FacePair,
    PersonPair,
    load_corrections,
    store_person_correction,
)
from facesets.store.postgres.people.persons import (
    add_name,
    all_names,
    give_faces,
    make_person,
    person_of_name,
    person_state,
    persons_of_faces,
    set_status,
)
from facesets.store.postgres.people.steps import Step, changing, making_step
from facesets.store.postgres.photos.face_places import FacePlace, faces_at


@dataclass(slots=True)
class _Import:
    """An import under way.

    Attributes
    ----------
    face : list of int or None
        The library's face for each face of the file.
    homes : set of int
        Faces that a user confirmed for a person of this library.
    target : list of UUID or None
        The library's person for each person of the file.
    not_found : list of str
        People without a face in this library.
    """

    step: Step
    file: PeopleFile
    face: list[int | None]
    members: Mapping[int, Sequence[int]]
    homes: set[int]
    target: list[UUID | None]
    not_found: list[str] = field(default_factory=list)
    made: int = 0
    names: int = 0
    skipped: list[str] = field(default_factory=list)


def import_people(
    database: Database,
    file: PeopleFile,
    source: str,
    *,
    by: str,
    members: Mapping[int, Sequence[int]] | None = None,
    dry_run: bool = False,
) -> Result:
    """Import names and corrections; skip those that contradict corrections in this library.

    A person of the file becomes the person here with the same id, else the same name, else the unnamed person
    who has most of their faces, else a new person.

    Parameters
    ----------
    source : str
        The origin, for the log.
    members : mapping
        Further faces of each person, as positions in the file, known only from a folder: they identify the
        person here, and unassigned ones are assigned to that person.
    """

    def work(connection: Connection) -> Result:
        with connection.transaction(force_rollback=dry_run):
            return _import(connection, file, source, by, members or {}, dry_run=dry_run)

    return changing(database, work)


def _import(
    connection: Connection,
    file: PeopleFile,
    source: str,
    by: str,
    members: Mapping[int, Sequence[int]],
    *,
    dry_run: bool,
) -> Result:
    places = [FacePlace(f.image, f.width, f.height, tuple(f.box), f.found_by) for f in file.faces]  # type: ignore[arg-type]
    found = faces_at(connection, places)
    with making_step(connection, "import", by, f"people imported from {printable(source)}") as step:
        corrections = load_corrections(connection)
        homes = {each.face for each in corrections.faces if each.is_person}
        work = _Import(step, file, found, members, homes, [None] * len(file.people))
        _find_people(work)
        new = list(dict.fromkeys(_corrections(work)))
        accepted, refused = without_contradictions(corrections, new)
        known = {*corrections.faces, *corrections.face_pairs, *corrections.person_pairs}
        fresh = [each for each in accepted if each not in known]
        store_corrections(step, fresh)
        _exemplars(work, accepted)
        moved = follow_corrections(step, accepted) + _give_members(work)
        _name_people(work)
        births = store_births(step, file.people, work.target, work.skipped)
        describe = describing(connection)
        skipped = [*work.skipped, *map(describe, refused)]
    here = [target for target in work.target if target is not None]
    return Result(
        people=len(here),  # people of the file who are in the library now
        new_people=work.made,  # those of them who are new
        names=work.names,  # names that were added
        # Faces of the file that were found here, and faces that were not.
        faces=sum(face is not None for face in found),
        faces_not_found=sum(face is None for face in found),
        # Corrections that are new, and corrections that were known already.
        statements=len(fresh) + births.new,
        known=len(accepted) - len(fresh) + births.known,
        moved=moved,  # faces whose person changed, or that were unassigned before
        people_not_found=work.not_found,  # names of people without a face here
        skipped=skipped,  # contradictions to corrections here, in words
        dry_run=dry_run,
        step=None if dry_run else step_number(connection, step),
    )


def _find_people(work: _Import) -> None:
    """Find the people of the file here, and create new ones."""
    connection = work.step.connection
    by_name = {folded(name): person for name, person in all_names(connection)}
    for number, person in enumerate(work.file.people):
        state = current_person(connection, person.id) or of_name(connection, person, by_name)
        work.target[number] = None if state is None else state.id
        going_to_be_called(by_name, person, work.target[number])
    faces_of = _faces_of_people(work)
    owners = persons_of_faces(connection, [face for faces in faces_of.values() for face in faces])
    for number in sorted(faces_of, key=lambda each: (-len(faces_of[each]), each)):
        if work.target[number] is not None:
            continue
        person = work.file.people[number]
        if faces_of[number]:
            # Two people of the file with the same name become one.
            same = of_name(connection, person, by_name)
            work.target[number] = _owner(work, faces_of[number], owners, number) if same is None else same.id
            going_to_be_called(by_name, person, work.target[number])
        else:
            work.not_found.append(_called(person))


def _called(person: FilePerson) -> str:
    return printable(person.names[0]) if person.names else short(person.id)


def _faces_of_people(work: _Import) -> dict[int, list[int]]:
    """Return the faces here of each person of the file."""
    faces_of: dict[int, list[int]] = {number: [] for number in range(len(work.file.people))}
    for correction in work.file.of_faces:
        face = work.face[correction.face]
        if correction.is_person and face is not None:
            faces_of[correction.person].append(face)
    for number, faces in work.members.items():
        faces_of[number] += [face for each in faces if (face := work.face[each]) is not None]
    return faces_of


def _owner(
    work: _Import, faces: Sequence[int], owners: Mapping[int, UUID | None], number: int
) -> UUID | None:
    """Return the person of most of these faces if that one has no name; else create one."""
    connection = work.step.connection
    counts = Counter(owner for face in faces if (owner := owners.get(face)) is not None)
    if counts:
        owner, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
        state = current_person(connection, owner)
        if state is not None and 2 * most > len(faces):
            if not state.names and state.id not in work.target:
                return state.id
            if state.names and (work.members or work.homes.issuperset(faces)):
                owner_text = f"most of the faces belong to {printable(state.names[0])} here"
                work.skipped.append(f"{_called(work.file.people[number])}: {owner_text}")
                return None
    identity = work.file.people[number].id
    work.made += 1
    return make_person(work.step, identity if person_state(connection, identity) is None else uuid4())


def _corrections(work: _Import) -> Iterator[Correction]:
    """Yield the file's corrections in numbers of the library, without those of faces not here."""
    file, face, target = work.file, work.face, work.target
    for correction in file.of_faces:
        at, person = face[correction.face], target[correction.person]
        if at is not None and person is not None:
            yield FaceCorrection(at, person, correction.is_person)
    for two in file.of_two_faces:
        one, other = face[two.face], face[two.other]
        if one is not None and other is not None and one != other:
            yield FacePair(min(one, other), max(one, other), two.same)
    for pair in file.of_two_people:
        first, second = target[pair.person], target[pair.other]
        if first is not None and second is not None:
            yield PersonPair(*sorted((first, second)))


def _exemplars(work: _Import, accepted: Sequence[Correction]) -> None:
    """Import reference faces, unless they contradict corrections."""
    refused = {
        (each.face, each.person)
        for each in accepted
        if isinstance(each, FaceCorrection) and not each.is_person
    }
    for correction in work.file.exemplars:
        face, person = work.face[correction.face], work.target[correction.person]
        if face is None or person is None or (face, person) in refused:
            continue
        work.step.connection.execute(
            """INSERT INTO prototype_corrections (face_id, person_id, pinned) VALUES (%s, %s, %s)
                ON CONFLICT DO NOTHING""",
            (face, person, correction.pinned),
        )


def _give_members(work: _Import) -> int:
    """Give unassigned faces of a folder to the person of the folder; return how many."""
    given = 0
    connection = work.step.connection
    refused = {(each.face, each.person) for each in load_corrections(connection).faces if not each.is_person}
    for number, faces in work.members.items():
        person = work.target[number]
        here = [face for each in faces if (face := work.face[each]) is not None]
        if person is None:
            continue
        owners = persons_of_faces(connection, here)
        free = [face for face, owner in owners.items() if owner is None and (face, person) not in refused]
        give_faces(work.step, free, person, "imported")
        given += len(free)
    return given


def _name_people(work: _Import) -> None:
    """Give people their names, unless another person has them here, and hide those who were hidden."""
    step = work.step
    by_name = {folded(name): person for name, person in all_names(step.connection)}
    for person, target in zip(work.file.people, work.target, strict=True):
        if target is None:
            continue
        for name in person.names:
            try:
                text = cleaned(name)
            except WrongUsage as error:
                work.skipped.append(f"the name {printable(name)}: {error}")
                continue
            owner = by_name.get(folded(text)) or person_of_name(step.connection, text)
            if owner is None:
                add_name(step, target, text)
                by_name[folded(text)] = target
                work.names += 1
            elif owner != target:
                work.skipped.append(f"the name {printable(text)} belongs to another person here")
        state = person_state(step.connection, target)
        if (
            state is not None
            and person.status == "hidden"
            and state.status == "active"
            and not _is_corrected(step, target)
        ):
            set_status(step, target, "hidden")
        store_person_correction(step, target)


def _is_corrected(step: Step, person: UUID) -> bool:
    row = step.connection.execute("SELECT FROM person_corrections WHERE person_id = %s", (person,)).fetchone()
    return row is not None
