"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli.console import session
from facesets.errors import WrongUsage

EPILOG = (
    "Exit status: 0 done; 1 failed; 2 wrong usage, or something needed is unreachable; 3 done, but some "
    "inputs failed; 75 another run holds the lock; 130 or 143 stopped by a signal."
)


def _set_json(value: bool) -> bool:
    session.json = value
    return value


def _set_debug(value: bool) -> bool:
    session.debug = value
    return value


CacheArgument = Annotated[
    Path, typer.Argument(metavar="CACHE", help="The cache file, such as faces.npz.", show_default=False)
]
OptionalCacheArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[CACHE]", help="The cache file; without one, the library.", show_default=False),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print the summary as one JSON object.", callback=_set_json),
]
DebugOption = Annotated[
    bool,
    typer.Option("--debug", help="Show tracebacks.", callback=_set_debug, is_eager=True),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Only files whose path below the source fits. May be repeated."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="No file or folder that fits; wins over --include."),
]
PackOption = Annotated[
    str | None,
    typer.Option(
        "--pack",
        help="Model pack, by name or path. [default: the cache's own, else buffalo_l]",
        show_default=False,
    ),
]
ProviderOption = Annotated[
    str,
    typer.Option("--provider", help="Where models run: auto, cuda, directml, coreml or cpu."),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="DATABASE_URL",
        show_envvar=True,
        help="The library's Postgres. [default: the embedded server]",
        show_default=False,
    ),
]


def _address(value: str | None) -> str | None:
    """An address; where one was asked for and none came, such as from an unset variable, that is no wish."""
    if value is not None and not value.strip():
        raise WrongUsage("--ml-uri is empty. Give the address of a service, or leave --ml-uri out.")
    return value


MlUriOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Infer on this Immich ML service, not here.",
        show_default=False,
        callback=_address,
    ),
]


def number_or_auto(flag: str, text: str) -> float | None:
    """A number, or None for `auto`.

    Raises
    ------
    WrongUsage
        It is neither.
    """
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise WrongUsage(f"{flag} {text} is neither a number nor auto.") from error
