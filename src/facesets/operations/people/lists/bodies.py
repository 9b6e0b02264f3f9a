"""`people bodies`: photos on which somebody may be, though their face is not seen."""

from facesets.operations.people.corrections.who import called, find_person, short
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.photos.bodies import count_bodies, photos_suggested


def bodies_of_person(database: Database, who: str, *, limit: int) -> Result:
    """The bodies of somebody, and at most `limit` photos on which they may be.

    Raises
    ------
    WrongUsage
        Nobody is meant, or a cluster that is no person yet.
    """

    def work(connection: Connection) -> Result:
        state = find_person(connection, who)
        return Result(
            person=short(state.id),
            name=called(state),
            bodies=count_bodies(connection, state.id),  # that have a face of theirs
            suggested=photos_suggested(connection, state.id, limit=limit),  # the latest days first
        )

    return database.run(work)
