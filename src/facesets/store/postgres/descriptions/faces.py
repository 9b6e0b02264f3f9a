"""Where faces are on photos that are sent to others with all faces blurred."""

from collections.abc import Sequence

import numpy as np

from facesets.records import Float32
from facesets.store.postgres.connection import Connection


def all_faces(connection: Connection, image_ids: Sequence[int]) -> dict[int, Float32]:
    """The boxes (n, 4) of all faces of images, however they were found."""
    boxes: dict[int, list[list[float]]] = {number: [] for number in image_ids}
    for image, *box in connection.execute(
        """SELECT image_id, x1, y1, x2, y2 FROM face_detections WHERE image_id = ANY(%(images)s)
            UNION ALL SELECT image_id, face_x1, face_y1, face_x2, face_y2 FROM bodies
                WHERE image_id = ANY(%(images)s) AND face_x1 IS NOT NULL""",
        {"images": list(image_ids)},
    ):
        boxes[image].append(box)
    return {image: np.array(some, np.float32).reshape(-1, 4) for image, some in boxes.items()}
