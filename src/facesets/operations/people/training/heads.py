"""Projection heads of the library: list, use and deactivate them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesets.errors import Command, Field, WrongUsage
from facesets.files import printable
from facesets.records import Float32
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.training import HeadRow, active_row, list_heads, use_head
from facesets.training.evaluation import ProjectedThresholds

if TYPE_CHECKING:
    from facesets.inference.projection import Projection


@dataclass(frozen=True, slots=True)
class Head:
    """A head in use.

    Attributes
    ----------
    thresholds : ProjectedThresholds
        Cosine similarity thresholds for its projections.
    """

    name: str
    thresholds: ProjectedThresholds
    _projection: "Projection"

    def project(self, embeddings: Float32) -> Float32:
        """Project embeddings of shape (n, d) to unit rows, which are compared instead."""
        return self._projection(embeddings)


@dataclass(frozen=True, slots=True)
class HeadLine:
    """A head as listed; `gain` and `spread` are those of its score on unseen people."""

    name: str
    kind: str
    active: bool
    people: int
    faces: int
    gain: float
    spread: float
    made_at: str


def active_head(connection: Connection, model_id: int, *, threads: int = 1) -> Head | None:
    """Load the head in use for a model's embeddings; None if there is none.

    Raises
    ------
    CannotInfer
        The network is damaged.
    """
    found = active_row(connection, model_id)
    if found is None:
        return None
    from facesets.inference.projection import Projection

    row, network = found
    return Head(row.name, ProjectedThresholds(**row.calibration), Projection(network, threads=threads))


def is_in_use(connection: Connection, model_id: int, head: Head | None) -> bool:
    """Whether a head is still in use; with None, whether none is."""
    found = active_row(connection, model_id)
    return (None if found is None else found[0].name) == (None if head is None else head.name)


def heads(database: Database) -> list[HeadLine]:
    """Return all heads, in the order in which they were made."""
    return [_line(row) for row in database.run(list_heads)]


def activate(database: Database, name: str) -> HeadLine:
    """Use a head, whatever its figures. Raises `WrongUsage` if there is no such head."""

    def work(connection: Connection) -> HeadLine:
        known = list_heads(connection)
        row = next((each for each in known if each.name == name), None)
        if row is None:
            raise WrongUsage(f"Head not found: {printable(name)}. {_listed(known)}")
        use_head(connection, row.model_id, row.id)
        return next(_line(each) for each in list_heads(connection) if each.id == row.id)

    return database.run(work)


def deactivate(database: Database) -> Result:
    """Stop using a head."""

    def work(connection: Connection) -> Result:
        used = [row for row in list_heads(connection) if row.active]
        for row in used:
            use_head(connection, row.model_id, None)
        return Result(heads=[row.name for row in used])

    return database.run(work)


def _listed(known: Sequence[HeadRow]) -> str:
    if not known:
        return f"There are no heads yet; run {Command('train')}."
    return f"To list heads, run {Command('train', Field('list'))}."


def _line(row: HeadRow) -> HeadLine:
    figures = row.metrics
    return HeadLine(
        name=row.name,
        kind=figures["kind"],
        active=row.active,
        people=figures["people"],
        faces=figures["faces"],
        gain=round(figures["gain"], 4),
        spread=round(figures["spread"], 4),
        made_at=row.made_at.isoformat(timespec="seconds"),
    )
