"""Arguments and options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from facesets.cli.console import session
from facesets.errors import WrongUsage
from facesets.operations.options.cache import LEAST_MIN_FACES, MOST_MIN_FACES

EPILOG = (
    "Exit status: 0 done; 1 failed; 2 wrong usage, or something needed is unreachable; 3 done, but some "
    "inputs failed; 75 another run holds the lock; 130 or 143 stopped by a signal."
)
SETTINGS_NOTE = (
    "Each option can also be set in the environment, such as FACESETS_REFINE_MIN_FACES=8, and in "
    "facesets.toml, such as min-faces = 8 below [refine]: the file that FACESETS_CONFIG names, else in "
    "this folder, else in ~/.config/facesets."
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
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="End with status 3 as long as any file cannot be read, not only when another one fails.",
    ),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB...", help="Only files whose path below the source fits one of these."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB...", help="No file or folder that fits; wins over --include."),
]
PackOption = Annotated[
    str | None,
    typer.Option(
        "--pack",
        help="Model pack, by name or path. [default: the cache's own, else `pack` of facesets.toml, "
        "else buffalo_l]",
        show_default=False,
    ),
]
ProviderOption = Annotated[
    str,
    typer.Option("--provider", help="Where models run: auto, cuda, directml, coreml or cpu."),
]


def _no_blank(option: str, what: str) -> Callable[[str | None], str | None]:
    """Refuse an option that was given and says nothing, such as an unset variable: that is no wish."""

    def check(value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise WrongUsage(f"{option} is empty. Give the address of {what}, or leave {option} out.")
        return value

    return check


DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="DATABASE_URL",
        show_envvar=True,
        help="The library's Postgres. [default: the embedded server]",
        show_default=False,
        callback=_no_blank("--database", "a database"),
    ),
]


MlUriOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Infer on this Immich ML service, not here.",
        show_default=False,
        callback=_no_blank("--ml-uri", "a service"),
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


MinFacesOption = Annotated[
    str,
    typer.Option(
        help="Fewest distinct images in a face set; auto is one for every 100 photos, "
        f"{LEAST_MIN_FACES} to {MOST_MIN_FACES}."
    ),
]


def whole_number_or_auto(flag: str, text: str) -> int | None:
    """A whole number, or None for `auto`; errors as `number_or_auto`."""
    number = number_or_auto(flag, text)
    if number is not None and not number.is_integer():
        raise WrongUsage(f"{flag} {text} is neither a whole number nor auto.")
    return None if number is None else int(number)


ClipPackOption = Annotated[
    str | None,
    typer.Option(
        "--clip-pack",
        help="CLIP pack, by name or path; with --ml-uri the service's name for it. "
        "[default: the library's own, else ViT-B-32__openai]",
        show_default=False,
    ),
]
