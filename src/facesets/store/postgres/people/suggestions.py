"""Suggestions as they are stored: uncertain matches of faces, or of people.

Whether one is still open follows from its row and from changes in effect: an answer that was undone opens it
again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, LiteralString, get_args
from uuid import UUID

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import copy_rows


@dataclass(frozen=True, slots=True)
class ChangedPeople:
    """People and clusters that changed."""

    persons: frozenset[UUID]
    clusters: frozenset[str]


# A correction of two faces concerns their people, and their clusters.
_PAIRED: LiteralString = """WITH paired AS (SELECT f.person_id, f.cluster FROM step_rows r
        CROSS JOIN LATERAL unnest(string_to_array(r.key, ' ')) AS face (id)
        JOIN face_detections f ON f.id = face.id::bigint
    WHERE r.step_id > %(step)s AND r.in_table = 'face_pair_corrections')"""
# No step mentions a forgotten person, but data derived from their faces and others' was deleted with them.
_PERSONS: LiteralString = """
    SELECT person_id FROM step_persons WHERE step_id > %(step)s
    UNION SELECT person_id FROM paired WHERE person_id IS NOT NULL
    UNION SELECT p.id FROM persons p WHERE p.status <> 'merged'
        AND NOT EXISTS (SELECT FROM prototype_sources q WHERE (q.person_id, q.model_id) = (p.id, %(model)s))
        AND EXISTS (SELECT FROM face_detections f JOIN detectors d ON d.id = f.detector_id
            WHERE f.person_id = p.id AND d.model_id = %(model)s)
    LIMIT %(most)s"""
_CLUSTERS: LiteralString = """
    SELECT c.id FROM step_faces s LEFT JOIN face_detections f ON f.id = s.face_id
            CROSS JOIN LATERAL (VALUES (s.cluster_before), (s.cluster_after), (f.cluster)) AS c (id)
        WHERE s.step_id > %(step)s AND c.id IS NOT NULL
    UNION SELECT key FROM step_rows WHERE step_id > %(step)s AND in_table = 'clusters'
    UNION SELECT cluster FROM paired WHERE cluster IS NOT NULL
    LIMIT %(most)s"""


def changed_since(connection: Connection, model_id: int, step: int, *, most: int) -> ChangedPeople | None:
    """Return the people changed since a change, or without data of a model; None for too many."""
    parameters = {"model": model_id, "step": step, "most": most + 1}
    persons = connection.execute(_PAIRED + _PERSONS, parameters).fetchall()
    if len(persons) > most:
        return None
    clusters = connection.execute(_PAIRED + _CLUSTERS, parameters).fetchall()
    if len(clusters) > most:
        return None
    return ChangedPeople(
        frozenset(person for (person,) in persons), frozenset(cluster for (cluster,) in clusters)
    )


FaceKind = Literal["near", "far", "age", "import"]
FACE_KINDS: tuple[FaceKind, ...] = get_args(FaceKind)
PeopleKind = Literal["same", "split", "cluster"]
_OF_IMPORTED = 0.6
"""Uncertainty of a suggestion from another program's name, which a user gave."""


@dataclass(frozen=True, slots=True)
class FaceCandidate:
    """A face that may belong to a person, or may not belong to its own, by similarity or age.

    Or a face that another program names as a person to whom it is not assigned.

    Attributes
    ----------
    uncertainty : float
        Likelihood, from 0 to 1, that an answer changes an assignment.
    age, expected : float or None
        `age`: the apparent age of the face, and the actual age of the person.
    program : str or None
        `import`: the program that gives the face the person's name.
    is_skipped : bool
        A user skipped it, and the similarity is about the same.
    """

    face: int
    person: UUID
    kind: FaceKind
    cosine_similarity: float
    uncertainty: float
    age: float | None = None
    expected: float | None = None
    program: str | None = None
    is_skipped: bool = False


@dataclass(frozen=True, slots=True)
class PeopleCandidate:
    """Two people who may be the same, a person who may be two, or a cluster that may be a person.

    Attributes
    ----------
    id : int
        The row number; 0 before it is stored.
    faces : int
        Number of faces that an answer settles.
    part : list of int
        `split`: the faces that may be another person, the most central first.
    rest : int
        `split`: the most central of the other faces; `cluster`, before it is stored: any face; else 0.
    is_skipped : bool
        A user skipped it, and there are hardly more faces now.
    """

    id: int
    kind: PeopleKind
    person: UUID
    other: UUID | None
    cluster: str | None
    cosine_similarity: float
    faces: int
    uncertainty: float
    part: Sequence[int] = ()
    rest: int = 0
    is_skipped: bool = False


@dataclass(frozen=True, slots=True)
class SuggestionSearch:
    """When suggestions were last searched for, and the calibration then (see `Calibration`)."""

    step: int
    typical: float
    middle: float
    spread: float
    faces: int


def last_suggestion_search(connection: Connection, model_id: int) -> SuggestionSearch | None:
    """Return when suggestions of a model were last searched for; None for never."""
    row = connection.execute(
        "SELECT step_id, typical, middle, spread, faces FROM question_runs WHERE model_id = %s", (model_id,)
    ).fetchone()
    return None if row is None else SuggestionSearch(*row)


def note_suggestion_search(connection: Connection, model_id: int, looked: SuggestionSearch) -> None:
    """Store that suggestions were searched for now."""
    connection.execute(
        """INSERT INTO question_runs (model_id, step_id, typical, middle, spread, faces)
            VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (model_id) DO UPDATE SET step_id = excluded.step_id, typical = excluded.typical,
                middle = excluded.middle, spread = excluded.spread, faces = excluded.faces,
                made_at = now()""",
        (model_id, looked.step, looked.typical, looked.middle, looked.spread, looked.faces),
    )


def newest_step(connection: Connection) -> int:
    """Return the number of the latest change of any kind; 0 for none."""
    return int(connection.scalar("SELECT coalesce(max(id), 0) FROM steps"))


def replace_face_candidates(
    connection: Connection,
    model_id: int,
    found: Sequence[FaceCandidate],
    kinds: Sequence[FaceKind],
    persons: Sequence[UUID] | None = None,
) -> None:
    """Replace a model's open suggestions of some kinds about faces; answered ones stay.

    Parameters
    ----------
    persons : sequence of UUID, optional
        Only suggestions about these are replaced.
    """
    connection.execute(
        """CREATE TEMPORARY TABLE IF NOT EXISTS asked_of_faces
            (face_id bigint, person_id uuid, kind text, similarity real, uncertainty real, evidence jsonb)
            ON COMMIT DROP"""
    )
    connection.execute("TRUNCATE asked_of_faces")
    copy_rows(
        connection,
        "COPY asked_of_faces FROM STDIN (FORMAT BINARY)",
        ["int8", "uuid", "text", "float4", "float4", "jsonb"],
        (
            (each.face, each.person, each.kind, each.cosine_similarity, each.uncertainty, _evidence(each))
            for each in found
        ),
    )
    connection.execute(
        """DELETE FROM face_candidates c USING face_detections f, detectors d
            WHERE f.id = c.face_id AND d.id = f.detector_id AND d.model_id = %s AND c.status = 'pending'
                AND c.kind = ANY(%s) AND (%s::uuid[] IS NULL OR c.person_id = ANY(%s::uuid[]))
                AND NOT EXISTS (SELECT FROM asked_of_faces a
                    WHERE a.face_id = c.face_id AND a.person_id = c.person_id)""",
        (model_id, list(kinds), *[None if persons is None else list(persons)] * 2),
    )
    # Faces and people may have been deleted since they were read.
    connection.execute(
        """INSERT INTO face_candidates AS c
                (face_id, person_id, kind, cosine_similarity, uncertainty, evidence)
            SELECT DISTINCT ON (a.face_id, a.person_id)
                a.face_id, a.person_id, a.kind, a.similarity, a.uncertainty, a.evidence
            FROM asked_of_faces a JOIN persons p ON p.id = a.person_id
                JOIN face_detections f ON f.id = a.face_id
                    AND (a.kind = 'near') = (f.person_id IS DISTINCT FROM a.person_id)
            ORDER BY a.face_id, a.person_id, a.uncertainty DESC
            ON CONFLICT (face_id, person_id) DO UPDATE SET kind = excluded.kind,
                cosine_similarity = excluded.cosine_similarity, uncertainty = excluded.uncertainty,
                evidence = excluded.evidence || CASE WHEN c.kind = excluded.kind AND c.evidence ? 'skipped'
                    THEN jsonb_build_object('skipped', c.evidence -> 'skipped') ELSE '{}' END,
                status = 'pending', answered_at = NULL, answered_in = NULL
            WHERE (c.status = 'pending'
                    OR EXISTS (SELECT FROM steps s WHERE s.id = c.answered_in AND s.undone))
                AND NOT (excluded.kind = 'age' AND c.kind = 'far'
                    AND c.uncertainty >= excluded.uncertainty)
                AND NOT (c.kind = 'import' AND EXISTS (SELECT FROM imported_names n
                    WHERE n.face_id = c.face_id AND n.person_id = c.person_id))"""
    )


def ask_about_imported(connection: Connection, found: Sequence[tuple[int, UUID, str]]) -> None:
    """Suggest imported names for faces, unless that is already suggested.

    Parameters
    ----------
    found : sequence of (face, person, program)
    """
    connection.execute(
        """INSERT INTO face_candidates AS c
                (face_id, person_id, kind, cosine_similarity, uncertainty, evidence)
            SELECT DISTINCT ON (a.face, a.person) a.face, a.person, 'import', 0, %s,
                jsonb_build_object('program', a.program)
            FROM unnest(%s::bigint[], %s::uuid[], %s::text[]) WITH ORDINALITY AS a (face, person, program, n)
                JOIN face_detections f ON f.id = a.face AND f.person_id IS DISTINCT FROM a.person
            ORDER BY a.face, a.person, a.n
            ON CONFLICT (face_id, person_id) DO UPDATE SET kind = excluded.kind,
                cosine_similarity = excluded.cosine_similarity, uncertainty = excluded.uncertainty,
                evidence = excluded.evidence, status = 'pending', answered_at = NULL, answered_in = NULL
            WHERE c.kind <> 'import'""",
        (_OF_IMPORTED, *([each[column] for each in found] for column in range(3))),
    )


def _evidence(found: FaceCandidate) -> dict[str, float]:
    if found.age is None or found.expected is None:
        return {}
    return {"age": round(found.age, 1), "expected": round(found.expected, 1)}


def replace_people_candidates(
    connection: Connection,
    found: Sequence[PeopleCandidate],
    kinds: Sequence[PeopleKind],
    about: ChangedPeople | None = None,
) -> None:
    """Replace open suggestions about people, of some kinds or people; answered ones stay."""
    connection.execute(
        """CREATE TEMPORARY TABLE IF NOT EXISTS asked_of_people (kind text, person_id uuid, other_id uuid,
            cluster_id text, similarity real, faces int, uncertainty real, evidence jsonb) ON COMMIT DROP"""
    )
    connection.execute("TRUNCATE asked_of_people")
    copy_rows(
        connection,
        "COPY asked_of_people FROM STDIN (FORMAT BINARY)",
        ["text", "uuid", "uuid", "text", "float4", "int4", "float4", "jsonb"],
        (
            (
                each.kind,
                each.person,
                each.other,
                each.cluster,
                each.cosine_similarity,
                each.faces,
                each.uncertainty,
                {"part": list(each.part), "rest": each.rest} if each.kind == "split" else {},
            )
            for each in found
        ),
    )
    connection.execute(
        """DELETE FROM person_candidates c WHERE c.status = 'pending' AND c.kind = ANY(%(kinds)s)
            AND c.person_id IS DISTINCT FROM c.other_id
            AND (%(all)s OR c.person_id = ANY(%(persons)s::uuid[]) OR c.other_id = ANY(%(persons)s::uuid[])
                OR c.cluster_id = ANY(%(clusters)s::text[]))
            AND NOT EXISTS (SELECT FROM asked_of_people a
                WHERE (a.kind, a.person_id) = (c.kind, c.person_id)
                    AND a.other_id IS NOT DISTINCT FROM c.other_id
                    AND a.cluster_id IS NOT DISTINCT FROM c.cluster_id)""",
        {
            "kinds": list(kinds),
            "all": about is None,
            "persons": [] if about is None else list(about.persons),
            "clusters": [] if about is None else list(about.clusters),
        },
    )
    connection.execute(
        """INSERT INTO person_candidates AS c
                (kind, person_id, other_id, cluster_id, cosine_similarity, faces, uncertainty, evidence)
            SELECT a.* FROM asked_of_people a JOIN persons p ON p.id = a.person_id
            WHERE (a.other_id IS NULL OR EXISTS (SELECT FROM persons o WHERE o.id = a.other_id))
                AND (a.cluster_id IS NULL OR EXISTS (SELECT FROM clusters k WHERE k.id = a.cluster_id))
            ON CONFLICT (kind, person_id, coalesce(other_id::text, ''), coalesce(cluster_id, ''))
            DO UPDATE SET cosine_similarity = excluded.cosine_similarity, faces = excluded.faces,
                uncertainty = excluded.uncertainty, evidence = excluded.evidence
                    || jsonb_strip_nulls(jsonb_build_object('skipped', c.evidence -> 'skipped')),
                status = 'pending', answered_at = NULL, answered_in = NULL
            WHERE c.status = 'pending'
                OR EXISTS (SELECT FROM steps s WHERE s.id = c.answered_in AND s.undone)"""
    )
