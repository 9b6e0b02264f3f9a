"""`index --stage NAME --delete`: what a stage found about photos goes."""

from facesets.errors import WrongUsage
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.stages import delete_findings as delete


def delete_findings(library: Library, stage: str, *, dry_run: bool) -> Result:
    """Delete all that a stage found, and all that was made of it.

    Raises
    ------
    WrongUsage
        What that stage finds does not stand by itself.
    """

    def work(connection: Connection) -> int:
        with connection.transaction(force_rollback=dry_run):
            deleted = delete(connection, stage)
        if deleted is None:
            raise WrongUsage(f"What {stage} finds cannot be deleted by itself. It goes with the photos.")
        return deleted

    # Of `attributes` so many faces.
    return Result(stage=stage, deleted=library.database.run(work), dry_run=dry_run)
