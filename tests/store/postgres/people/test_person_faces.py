"""The faces of one person: how much is read to show some of them."""

from uuid import UUID

import pytest
from tests.fixtures.filled_library import template_by

from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.person_faces import Order, shown_faces

FACES = 1000
LIMIT = 20
WHO, OTHER = UUID(int=1), UUID(int=2)


def fill(database: Database) -> None:
    """Add a person with many faces, a photo each, a day after the one before; each third has no date.

    The others on these photos are another person.
    """

    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO persons (id) VALUES (%s), (%s)", (WHO, OTHER))
        connection.execute(
            """INSERT INTO images (id, sha256, width, height, taken, fingerprint)
                SELECT n, lpad(to_hex(n), 64, '0'), 10, 10,
                    CASE WHEN n %% 3 > 0 THEN timestamp '2000-01-01' + n * interval '1 day' END, ''
                FROM generate_series(1, %s) AS n""",
            (FACES,),
        )
        connection.execute(
            """INSERT INTO face_detections (id, image_id, detector_id, ordinal, x1, y1, x2, y2, kps,
                    det_score, quality, face_short, blur, pose, person_id, assigned_by)
                SELECT n + at * 100000, n, 1, at, at, 0, 9, 9, array_fill(0::real, ARRAY[10]), 1, 1, 9, 100,
                    '{0, 0, 0}', CASE WHEN at = 0 THEN %s ELSE %s END, 'auto'
                FROM generate_series(1, %s) AS n, generate_series(0, 9) AS at""",
            (WHO, OTHER, FACES),
        )

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE face_detections, images"))


template = template_by(fill)


@pytest.mark.parametrize("order", ["newest", "oldest", "far"])
def test_only_shown_faces_are_read(database: Database, order: Order) -> None:
    def work(connection: Connection) -> tuple[list[int], int]:
        shown = shown_faces(connection, WHO, order, limit=LIMIT)
        found = connection.scalar(
            """SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
                    WHERE relname = 'face_detections'"""
        )
        return [face.id for face in shown], int(found)

    shown, read = database.run(work)
    dated = [face for face in range(1, FACES + 1) if face % 3]
    first = {"newest": dated[::-1], "oldest": dated, "far": range(FACES, 0, -1)}[order]
    assert shown == list(first[:LIMIT])
    assert read <= 2 * LIMIT
