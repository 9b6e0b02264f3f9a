"""What a search cannot find yet, because stages did not look at the photos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facesets.errors import Command, Field, Sentence
from facesets.operations.ingest.tag_stages import STAGE_OF
from facesets.operations.library.stats import counts_of
from facesets.plurals import counted
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import PhotoFilter

_DONE_BY = {
    "scene": Command("tags run"),
    "face-tags": Command("tags run", Field("faces")),
    "describe": Command("describe"),
}


@dataclass(frozen=True, slots=True)
class NotLookedAt:
    """Photos that a stage did not look at, of which a search cannot know whether they fit."""

    stage: str
    photos: int

    @property
    def sentence(self) -> str:
        """What is missing, and the command that does it."""
        command = _DONE_BY.get(self.stage) or Command("index", Field("stage", self.stage))
        photos = counted(self.photos, "photo")
        return Sentence(f"{photos} cannot be found by this yet: {command} looks at what is missing.")


def not_looked_at(library: Library, asked: PhotoFilter) -> list[NotLookedAt]:
    """The stages that a search goes by and that are not done; in their order."""
    return stages_to_do(library, list(dict.fromkeys(_stages_of(asked))))


def stages_to_do(library: Library, stages: Sequence[str]) -> list[NotLookedAt]:
    """Those of some stages that are not done."""

    def work(connection: Connection) -> list[NotLookedAt]:
        found = [NotLookedAt(stage, counts_of(connection, library, stage).pending) for stage in stages]
        return [each for each in found if each.photos]

    return library.database.run(work)


def _stages_of(asked: PhotoFilter) -> Iterator[str]:
    if asked.near is not None or asked.cameras is not None:
        yield "metadata"
    yield from (STAGE_OF[tag.target] for tag in asked.tags)
    if asked.ages is not None:
        yield "attributes"
    if asked.words:
        yield "describe"
