"""`migrate`: bring the library's schema up to date."""

from facesets.result import Result
from facesets.store.postgres import migrate as schema
from facesets.store.postgres.connection import Database
from facesets.store.postgres.queue import schema as queue
from facesets.store.postgres.statistics import analyze_grown


def migrate(database: Database) -> Result:
    """Apply what is pending, for the queue, too, where its optional part is installed.

    Raises `WrongUsage` as `store.postgres.migrate.migrate`.
    """
    done = len(schema.migrate(database, schema.shipped_migrations()))
    if done:
        database.run(analyze_grown)
    has_queue = queue.is_installed() and database.run(queue.may_be_made)
    if has_queue:
        done += queue.install(database)
    return Result(_summary(database, done), without_queue=queue.is_installed() and not has_queue)


def status(database: Database) -> Result:
    """Only look. Raises `WrongUsage` as `store.postgres.migrate.migrate`."""
    return _summary(database, 0)


def _summary(database: Database, applied: int) -> Result:
    states = schema.status(database, schema.shipped_migrations())
    pending = sum(not state.applied_at for state in states)
    return Result(
        database=database.label,
        applied=applied,  # now
        pending=pending,
        migrations=states,  # every one of this program
        without_queue=False,  # the queue could be there, and this user may not make its schema
    )
