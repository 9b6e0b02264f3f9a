"""`migrate`: bring the library's schema up to date."""

from dataclasses import dataclass, replace

from facesets.store.postgres import migrate as schema
from facesets.store.postgres.connection import Database
from facesets.store.postgres.migrate import MigrationState
from facesets.store.postgres.planner import analyze_grown
from facesets.store.postgres.queue import schema as queue


@dataclass(frozen=True, slots=True)
class MigrateSummary:
    """Every migration of this program and since when it is applied; how many were applied now.

    Attributes
    ----------
    without_queue : bool
        The queue could be there, and this user may not make its schema.
    """

    database: str
    applied: int
    pending: int
    migrations: list[MigrationState]
    without_queue: bool = False


def migrate(database: Database) -> MigrateSummary:
    """Apply what is pending, for the queue, too, where its optional part is installed.

    Raises `WrongUsage` as `store.postgres.migrate.migrate`.
    """
    done = len(schema.migrate(database, schema.shipped_migrations()))
    if done:
        database.run(analyze_grown)
    has_queue = queue.is_installed() and database.run(queue.may_be_made)
    if has_queue:
        done += queue.install(database)
    return replace(_summary(database, done), without_queue=queue.is_installed() and not has_queue)


def status(database: Database) -> MigrateSummary:
    """Only look. Raises `WrongUsage` as `store.postgres.migrate.migrate`."""
    return _summary(database, 0)


def _summary(database: Database, applied: int) -> MigrateSummary:
    states = schema.status(database, schema.shipped_migrations())
    pending = sum(not state.applied_at for state in states)
    return MigrateSummary(database.label, applied, pending, states)
