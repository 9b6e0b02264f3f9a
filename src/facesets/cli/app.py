"""The Typer app, and the one place where errors become sentences and statuses."""

import errno
import signal
import sys
from typing import NoReturn

import typer
from typer.main import get_command

from facesets.cli import console, people_bodies, people_prototypes, people_set  # noqa: F401 - add commands to `people`
from facesets.cli.assign import assign
from facesets.cli.check import check
from facesets.cli.cluster import cluster
from facesets.cli.command import SETTINGS, HeadedGroup, QuietOption, VerboseOption, prepare
from facesets.cli.db import db
from facesets.cli.dedup import dedup
from facesets.cli.describe import describe
from facesets.cli.discover import discover
from facesets.cli.doctor import doctor
from facesets.cli.embed import embed
from facesets.cli.enrich import enrich
from facesets.cli.evaluate import evaluate
from facesets.cli.explain import explain
from facesets.cli.export_swap import export_swap
from facesets.cli.export_xmp import export_xmp
from facesets.cli.extend import extend
from facesets.cli.immich_finish import immich_finish
from facesets.cli.immich_push import immich_push
from facesets.cli.immich_stage import immich_stage
from facesets.cli.import_folders import import_folders
from facesets.cli.import_names import import_names
from facesets.cli.index import index
from facesets.cli.jobs import jobs
from facesets.cli.maintain import maintain
from facesets.cli.migrate import migrate
from facesets.cli.models import models
from facesets.cli.params import EPILOG, SETTINGS_NOTE
from facesets.cli.people import people
from facesets.cli.people_carry import export as export_people
from facesets.cli.people_carry import import_ as import_people
from facesets.cli.people_forget import forget as forget_person
from facesets.cli.people_review import answer, review
from facesets.cli.people_split import split as split_person
from facesets.cli.pipeline import pipeline
from facesets.cli.refine import refine
from facesets.cli.relocate import relocate
from facesets.cli.run import run
from facesets.cli.search import search
from facesets.cli.serve import serve
from facesets.cli.settings_file import by_parameter
from facesets.cli.sheet import sheet
from facesets.cli.show import show
from facesets.cli.split_eras import split_eras
from facesets.cli.stats import stats
from facesets.cli.tags import tags
from facesets.cli.train import train
from facesets.cli.transfer import export_cache, import_cache
from facesets.cli.undo import undo
from facesets.cli.verify_bundle import verify_bundle
from facesets.cli.worker import worker
from facesets.errors import BrokenLibrary, FacesetsError
from facesets.installation import module_at_fault
from facesets.settings import ENVIRONMENT_PREFIX, load, prepare_libraries

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}

app = typer.Typer(
    name="facesets",
    help="Organise a photo library by the people in it, on your own machine.",
    epilog=f"{SETTINGS_NOTE}\n\n{EPILOG}",
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
for name, of_people in (
    ("review", review),
    ("answer", answer),
    ("export", export_people),
    ("import", import_people),
    ("split", split_person),
    ("forget", forget_person),
):
    people.command(name)(of_people)
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
    """Organise a photo library by the people in it, on your own machine."""
    console.start(quiet=quiet, verbose=verbose)


def _end(error: FacesetsError) -> NoReturn:
    """Say what is wrong, and end with its status."""
    if console.session.debug:
        raise error
    console.notice(f"facesets: {error}")
    by = console.session.stopped_by
    sys.exit(128 + by if by else error.exit_status)


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
        # Whatever loads the libraries of photos and models: two packages may bring the same one.
        if not (module := module_at_fault(error)):
            raise
        _end(BrokenLibrary(module, error))
    except OSError as error:
        # Typer prints help itself.
        if error.errno not in _NO_SPACE or console.session.debug:
            raise
        console.drop_output()
        console.notice(f"facesets: The output cannot be written ({error.strerror}). Make room where it goes.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
