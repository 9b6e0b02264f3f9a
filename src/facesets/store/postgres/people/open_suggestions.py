"""Suggestions that are open according to their rows, the people they are about, and answers."""

from collections.abc import Sequence
from typing import Literal, LiteralString
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.suggestions import FaceCandidate, PeopleCandidate

Outcome = Literal["accepted", "rejected"]
# Open suggestions are pending, or were answered in a step that was undone. Skipped ones were skipped by a
# user with about the same evidence: equal similarity, or nearly as many faces. OFFSET 0: only the faces of
# the wanted questions are looked up, in order, rather than all faces of the library.
_OPEN_OF_FACES: LiteralString = """
    SELECT c.face_id, c.person_id, c.kind, c.cosine_similarity, c.uncertainty,
        (c.evidence ->> 'age')::float, (c.evidence ->> 'expected')::float, c.evidence ->> 'program',
        coalesce(abs(c.cosine_similarity - (c.evidence ->> 'skipped')::real) < 0.05, false)
    FROM face_candidates c CROSS JOIN LATERAL (
        SELECT person_id, assigned_by FROM present_faces WHERE id = c.face_id OFFSET 0) AS f
    WHERE (%(faces)s::bigint[] IS NULL OR c.face_id = ANY(%(faces)s::bigint[]))
        AND CASE c.kind WHEN 'near' THEN f.person_id IS NULL
            WHEN 'import' THEN f.person_id IS DISTINCT FROM coalesce(
                (SELECT p.merged_into_id FROM persons p WHERE p.id = c.person_id), c.person_id) AND EXISTS (
                SELECT FROM imported_names n WHERE n.face_id = c.face_id AND n.person_id = c.person_id)
            ELSE f.person_id IS NOT NULL AND f.assigned_by = 'auto' END
        AND (c.status = 'pending'
            OR EXISTS (SELECT FROM steps s WHERE s.id = c.answered_in AND s.undone))
    ORDER BY c.uncertainty DESC, c.face_id, c.person_id LIMIT %(most)s"""
_OPEN_OF_PEOPLE: LiteralString = """
    SELECT c.id, c.kind, c.person_id, c.other_id, c.cluster_id, c.cosine_similarity, c.faces,
        c.uncertainty,
        CASE WHEN c.kind <> 'split' THEN '{}'
            ELSE ARRAY(SELECT jsonb_array_elements_text(c.evidence -> 'part'))::bigint[] END,
        coalesce((c.evidence ->> 'rest')::bigint, 0),
        coalesce(c.faces <= 1.25 * (c.evidence ->> 'skipped')::int, false)
    FROM (SELECT *, c.faces * c.uncertainty AS worth FROM person_candidates c
        WHERE (%(ids)s::bigint[] IS NULL OR c.id = ANY(%(ids)s::bigint[]))
            AND c.other_id IS DISTINCT FROM c.person_id
            AND (c.cluster_id IS NULL
                OR EXISTS (SELECT FROM clusters k WHERE k.id = c.cluster_id AND NOT k.hidden))
            AND (c.status = 'pending'
                OR EXISTS (SELECT FROM steps s WHERE s.id = c.answered_in AND s.undone))
        ORDER BY worth DESC, c.id OFFSET 0) c
    WHERE CASE c.kind WHEN 'cluster' THEN EXISTS (
            SELECT FROM present_faces f WHERE f.cluster = c.cluster_id AND f.person_id IS NULL)
        WHEN 'same' THEN EXISTS (SELECT FROM present_faces f WHERE f.person_id = c.person_id)
            AND EXISTS (SELECT FROM present_faces f WHERE f.person_id = c.other_id)
        ELSE 2 = (SELECT count(*) FROM present_faces f
        WHERE f.id IN ((c.evidence -> 'part' ->> 0)::bigint, (c.evidence ->> 'rest')::bigint)) END
    ORDER BY c.worth DESC, c.id LIMIT %(most)s"""


def open_face_candidates(
    connection: Connection, faces: Sequence[int] | None = None, *, most: int | None = None
) -> list[FaceCandidate]:
    """Return the likeliest open suggestions about faces, or about these faces.

    Their people may have been merged since, see `merged_into`.
    """
    rows = connection.execute(_OPEN_OF_FACES, {"faces": None if faces is None else list(faces), "most": most})
    return [FaceCandidate(*row) for row in rows]


def open_people_candidates(
    connection: Connection, ids: Sequence[int] | None = None, *, most: int | None = None
) -> list[PeopleCandidate]:
    """Return the most useful open suggestions about people, or those of these ids.

    No person may be two by a face that was deleted since.
    """
    rows = connection.execute(_OPEN_OF_PEOPLE, {"ids": None if ids is None else list(ids), "most": most})
    return [PeopleCandidate(*row) for row in rows]


def unnamed_people(connection: Connection, least: int, limit: int) -> list[tuple[UUID, int, bool]]:
    """Return unnamed people by number of faces, with those counts, and whether they are skipped."""
    rows = connection.execute(
        """SELECT p.id, p.faces, EXISTS (SELECT FROM person_candidates c
                WHERE c.kind = 'same' AND c.person_id = p.id AND c.other_id = p.id
                    AND p.faces <= 1.25 * (c.evidence ->> 'skipped')::int)
            FROM (SELECT p.id, max(q.faces) AS faces
                FROM prototype_sources q JOIN persons p ON p.id = q.person_id
                WHERE p.status = 'active' AND q.faces >= %s
                    AND NOT EXISTS (SELECT FROM person_names n WHERE n.person_id = p.id)
                GROUP BY p.id ORDER BY faces DESC, p.id OFFSET 0) AS p
            -- One after the other, and not of everybody: a query for one value is no join.
            WHERE (SELECT true FROM present_faces f WHERE f.person_id = p.id LIMIT 1)
            ORDER BY p.faces DESC, p.id LIMIT %s""",
        (least, limit),
    )
    return [(person, int(faces), is_skipped) for person, faces, is_skipped in rows]


def note_skipped(
    connection: Connection, faces: Sequence[int], persons: Sequence[UUID], ids: Sequence[int]
) -> None:
    """Mark suggestions about these faces and people as skipped.

    The similarity or the number of faces is stored: suggestions that change later are shown again.
    """
    connection.execute(
        """UPDATE face_candidates
            SET evidence = evidence || jsonb_build_object('skipped', cosine_similarity)
            WHERE face_id = ANY(%s::bigint[]) AND person_id = ANY(%s::uuid[])""",
        (list(faces), list(persons)),
    )
    connection.execute(
        """UPDATE person_candidates SET evidence = evidence || jsonb_build_object('skipped', faces)
            WHERE id = ANY(%s::bigint[])""",
        (list(ids),),
    )


def note_asked_again(
    connection: Connection, faces: Sequence[int] | None = None, ids: Sequence[int] | None = None
) -> None:
    """Mark suggestions as not skipped: those of these faces and ids, or all."""
    for table, column, wanted in (("face_candidates", "face_id", faces), ("person_candidates", "id", ids)):
        connection.execute(
            sql.SQL(
                """UPDATE {} SET evidence = evidence - 'skipped'
                    WHERE evidence ? 'skipped' AND (%(wanted)s::bigint[] IS NULL OR {} = ANY(%(wanted)s))"""
            ).format(sql.Identifier(table), sql.Identifier(column)),
            {"wanted": None if wanted is None else list(wanted)},
        )


def row_of_unnamed(connection: Connection, person: UUID, faces: int) -> int:
    """Return the row that marks an unnamed person as skipped; it pairs the person with itself."""
    found: int = connection.scalar(
        """INSERT INTO person_candidates (kind, person_id, other_id, cosine_similarity, faces, uncertainty)
            VALUES ('same', %s, %s, 1, %s, 0)
            ON CONFLICT (kind, person_id, coalesce(other_id::text, ''), coalesce(cluster_id, ''))
            DO UPDATE SET faces = excluded.faces RETURNING id""",
        (person, person, faces),
    )
    return found


def note_answered_faces(
    connection: Connection, faces: Sequence[int], persons: Sequence[UUID], outcome: Outcome, step: int | None
) -> None:
    """Store how suggestions about faces were answered, and in which change."""
    connection.execute(
        """UPDATE face_candidates SET status = %s, answered_at = now(), answered_in = %s
            WHERE face_id = ANY(%s::bigint[]) AND person_id = ANY(%s::uuid[])""",
        (outcome, step, list(faces), list(persons)),
    )


def note_answered_people(connection: Connection, ids: Sequence[int], outcome: Outcome, step: int) -> None:
    """Store how suggestions about people were answered, and in which change."""
    connection.execute(
        """UPDATE person_candidates SET status = %s, answered_at = now(), answered_in = %s
            WHERE id = ANY(%s::bigint[])""",
        (outcome, step, list(ids)),
    )
