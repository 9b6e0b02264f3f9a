"""The end of erasing: the server's old pages and logs, what is out of reach, and resuming.

Until it is complete, the library stores hashes that identify the person, because their names are deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from facesets.errors import CannotWrite, Command, Field, Sentence
from facesets.files import printable
from facesets.operations.people.corrections.lookup import folded, short
from facesets.plurals import counted
from facesets.results.forgetting import ResultForgotten
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.forgetting import (
    Known,
    count_unfinished,
    note_finished,
    note_unfinished,
    unfinished_by,
)
from facesets.store.postgres.people.traces import remove_old_log, rewrite_tables


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """The outcome for the server's old pages and logs.

    Attributes
    ----------
    out_of_reach : list of str
        Places that may still hold data of a forgotten person.
    log_removed : bool
        Whether the earlier write-ahead log of the server was removed, too.
    is_complete : bool
        Nothing is left that the same database user could do later.
    """

    out_of_reach: list[str] = field(default_factory=list)
    log_removed: bool = True
    is_complete: bool = True


def scrub(database: Database) -> Scrubbed:
    """Rewrite the tables and remove the old log; report what could not be done."""
    try:
        not_allowed = database.run_alone(rewrite_tables)
    except CannotWrite:
        reported = (
            "old pages of the tables, because the disk is full. Free as much space as the library uses, and "
            "run the same command again"
        )
        return Scrubbed([reported], log_removed=False, is_complete=False)
    reach = [f"{table}, which this database user is not allowed to rewrite" for table in not_allowed]
    log_removed = database.run_alone(remove_old_log)
    if not log_removed:
        reach.append("the server's write-ahead log and its archives, which only a superuser can remove")
    return Scrubbed(reach, log_removed)


def note_erased(
    connection: Connection, name_or_id: str, persons: Sequence[UUID], names: Sequence[str]
) -> None:
    """Note an erased person whom old pages may still hold, so that the same command is recognized."""
    numbers = {number for person in persons for number in (person.hex, short(person))}
    note_unfinished(connection, map(folded, names), {*_words(name_or_id), *numbers})


def erased_before(connection: Connection, name_or_id: str) -> Known:
    """Return how the user names an erased person who may remain on old pages; empty if there is none."""
    return unfinished_by(connection, _words(name_or_id))


def _words(name_or_id: str) -> list[str]:
    return [folded(name_or_id), folded(name_or_id).replace("-", "")]


def finish(database: Database, scrubbed: Scrubbed) -> None:
    """Remove the note about an erased person once erasing is complete."""
    if scrubbed.is_complete:
        database.run_alone(note_finished)


def finish_interrupted(database: Database) -> list[str]:
    """Finish erasing that was interrupted, if any; return what could not be erased.

    Raises
    ------
    AlreadyRunning
        A person is being forgotten, or a run groups the library's faces.
    """
    if not database.run(count_unfinished):
        return []
    with RunLock(database, "cluster"):
        scrubbed = scrub(database)
        finish(database, scrubbed)
    return scrubbed.out_of_reach


def out_of_reach(
    scrubbed: Scrubbed,
    results: Sequence[ResultForgotten],
    *,
    exports: bool,
    sidecars: int = 0,
    has_faces: bool = True,
) -> list[str]:
    """Return what may still hold an erased person, in words.

    Parameters
    ----------
    exports : bool
        Whether results were changed rather than only listed.
    sidecars : int
        Number of XMP sidecars that name the person.
    has_faces : bool
        Whether files were searched by the person's faces; otherwise only by name.
    """
    reported = [*scrubbed.out_of_reach, "backups and copies of the library, caches and results"]
    if results and not exports:
        folders = ", ".join(printable(result.folder) for result in results)
        reported.append(
            Sentence(
                f"{folders}: unchanged without {Field('exports')}. Delete these folders and create them again"
            )
        )
    reported += [
        f"{printable(result.folder)}: {printable(name)}" for result in results for name in result.left
    ]
    if not has_faces:
        # Without faces, only names can be found there.
        reported.append(
            "faces in caches and result folders. The library has no face of this person by which to find them"
        )
    if sidecars:
        name = counted(sidecars, "XMP sidecar names the person", "XMP sidecars name the person")
        reported.append(Sentence(f"{name}; {Command('export-xmp')} removes the name"))
    return reported
