"""`db restore`: a backup into a database, without overwriting by accident."""

from collections.abc import Mapping
from pathlib import Path

from facesets.errors import WrongUsage
from facesets.store.postgres import tools
from facesets.store.postgres.connection import Database, opened


def restore(text: str, path: Path, environment: Mapping[str, str], *, replace: bool) -> None:
    """Fill a database from a backup.

    Raises
    ------
    WrongUsage
        There is a library in it already, and it is not to be replaced.
    DamagedFile, FacesetsError
        As `store.postgres.tools.restore`.
    """
    with opened(Database(text)) as database:
        if database.run(tools.holds_library) and not replace:
            raise WrongUsage(
                f"There is a library in {database.label} already. Back it up, then use --replace to lose it."
            )
    tools.restore(text, path, environment, replace=replace)
