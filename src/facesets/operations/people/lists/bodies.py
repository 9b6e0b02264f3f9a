"""`people bodies`: photos on which somebody may be, though their face is not seen."""

from dataclasses import dataclass, field

from facesets.operations.people.corrections.who import called, find_person, short
from facesets.store.postgres.bodies import SuggestedPhoto, count_bodies, photos_suggested
from facesets.store.postgres.connection import Connection, Database


@dataclass(frozen=True, slots=True)
class PersonBodies:
    """What bodies say of somebody.

    Attributes
    ----------
    bodies : int
        Bodies that have a face of theirs.
    suggested : list of SuggestedPhoto
        Photos with a body without a face that may be theirs, the latest days first. Nothing follows from it.
    """

    person: str
    name: str
    bodies: int
    suggested: list[SuggestedPhoto] = field(default_factory=list)


def bodies_of_person(database: Database, who: str, *, limit: int) -> PersonBodies:
    """The bodies of somebody, and at most `limit` photos on which they may be.

    Raises
    ------
    WrongUsage
        Nobody is meant, or a cluster that is no person yet.
    """

    def work(connection: Connection) -> PersonBodies:
        state = find_person(connection, who)
        return PersonBodies(
            short(state.id),
            called(state),
            count_bodies(connection, state.id),
            photos_suggested(connection, state.id, limit=limit),
        )

    return database.run(work)
