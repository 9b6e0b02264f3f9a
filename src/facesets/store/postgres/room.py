"""How many connections a server has left, and how many of them one machine takes."""

from dataclasses import dataclass

from facesets.store.postgres.connection import Connection

MOST_OF_A_HOST = 50
"""Connections from one machine: more make a server slower, and leave none for others."""


@dataclass(frozen=True, slots=True)
class Room:
    """The connections of a server, as of one moment.

    Attributes
    ----------
    limit : int
        How many it allows, without those that it keeps for administrators.
    used : int
        How many there are, ours included.
    ours : int
        How many of them are this program's, from this machine.
    """

    limit: int
    used: int
    ours: int

    @property
    def free(self) -> int:
        """How many more the server would take."""
        return max(self.limit - self.used, 0)

    def share(self, wanted: int) -> int:
        """How many of the further connections that are wanted to make: one at least, which may be refused."""
        return max(min(wanted, MOST_OF_A_HOST - self.ours, self.free), 1)

    def lacks(self, wanted: int) -> bool:
        """Whether it is the server that has fewer than would be made otherwise."""
        return self.free < min(wanted, max(MOST_OF_A_HOST - self.ours, 1))


def room(connection: Connection) -> Room:
    """What the server of a connection has left."""
    return Room(
        *connection.one(
            # Of other users' connections no more can be seen than that they are there.
            """SELECT current_setting('max_connections')::int
                    - current_setting('superuser_reserved_connections')::int
                    - coalesce(current_setting('reserved_connections', true)::int, 0),
                count(*) FILTER (WHERE datid IS NOT NULL),
                count(*) FILTER (WHERE application_name = 'facesets'
                    AND client_addr IS NOT DISTINCT FROM inet_client_addr())
                FROM pg_stat_activity"""
        )
    )
