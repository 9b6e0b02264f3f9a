"""The Typer app, and the one place where errors become sentences and statuses."""

import sys

import typer

from facesets.cli import console
from facesets.cli.cluster import cluster
from facesets.cli.dedup import dedup
from facesets.cli.doctor import doctor
from facesets.cli.embed import embed
from facesets.cli.enrich import enrich
from facesets.cli.evaluate import evaluate
from facesets.cli.export_swap import export_swap
from facesets.cli.immich_stage import immich_stage
from facesets.cli.models import models
from facesets.cli.refine import refine
from facesets.cli.sheet import sheet
from facesets.cli.show import show
from facesets.cli.verify_bundle import verify_bundle
from facesets.errors import FacesetsError
from facesets.settings import ENVIRONMENT_PREFIX, load, prefer_fast_kernel

_EPILOG = (
    "Exit status: 0 done; 1 failed; 2 wrong usage, or something needed is unreachable; 3 done, but some "
    "inputs failed; 75 another run holds the lock; 130 or 143 stopped by a signal."
)

app = typer.Typer(
    name="facesets",
    help="Organise a photo library by the people in it, on your own machine.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    embed,
    cluster,
    refine,
    dedup,
    enrich,
    export_swap,
    sheet,
    show,
    immich_stage,
    evaluate,
    verify_bundle,
    doctor,
):
    app.command(epilog=_EPILOG)(command)
app.add_typer(models, name="models")


def _version(value: bool) -> None:
    if value:
        from facesets import __version__

        console.out(f"facesets {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Organise a photo library by the people in it, on your own machine."""


def main() -> None:
    """Run the program; never returns."""
    prefer_fast_kernel()
    try:
        flags = load().flags
        app(auto_envvar_prefix=ENVIRONMENT_PREFIX, default_map=flags)
    except FacesetsError as error:
        if console.session.debug:
            raise
        console.notice(f"facesets: {error}")
        sys.exit(error.exit_status)
