"""Rewritten or cropped photos: names and corrections pass to the same faces in the new file.

A face is the same if it is at the same place of the picture and its embedding is nearly equal, or anywhere
if the embedding differs only as much as after a crop. Data of other faces stays with the earlier content,
which is then missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

import numpy as np
from psycopg import sql

from facesets.imaging.boxes import iou
from facesets.plurals import counted
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import to_text
from facesets.store.postgres.people.steps import Step, making_step

_SAME_PLACE = 0.5
"""Minimum overlap of the boxes, each in fractions of its picture."""
_MIN_IN_PLACE, _MIN_ELSEWHERE = 0.7, 0.8
"""Minimum cosine similarities. Measured on 60 faces of LFW: 0.73 and more after scaling to a half, at JPEG
quality 50 or in grey; 0.93 and more for 19 of 20 after a crop of a tenth or a third; 0.2 and less between two
people."""


@dataclass(frozen=True, slots=True)
class _Same:
    """Two faces that are the same; `copied` if the old one keeps its data, too."""

    old: int
    new: int
    copied: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """A face of a photo, its box in fractions of the photo; `is_open` without corrections."""

    id: int
    detector: int
    box: tuple[float, float, float, float]
    embedding: Float32
    is_open: bool


def pass_names_on(connection: Connection, paths: Sequence[str]) -> None:
    """Pass names and corrections to the new contents at some paths from the earlier ones.

    This is one step. Contents not searched for faces yet get them after the search.
    """
    replaced = connection.execute(_REPLACED, ([to_text(path) for path in paths],)).fetchall()
    if not replaced:
        return
    connection.execute(
        """UPDATE images i SET replaced_by = m.new FROM unnest(%s::bigint[], %s::bigint[]) AS m (old, new)
            WHERE i.id = m.old AND i.missing_since IS NOT NULL""",
        (
            [old for old, *_, is_other in replaced if not is_other],
            [new for _, new, _, is_other in replaced if not is_other],
        ),
    )
    same = _same_faces(connection, replaced)
    if not same:
        return
    what = f"names and corrections passed to {counted(len(same), 'face')} of changed photos"
    with making_step(connection, "replace", "index", what) as step:
        _pass_faces(step, same)
        _pass_rows(step, same)
        _pass_pairs(step, same)


# The former content of a path is noted until then. A photo that still has another path keeps its names; so
# does one that another photo was moved over, because that other photo was searched before.
_REPLACED: LiteralString = """
    WITH done AS (
        UPDATE image_paths p SET held_id = NULL
        FROM (SELECT id, held_id FROM image_paths WHERE path = ANY(%s) AND held_id IS NOT NULL
            ORDER BY id FOR UPDATE) AS held
        WHERE p.id = held.id AND (EXISTS (SELECT FROM face_scans s WHERE s.image_id = p.image_id)
            OR (p.image_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM face_detections f WHERE f.image_id = held.held_id)))
        RETURNING held.held_id, p.image_id)
    SELECT held_id, image_id, is_other
            OR EXISTS (SELECT FROM images i WHERE i.id = held_id AND i.missing_since IS NULL)
            OR image_id <> max(image_id) OVER (PARTITION BY held_id), is_other
    FROM (SELECT DISTINCT held_id, image_id, EXISTS (
                SELECT FROM face_scans s WHERE s.image_id = d.image_id AND s.scanned_at < now())
            AND NOT EXISTS (SELECT FROM steps s JOIN step_faces t ON t.step_id = s.id
                JOIN face_detections f ON f.id = t.face_id
                WHERE s.kind = 'replace' AND t.person_after IS NULL AND f.image_id = d.image_id) AS is_other
        FROM done d WHERE held_id <> image_id) AS pairs ORDER BY 1, 2"""
_FACES: LiteralString = """
    SELECT f.image_id, f.id, f.detector_id, f.x1 / i.width, f.y1 / i.height, f.x2 / i.width, f.y2 / i.height,
        e.embedding,
        (f.person_id IS NULL OR f.assigned_by = 'auto') AND NOT EXISTS (
            SELECT FROM face_corrections s WHERE s.face_id = f.id) AND NOT EXISTS (
            SELECT FROM face_pair_corrections s WHERE f.id IN (s.face_a, s.face_b))
    FROM face_detections f JOIN images i ON i.id = f.image_id JOIN face_embeddings e ON e.face_id = f.id
    WHERE f.image_id = ANY(%s::bigint[]) ORDER BY f.id"""


def _same_faces(connection: Connection, replaced: Sequence[tuple[int, int, bool, bool]]) -> list[_Same]:
    faces = _seen(connection, sorted({image for old, new, *_ in replaced for image in (old, new)}))
    found: list[_Same] = []
    taken: set[int] = set()
    for old, new, copied, _ in replaced:
        # Later corrections of the face count.
        free = [face for face in faces.get(new, ()) if face.is_open and face.id not in taken]
        pairs = _pairs(faces.get(old, []), free)
        found += [_Same(before, now, copied) for before, now in pairs]
        taken |= {now for _, now in pairs}
    return found


def _seen(connection: Connection, images: Sequence[int]) -> dict[int, list[_Seen]]:
    faces: dict[int, list[_Seen]] = {}
    rows = connection.execute(_FACES, (list(images),), binary=True)
    for image, face, detector, *box, embedding, is_open in rows:
        x1, y1, x2, y2 = box
        seen = _Seen(face, detector, (x1, y1, x2, y2), embedding.to_numpy(), is_open)
        faces.setdefault(image, []).append(seen)
    return faces


def _pairs(old: Sequence[_Seen], new: Sequence[_Seen]) -> list[tuple[int, int]]:
    """Return the numbers of the faces that are the same, the most similar first; each once."""
    if not old or not new:
        return []
    similarity = np.array(
        [[a.embedding @ b.embedding if a.detector == b.detector else -1.0 for b in new] for a in old]
    )
    in_place = iou(_boxes(old), _boxes(new)) >= _SAME_PLACE
    similarity[similarity < np.where(in_place, _MIN_IN_PLACE, _MIN_ELSEWHERE)] = -1
    pairs: list[tuple[int, int]] = []
    while similarity.max() > 0:
        row, column = divmod(int(similarity.argmax()), len(new))
        pairs.append((old[row].id, new[column].id))
        similarity[row], similarity[:, column] = -1, -1
    return pairs


def _boxes(faces: Sequence[_Seen]) -> Float32:
    return np.array([face.box for face in faces], np.float32)


def _given(same: Sequence[_Same]) -> dict[str, object]:
    return {name: [getattr(each, name) for each in same] for name in ("old", "new", "copied")}


def _pass_faces(step: Step, same: Sequence[_Same]) -> None:
    """Move the people of the old faces to the new faces."""
    step.connection.execute(
        """UPDATE face_detections g SET person_id = f.person_id, assigned_by = f.assigned_by,
                assigned_at = f.assigned_at, cluster = f.cluster
            FROM unnest(%(old)s::bigint[], %(new)s::bigint[]) AS m (old, new)
                JOIN face_detections f ON f.id = m.old
            WHERE g.id = m.new
                AND (f.person_id IS NOT NULL OR (g.person_id IS NULL AND g.cluster IS NULL))""",
        _given(same),
    )
    step.connection.execute(
        """UPDATE face_detections f
            SET person_id = NULL, assigned_by = NULL, assigned_at = NULL, cluster = NULL
            FROM unnest(%(old)s::bigint[], %(copied)s::boolean[]) AS m (old, copied)
            WHERE f.id = m.old AND NOT m.copied""",
        _given(same),
    )
    # Answered suggestions are not shown again.
    step.connection.execute(
        """INSERT INTO face_candidates (face_id, person_id, kind, status, cosine_similarity, uncertainty,
                evidence, created_at, answered_at, answered_in)
            SELECT m.new, c.person_id, c.kind, c.status, c.cosine_similarity, c.uncertainty,
                c.evidence, c.created_at, c.answered_at, c.answered_in
            FROM unnest(%(old)s::bigint[], %(new)s::bigint[]) AS m (old, new)
                JOIN face_candidates c ON c.face_id = m.old AND c.status <> 'pending'
            ON CONFLICT DO NOTHING""",
        _given(same),
    )


_CORRECTIONS_OF_OLD = sql.SQL(
    """SELECT m.new, s.person_id, s.{decision}, s.corrected_at
        FROM unnest(%(old)s::bigint[], %(new)s::bigint[]) AS m (old, new)
            JOIN {table} s ON s.face_id = m.old ORDER BY m.old, s.person_id"""
)
_CORRECT_NEW = sql.SQL(
    """INSERT INTO {table} (face_id, person_id, {decision}, corrected_at) VALUES (%s, %s, %s, %s)
        ON CONFLICT DO NOTHING"""
)
_NOT_OF_OLD = sql.SQL("DELETE FROM {table} WHERE face_id = ANY(%s::bigint[])")
_CORRECTIONS: tuple[tuple[str, LiteralString], ...] = (
    ("face_corrections", "is_person"),
    ("prototype_corrections", "pinned"),
)


def _pass_rows(step: Step, same: Sequence[_Same]) -> None:
    """Pass on corrections of single faces, and the names that other programs gave them."""
    connection, given = step.connection, _given(same)
    for table, decision in _CORRECTIONS:
        names = {"table": sql.Identifier(table), "decision": sql.Identifier(decision)}
        rows = connection.execute(_CORRECTIONS_OF_OLD.format(**names), given).fetchall()
        step.about(*(row[1] for row in rows))
        with connection.cursor() as cursor:
            cursor.executemany(_CORRECT_NEW.format(**names), rows)
        moved = [each.old for each in same if not each.copied]
        connection.execute(_NOT_OF_OLD.format(**names), (moved,))
    connection.execute(
        """UPDATE imported_names n SET face_id = f.id, image_id = f.image_id
            FROM unnest(%(old)s::bigint[], %(new)s::bigint[], %(copied)s::boolean[]) AS m (old, new, copied)
                JOIN face_detections f ON f.id = m.new
            WHERE n.face_id = m.old AND NOT m.copied""",
        given,
    )


def _pass_pairs(step: Step, same: Sequence[_Same]) -> None:
    """Pass on corrections that faces show one person, or two."""
    new = {each.old: each.new for each in same}
    moved = {each.old for each in same if not each.copied}
    rows = step.connection.execute(
        """SELECT face_a, face_b, same, corrected_at FROM face_pair_corrections
            WHERE face_a = ANY(%(old)s::bigint[]) OR face_b = ANY(%(old)s::bigint[])""",
        {"old": list(new)},
    ).fetchall()
    for first, second, is_same, corrected_at in rows:
        low, high = sorted((new.get(int(first), int(first)), new.get(int(second), int(second))))
        if low != high:
            step.connection.execute(
                """INSERT INTO face_pair_corrections (face_a, face_b, same, corrected_at)
                    VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING""",
                (low, high, is_same, corrected_at),
            )
        if moved & {first, second}:
            step.connection.execute(
                "DELETE FROM face_pair_corrections WHERE face_a = %s AND face_b = %s", (first, second)
            )
