"""Where pictures are: the files of an image, and where in it a face is."""

from collections.abc import Sequence

from facesets.imaging.originals import Picture
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text


def pictures_of_faces(connection: Connection, faces: Sequence[int]) -> dict[int, Picture]:
    """The pictures of these faces, by number; those that do not exist are left out."""
    rows = connection.execute(
        """SELECT f.id, i.sha256,
                array(SELECT q.path FROM image_paths q WHERE q.image_id = i.id ORDER BY q.id),
                i.width, i.height, f.x1, f.y1, f.x2, f.y2
            FROM face_detections f JOIN images i ON i.id = f.image_id WHERE f.id = ANY(%s::bigint[])""",
        (list(faces),),
    )
    return {
        face: Picture(sha256, tuple(map(from_text, paths)), width, height, (x1, y1, x2, y2))
        for face, sha256, paths, width, height, x1, y1, x2, y2 in rows
    }


def contents_of_faces(connection: Connection, faces: Sequence[int]) -> dict[int, str]:
    """The sha256 of the files that these faces are on, by the faces' numbers."""
    rows = connection.execute(
        """SELECT f.id, i.sha256 FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE f.id = ANY(%s::bigint[])""",
        (list(faces),),
    )
    return dict(rows.fetchall())


def picture_of_image(connection: Connection, sha256: str) -> Picture | None:
    """The whole picture of that content."""
    row = connection.execute(
        """SELECT i.width, i.height,
                array(SELECT q.path FROM image_paths q WHERE q.image_id = i.id ORDER BY q.id)
            FROM images i WHERE i.sha256 = %s""",
        (sha256,),
    ).fetchone()
    if row is None:
        return None
    width, height, paths = row
    return Picture(sha256, tuple(map(from_text, paths)), width, height, (0, 0, width, height))
