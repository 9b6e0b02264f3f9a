"""`facesets migrate`."""

from typing import Annotated

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun
from facesets.words import library as words


def migrate(
    database: DatabaseOption = None,
    status: Annotated[bool, Option("Only show what is applied and pending.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Create or upgrade the library's tables. Run it before first use and after upgrades."""
    from facesets import settings
    from facesets.assembly.stores import open_database
    from facesets.operations.library.migrate import migrate as run
    from facesets.operations.library.migrate import status as look

    with open_database(database, settings.load(), console, check_schema=False) as session:
        done = look(session) if status or dry_run else run(session)
    console.show(done, words.migrate(done, status=status, dry_run=dry_run), asked_for=status)
    if done.without_queue:
        console.remark(
            "It has no queue for `facesets worker`: this user may not make a schema. The database's owner "
            "may allow it: GRANT CREATE ON DATABASE name TO user, then run this again."
        )
