"""`people merge | move | same | different`: what a human says about who is who."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from facesets.errors import Command, Field, WrongUsage
from facesets.operations.people.contradictions import Statement, require_consistent
from facesets.operations.people.summary import PersonSummary, kept_step, summary_of
from facesets.operations.people.who import (
    called,
    find_person,
    require_faces,
    require_person,
    short,
)
from facesets.plurals import counted
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.person_edits import (
    PersonState,
    add_name,
    drop_names,
    faces_of_person,
    give_faces,
    make_person,
    person_state,
    set_status,
)
from facesets.store.postgres.statements import (
    FacePair,
    FaceStatement,
    PersonPair,
    Statements,
    hand_over,
    keep_person,
    load_statements,
    say_different,
    say_of_faces,
    say_of_pair,
)
from facesets.store.postgres.steps import Step, making_step


@dataclass(frozen=True, slots=True)
class SaidSummary:
    """What was said about two."""

    said: str
    step: int | None


@dataclass(frozen=True, slots=True)
class MoveSummary:
    """Where faces went.

    Attributes
    ----------
    person, name : str
        Whose they are now; empty for nobody.
    """

    faces: int
    person: str
    name: str
    step: int | None


def merge(database: Database, who: Sequence[str], into: str, *, drop_names: bool, by: str) -> PersonSummary:
    """Make several people one.

    Parameters
    ----------
    drop_names : bool
        The names of those who are merged go, rather than become further names.

    Raises
    ------
    WrongUsage
        Nobody is meant, somebody would be merged into themselves, or it was said that they are not one.
    """

    def work(connection: Connection) -> PersonSummary:
        target = find_person(connection, into)
        others = list({state.id: state for state in (find_person(connection, each) for each in who)}.values())
        if any(state.id == target.id for state in others):
            raise WrongUsage(f"{called(target)} cannot be merged into themselves.")
        return merge_into(connection, others, target, drop_names=drop_names, by=by)

    return database.run(work)


def merge_into(
    connection: Connection, others: Sequence[PersonState], target: PersonState, *, drop_names: bool, by: str
) -> PersonSummary:
    """Make some people one with another; errors as `merge`."""
    said = load_statements(connection)
    ids = {state.id for state in others}
    together = _as_one(said, ids, target.id)
    require_consistent(together, [], lambda each: describe(connection, each))
    names = ", ".join(called(state) for state in others)
    with making_step(connection, "merge", by, f"{names} merged into {called(target)}") as step:
        moved = sum(_merge_one(step, state, target.id, said, drop=drop_names) for state in others)
        keep_person(step, target.id)
    return summary_of(connection, target.id, f"{counted(moved, 'face')} merged", step)


def _as_one(said: Statements, others: set[UUID], target: UUID) -> Statements:
    """What was said, as it reads when some people are one."""

    def one(person: UUID) -> UUID:
        return target if person in others else person

    faces = [FaceStatement(each.face, one(each.person), each.is_person) for each in said.faces]
    pairs = [PersonPair(one(each.first), one(each.second)) for each in said.person_pairs]
    return Statements(faces, said.face_pairs, pairs)


def _merge_one(step: Step, state: PersonState, target: UUID, said: Statements, *, drop: bool) -> int:
    """Merge one person; returns the faces that moved. Faces that are said not to be the other stay alone."""
    refused = {each.face for each in said.faces if each.person == target and not each.is_person}
    manual = {each.face for each in said.faces if each.person == state.id and each.is_person}
    faces = faces_of_person(step.connection, state.id)
    for how, some in (
        ("auto", [face for face in faces if face not in refused and face not in manual]),
        ("manual", [face for face in faces if face in manual]),
    ):
        give_faces(step, some, target, how)
    give_faces(step, [face for face in faces if face in refused and face not in manual], None, "")
    names = drop_names(step, state.id)
    if not drop:
        for name in names:
            add_name(step, target, name)
    hand_over(step, state.id, target)
    set_status(step, state.id, "merged", target)
    return len(faces)


def move(database: Database, faces: Sequence[int], to: str, *, by: str) -> MoveSummary:
    """Give single faces to a person, to somebody `new`, or to `nobody`.

    Raises
    ------
    WrongUsage
        There is no such face or person, or it was said that a face is not theirs.
    """

    def work(connection: Connection) -> MoveSummary:
        ids = sorted(set(faces))
        require_faces(connection, ids)
        what = f"{counted(len(ids), 'face')} moved to"
        if to == "nobody":
            with making_step(connection, "move", by, f"{what} nobody") as step:
                _to_nobody(step, ids)
            return MoveSummary(len(ids), "", "", kept_step(connection, step))
        known = None if to == "new" else find_person(connection, to)
        name = "somebody new" if known is None else called(known)
        with making_step(connection, "move", by, f"{what} {name}") as step:
            person = make_person(step) if known is None else known.id
            move_faces(step, ids, person)
            if known is None:
                keep_person(step, person)
        state = require_person(connection, person)
        return MoveSummary(len(ids), short(person), called(state), kept_step(connection, step))

    return database.run(work)


def move_faces(step: Step, faces: Sequence[int], person: UUID) -> None:
    """Say that faces are somebody, and give them to them. Raises `WrongUsage` as `move`."""
    connection = step.connection
    require_faces(connection, list(faces))
    said = load_statements(connection)
    moved = set(faces)
    standing = Statements(
        [each for each in said.faces if not (each.face in moved and each.is_person)],
        said.face_pairs,
        said.person_pairs,
    )
    new: list[Statement] = [FaceStatement(face, person, is_person=True) for face in faces]
    require_consistent(standing, new, lambda each: describe(connection, each))
    say_of_faces(step, faces, person, is_person=True)
    give_faces(step, faces, person, "manual")


def _to_nobody(step: Step, faces: Sequence[int]) -> None:
    """Take faces from whom they are, and say that they are not them."""
    for face, person in require_faces(step.connection, list(faces)).items():
        if person is not None:
            say_of_faces(step, [face], person, is_person=False)
    give_faces(step, faces, None, "")


def same(database: Database, first: str, second: str, *, faces: bool, by: str) -> SaidSummary:
    """Say that two faces show one person, or that two people are one, who are merged then.

    Raises
    ------
    WrongUsage
        One of them does not exist, or it contradicts what was said.
    """

    def work(connection: Connection) -> SaidSummary:
        if not faces:
            return _same_people(
                connection, find_person(connection, first), find_person(connection, second), by
            )
        one, other = _two_faces(connection, first, second)
        persons = require_faces(connection, [one, other])
        if None not in persons.values() and persons[one] != persons[other]:
            names = " and ".join(called(require_person(connection, p)) for p in persons.values() if p)
            raise WrongUsage(
                f"They are two people now, {names}. Move one of the faces ({Command('people move')}), or "
                f"merge the two ({Command('people merge')})."
            )
        pair = FacePair(min(one, other), max(one, other), same=True)
        _require_new(connection, pair)
        what = f"faces {one} and {other} show one person"
        with making_step(connection, "same", by, what) as step:
            say_of_pair(step, one, other, same=True)
            known = next((person for person in persons.values() if person), None)
            if known is not None:
                alone = [face for face, person in persons.items() if person is None]
                give_faces(step, alone, known, "constrained")
        return SaidSummary(what, kept_step(connection, step))

    return database.run(work)


def _same_people(connection: Connection, one: PersonState, other: PersonState, by: str) -> SaidSummary:
    if one.id == other.id:
        raise WrongUsage(f"Both are {called(one)}.")
    if one.names and other.names:
        merge = Command("people merge", short(one.id), Field("into", short(other.id)))
        raise WrongUsage(f"Both have a name. Say whose stays first: {merge}.")
    if one.names or (not other.names and one.faces > other.faces):
        one, other = other, one
    merged = merge_into(connection, [one], other, drop_names=False, by=by)
    return SaidSummary(f"{called(one)} and {called(other)} are one person", merged.step)


def different(database: Database, first: str, second: str, *, faces: bool, by: str) -> SaidSummary:
    """Say that two faces, or two people, are not one.

    Raises
    ------
    WrongUsage
        One of them does not exist, they are one person now, or it contradicts what was said.
    """

    def work(connection: Connection) -> SaidSummary:
        if faces:
            one, other = _two_faces(connection, first, second)
            persons = require_faces(connection, [one, other])
            person = persons[one]
            if person is not None and person == persons[other]:
                raise WrongUsage(
                    f"Both are {called(require_person(connection, person))} now. Move the wrong one first: "
                    f"{Command('people move', 'FACE', Field('to', 'nobody'))}."
                )
            _require_new(connection, FacePair(min(one, other), max(one, other), same=False))
            what = f"faces {one} and {other} show two people"
            with making_step(connection, "different", by, what) as step:
                say_of_pair(step, one, other, same=False)
            return SaidSummary(what, kept_step(connection, step))
        a, b = find_person(connection, first), find_person(connection, second)
        if a.id == b.id:
            raise WrongUsage(f"Both are {called(a)}.")
        _require_new(connection, PersonPair(*sorted((a.id, b.id))))
        what = f"{called(a)} and {called(b)} are two people"
        with making_step(connection, "different", by, what) as step:
            say_different(step, a.id, b.id)
            keep_person(step, a.id)
            keep_person(step, b.id)
        return SaidSummary(what, kept_step(connection, step))

    return database.run(work)


def _two_faces(connection: Connection, first: str, second: str) -> tuple[int, int]:
    if not (first.strip().isdigit() and second.strip().isdigit()) or int(first) == int(second):
        show = Command("people show", "WHO", Field("faces", "20"))
        raise WrongUsage(f"Give the numbers of two faces, as {show} prints them.")
    require_faces(connection, [int(first), int(second)])
    return int(first), int(second)


def _require_new(connection: Connection, new: Statement) -> None:
    """Check a statement against all that stand."""
    require_consistent(load_statements(connection), [new], lambda each: describe(connection, each))


def describe(connection: Connection, said: Statement) -> str:
    """A statement in words."""
    if isinstance(said, FaceStatement):
        verb = "is" if said.is_person else "is not"
        return f"face {said.face} {verb} {_name_of(connection, said.person)}"
    if isinstance(said, FacePair):
        return f"faces {said.first} and {said.second} show {'one person' if said.same else 'two people'}"
    return f"{_name_of(connection, said.first)} and {_name_of(connection, said.second)} are two people"


def _name_of(connection: Connection, person: UUID) -> str:
    state = person_state(connection, person)
    return short(person) if state is None else called(state)
