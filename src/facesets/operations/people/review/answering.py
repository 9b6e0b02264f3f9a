"""Answers to suggestions: each is a correction, saved at once as one change."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections.absorbing import preserving_portrait
from facesets.operations.people.corrections.correcting import (
    EXEMPLARS,
    confirm_different,
    confirm_faces,
    confirm_person,
    correct_two_faces,
    correcting_step,
    deny_faces,
    merge_people,
    move_faces,
    unassign_faces,
)
from facesets.operations.people.corrections.lookup import require_person, step_number
from facesets.operations.people.corrections.naming import name_now, set_hidden_now
from facesets.operations.people.review.open_questions import UnwordedQuestion, find_question
from facesets.operations.people.review.questions import Question, in_words
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.corrections import load_corrections, store_person_correction
from facesets.store.postgres.people.open_suggestions import (
    Outcome,
    note_answered_faces,
    note_answered_people,
    note_asked_again,
    note_skipped,
    row_of_unnamed,
)
from facesets.store.postgres.people.person_faces import best_faces_of_cluster
from facesets.store.postgres.people.persons import (
    exemplars,
    give_faces,
    make_person,
    merged_persons,
    unassigned_faces_of_cluster,
)
from facesets.store.postgres.people.steps import Step, changing
from facesets.store.postgres.people.suggestions import FACE_KINDS, PeopleCandidate

Verdict = Literal["yes", "no", "name", "hide"]


def answer(
    database: Database,
    question: str,
    verdict: Verdict,
    *,
    by: str,
    but: Sequence[int] = (),
    name: str = "",
    into: bool = False,
) -> Result:
    """Answer an open suggestion; return its id, the answer in words, and the change.

    Parameters
    ----------
    question : str
        Id of the suggestion.
    verdict : str
        `yes` or `no`, for all items. `name` names the unnamed person, `hide` hides them.
    but : sequence of int
        Numbers of the items with the opposite answer.
    into : bool
        If another person has the name, both are merged.

    Raises
    ------
    NameTaken
        Another person has the name, and `into` is off.
    WrongUsage
        The suggestion is not open, the verdict does not fit it, or the answer contradicts a correction.
    """
    if verdict in {"name", "hide"}:
        # The person is looked up when named, because people may be merged at any moment.
        return changing(database, _answer_person, question, verdict, name, by=by, into=into)

    def work(connection: Connection) -> Result:
        suggestion = find_question(connection, question)
        if suggestion.kind == "name":
            raise WrongUsage("This suggestion needs a name, or hide.")
        (worded,) = in_words(connection, [suggestion])
        _require_items(worded, but)
        chosen = {item.number for item in worded.items if (verdict == "yes") != (item.number in but)}
        what = f"{worded.text} {_answer_in_words(worded, chosen)}"
        with correcting_step(connection, "review", by, what) as step:
            _apply_answer(step, suggestion, chosen)
        number = step_number(connection, step)
        if number is not None:
            _note(connection, suggestion, chosen, number)
        return Result(question=question, did=what, step=number)

    return changing(database, work)


def skip(database: Database, question: str) -> None:
    """Skip a suggestion until its evidence changes or the user asks for it. Raises `NotFound`."""

    def work(connection: Connection) -> None:
        faces, ids, persons = _rows_of(connection, question)
        note_skipped(connection, faces, persons, ids)

    database.run(work)


def ask_again(database: Database, question: str = "") -> None:
    """Mark a suggestion, by default all, as not skipped. Raises `NotFound`."""

    def work(connection: Connection) -> None:
        if question:
            faces, ids, _ = _rows_of(connection, question)
            note_asked_again(connection, faces, ids)
        else:
            note_asked_again(connection)

    database.run(work)


def _rows_of(connection: Connection, question: str) -> tuple[list[int], list[int], list[UUID]]:
    """Return the identity of a stored question: its faces, its rows about people, and its people."""
    suggestion = find_question(connection, question)
    ids = [each.id for each, _ in suggestion.of_people]
    if suggestion.kind == "name":
        ids = [
            row_of_unnamed(connection, suggestion.person, require_person(connection, suggestion.person).faces)
        ]
    return [each.face for each in suggestion.of_faces], ids, merged_persons(connection, suggestion.person)


def _answer_person(
    connection: Connection, question: str, verdict: Verdict, name: str, *, by: str, into: bool
) -> Result:
    suggestion = find_question(connection, question)
    (worded,) = in_words(connection, [suggestion])
    if not worded.nameless:
        raise WrongUsage("All people in this suggestion are named. Answer yes or no.")
    if verdict == "hide":
        summary = set_hidden_now(connection, worded.nameless, hidden=True, by=by)
    elif not name.strip():
        raise WrongUsage(f"Missing name. Give {Field('name', 'NAME')}.")
    else:
        summary = name_now(connection, worded.nameless, name, into=into, face=False, by=by)
        if suggestion.kind == "same" and summary.step is not None:
            # A person who gets another name is not the other one, so the suggestion must not return.
            ids = [each.id for each, _ in suggestion.of_people]
            note_answered_people(connection, ids, "rejected", summary.step)
    return Result(question=question, did=f"{summary.name}: {summary.did}", step=summary.step)


def _require_items(worded: Question, but: Sequence[int]) -> None:
    wrong = sorted(set(but) - {item.number for item in worded.items})
    if wrong:
        raise WrongUsage(f"This suggestion has {len(worded.items)} items; there is no number {wrong[0]}.")


def _answer_in_words(worded: Question, chosen: set[int]) -> str:
    """Describe an answer."""
    if not chosen:
        return "no"
    if len(chosen) == len(worded.items):
        return "yes"
    return "only " + ", ".join(printable(each.name) for each in worded.items if each.number in chosen)


def _apply_answer(step: Step, suggestion: UnwordedQuestion, chosen: set[int]) -> None:
    """Apply an answer as corrections: confirm the chosen items, deny the others."""
    if suggestion.kind in FACE_KINDS:
        _answer_faces(step, suggestion, chosen)
    elif suggestion.kind == "same":
        _answer_people(step, suggestion, chosen)
    elif suggestion.kind == "cluster":
        _answer_clusters(step, suggestion, chosen)
    else:
        ((candidate, _),) = suggestion.of_people
        _answer_halves(step, candidate, two=bool(chosen))


def _answer_faces(step: Step, suggestion: UnwordedQuestion, chosen: set[int]) -> None:
    faces = {number: each.face for number, each in enumerate(suggestion.of_faces, start=1)}
    yes = [face for number, face in faces.items() if number in chosen]
    no = [face for number, face in faces.items() if number not in chosen]
    if yes:
        move_faces(step, yes, suggestion.person)
        store_person_correction(step, suggestion.person)
    if no and suggestion.kind in {"far", "age"}:
        unassign_faces(step, no)
    elif no:
        deny_faces(step, no, suggestion.person)


def _answer_people(step: Step, suggestion: UnwordedQuestion, chosen: set[int]) -> None:
    connection = step.connection
    others = {number: other for number, (_, other) in enumerate(suggestion.of_people, start=1) if other}
    yes = [require_person(connection, other) for number, other in others.items() if number in chosen]
    if yes:
        merge_people(step, yes, require_person(connection, suggestion.person), drop_names=False)
    for number, other in others.items():
        if number not in chosen:
            confirm_different(step, suggestion.person, other)


def _answer_clusters(step: Step, suggestion: UnwordedQuestion, chosen: set[int]) -> None:
    connection = step.connection
    for number, (each, _) in enumerate(suggestion.of_people, start=1):
        cluster = each.cluster or ""
        best = best_faces_of_cluster(connection, cluster, EXEMPLARS)
        if number in chosen:
            with preserving_portrait(step, require_person(connection, suggestion.person)):
                give_faces(step, unassigned_faces_of_cluster(connection, cluster), suggestion.person, "auto")
            confirm_faces(step, best, suggestion.person)
            confirm_person(step, suggestion.person)
        else:
            deny_faces(step, unassigned_faces_of_cluster(connection, cluster), suggestion.person)


def _answer_halves(step: Step, candidate: PeopleCandidate, *, two: bool) -> None:
    """Make a new person of the smaller part, or confirm that both parts are one."""
    connection = step.connection
    if not two:
        correct_two_faces(step, candidate.part[0], candidate.rest, same=True)
        return
    part = list(candidate.part)
    confirmed = {each.face for each in load_corrections(connection).faces if each.is_person}
    new = make_person(step)
    give_faces(step, part, new, "auto")
    # Earlier corrections of faces of this part are replaced.
    best = exemplars(connection, new, EXEMPLARS)
    move_faces(step, sorted(confirmed & set(part) | set(best)), new)
    correct_two_faces(step, candidate.part[0], candidate.rest, same=False)
    store_person_correction(step, new)


def _note(connection: Connection, suggestion: UnwordedQuestion, chosen: set[int], step: int) -> None:
    """Store the answer of each item."""
    for yes in (True, False):
        # If the suggestion is that a face is not its person's, `no` agrees with it.
        outcome: Outcome = "accepted" if yes != (suggestion.kind in {"far", "age"}) else "rejected"
        faces = [
            each.face for number, each in enumerate(suggestion.of_faces, start=1) if (number in chosen) == yes
        ]
        if faces:
            note_answered_faces(
                connection, faces, merged_persons(connection, suggestion.person), outcome, step
            )
        ids = [
            each.id
            for number, (each, _) in enumerate(suggestion.of_people, start=1)
            if (number in chosen) == yes
        ]
        note_answered_people(connection, ids, outcome, step)
