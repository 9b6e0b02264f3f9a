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
from facesets.operations.people.corrections.who import cleaned, folded, kept_step, short, standing
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
    keep_person,
    load_corrections,
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
        The library's face for each of the file.
    homes : set of int
        Faces that a human said to be somebody here.
    target : list of UUID or None
        Whom each person of the file is here.
    not_found : list of str
        Of whom no face is here.
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

    A person of the file is the one here of the same number, else of the same name, else, where most of their
    faces are somebody's who has no name, that one, else somebody new.

    Parameters
    ----------
    source : str
        Where it comes from, for the log.
    members : mapping
        Further faces of a person of the file, both by their places in it, that nobody said but a folder
        shows: they tell who the person is here, and those that are unassigned go to them.
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
        said = load_corrections(connection)
        homes = {each.face for each in said.faces if each.is_person}
        work = _Import(step, file, found, members, homes, [None] * len(file.people))
        _find_people(work)
        new = list(dict.fromkeys(_statements(work)))
        kept, refused = without_contradictions(said, new)
        known = {*said.faces, *said.face_pairs, *said.person_pairs}
        fresh = [each for each in kept if each not in known]
        store_corrections(step, fresh)
        _exemplars(work, kept)
        moved = follow_corrections(step, kept) + _give_members(work)
        _name_people(work)
        births = store_births(step, file.people, work.target, work.skipped)
        describe = describing(connection)
        skipped = [*work.skipped, *map(describe, refused)]
    here = [target for target in work.target if target is not None]
    return Result(
        people=len(here),  # of the file, who are here now
        new_people=work.made,  # of them
        names=work.names,  # that people have got
        # Of the file those that were found here, and those that were not.
        faces=sum(face is not None for face in found),
        faces_not_found=sum(face is None for face in found),
        # Those that hold now and did not before, and those that held already.
        statements=len(fresh) + births.new,
        known=len(kept) - len(fresh) + births.known,
        moved=moved,  # faces that are somebody else's now, or somebody's for the first time
        people_not_found=work.not_found,  # names of those of whom no face is here
        skipped=skipped,  # what contradicts what was said here, in words
        dry_run=dry_run,
        step=None if dry_run else kept_step(connection, step),
    )


def _find_people(work: _Import) -> None:
    """Find out who the people of the file are here, and make those who are new."""
    connection = work.step.connection
    by_name = {folded(name): person for name, person in all_names(connection)}
    for number, person in enumerate(work.file.people):
        state = standing(connection, person.id) or of_name(connection, person, by_name)
        work.target[number] = None if state is None else state.id
        going_to_be_called(by_name, person, work.target[number])
    theirs = _faces_of_people(work)
    owners = persons_of_faces(connection, [face for faces in theirs.values() for face in faces])
    for number in sorted(theirs, key=lambda each: (-len(theirs[each]), each)):
        if work.target[number] is not None:
            continue
        person = work.file.people[number]
        if theirs[number]:
            # Of two who are called the same, the second is the first.
            same = of_name(connection, person, by_name)
            work.target[number] = _owner(work, theirs[number], owners, number) if same is None else same.id
            going_to_be_called(by_name, person, work.target[number])
        else:
            work.not_found.append(_called(person))


def _called(person: FilePerson) -> str:
    return printable(person.names[0]) if person.names else short(person.id)


def _faces_of_people(work: _Import) -> dict[int, list[int]]:
    """For each person of the file the faces here that are theirs."""
    theirs: dict[int, list[int]] = {number: [] for number in range(len(work.file.people))}
    for said in work.file.of_faces:
        face = work.face[said.face]
        if said.is_person and face is not None:
            theirs[said.person].append(face)
    for number, faces in work.members.items():
        theirs[number] += [face for each in faces if (face := work.face[each]) is not None]
    return theirs


def _owner(
    work: _Import, faces: Sequence[int], owners: Mapping[int, UUID | None], number: int
) -> UUID | None:
    """Whose most of some faces are, if that one has no name; else somebody new."""
    connection = work.step.connection
    counts = Counter(owner for face in faces if (owner := owners.get(face)) is not None)
    if counts:
        owner, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
        state = standing(connection, owner)
        if state is not None and 2 * most > len(faces):
            if not state.names and state.id not in work.target:
                return state.id
            if state.names and (work.members or work.homes.issuperset(faces)):
                whose = f"most of the faces belong to {printable(state.names[0])} here"
                work.skipped.append(f"{_called(work.file.people[number])}: {whose}")
                return None
    identity = work.file.people[number].id
    work.made += 1
    return make_person(work.step, identity if person_state(connection, identity) is None else uuid4())


def _statements(work: _Import) -> Iterator[Correction]:
    """What the file says, in the numbers of the library; what speaks of nothing here is left out."""
    file, face, target = work.file, work.face, work.target
    for said in file.of_faces:
        at, person = face[said.face], target[said.person]
        if at is not None and person is not None:
            yield FaceCorrection(at, person, said.is_person)
    for two in file.of_two_faces:
        one, other = face[two.face], face[two.other]
        if one is not None and other is not None and one != other:
            yield FacePair(min(one, other), max(one, other), two.same)
    for pair in file.of_two_people:
        first, second = target[pair.person], target[pair.other]
        if first is not None and second is not None:
            yield PersonPair(*sorted((first, second)))


def _exemplars(work: _Import, kept: Sequence[Correction]) -> None:
    """Take over which faces stand for whom, where that goes with what was said."""
    refused = {
        (each.face, each.person) for each in kept if isinstance(each, FaceCorrection) and not each.is_person
    }
    for said in work.file.exemplars:
        face, person = work.face[said.face], work.target[said.person]
        if face is None or person is None or (face, person) in refused:
            continue
        work.step.connection.execute(
            """INSERT INTO prototype_corrections (face_id, person_id, pinned) VALUES (%s, %s, %s)
                ON CONFLICT DO NOTHING""",
            (face, person, said.pinned),
        )


def _give_members(work: _Import) -> int:
    """Give the faces that a folder shows, and that are unassigned, to whom it shows; returns how many."""
    given = 0
    connection = work.step.connection
    refused = {(said.face, said.person) for said in load_corrections(connection).faces if not said.is_person}
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
    """Give people their names, as far as nobody else has them here, and hide who was hidden."""
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
        keep_person(step, target)


def _is_corrected(step: Step, person: UUID) -> bool:
    row = step.connection.execute("SELECT FROM person_corrections WHERE person_id = %s", (person,)).fetchone()
    return row is not None
