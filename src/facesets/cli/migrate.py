"""`facesets migrate`."""

from typing import Annotated

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun


def migrate(
    database: DatabaseOption = None,
    status: Annotated[bool, Option("Only show what is applied and pending.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Create or upgrade the library's tables. Run it before first use and after upgrades."""
    from facesets import settings
    from facesets.assembly.stores import open_database
    from facesets.operations.library.migrate import MigrateSummary
    from facesets.operations.library.migrate import migrate as run
    from facesets.operations.library.migrate import status as look

    with open_database(database, settings.load(), console, check_schema=False) as session:
        summary: MigrateSummary = look(session) if status or dry_run else run(session)
    rows = [(f"{m.number:04d}", m.name, m.applied_at or "pending") for m in summary.migrations]
    if status:
        console.show(summary, [console.table(("number", "migration", "applied (UTC)"), rows)], asked_for=True)
    elif dry_run:
        console.show(summary, [f"{summary.database}: would apply {summary.pending}."])
    elif summary.applied:
        console.show(summary, [f"{summary.database}: applied {summary.applied}, nothing pending."])
    else:
        console.show(summary, [f"{summary.database} is up to date."])
    if summary.without_queue:
        console.remark(
            "It has no queue for `facesets worker`: this user may not make a schema. The database's owner "
            "may allow it: GRANT CREATE ON DATABASE name TO user, then run this again."
        )
