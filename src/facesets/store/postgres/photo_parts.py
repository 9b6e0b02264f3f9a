"""All that is known of one photo: each stage gives its part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from facesets.store.postgres import bodies, face_attributes
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.descriptions import answers as descriptions
from facesets.store.postgres.paths import to_text
from facesets.store.postgres.photo_metadata import metadata_of_image
from facesets.store.postgres.photo_tags import tags_of_image

PARTS: Mapping[str, Callable[[Connection, int], Any]] = {
    "metadata": metadata_of_image,
    "bodies": bodies.of_image,
    "tags": tags_of_image,
    "attributes": face_attributes.of_image,
    "describe": descriptions.of_image,
}
"""What a stage found about the image of a number, as a dataclass or a list of them."""


@dataclass(frozen=True, slots=True)
class StageOfPhoto:
    """What came of a stage."""

    stage: str
    version: str
    status: str
    reason: str
    ended_at: datetime


def stages_of_photo(connection: Connection, image_id: int) -> list[StageOfPhoto]:
    """The stages that looked at an image; all others are pending."""
    rows = connection.execute(
        """SELECT s.stage, v.version, s.status, s.reason, s.ended_at
            FROM image_stages s JOIN stage_versions v ON v.id = s.version_id WHERE s.image_id = %(image)s
            UNION ALL (SELECT 'detection', format('%%s, %%s', d.pack, d.det_size), 'completed', '',
                    f.scanned_at
                FROM face_scans f JOIN detectors d ON d.id = f.detector_id WHERE f.image_id = %(image)s
                ORDER BY f.scanned_at DESC LIMIT 1)""",
        {"image": image_id},
    )
    return [StageOfPhoto(*row) for row in rows]


def parts_of_photo(connection: Connection, image_id: int) -> dict[str, Any]:
    """What the stages found about an image, by their names."""
    parts = {stage: of_image(connection, image_id) for stage, of_image in PARTS.items()}
    return {stage: part for stage, part in parts.items() if part}


def norms_on_photo(connection: Connection, image_id: int) -> dict[int, float]:
    """The norms of the faces on an image, by their numbers; faces of which it is not known are left out."""
    rows = connection.execute(
        "SELECT id, norm FROM face_detections WHERE image_id = %s AND norm <> 'NaN'", (image_id,)
    ).fetchall()
    return dict(rows)


def has_photos(connection: Connection) -> bool:
    """Whether anything was indexed yet."""
    return connection.execute("SELECT FROM images LIMIT 1").fetchone() is not None


def contents_at(connection: Connection, path: str) -> str | None:
    """The hash of the image that a path leads to."""
    found: str | None = connection.scalar(
        "SELECT i.sha256 FROM image_paths p JOIN images i ON i.id = p.image_id WHERE p.path = %s",
        (to_text(path),),
    )
    return found


def contents_beginning(connection: Connection, prefix: str) -> list[str]:
    """The hashes of images that begin so, two at most."""
    return connection.scalars(
        "SELECT sha256 FROM images WHERE sha256 >= %s AND sha256 < %s ORDER BY sha256 LIMIT 2",
        (prefix, prefix + "g"),
    )
