"""`migrate`: bring the library's schema up to date."""

from dataclasses import dataclass

from facesets.store.postgres import migrate as schema
from facesets.store.postgres.connection import Database
from facesets.store.postgres.migrate import MigrationState


@dataclass(frozen=True, slots=True)
class MigrateSummary:
    """Every migration of this program and since when it is applied; how many were applied now."""

    database: str
    applied: int
    pending: int
    migrations: list[MigrationState]


def migrate(database: Database) -> MigrateSummary:
    """Apply what is pending. Raises `WrongUsage` as `store.postgres.migrate.migrate`."""
    done = schema.migrate(database, schema.shipped_migrations())
    return _summary(database, len(done))


def status(database: Database) -> MigrateSummary:
    """Only look. Raises `WrongUsage` as `store.postgres.migrate.migrate`."""
    return _summary(database, 0)


def _summary(database: Database, applied: int) -> MigrateSummary:
    states = schema.status(database, schema.shipped_migrations())
    pending = sum(not state.applied_at for state in states)
    return MigrateSummary(database.label, applied, pending, states)
