"""Which images were searched for faces, and where any were found."""

from collections.abc import Sequence

from facesets.store.postgres.connection import Connection


def scanned_images(connection: Connection, image_ids: Sequence[int], detector_id: int) -> set[int]:
    """Which of these images were searched for faces in this way."""
    found = connection.scalars(
        "SELECT image_id FROM face_scans WHERE detector_id = %s AND image_id = ANY(%s)",
        (detector_id, list(image_ids)),
    )
    return set(found)


def images_with_faces(connection: Connection, image_ids: Sequence[int], detector_id: int) -> set[int]:
    """Which of these images have faces, though perhaps no record that they were searched."""
    found = connection.scalars(
        "SELECT DISTINCT image_id FROM face_detections WHERE detector_id = %s AND image_id = ANY(%s)",
        (detector_id, list(image_ids)),
    )
    return set(found)


def searched_among(connection: Connection, detector_id: int, sha256: Sequence[str]) -> set[str]:
    """Which of these contents were searched for faces in one way."""
    digests = connection.scalars(
        """SELECT i.sha256 FROM images i JOIN face_scans s ON s.image_id = i.id
            WHERE s.detector_id = %s AND i.sha256 = ANY(%s)""",
        (detector_id, list(sha256)),
    )
    return set(digests)
