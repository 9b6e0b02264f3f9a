"""`facesets split-eras`."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets.cli.exporting import EraCropOptions, UnderOfEras, exporting
from facesets.cli.params import DatabaseOption, PackOption, ProviderOption
from facesets.cli.results import CacheOrOutArgument, ExportIfCacheArgument, cache_and_out, report
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import SplitErasOptions
from facesets.words import face_sets as words

if TYPE_CHECKING:
    from facesets.settings import Settings


def split_eras(
    first: CacheOrOutArgument,
    second: ExportIfCacheArgument = None,
    name: Annotated[
        str,
        Option(
            "The set in OUT to start from.",
            flag="--set",
            variable="FACESETS_SPLIT_ERAS_SET",
            metavar="NAME",
        ),
    ] = "",
    source_root: UnderOfEras = (),
    probe: Annotated[
        bool,
        Option("Only report whether it makes sense: as text, and as a picture in OUT/_eras."),
    ] = False,
    force: Annotated[bool, Option("Split though the probe says that it makes no sense.")] = False,
    database: DatabaseOption = None,
    *,
    options: SplitErasOptions,
    years: Annotated[
        Path | None,
        Option("Where capture years are kept.", metavar="FILE", unset="in the user's cache directory"),
    ] = None,
    crops: EraCropOptions,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Split a person of the export OUT, photographed over many years, into a set for each era."""
    from facesets import settings
    from facesets.errors import WrongUsage
    from facesets.operations.face_sets.eras import split_eras as operation
    from facesets.operations.face_sets.eras.person import EraRequest

    cache, out = cache_and_out("split-eras", first, second)
    if not name:
        raise WrongUsage("Which person? Name a set of OUT by --set.")
    conf = settings.load()
    today = date.today()  # noqa: DTZ011 - cameras have the local date as well
    roots = [root.absolute() for root in source_root]
    request = EraRequest(out, name, roots, years or _kept_years(conf), today.year, force)
    with exporting(cache, database, pack, provider, crops) as (store, checker, work):
        if probe:
            done = operation.probe_eras(
                store, request, options, replace=crops.replace, dry_run=crops.dry_run, work=work
            )
        else:
            done = operation.split_eras(store, request, checker, options, crops, work=work, modeller=checker)
    report(done, words.probe_eras(done) if probe else words.split_eras(done))


def _kept_years(conf: "Settings") -> Path:
    from facesets.operations.face_sets.eras.year_cache import FILE_NAME

    return conf.cache_dir / FILE_NAME
