"""Where the library keeps what each stage finds out about a photo."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from facesets.records import Finding, ImageRecord
from facesets.store.postgres.bodies import write_bodies
from facesets.store.postgres.connection import Connection

Found: TypeAlias = Sequence[tuple[int, ImageRecord, Finding]]
"""Images with their numbers, and what a stage found about each."""

WRITERS: Mapping[str, Callable[[Connection, Found], None]] = {
    "bodies": write_bodies,
}
"""What stores the findings of a stage, in place of those from before."""
