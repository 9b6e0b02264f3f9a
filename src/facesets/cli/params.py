"""Arguments and options that several commands share."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesets.cli.console import session
from facesets.errors import Command, Field, WrongUsage
from facesets.files import PEOPLE, RUN_RECORD, SETS, printable
from facesets.operations.options.declaration import Option, number_or_auto
from facesets.operations.options.grouping import Threshold

if TYPE_CHECKING:
    from facesets.clustering.methods import Measure

EXIT_STATUSES = (
    "Exit status: 0 done; 1 failed; 2 wrong usage, or something needed is unreachable; 3 done, but some "
    "inputs failed; 75 another run holds the lock; 130 or 143 stopped by a signal."
)
SETTINGS_NOTE = (
    "Each option can also be set in the environment, such as FACESETS_REFINE_MIN_FACES=8, and in "
    "facesets.toml, such as min-faces = 8 under [refine]: the file that FACESETS_CONFIG names, else the "
    "one in this folder, else the one in ~/.config/facesets."
)


def _noted(name: str) -> Callable[[bool], bool]:
    """Return a callback that stores a flag for the whole session."""

    def note(value: bool) -> bool:
        setattr(session, name, value)
        return value

    return note


def chosen_folders(
    context: typer.Context, folders: list[Path] | None, target: Sequence[Path] | None
) -> list[Path]:
    """Return the folders of arguments and `--target`; those of the settings only if none is given."""
    typed: list[Path] = []
    for name, given in (("folders", folders), ("target", target)):
        source = context.get_parameter_source(name)
        typed += (given or ()) if source is not None and source.name == "COMMANDLINE" else ()
    return typed or folders or list(target or ())


CacheArgument = Annotated[
    Path, typer.Argument(metavar="CACHE", help="The cache file, such as faces.npz.", show_default=False)
]
OptionalCacheArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[CACHE]", help="The cache file. [default: the library]", show_default=False),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print the summary as one JSON object.", callback=_noted("json")),
]
QueueOption = Annotated[
    bool,
    typer.Option(
        "--queue",
        help="Queue it as a job for `facesets worker`, and print its number.",
        callback=_noted("queue"),
        allow_from_autoenv=False,
    ),
]
DebugOption = Annotated[
    bool,
    typer.Option("--debug", help="Show tracebacks.", callback=_noted("debug"), is_eager=True),
]
StrictOption = Annotated[
    bool,
    Option("Exit with status 3 while any file cannot be read, not only for newly failed files."),
]
IncludeOption = Annotated[
    tuple[str, ...],
    Option("Only files whose path below the source matches any of these.", metavar="GLOB..."),
]
ExcludeOption = Annotated[
    tuple[str, ...],
    Option("Skip files and folders that match any of these; overrides --include.", metavar="GLOB..."),
]
PackOption = Annotated[
    str | None,
    Option(
        "Model pack, by name or path.",
        unset="that of the cache or the library, else `pack` in facesets.toml, else buffalo_l, or open if "
        "it is the only one installed",
    ),
]
BodyModelOption = Annotated[
    Path | None,
    Option(
        "Find bodies with this ONNX file, in YOLO's layout.",
        metavar="FILE",
        unset="one in the pack's folder body, else one of models/body; without any, no bodies are found",
    ),
]
ProviderOption = Annotated[str, Option("Where models run: auto, cuda, directml, coreml or cpu.")]
WorkersOption = Annotated[
    int | None,
    Option(
        "Number of threads.",
        least=1,
        synonyms="--concurrency",
        unset="as measured on this machine, else one per processor",
    ),
]
BatchSizeOption = Annotated[
    int | None,
    Option(
        "Files that a thread and the detector process at a time.",
        least=1,
        unset="as measured, else 1, 16 for a GPU",
    ),
]
ProfileOption = Annotated[Path | None, Option("Write timings to this JSON file.")]


def _no_blank(what: str) -> Callable[[str, str], str]:
    """Refuse an empty value, such as that of an unset variable."""

    def parse(flag: str, text: str) -> str:
        if not text.strip():
            raise WrongUsage(f"{flag} is empty. Give the address of {what}, or omit {flag}.")
        return text

    return parse


DatabaseOption = Annotated[
    str | None,
    Option(
        "Address of the library's PostgreSQL.",
        metavar="URL",
        variable="DATABASE_URL",
        unset="the embedded server",
        parse=_no_blank("a database"),
    ),
]
MlUriOption = Annotated[
    str | None,
    Option("Run models on this Immich ML service.", metavar="URL", parse=_no_blank("a service")),
]
ClipPackOption = Annotated[
    str | None,
    Option(
        "CLIP pack, by name or path; with --ml-uri the service's name for it.",
        unset="the library's own, else ViT-B-32__openai",
    ),
]
Guesses = Annotated[bool, Option("Also print the age and sex estimated from the faces.")]
MaxCosineDistanceOption = Annotated[
    float | None,
    Option(
        "Maximum cosine distance between faces of one person: on average (agglomerative), or to the "
        "nearest (components). Lower is stricter.",
        unset="agglomerative 0.55; components 0.35",
    ),
]
MinCosineSimilarityOption = Annotated[
    float | None, Option("The same as a cosine similarity, 1 minus the distance. Higher is stricter.")
]

_MEASURES: "dict[str, Measure | None]" = {
    "max_cosine_distance": "max_cosine_distance",
    "min_cosine_similarity": "min_cosine_similarity",
    "threshold": None,
}
"""The measure of each flag's number; None if it depends on the command."""


def given_threshold(flags: Mapping[str, Any], typed: Collection[str] = ()) -> Threshold | None:
    """Return the one threshold that was given; the command line wins over the settings.

    Parameters
    ----------
    flags : mapping
        Values by the names of flags in code.
    typed : collection of str
        Names of the flags on the command line.

    Raises
    ------
    WrongUsage
        Several were given, or the value is not a number.
    """
    given = [name for name in _MEASURES if flags[name] is not None]
    chosen = [name for name in given if name in typed] or given
    if len(chosen) > 1:
        names = " and ".join(Field(name).flag for name in chosen)
        raise WrongUsage(f"{names} are mutually exclusive. Give only one.")
    for name in chosen:
        value = flags[name]
        number = number_or_auto(f"--{name}", value) if isinstance(value, str) else value
        return Threshold(number, _MEASURES[name], is_setting=name not in typed)
    return None


CacheOrOutArgument = Annotated[
    Path,
    typer.Argument(
        metavar="[CACHE]",
        help="The cache file; the library if left out.",
        show_default=False,
    ),
]
CacheOrResultArgument = Annotated[
    Path,
    typer.Argument(metavar="[CACHE]", help="The cache file; the library if left out.", show_default=False),
]
"""As `CacheOrOutArgument`, for commands with a second result, whose first argument may be a result."""
CacheOfSetsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="[CACHE]",
        help="The cache file; if left out, the one that the face sets were made from, or the library.",
        show_default=False,
    ),
]

OutIfCacheArgument = Annotated[
    Path | None, typer.Argument(metavar="OUT", help="The result folder.", show_default=False)
]
ExportIfCacheArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="OUT", help="The export folder: of `export-swap`, or a new one.", show_default=False
    ),
]
KnownExportIfCacheArgument = Annotated[
    Path | None,
    typer.Argument(metavar="OUT", help="The export folder, of `export-swap`.", show_default=False),
]


def cache_and_out(command: str, first: Path, second: Path | None) -> tuple[Path | None, Path]:
    """Read `[CACHE] OUT`: a single argument is OUT.

    Raises
    ------
    WrongUsage
        The single argument is a cache.
    """
    if second is not None:
        return first, second
    if first.is_file():
        raise WrongUsage(f"Missing OUT. Usage: {Command(command, printable(first), 'OUT')}.")
    return None, first


def refuse_several_results(folder: Path, command: str) -> None:
    """Refuse the OUT of `run` if one result is needed, and name the results in it.

    Raises
    ------
    WrongUsage
        The folder holds several.
    """
    if (folder / RUN_RECORD).is_file():
        each = " or ".join(f"{Command(command, printable(folder / name))}" for name in (PEOPLE, SETS))
        raise WrongUsage(f"{printable(folder)} holds several results of `facesets run`. Choose one: {each}.")
