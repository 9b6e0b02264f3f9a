"""The Typer app, and the one place where errors become sentences and statuses."""

import errno
import signal
import sys
from typing import NoReturn

import typer
from typer.main import get_command

from facesets.cli import console
from facesets.cli.command import SETTINGS, HeadedGroup, QuietOption, VerboseOption, prepare
from facesets.cli.immich.push import immich_push
from facesets.cli.immich.stage import immich_finish, immich_stage
from facesets.cli.library.check import check, stats
from facesets.cli.library.db import db, migrate
from facesets.cli.library.describe import describe, tags
from facesets.cli.library.explain import explain
from facesets.cli.library.index import index
from facesets.cli.library.interchange import export_cache, export_xmp, import_cache, import_names
from facesets.cli.library.jobs import jobs, worker
from facesets.cli.library.pipeline import assign, maintain, pipeline
from facesets.cli.library.search import search
from facesets.cli.library.serve import serve
from facesets.cli.library.train import train
from facesets.cli.maintenance import doctor, models
from facesets.cli.params import EXIT_STATUSES, SETTINGS_NOTE
from facesets.cli.people import people
from facesets.cli.results.changes import enrich, extend, relocate, undo
from facesets.cli.results.exports import discover, export_swap, import_folders, split_eras
from facesets.cli.results.reports import dedup, evaluate, sheet, verify_bundle
from facesets.cli.settings_file import by_parameter
from facesets.cli.start.cluster import cluster, refine
from facesets.cli.start.embed import embed
from facesets.cli.start.run import run
from facesets.cli.start.show import show
from facesets.errors import BrokenLibrary, FacesetsError, WrongUsage
from facesets.files import printable
from facesets.installation import module_at_fault
from facesets.settings import ENVIRONMENT_PREFIX, load, prepare_libraries

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}

app = typer.Typer(
    name="facesets",
    help="Organize a photo library by the people in it, on your own machine.",
    epilog=f"{SETTINGS_NOTE}\n\n{EXIT_STATUSES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=HeadedGroup,
    context_settings=SETTINGS,
)
for command in (
    run,
    migrate,
    serve,
    index,
    embed,
    pipeline,
    cluster,
    assign,
    refine,
    dedup,
    enrich,
    export_swap,
    extend,
    discover,
    import_folders,
    import_names,
    split_eras,
    sheet,
    show,
    immich_stage,
    immich_finish,
    immich_push,
    evaluate,
    verify_bundle,
    undo,
    search,
    describe,
    explain,
    train,
    stats,
    relocate,
    check,
    maintain,
    export_xmp,
    jobs,
    worker,
    import_cache,
    export_cache,
    doctor,
):
    app.command()(command)
app.add_typer(people, name="people")
app.add_typer(tags, name="tags")
app.add_typer(models, name="models")
app.add_typer(db, name="db")
prepare(app)


def _version(value: bool) -> None:
    if value:
        from facesets import __version__

        console.out(f"facesets {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_version,
        is_eager=True,
        allow_from_autoenv=False,
        help="Print the version.",
    ),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Organize a photo library by the people in it, on your own machine."""
    console.start(quiet=quiet, verbose=verbose)


def _end(error: FacesetsError) -> NoReturn:
    """Print an error, and end with its status."""
    if console.session.debug:
        raise error
    console.notice(f"facesets: {error}")
    by = console.session.stopped_by
    sys.exit(128 + by if by else error.exit_status)


def _not_text(error: UnicodeEncodeError) -> str:
    """Return the argument whose bytes are not valid text; empty if the error is about something else."""
    at_fault = error.object[error.start : error.end]
    is_byte = any("\udc80" <= character <= "\udcff" for character in at_fault)
    return next((word for word in sys.argv[1:] if is_byte and at_fault in word), "")


def main() -> None:
    """Run the program; never returns."""
    try:
        prepare_libraries()
        console.prepare_streams()
        app(
            prog_name="facesets",
            auto_envvar_prefix=ENVIRONMENT_PREFIX,
            default_map=by_parameter(get_command(app), load()),
        )
    except FacesetsError as error:
        _end(error)
    except (ImportError, AttributeError) as error:
        # Two packages may load copies of the same native library.
        if not (module := module_at_fault(error)):
            raise
        _end(BrokenLibrary(module, error))
    except UnicodeEncodeError as error:
        # File names may be any bytes, but texts to search for or store may not.
        if not (word := _not_text(error)):
            raise
        _end(WrongUsage(f"{printable(word)} contains bytes that are not UTF-8 text."))
    except OSError as error:
        # Typer prints help itself.
        if error.errno not in _NO_SPACE or console.session.debug:
            raise
        console.drop_output()
        console.notice(f"facesets: The output cannot be written ({error.strerror}). Make room where it goes.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
