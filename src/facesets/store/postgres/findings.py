"""Where the library keeps what each stage finds out about a photo."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from facesets.records import Finding, ImageRecord
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_metadata import store_metadata
from facesets.store.postgres.tag_findings import keep_face_tags, keep_image_tags

Found: TypeAlias = Sequence[tuple[int, ImageRecord, Finding]]
"""Images with their numbers, and what a stage found about each."""

WRITERS: Mapping[str, Callable[[Connection, Found], None]] = {
    "metadata": store_metadata,
    "scene": keep_image_tags,
    "face-tags": keep_face_tags,
}
"""What stores the findings of a stage, in place of those from before."""
