"""Where the library keeps what each stage finds out about a photo."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from facesets.records import Finding, ImageRecord
from facesets.store.postgres.bodies import write_bodies
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.face_attributes import delete_attributes, write_attributes
from facesets.store.postgres.photo_metadata import store_metadata
from facesets.store.postgres.tag_findings import keep_face_tags, keep_image_tags

Found: TypeAlias = Sequence[tuple[int, ImageRecord, Finding]]
"""Images with their numbers, and what a stage found about each."""

WRITERS: Mapping[str, Callable[[Connection, Found], None]] = {
    "metadata": store_metadata,
    "bodies": write_bodies,
    "attributes": write_attributes,
    "scene": keep_image_tags,
    "face-tags": keep_face_tags,
}
"""What stores the findings of a stage, in place of those from before."""

ERASERS: Mapping[str, Callable[[Connection], int]] = {"attributes": delete_attributes}
"""What deletes all that a stage found, and what was made of it; returns of how much."""
