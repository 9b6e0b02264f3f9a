"""How many questions wait: as many as `open_questions` finds, without making each of them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from facesets.operations.people.corrections.contradictions import Settled
from facesets.operations.people.review.open_questions import (
    LIKELY,
    MOST_AT_ONCE,
    as_of_now,
    questions_about_people,
)
from facesets.records import Bool
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.candidates import FACE_KINDS
from facesets.store.postgres.people.changes import state_of_questions
from facesets.store.postgres.people.open_candidates import (
    FaceCandidates,
    all_open_face_candidates,
    open_people_candidates,
)
from facesets.store.postgres.people.peopled_faces import active_people
from facesets.store.postgres.people.statements import Statements, load_statements


@dataclass(frozen=True, slots=True)
class WaitingCounts:
    """How many questions wait, and besides how many people for a name; and how many of both were skipped."""

    questions: int
    unnamed: int
    skipped: int = 0


def waiting(database: Database) -> WaitingCounts:
    """Count what is open."""
    return database.run(_count)


class CurrentWaiting:
    """How many wait, counted again only after something changed. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: tuple[object, WaitingCounts] | None = None

    def count(self, database: Database) -> WaitingCounts:
        """What `waiting` counts."""
        with self._lock:
            self._counted = database.run(self._current)
            return self._counted[1]

    def _current(self, connection: Connection) -> tuple[object, WaitingCounts]:
        now = state_of_questions(connection)
        if self._counted is not None and self._counted[0] == now:
            return self._counted
        return now, _count(connection)


def _count(connection: Connection) -> WaitingCounts:
    said = load_statements(connection)
    settled, active = Settled(said), active_people(connection)
    others = questions_about_people(
        connection, settled, active, open_people_candidates(connection, brief=True)
    )
    skipped = sum(each.is_skipped for each in others)
    others = [each for each in others if not each.is_skipped]
    unnamed = sum(each.kind == "name" for each in others)
    found = all_open_face_candidates(connection)
    now = as_of_now(connection, found.persons, active)
    numbers = {who: number for number, who in enumerate(dict.fromkeys(now))}
    is_open = np.array([who in active for who in now], bool)[found.person] & ~_settled(
        found, now, said, settled
    )
    # The likeliest first; what is asked about the same face later depends on the answer.
    rows = np.flatnonzero(is_open)
    rows = rows[np.unique(found.face[rows], return_index=True)[1]]
    person = np.array([numbers[who] for who in now], np.int64)[found.person[rows]]
    group = (person * len(FACE_KINDS) + found.kind[rows]) * 2 + (found.uncertainty[rows] >= LIKELY)
    is_skipped = found.is_skipped[rows]
    about_faces, skipped_of_faces = (
        int((-(-np.unique(each, return_counts=True)[1] // MOST_AT_ONCE)).sum())
        for each in (group[~is_skipped], group[is_skipped])
    )
    return WaitingCounts(about_faces + len(others) - unnamed, unnamed, skipped + skipped_of_faces)


def _settled(found: FaceCandidates, now: Sequence[UUID], said: Statements, settled: Settled) -> Bool:
    """Which questions about faces statements answer, of faces that any is about, and of people as of now."""
    of_pairs = [face for pair in said.face_pairs for face in (pair.first, pair.second)]
    spoken_of = np.array([*(each.face for each in said.faces), *of_pairs], np.int64)
    answered = np.zeros(len(found.face), bool)
    for row in np.flatnonzero(np.isin(found.face, spoken_of)).tolist():
        answered[row] = settled.is_settled(int(found.face[row]), now[found.person[row]])
    return answered
