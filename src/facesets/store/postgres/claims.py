"""Who is working on what: locks that the server holds for a session and drops when the session dies.

A claim is an advisory lock on a hash of the thing's name. Two names with one hash would only wait for
each other. Claims live on the connection of their `Database`; when that is made again, so are they.
"""

import hashlib
import threading
from collections.abc import Sequence

from facesets.errors import AlreadyRunning
from facesets.store.postgres.connection import Connection, Database


def _key(kind: str, name: str) -> int:
    digest = hashlib.blake2b(f"{kind}:{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class Claims:
    """Things that this process, and nobody else, is working on. Safe to use from several threads."""

    def __init__(self, database: Database, kind: str) -> None:
        """Claim things of one kind on this database's session."""
        self._database = database
        self._kind = kind
        self._held: set[int] = set()
        self._lock = threading.Lock()
        database.on_connect(self._take_again)

    def take(self, names: Sequence[str]) -> set[str]:
        """Claim what is free; return the names that are ours now. What is ours already is not free."""
        keys = {_key(self._kind, name): name for name in names}
        with self._lock:
            asked = [key for key in keys if key not in self._held]
            self._held.update(asked)
        taken = set(self._database.run(lambda connection: _try(connection, asked)))
        with self._lock:
            self._held.difference_update(key for key in asked if key not in taken)
        return {keys[key] for key in taken}

    def release(self, names: Sequence[str]) -> None:
        """Let others have these."""
        keys = [_key(self._kind, name) for name in names]
        with self._lock:
            mine = [key for key in keys if key in self._held]
        self._database.run(lambda connection: _unlock(connection, mine))
        with self._lock:
            self._held.difference_update(mine)

    def _take_again(self, connection: Connection) -> None:
        with self._lock:
            keys = list(self._held)
        _try(connection, keys)


def _try(connection: Connection, keys: Sequence[int]) -> list[int]:
    if not keys:
        return []
    # DISTINCT, for a lock taken twice must be released twice.
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
    """Only one run of a command at a time on a database, on whatever host; a context manager."""

    def __init__(self, database: Database, command: str) -> None:
        """Name the command; nothing is locked yet."""
        self._database = database
        self._command = command
        self._claims = Claims(database, "run")

    def __enter__(self) -> None:
        """Take the lock.

        Raises
        ------
        AlreadyRunning
            Another run of the command is going.
        """
        if not self._claims.take([self._command]):
            raise AlreadyRunning(
                f"Another `facesets {self._command}` is working on {self._database.label}. Wait for it to "
                "end, then try again."
            )

    def __exit__(self, *_: object) -> None:
        self._claims.release([self._command])
