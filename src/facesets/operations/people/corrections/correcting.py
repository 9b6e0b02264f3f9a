"""`people merge | move | same | different`: corrections of people and faces."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from facesets.errors import Command, Field, WrongUsage
from facesets.operations.people.corrections.absorbing import preserving_portrait
from facesets.operations.people.corrections.contradictions import (
    Correction,
    contradiction,
    describing,
    require_consistent,
)
from facesets.operations.people.corrections.lookup import (
    called,
    find_person,
    require_faces,
    require_person,
    result_of,
    short,
    step_number,
    two_faces,
)
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.corrections import (
    Corrections,
    FaceCorrection,
    FacePair,
    PersonPair,
    broken_by,
    hand_over,
    load_corrections,
    store_different_people,
    store_face_corrections,
    store_pair_correction,
    store_person_correction,
    tied_faces,
)
from facesets.store.postgres.people.person_corrections import load_births
from facesets.store.postgres.people.persons import (
    PersonState,
    add_name,
    drop_names,
    exemplars,
    faces_of_person,
    give_faces,
    make_person,
    persons_of_faces,
    set_status,
    take_faces,
)
from facesets.store.postgres.people.steps import Step, changing, making_step

EXEMPLARS = 3
"""Number of best faces of a named person that count as confirmed; they identify the person later."""


def merge(database: Database, names_or_ids: Sequence[str], into: str, *, drop_names: bool, by: str) -> Result:
    """Merge several people into one.

    Parameters
    ----------
    drop_names : bool
        Delete the names of merged people, rather than add them to the target.

    Raises
    ------
    WrongUsage
        There is no such person, a person would be merged into themselves, or corrections keep them apart.
    """

    def work(connection: Connection) -> Result:
        target = find_person(connection, into)
        people = {state.id: state for state in (find_person(connection, each) for each in names_or_ids)}
        others = [state for person, state in people.items() if person != target.id]
        if not others:
            other = f"Give another person before {Field('into')}."
            raise WrongUsage(f"{called(target)} cannot be merged into themselves. {other}")
        return merge_into(connection, others, target, drop_names=drop_names, by=by)

    return changing(database, work)


@contextmanager
def correcting_step(connection: Connection, kind: str, by: str, what: str) -> Iterator[Step]:
    """Make one change for a correction. Raises `WrongUsage` if it contradicts an earlier one."""
    with making_step(connection, kind, by, what) as step:
        yield step
        against = broken_by(step)
        if against:
            raise contradiction(against, describing(connection))


def confirm_person(step: Step, person: UUID) -> None:
    """Keep a person's names, and confirm their best faces."""
    store_person_correction(step, person)
    confirm_faces(step, exemplars(step.connection, person, EXEMPLARS), person)


def confirm_faces(step: Step, faces: Sequence[int], person: UUID) -> None:
    """Confirm that faces show a person. Raises `WrongUsage` if that contradicts a correction."""
    _require_new_of_faces(step.connection, [FaceCorrection(face, person, is_person=True) for face in faces])
    store_face_corrections(step, faces, person, is_person=True)
    give_faces(step, faces, person, "manual")


def merge_into(
    connection: Connection, others: Sequence[PersonState], target: PersonState, *, drop_names: bool, by: str
) -> Result:
    """Merge people into another; errors as `merge`."""
    names = ", ".join(called(state) for state in others)
    born = load_births(connection, [target.id, *(state.id for state in others)])
    with correcting_step(connection, "merge", by, f"{names} merged into {called(target)}") as step:
        moved = merge_people(step, others, target, drop_names=drop_names)
    did = [f"{counted(moved, 'face')} merged"]
    birth = load_births(connection, [target.id]).get(target.id)
    lost = [f"{called(state)} {born[state.id]}" for state in others if born.get(state.id, birth) != birth]
    did += [f"birth {birth} kept, discarded: {', '.join(lost)}"] if lost else []
    return result_of(connection, target.id, "; ".join(did), step)


def merge_people(step: Step, others: Sequence[PersonState], target: PersonState, *, drop_names: bool) -> int:
    """Merge people into another; return how many faces moved; errors as `merge`."""
    connection = step.connection
    corrections = load_corrections(connection)
    together = _as_one(corrections, {state.id for state in others}, target.id)
    original = dict(zip(_all_of(together), _all_of(corrections), strict=True))
    describe = describing(connection)
    require_consistent(together, [], lambda each: describe(original[each]))
    # A face denied for one of both is no reference face of the merged person.
    refused = {each.face for each in together.faces if each.person == target.id and not each.is_person}
    best = exemplars(connection, target.id, EXEMPLARS)
    confirm_faces(step, [face for face in best if face not in refused], target.id)
    with preserving_portrait(step, target, () if drop_names else others):
        moved = sum(_merge_one(step, state, target.id, refused, drop=drop_names) for state in others)
    store_person_correction(step, target.id)
    return moved


def _all_of(corrections: Corrections) -> list[Correction]:
    return [*corrections.faces, *corrections.face_pairs, *corrections.person_pairs]


def _as_one(corrections: Corrections, others: set[UUID], target: UUID) -> Corrections:
    """Return the corrections as if some people were one."""

    def one(person: UUID) -> UUID:
        return target if person in others else person

    faces = [FaceCorrection(each.face, one(each.person), each.is_person) for each in corrections.faces]
    pairs = [PersonPair(one(each.first), one(each.second)) for each in corrections.person_pairs]
    return Corrections(faces, corrections.face_pairs, pairs)


def _merge_one(step: Step, state: PersonState, target: UUID, refused: set[int], *, drop: bool) -> int:
    """Merge one person; return the faces that moved. A face denied for one of both becomes unassigned."""
    faces = faces_of_person(step.connection, state.id)
    moved = [face for face in faces if face not in refused]
    known = [face for face in exemplars(step.connection, state.id, EXEMPLARS) if face not in refused]
    give_faces(step, moved, target)
    owners = persons_of_faces(step.connection, sorted(refused))
    take_faces(step, [face for face, owner in owners.items() if owner in (state.id, target)])
    names = drop_names(step, state.id)
    if not drop:
        for name in names:
            add_name(step, target, name)
    hand_over(step, state.id, target)
    confirm_faces(step, known, target)
    set_status(step, state.id, "merged", target)
    return len(moved)


def move(database: Database, faces: Sequence[int], to: str, *, by: str) -> Result:
    """Move faces to a person, to a `new` person, or to `nobody`.

    Faces confirmed as the same person go with them.

    Raises
    ------
    WrongUsage
        The face or person does not exist, or a face was denied for that person.
    """

    def work(connection: Connection) -> Result:
        ids = sorted(set(faces))
        require_faces(connection, ids)
        what = counted(len(ids), "face")
        if to == "nobody":
            with correcting_step(connection, "move", by, f"{what} unassigned") as step:
                moved = unassign_faces(step, ids)
            return Result(faces=moved, person="", name="", step=step_number(connection, step))
        known = None if to == "new" else find_person(connection, to)
        name = "a new person" if known is None else called(known)
        with correcting_step(connection, "move", by, f"{what} moved to {name}") as step:
            person = make_person(step) if known is None else known.id
            moved = move_faces(step, ids, person)
            store_person_correction(step, person)
        state = require_person(connection, person)
        number = step_number(connection, step)
        return Result(faces=moved, person=short(person), name=called(state), step=number)

    return changing(database, work)


def move_faces(step: Step, faces: Sequence[int], person: UUID) -> int:
    """Confirm that faces show a person, and move them; return how many. Raises `WrongUsage` as `move`."""
    connection = step.connection
    require_faces(connection, list(faces))
    confirm_faces(step, faces, person)
    along = [face for face in tied_faces(connection, faces) if face not in set(faces)]
    give_faces(step, along, person, "constrained")
    return len(faces) + len(along)


def unassign_faces(step: Step, faces: Sequence[int]) -> int:
    """Unassign faces, and deny that they show their person; return how many; errors as `move`."""
    connection = step.connection
    moved = tied_faces(connection, faces)
    by_person: dict[UUID, list[int]] = {}
    for face, person in require_faces(connection, list(faces)).items():
        if person is not None:
            by_person.setdefault(person, []).append(face)
    for person, some in by_person.items():
        deny_faces(step, some, person)
    take_faces(step, moved)
    return len(moved)


def deny_faces(step: Step, faces: Sequence[int], person: UUID) -> None:
    """Deny that faces show a person. Raises `WrongUsage` if that contradicts a correction."""
    new = [FaceCorrection(face, person, is_person=False) for face in faces]
    _require_new_of_faces(step.connection, new)
    store_face_corrections(step, faces, person, is_person=False)


def _require_new_of_faces(connection: Connection, new: Sequence[FaceCorrection]) -> None:
    """Check new corrections of faces, in place of their confirmed people, against all others."""
    corrections = load_corrections(connection)
    moved = {each.face for each in new}
    others = Corrections(
        [each for each in corrections.faces if not (each.face in moved and each.is_person)],
        corrections.face_pairs,
        corrections.person_pairs,
    )
    require_consistent(others, new, describing(connection))


def same(database: Database, first: str, second: str, *, faces: bool, by: str) -> Result:
    """Confirm that two faces show the same person, or merge two people.

    Raises
    ------
    WrongUsage
        One of them does not exist, or it contradicts a correction.
    """

    def work(connection: Connection) -> Result:
        if not faces:
            return _same_people(
                connection, find_person(connection, first), find_person(connection, second), by
            )
        one, other = two_faces(connection, first, second)
        persons = require_faces(connection, tied_faces(connection, [one, other]))
        owners = sorted({person for person in persons.values() if person is not None})
        if len(owners) > 1:
            names = " and ".join(called(require_person(connection, owner)) for owner in owners)
            raise WrongUsage(
                f"The faces belong to different people: {names}. Move one of the faces "
                f"({Command('people move')}), or merge the people ({Command('people merge')})."
            )
        what = f"faces {one} and {other} show one person"
        with correcting_step(connection, "same", by, what) as step:
            correct_two_faces(step, one, other, same=True)
            for owner in owners:
                alone = [face for face, person in persons.items() if person is None]
                give_faces(step, alone, owner, "constrained")
        return Result(said=what, step=step_number(connection, step))

    return changing(database, work)


def _same_people(connection: Connection, one: PersonState, other: PersonState, by: str) -> Result:
    if one.id == other.id:
        raise WrongUsage(f"Both are the same person, {called(one)}.")
    if one.names and other.names:
        merge = Command("people merge", short(one.id), Field("to", short(other.id)))
        raise WrongUsage(f"Both people have a name. Merge them into the one to keep: {merge}.")
    if one.names or (not other.names and one.faces > other.faces):
        one, other = other, one
    merged = merge_into(connection, [one], other, drop_names=False, by=by)
    return Result(said=f"{called(one)} and {called(other)} are one person", step=merged.step)


def different(database: Database, first: str, second: str, *, faces: bool, by: str) -> Result:
    """Confirm that two faces, or two people, are different.

    Raises
    ------
    WrongUsage
        One of them does not exist, they are one person now, or it contradicts a correction.
    """

    def work(connection: Connection) -> Result:
        if faces:
            one, other = two_faces(connection, first, second)
            persons = require_faces(connection, [one, other])
            person = persons[one]
            if person is not None and person == persons[other]:
                raise WrongUsage(
                    f"Both faces belong to {called(require_person(connection, person))}. Move the wrong one "
                    f"first: {Command('people move', 'FACE', Field('to', 'nobody'))}."
                )
            what = f"faces {one} and {other} show two people"
            with making_step(connection, "different", by, what) as step:
                correct_two_faces(step, one, other, same=False)
            return Result(said=what, step=step_number(connection, step))
        a, b = find_person(connection, first), find_person(connection, second)
        if a.id == b.id:
            raise WrongUsage(f"Both are the same person, {called(a)}.")
        what = f"{called(a)} and {called(b)} are two people"
        with making_step(connection, "different", by, what) as step:
            confirm_different(step, a.id, b.id)
        return Result(said=what, step=step_number(connection, step))

    return changing(database, work)


def confirm_different(step: Step, one: UUID, other: UUID) -> None:
    """Confirm that two people are different. Raises `WrongUsage` if that contradicts a correction."""
    _require_new(step.connection, PersonPair(*sorted((one, other))))
    store_different_people(step, one, other)
    confirm_person(step, one)
    confirm_person(step, other)


def correct_two_faces(step: Step, one: int, other: int, *, same: bool) -> None:
    """Confirm that two faces show the same person, or not. Raises `WrongUsage` on contradiction."""
    _require_new(step.connection, FacePair(min(one, other), max(one, other), same=same))
    store_pair_correction(step, one, other, same=same)


def _require_new(connection: Connection, new: Correction) -> None:
    """Check a correction against all others."""
    require_consistent(load_corrections(connection), [new], describing(connection))
