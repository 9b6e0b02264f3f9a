"""A person erased: faces and all derived data, names, and log entries about both."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, LiteralString
from uuid import UUID

from psycopg import sql

from facesets.imaging.renumbered_faces import Renumbered
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.imported_names import erase_imported
from facesets.store.postgres.people.traces import WITHOUT_KEYS
from facesets.store.postgres.photos.descriptions import erase_descriptions
from facesets.store.postgres.photos.face_places import hashed_words, places_of, remember_forgotten
from facesets.store.postgres.photos.metadata import erase_metadata
from facesets.store.postgres.photos.xmp_changes import drop_all_changes
from facesets.store.postgres.photos.xmp_sidecars import forget_in_sidecars

_FORGOTTEN = "about a person who was erased"
"""What the log shows instead of the original description."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How much was erased."""

    faces: int
    steps: int


def names_ever(connection: Connection, persons: Sequence[UUID]) -> list[str]:
    """Return every name that some people have or had, as far as the log knows."""
    return connection.scalars(
        """SELECT name FROM person_names WHERE person_id = ANY(%(persons)s::uuid[])
            UNION SELECT unnest(names) FROM person_corrections WHERE person_id = ANY(%(persons)s::uuid[])
            UNION SELECT r.name FROM step_rows s, LATERAL (VALUES
                    (s.before ->> 'person_id', s.before ->> 'name'),
                    (s.after ->> 'person_id', s.after ->> 'name')) r (person, name)
                WHERE s.in_table = 'person_names' AND r.name IS NOT NULL
                    AND r.person = ANY(%(texts)s)
            ORDER BY 1""",
        {"persons": list(persons), "texts": [str(person) for person in persons]},
    )


def faces_of_persons(connection: Connection, persons: Sequence[UUID]) -> list[int]:
    """Return faces that some people have, or that a user confirmed for them."""
    return connection.scalars(
        """SELECT id FROM face_detections WHERE person_id = ANY(%(persons)s::uuid[])
            UNION SELECT face_id FROM face_corrections
                WHERE is_person AND person_id = ANY(%(persons)s::uuid[])
            ORDER BY 1""",
        {"persons": list(persons)},
    )


def renumbered_ids(connection: Connection, detector_id: int, removed: Sequence[int]) -> Renumbered:
    """Return the face ids in the library's results that change once some faces are gone."""
    rows = connection.execute(
        """SELECT i.sha256, f.id = ANY(%(removed)s::bigint[]), f.x1, f.y1, f.x2, f.y2 FROM face_detections f
            JOIN images i ON i.id = f.image_id JOIN face_embeddings e ON e.face_id = f.id
            WHERE f.detector_id = %(detector)s AND f.image_id IN (
                SELECT g.image_id FROM face_detections g WHERE g.id = ANY(%(removed)s::bigint[]))
            ORDER BY f.image_id, f.ordinal, f.id""",
        {"detector": detector_id, "removed": list(removed)},
    )
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    changed: dict[str, str] = {}
    boxes: dict[str, tuple[float, ...]] = {}
    for sha256, goes, *box in rows:
        old, new = f"{sha256}#{before[sha256]}", "" if goes else f"{sha256}#{after[sha256]}"
        if old != new:
            changed[old], boxes[old] = new, tuple(box)
        before[sha256] += 1
        after[sha256] += not goes
    return Renumbered(changed, boxes)


def erase(
    connection: Connection, persons: Sequence[UUID], faces: Sequence[int], pattern: str | None, by: str
) -> Erased:
    """Erase people and faces, in this transaction; this cannot be undone.

    Journal entries about other people are erased, too, if they hold a name that matches `pattern` and that no
    other person has now, as after a merge that was undone.
    """
    # Sessions that are writing faces have read the earlier list of forgotten faces: wait for them; others
    # wait for us.
    connection.execute("LOCK TABLE forgetting_key, forgotten_faces IN ACCESS EXCLUSIVE MODE")
    remember_forgotten(connection, list(places_of(connection, faces).values()))
    parameters = {
        "persons": list(persons),
        "texts": [str(person) for person in persons],
        "faces": list(faces),
        "pattern": pattern,
        "what": _FORGOTTEN,
        "who": by,
    }
    for statement in (*_DERIVED, *_JOURNAL):
        connection.execute(statement, parameters)
    steps = connection.execute(_MARK_STEPS, parameters).rowcount
    for statement in (*_STRIP, *_PEOPLE):
        connection.execute(statement, parameters)
    # Earlier sidecars may contain their names as written by other programs.
    drop_all_changes(connection)
    forget_in_sidecars(connection, persons)
    connection.execute(
        """INSERT INTO steps (kind, who, what, forgotten)
            VALUES ('forget', %(who)s, 'a person was erased', true)""",
        parameters,
    )
    return Erased(len(faces), steps)


# Data derived from faces is recomputed when it is read next; until then it may hold theirs.
_DERIVED: tuple[LiteralString, ...] = (
    """CREATE TEMPORARY TABLE of_person ON COMMIT DROP AS
        SELECT DISTINCT cluster FROM face_detections
        WHERE id = ANY(%(faces)s::bigint[]) AND cluster IS NOT NULL""",
    "DELETE FROM cluster_centers c USING of_person o WHERE c.cluster_id = o.cluster",
    """CREATE TEMPORARY TABLE gone_clusters ON COMMIT DROP AS
        SELECT cluster AS id FROM of_person o WHERE NOT EXISTS (
            SELECT FROM face_detections f WHERE f.cluster = o.cluster AND f.id <> ALL(%(faces)s::bigint[]))
        UNION SELECT 'person_' || unnest(%(texts)s::text[])""",
    "DELETE FROM person_candidates q USING gone_clusters g WHERE q.cluster_id = g.id",
    "DELETE FROM clusters c USING gone_clusters g WHERE c.id = g.id",
    """CREATE TEMPORARY TABLE near_person ON COMMIT DROP AS SELECT DISTINCT o.person_id AS id
        FROM step_persons s JOIN step_persons o ON o.step_id = s.step_id
        WHERE s.person_id = ANY(%(persons)s::uuid[])""",
    "DELETE FROM person_prototypes p USING near_person n WHERE p.person_id = n.id AND p.kind = 'centroid'",
    "DELETE FROM prototype_sources p USING near_person n WHERE p.person_id = n.id",
)
_ROWS_ABOUT: LiteralString = """FROM step_rows WHERE string_to_array(key, ' ') && %(texts)s::text[]
    OR before ->> 'person_id' = ANY(%(texts)s) OR after ->> 'person_id' = ANY(%(texts)s)
    OR before ->> 'merged_into_id' = ANY(%(texts)s) OR after ->> 'merged_into_id' = ANY(%(texts)s)
    OR (in_table = 'clusters' AND key IN (SELECT id FROM gone_clusters))
    OR (in_table IN (
            'face_corrections', 'face_pair_corrections', 'prototype_corrections', 'unassigned_faces')
        AND string_to_array(key, ' ') && %(faces)s::bigint[]::text[])
    OR (in_table IN ('person_names', 'person_corrections') AND EXISTS (
        SELECT FROM jsonb_array_elements_text(jsonb_build_array(before -> 'name', after -> 'name')
            || coalesce(before -> 'names', '[]') || coalesce(after -> 'names', '[]')) AS held (name)
        WHERE held.name ~* %(pattern)s AND NOT EXISTS (SELECT FROM person_names n
            WHERE lower(n.name) = lower(held.name) AND n.person_id <> ALL(%(persons)s::uuid[]))))"""
_JOURNAL: tuple[LiteralString, ...] = (
    """CREATE TEMPORARY TABLE about_person ON COMMIT DROP AS
        SELECT step_id FROM step_persons WHERE person_id = ANY(%(persons)s::uuid[])
        UNION SELECT step_id FROM step_faces WHERE face_id = ANY(%(faces)s::bigint[])""",
    "INSERT INTO about_person SELECT DISTINCT step_id " + _ROWS_ABOUT,
    "DELETE FROM step_faces WHERE face_id = ANY(%(faces)s::bigint[])",
    "DELETE " + _ROWS_ABOUT,
)
# A run's step remains for the other people in it, unless it gave their faces to the person or took them.
_MARK_STEPS: LiteralString = """UPDATE steps s SET forgotten = true, what = %(what)s FROM about_person a
    WHERE s.id = a.step_id AND (s.run_id IS NULL
        OR EXISTS (SELECT FROM step_faces f WHERE f.step_id = s.id AND (
            f.person_before = ANY(%(persons)s::uuid[]) OR f.person_after = ANY(%(persons)s::uuid[])))
        OR NOT (EXISTS (SELECT FROM step_faces f WHERE f.step_id = s.id)
            OR EXISTS (SELECT FROM step_rows r WHERE r.step_id = s.id)))"""
_STRIP: tuple[LiteralString, ...] = (
    "UPDATE step_faces SET person_before = NULL WHERE person_before = ANY(%(persons)s::uuid[])",
    "UPDATE step_faces SET person_after = NULL WHERE person_after = ANY(%(persons)s::uuid[])",
    "DELETE FROM step_persons WHERE person_id = ANY(%(persons)s::uuid[])",
    # An unnamed person had their name while both were merged.
    """UPDATE steps s SET what = %(what)s WHERE s.what ~* %(pattern)s AND NOT EXISTS (
        SELECT FROM person_names n WHERE n.name ~* %(pattern)s AND n.person_id <> ALL(%(persons)s::uuid[])
            AND position(lower(n.name) IN lower(s.what)) > 0)""",
)
_PEOPLE: tuple[LiteralString, ...] = (
    "DELETE FROM bodies WHERE face_id = ANY(%(faces)s::bigint[])",
    "DELETE FROM face_detections WHERE id = ANY(%(faces)s::bigint[])",
    "DELETE FROM face_corrections WHERE person_id = ANY(%(persons)s::uuid[])",
    "DELETE FROM prototype_corrections WHERE person_id = ANY(%(persons)s::uuid[])",
    """DELETE FROM person_pair_corrections WHERE person_a = ANY(%(persons)s::uuid[])
        OR person_b = ANY(%(persons)s::uuid[])""",
    """DELETE FROM imported_names WHERE person_id = ANY(%(persons)s::uuid[])
        OR face_id = ANY(%(faces)s::bigint[])""",
    "DELETE FROM birth_corrections WHERE person_id = ANY(%(persons)s::uuid[])",
    "DELETE FROM person_corrections WHERE person_id = ANY(%(persons)s::uuid[])",
    "UPDATE face_detections SET person_id = NULL WHERE person_id = ANY(%(persons)s::uuid[])",
    "DELETE FROM persons WHERE id = ANY(%(persons)s::uuid[])",
)


def erase_words(connection: Connection, pattern: str) -> int:
    """Empty options and summaries of runs that match a pattern; return how many runs.

    Also erases matching descriptions of photos, metadata such as keywords and titles, and names from other
    programs.
    """
    erase_imported(connection, pattern)
    erase_descriptions(connection, pattern)
    erase_metadata(connection, pattern)
    fits = sql.SQL(WITHOUT_KEYS + " ~* %(name)s")
    statement = sql.SQL(
        """UPDATE runs SET options = CASE WHEN {options} THEN '{{}}' ELSE options END,
                summary = CASE WHEN {summary} THEN NULL ELSE summary END
            WHERE {options} OR {summary}"""
    ).format(options=fits.format(sql.Identifier("options")), summary=fits.format(sql.Identifier("summary")))
    return connection.execute(statement, {"name": pattern}).rowcount


Known = Literal["name", "number", ""]
"""What identifies a person; empty for no person."""


def note_unfinished(connection: Connection, names: Iterable[str], numbers: Iterable[str]) -> None:
    """Note an erased person of whom data may remain; after `erase`, which makes the key."""
    connection.execute(
        "INSERT INTO unfinished_forgetting (names, numbers) VALUES (%s::bytea[], %s::bytea[])",
        (hashed_words(connection, names), hashed_words(connection, numbers)),
    )


def unfinished_by(connection: Connection, words: Iterable[str]) -> Known:
    """Return which words identify an erased person of whom data may remain."""
    is_name = connection.scalar(
        """SELECT names && %(words)s::bytea[] FROM unfinished_forgetting
            WHERE (names || numbers) && %(words)s::bytea[] ORDER BY 1 DESC LIMIT 1""",
        {"words": hashed_words(connection, words)},
    )
    return "" if is_name is None else "name" if is_name else "number"


def count_unfinished(connection: Connection) -> int:
    """Count the erased people of whom data may remain."""
    return int(connection.scalar("SELECT count(*) FROM unfinished_forgetting"))


def note_finished(connection: Connection) -> None:
    """Remove the notes about erased people, even from old pages; in no transaction."""
    connection.execute("TRUNCATE unfinished_forgetting")
