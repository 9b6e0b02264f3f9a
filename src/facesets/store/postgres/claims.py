"""Claims on things being processed, as session locks; and the connections left on the server."""

import hashlib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from facesets.errors import AlreadyRunning, Command
from facesets.path_map import SAME_PATHS, PathMap
from facesets.store.postgres.connection import Connection, Database

_OLD_SESSION_DIES_WITHIN_S = 2.0
_ASK_AGAIN_EVERY_S = 0.1


def _key(kind: str, name: str) -> int:
    digest = hashlib.blake2b(f"{kind}:{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class Claims:
    """Things that only this process is working on. Safe to use from several threads.

    A new connection takes the claims of the old one again. Claims that another process took meanwhile are
    lost; see `holds`.
    """

    def __init__(self, database: Database, kind: str, paths: PathMap = SAME_PATHS) -> None:
        """Claim things of one kind on this database's session."""
        self._database = database
        self._kind = kind
        self._paths = paths
        # Changed only while this thread holds the database, so that lock and record stay consistent.
        self._held: set[int] = set()
        database.on_connect(self._take_again)

    def take(self, names: Sequence[str]) -> set[str]:
        """Claim what is free; return the newly claimed names."""
        keys = {self._key(name): name for name in names}
        ours: set[int] = set()

        def work(connection: Connection) -> None:
            # An attempt whose connection broke may have taken some; the new connection kept or lost them.
            ours.intersection_update(self._held)
            got = _try(connection, [key for key in keys if key not in self._held])
            self._held.update(got)
            ours.update(got)

        self._database.run(work)
        return {keys[key] for key in ours}

    def holds(self, name: str) -> bool:
        """Whether a claim is still held; another process may take it during an outage."""
        return self._key(name) in self._held

    def release(self, names: Sequence[str]) -> None:
        """Release claims."""
        keys = {self._key(name) for name in names}

        def work(connection: Connection) -> None:
            mine = keys & self._held
            _unlock(connection, list(mine))
            self._held -= mine

        self._database.run(work)

    def _key(self, name: str) -> int:
        return _key(self._kind, self._paths.known(name))

    def _take_again(self, connection: Connection) -> None:
        """Take the claims again after a reconnect; drop those that are lost."""
        deadline = time.monotonic() + _OLD_SESSION_DIES_WITHIN_S
        again = set(_try(connection, list(self._held)))
        while (missing := self._held - again) and time.monotonic() < deadline:
            time.sleep(_ASK_AGAIN_EVERY_S)
            again.update(_try(connection, list(missing)))
        self._held = again


def is_running(connection: Connection, command: str) -> bool:
    """Whether an exclusive command is running, on any host."""
    return is_claimed(connection, "run", command)


def is_claimed(connection: Connection, kind: str, name: str) -> bool:
    """Whether a thing is claimed, on any host."""
    return bool(claimed(connection, kind, [name]))


def claimed(connection: Connection, kind: str, names: Collection[str]) -> set[str]:
    """Return which things of a kind are claimed, on any host."""
    keys = {_key(kind, name): name for name in names}
    # A key of 64 bits is shown as its two halves.
    rows = connection.execute(
        """SELECT key FROM pg_locks, LATERAL (SELECT (classid::bigint << 32) | objid::bigint AS key) AS whole
            WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND key = ANY(%s::bigint[])
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
        (list(keys),),
    ).fetchall()
    return {keys[key] for (key,) in rows}


def _try(connection: Connection, keys: Sequence[int]) -> list[int]:
    if not keys:
        return []
    # DISTINCT, because a lock taken twice must be released twice.
    rows = connection.execute(
        """SELECT key FROM (SELECT DISTINCT unnest(%s::bigint[]) AS key) AS keys
            WHERE pg_try_advisory_lock(key)""",
        (list(keys),),
    ).fetchall()
    return [key for (key,) in rows]


def _unlock(connection: Connection, keys: Sequence[int]) -> None:
    if keys:
        connection.execute("SELECT pg_advisory_unlock(key) FROM unnest(%s::bigint[]) AS key", (list(keys),))


class RunLock:
    """Allows one run of a command at a time on a database, on any host; a context manager.

    If another run takes the lock while the server is unavailable, the next use of the database raises
    `AlreadyRunning`.
    """

    def __init__(self, database: Database, command: str) -> None:
        """Name the command; nothing is locked yet."""
        self._database = database
        self._command = command
        self._claims = Claims(database, "run")
        self._is_inside = False
        # After the claims' own callback, which takes the lock again.
        database.on_connect(self._require_lock)

    def __enter__(self) -> None:
        """Take the lock.

        Raises
        ------
        AlreadyRunning
            Another run of the command is in progress.
        """
        if not self._claims.take([self._command]):
            raise AlreadyRunning(
                f"Another {Command(self._command)} is working on {self._database.label}. Wait until "
                "it has ended, then try again."
            )
        self._is_inside = True

    def __exit__(self, *_: object) -> None:
        self._is_inside = False
        self._claims.release([self._command])

    def _require_lock(self, _: Connection) -> None:
        if self._is_inside and not self._claims.holds(self._command):
            raise AlreadyRunning(
                f"While {self._database.label} was unavailable another {Command(self._command)} "
                "started. Wait until it has ended, then try again; results so far are saved."
            )


MAX_PER_HOST = 50
"""Maximum connections from one machine: more slow the server down and leave none for others."""


@dataclass(frozen=True, slots=True)
class Room:
    """The connections of a server at one moment.

    Attributes
    ----------
    limit : int
        The number it allows, without those reserved for administrators.
    used : int
        The number of open connections, including ours.
    ours : int
        The number opened by this program on this machine.
    """

    limit: int
    used: int
    ours: int

    @property
    def free(self) -> int:
        """The number of free connections."""
        return max(self.limit - self.used, 0)

    def share(self, wanted: int) -> int:
        """Return how many of the wanted connections to open, at least one."""
        return max(min(wanted, MAX_PER_HOST - self.ours, self.free), 1)

    def lacks(self, wanted: int) -> bool:
        """Whether the server has fewer connections than needed."""
        return self.free < min(wanted, max(MAX_PER_HOST - self.ours, 1))


def room(connection: Connection) -> Room:
    """Return the free connections of a server."""
    return Room(
        *connection.one(
            # Only the existence of other users' connections is visible.
            """SELECT current_setting('max_connections')::int
                    - current_setting('superuser_reserved_connections')::int
                    - coalesce(current_setting('reserved_connections', true)::int, 0),
                count(*) FILTER (WHERE datid IS NOT NULL),
                count(*) FILTER (WHERE application_name = 'facesets'
                    AND client_addr IS NOT DISTINCT FROM inet_client_addr())
                FROM pg_stat_activity"""
        )
    )
