"""`facesets migrate`, and `facesets db url | psql | stop | backup | restore | index`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption, DebugOption
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun
from facesets.result import Result
from facesets.words import library as words


def migrate(
    database: DatabaseOption = None,
    status: Annotated[bool, Option("Only show which migrations are applied and pending.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Create or upgrade the library's tables.

    Run it before first use and after upgrades.
    """
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


db = typer.Typer(
    help="Connect to, back up and restore the library's database.",
    no_args_is_help=True,
)

_File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]


@db.command()
def url(database: DatabaseOption = None) -> None:
    """Print the connection string.

    The embedded server then runs until `facesets db stop`.
    """
    from facesets.assembly.stores import embedded_server, named_database
    from facesets.store.postgres.server.tools import masked

    conf = settings.load()
    if text := named_database(database, conf):
        console.show(Result(url=masked(text)), [masked(text)], asked_for=True)
        return
    with embedded_server(conf, console) as server:
        server.keep_running()
        console.show(Result(url=server.url), [server.url], asked_for=True)
    console.notice("The embedded server keeps running until `facesets db stop`.")


@db.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, database: DatabaseOption = None, debug: DebugOption = False) -> None:
    """Open psql on the library.

    Further arguments are psql's own, such as -c SQL.
    """
    from facesets.assembly.stores import database_url
    from facesets.store.postgres.server.tools import psql as run

    with database_url(database, settings.load(), console) as text, console.ctrl_c_for_child():
        status = run(text, context.args, os.environ)
    raise typer.Exit(status)


@db.command()
def stop() -> None:
    """Stop the embedded server.

    The next command starts it again.
    """
    from facesets.assembly.stores import embedded_server

    done = Result(stopped=embedded_server(settings.load(), console).stop())
    console.show(done, words.db_stop(done))


@db.command()
def backup(
    file: _File,
    database: DatabaseOption = None,
    replace: Annotated[bool, Option("Replace an existing backup.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Back up the library to FILE."""
    from facesets.assembly.stores import database_url
    from facesets.operations.library.migrate import backup as run

    with database_url(database, settings.load(), console) as text:
        done = run(text, file.absolute(), os.environ, replace=replace, dry_run=dry_run)
    console.show(done, words.db_backup(done, file=file))


@db.command()
def restore(
    file: _File,
    database: DatabaseOption = None,
    replace: Annotated[bool, Option("Replace an existing library.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Restore a library from FILE, all of it or nothing.

    The database must be empty.
    """
    from facesets.assembly.stores import database_url
    from facesets.operations.library.migrate import restore as run

    with database_url(database, settings.load(), console) as text:
        done = run(text, file, replace=replace, dry_run=dry_run)
    console.show(done, words.db_restore(done))


@db.command()
def index(
    database: DatabaseOption = None,
    drop: Annotated[bool, Option("Remove the indexes, which makes bulk imports faster.")] = False,
) -> None:
    """Build the indexes for fast search on large libraries.

    Other commands can run meanwhile.
    """
    from facesets.operations.library.search_index import build_index, drop_index

    console.quiet_unless_terminal()
    with console.progress() as progress, opened_library(database) as library:
        if drop:
            drop_index(library)
        else:
            build_index(library, progress)
    done = Result(built=not drop)
    console.show(done, words.db_index(done))
