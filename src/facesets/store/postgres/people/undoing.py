"""The list of changes, and undo: rows and faces return to the earlier state if nothing builds on it."""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg import sql

from facesets.errors import Command, WrongUsage
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.corrections import FaceCorrection, broken_by
from facesets.store.postgres.people.steps import TABLES, Step, making_step, one_at_a_time
from facesets.store.postgres.people.unassigned_faces import note_unassigned_again


@dataclass(frozen=True, slots=True)
class StepRow:
    """A change as `people log` shows it."""

    id: int
    made_at: str
    who: str
    kind: str
    what: str
    faces: int
    undone: bool
    undoes: int | None
    forgotten: bool = False


_STEP: LiteralString = """SELECT s.id, to_char(s.made_at, 'YYYY-MM-DD HH24:MI'), s.who, s.kind, s.what,
        (SELECT count(*) FROM step_faces f WHERE f.step_id = s.id), s.undone, s.undoes,
        s.forgotten
    FROM steps s """


def list_steps(connection: Connection, *, person: UUID | None = None, limit: int = 20) -> list[StepRow]:
    """Return the latest changes, or those about a person, newest first."""
    rows = connection.execute(
        _STEP
        + """WHERE %(person)s::uuid IS NULL OR EXISTS (
                SELECT FROM step_persons p WHERE p.person_id = %(person)s AND p.step_id = s.id)
            ORDER BY s.id DESC LIMIT %(limit)s""",
        {"person": person, "limit": limit},
    )
    return [StepRow(*row) for row in rows]


def find_step(connection: Connection, number: int) -> StepRow | None:
    """Return the change with a number."""
    row = connection.execute(_STEP + "WHERE s.id = %s", (number,)).fetchone()
    return None if row is None else StepRow(*row)


def latest_step(connection: Connection, *, undo: bool) -> int | None:
    """Return the latest change in effect: of undos, or of all others."""
    latest: int | None = connection.scalar(
        """SELECT max(id) FROM steps WHERE NOT undone AND NOT forgotten
            AND kind <> 'redo' AND (kind = 'undo') = %s""",
        (undo,),
    )
    return latest


def latest_forgetting(connection: Connection) -> int:
    """Return the number of the latest change that erased a person; 0 if none was erased."""
    return int(connection.scalar("SELECT coalesce(max(id), 0) FROM steps WHERE kind = 'forget'"))


def faces_moved(connection: Connection, number: int | None) -> int:
    """Return how many faces a change moved or unassigned; 0 for no change."""
    found: int = connection.scalar(
        """SELECT count(*) FROM step_faces
            WHERE step_id = %s AND person_before IS DISTINCT FROM person_after""",
        (number,),
    )
    return found


def undo_step(connection: Connection, number: int, by: str) -> StepRow:
    """Undo one change, as a change of its own; return the one that was undone.

    Undoing an undo redoes the change.

    Raises
    ------
    WrongUsage
        There is no such step, it is undone already, or a later one builds on it.
    """
    one_at_a_time(connection)
    step = find_step(connection, number)
    if step is None:
        raise WrongUsage(f"Change not found: {number}. To list changes, run {Command('people log')}.")
    if step.forgotten:
        raise WrongUsage(
            f"Change {number} cannot be undone: it is about a person who was erased, and the data it would "
            "restore is gone for good."
        )
    if step.kind == "redo":
        raise WrongUsage(f"Change {number} only redid an earlier one. Undo that one instead.")
    if step.undone:
        raise WrongUsage(f"Change {number} ({step.what}) is already undone.")
    _require_unchanged(connection, step)
    kind = "redo" if step.kind == "undo" else "undo"
    with making_step(
        connection, kind, by, f"{kind} of change {step.undoes or number}", undoes=number
    ) as undo:
        _put_back(undo, number)
        undo.about(*_persons_of(connection, number))
        _require_corrections_followed(undo, step)
    connection.execute("UPDATE steps SET undone = true WHERE id = %s", (number,))
    if step.undoes is not None:
        # The undone change is in effect again.
        connection.execute("UPDATE steps SET undone = false WHERE id = %s", (step.undoes,))
    return step


def _persons_of(connection: Connection, number: int) -> list[UUID]:
    """Return the people of a step; a correction alone changes none of their rows and no face."""
    return connection.scalars("SELECT person_id FROM step_persons WHERE step_id = %s", (number,))


def _put_back(undo: Step, number: int) -> None:
    """Restore rows and faces as they were before a step."""
    connection = undo.connection
    parameters = {"step": number}
    persons, *others = TABLES
    # Unique values, such as a name, must be free before another person gets them.
    for table in others:
        connection.execute(table.query(_DELETE), parameters)
    connection.execute(persons.query(_PUT_BACK), parameters)
    for table in others:
        connection.execute(table.query(_PUT_BACK), parameters)
    connection.execute(
        """UPDATE face_detections f
            SET person_id = s.person_before, assigned_by = s.by_before, assigned_at = s.at_before,
                cluster = CASE WHEN s.cluster_before IS DISTINCT FROM s.cluster_after
                    THEN s.cluster_before ELSE f.cluster END
            FROM step_faces s WHERE s.step_id = %(step)s AND f.id = s.face_id""",
        parameters,
    )
    connection.execute(persons.query(_DELETE + " AND k.before IS NULL"), parameters)
    note_unassigned_again(connection, number)


_DELETE: LiteralString = """DELETE FROM {table} t USING step_rows k
    WHERE k.step_id = %(step)s AND k.in_table = {name} AND {same}"""
_PUT_BACK: LiteralString = """INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {columns} FROM (
        SELECT (jsonb_populate_record(NULL::{table}, k.before)).* FROM step_rows k
        WHERE k.step_id = %(step)s AND k.in_table = {name} AND k.before IS NOT NULL
            {faces_exist}) t
    ON CONFLICT ({primary}) DO UPDATE SET {updates}"""


def _require_unchanged(connection: Connection, step: StepRow) -> None:
    """Check that nothing builds on a step: everything is as it left it."""
    parameters = {"step": step.id}
    if step.kind == "replace" and connection.execute(_LOST_FACES, parameters).rowcount:
        raise WrongUsage(
            f"Change {step.id} ({step.what}) cannot be undone: the photos that had the names before were "
            f"erased. To list all changes, run {Command('people log')}; to undo one, "
            f"{Command('people undo', 'NUMBER')}."
        )
    statements = [sql.SQL(each).format() for each in (_BY_FACES, _BY_MERGES, _BY_PERSONS, _BY_NAMES)]
    statements += [table.query(_BY_ROWS) for table in TABLES]
    later = {int(number) for each in statements for number in connection.scalars(each, parameters)}
    if later:
        raise _conflict_message(connection, step, max(later))


def _require_corrections_followed(undo: Step, step: StepRow) -> None:
    """Check that no later correction contradicts the state after undoing a step."""
    broken = [
        ("face_corrections", f"{each.face} {each.person}")
        if isinstance(each, FaceCorrection)
        else ("face_pair_corrections", f"{each.first} {each.second}")
        for each in broken_by(undo)
    ]
    if broken:
        last = undo.connection.scalar(
            _BY_CORRECTIONS,
            {"step": step.id, "tables": [table for table, _ in broken], "keys": [key for _, key in broken]},
        )
        # Corrections that were broken before the step may be broken again.
        if last:
            raise _conflict_message(undo.connection, step, last)


def _conflict_message(connection: Connection, step: StepRow, last: int) -> WrongUsage:
    """Return an error that names the later step, or 0 for none, that builds on one."""
    if not last:
        return WrongUsage(
            f"Change {step.id} ({step.what}) cannot be undone: its data was changed later by other means, "
            f"such as SQL. To undo another change from {Command('people log')}, run "
            f"{Command('people undo', 'NUMBER')}."
        )
    what = connection.scalar("SELECT what FROM steps WHERE id = %s", (last,))
    return WrongUsage(
        f"Change {step.id} ({step.what}) cannot be undone because change {last} ({what}) builds on it. Undo "
        f"that first: {Command('people undo', str(last))}."
    )


_LOST_FACES: LiteralString = """SELECT FROM step_faces s WHERE s.step_id = %(step)s AND s.person_after IS NULL
    AND NOT EXISTS (SELECT FROM face_detections f WHERE f.id = s.face_id) LIMIT 1"""
# Each returns the number of a later step that changed a result of the step, or 0 for another change.
_BY_FACES: LiteralString = """
    WITH changed AS (
        SELECT s.face_id FROM step_faces s JOIN face_detections f ON f.id = s.face_id
        WHERE s.step_id = %(step)s AND (f.person_id IS DISTINCT FROM s.person_after
            OR (f.person_id IS NOT NULL AND f.assigned_by IS DISTINCT FROM s.by_after)
            OR (s.cluster_before IS DISTINCT FROM s.cluster_after
                AND f.cluster IS DISTINCT FROM s.cluster_after))),
    later AS (
        SELECT l.face_id, max(l.step_id) AS step FROM step_faces l JOIN steps x ON x.id = l.step_id
        WHERE l.step_id > %(step)s AND NOT x.undone AND x.kind NOT IN ('undo', 'redo')
        GROUP BY l.face_id)
    SELECT DISTINCT coalesce(l.step, 0) FROM changed LEFT JOIN later l USING (face_id)
    UNION
    SELECT 0 FROM (
        SELECT s.person_before FROM step_faces s WHERE s.step_id = %(step)s AND s.person_before IS NOT NULL
        EXCEPT SELECT p.id FROM persons p
        EXCEPT SELECT r.key::uuid FROM step_rows r
            WHERE r.step_id = %(step)s AND r.in_table = 'persons' AND r.before IS NOT NULL) gone"""
# People who would get faces or corrections back, and were merged since.
_BY_MERGES: LiteralString = """
    SELECT coalesce((SELECT max(l.step_id) FROM step_rows l JOIN steps x ON x.id = l.step_id
        WHERE l.step_id > %(step)s AND l.in_table = 'persons' AND l.key = p.id::text
            AND NOT x.undone AND x.kind NOT IN ('undo', 'redo')), 0)
    FROM persons p WHERE p.status = 'merged' AND (p.id IN (
            SELECT s.person_before FROM step_faces s
            WHERE s.step_id = %(step)s AND s.person_before IS DISTINCT FROM s.person_after)
        OR p.id::text IN (SELECT k.before ->> 'person_id' FROM step_rows k WHERE k.step_id = %(step)s))
        AND NOT EXISTS (SELECT FROM step_rows r WHERE r.step_id = %(step)s
            AND r.in_table = 'persons' AND r.key = p.id::text)"""
# Compared as rows: in JSON a time depends on the time zone of the session that recorded it.
_BY_ROWS: LiteralString = """
    WITH changed AS (
        SELECT k.key FROM step_rows k LEFT JOIN {table} t ON {same}
        WHERE k.step_id = %(step)s AND k.in_table = {name}
            AND to_jsonb(t) IS DISTINCT FROM to_jsonb(jsonb_populate_record(NULL::{table}, k.after))
            {faces_exist}),
    later AS (
        SELECT l.key, max(l.step_id) AS step FROM step_rows l JOIN steps x ON x.id = l.step_id
        WHERE l.step_id > %(step)s AND l.in_table = {name} AND NOT x.undone
            AND x.kind NOT IN ('undo', 'redo')
        GROUP BY l.key)
    SELECT DISTINCT coalesce(l.step, 0) FROM changed LEFT JOIN later l USING (key)"""
_BY_CORRECTIONS: LiteralString = """
    SELECT coalesce(max(l.step_id), 0) FROM step_rows l JOIN steps x ON x.id = l.step_id
    WHERE (l.in_table, l.key) IN (SELECT * FROM unnest(%(tables)s::text[], %(keys)s::text[]))
        AND l.step_id > %(step)s AND NOT x.undone AND x.kind NOT IN ('undo', 'redo')"""
_BY_PERSONS: LiteralString = """
    SELECT coalesce((SELECT max(p.step_id) FROM step_persons p JOIN steps x ON x.id = p.step_id
        WHERE p.person_id = made.person AND p.step_id > %(step)s
            AND NOT x.undone AND x.kind NOT IN ('undo', 'redo')), 0)
    FROM (SELECT r.key::uuid AS person FROM step_rows r
        WHERE r.step_id = %(step)s AND r.in_table = 'persons' AND r.before IS NULL) made
    WHERE EXISTS (SELECT FROM step_persons p JOIN steps x ON x.id = p.step_id
            WHERE p.person_id = made.person AND p.step_id > %(step)s
                AND NOT x.undone AND x.kind NOT IN ('undo', 'redo'))
        OR EXISTS (SELECT FROM face_detections f WHERE f.person_id = made.person
            AND NOT EXISTS (SELECT FROM step_faces s WHERE s.step_id = %(step)s AND s.face_id = f.id))
        OR EXISTS (SELECT FROM person_names n WHERE n.person_id = made.person
            AND NOT EXISTS (SELECT FROM step_rows s WHERE s.step_id = %(step)s
                AND s.in_table = 'person_names' AND s.key = n.id::text))
        OR EXISTS (SELECT FROM persons q WHERE q.merged_into_id = made.person
            AND NOT EXISTS (SELECT FROM step_rows s WHERE s.step_id = %(step)s
                AND s.in_table = 'persons' AND s.key = q.id::text))"""
# A name that would be restored, but that another person has now.
_BY_NAMES: LiteralString = """
    SELECT coalesce((SELECT max(l.step_id) FROM step_rows l JOIN steps x ON x.id = l.step_id
        WHERE l.step_id > %(step)s AND l.in_table = 'person_names' AND l.key = n.id::text
            AND NOT x.undone AND x.kind NOT IN ('undo', 'redo')), 0)
    FROM step_rows k JOIN person_names n ON lower(n.name) = lower(k.before ->> 'name')
    WHERE k.step_id = %(step)s AND k.in_table = 'person_names'
        AND NOT EXISTS (SELECT FROM step_rows s WHERE s.step_id = %(step)s
            AND s.in_table = 'person_names' AND s.key = n.id::text)"""
