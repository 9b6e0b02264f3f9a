"""`facesets run`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.flags import options_of
from facesets.cli.opening import agrees_to_open_pack, working
from facesets.cli.params import PackOption, given_threshold
from facesets.cli.settings_file import configured_flags
from facesets.cli.wording import worded
from facesets.errors import Command, MissingModelPack, RecognizerMismatch, WrongUsage
from facesets.files import RUN_CACHE, is_there, plain_path, printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import ExtendOptions
from facesets.operations.options.shared import DryRun
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.results import Materialize
from facesets.words import results as words

if TYPE_CHECKING:
    from facesets.interfaces import Embedder, Source
    from facesets.operations.ingest.stages import Stage
    from facesets.operations.options.start import EmbedOptions
    from facesets.operations.run import RunOptions
    from facesets.store.npz.cache import Cache
    from facesets.work import Work

_THRESHOLD_OPTIONS = ("method", "threshold", "min_cosine_similarity")
"""Options of `cluster` that are read together."""


def run(
    context: typer.Context,
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="A photo folder.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT]",
            help="Folder for the results. "
            "[default: facesets-out in this folder; beside PHOTOS if this folder is inside PHOTOS]",
            show_default=False,
        ),
    ] = None,
    pack: PackOption = None,
    materialize: Annotated[
        Materialize | None,
        Option("How photos get into the folders.", unset="copy"),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Sort a folder of photos by person.

    Makes folders, face sets, contact sheets, and pages to look at. Run it again after you added photos or
    renamed folders. Other settings are those of `embed`, `cluster`, `refine` and `extend` in facesets.toml.
    """
    from facesets.operations.run import run as run_all

    _require_photos(photos)
    if out is None:
        out = _default_place(photos)
    elif advice := _relocation_advice(photos, out):
        console.notice(worded(advice))
    flags = configured_flags(context, "embed")
    flags["pack"] = pack or flags["pack"]
    _refuse_other_pack(out, flags["pack"])
    with working() as work:
        done = run_all(
            photos,
            out,
            _options(context, materialize, dry_run=dry_run),
            lambda cache, source: _models(cache, source, flags, work),
            work=work,
        )
    console.report(done, words.run(done))


def _require_photos(photos: Path) -> None:
    """Refuse photos that facesets wrote itself. Raises `WrongUsage`."""
    from facesets.results.manifest_json import is_manifest

    if photos.is_file() and photos.suffix == ".npz":
        raise WrongUsage(
            f"{printable(photos)} is a cache. Give a photo folder, or use "
            f"{Command('cluster', printable(photos), 'OUT')} to group the faces of the cache."
        )
    if photos.is_file() and is_manifest(photos):
        raise WrongUsage(f"{printable(photos)} is a manifest. Give a photo folder.")


def _default_place(photos: Path) -> Path:
    """Return the default place of results, unless results of other photos are there.

    Raises
    ------
    WrongUsage
        The default place holds results of other photos.
    """
    from facesets.operations.run import default_out
    from facesets.results.run_sources import sources_of

    out = default_out(photos, Path.cwd())
    sources = sources_of(out)
    if sources and photos.exists() and str(plain_path(photos)) not in sources:
        advice = _relocation_advice(photos, out)
        raise WrongUsage(
            f"{printable(out)} holds the results of {printable(sources[0])}. Give another result folder: "
            f"{Command('run', printable(photos), 'OUT')}. If you give the same OUT, both are sorted "
            f"together.{' ' if advice else ''}{advice}"
        )
    return out


def _relocation_advice(photos: Path, out: Path) -> str:
    """Return advice if the results are of photos in a missing folder; else an empty text."""
    from facesets.results.run_sources import sources_of

    sources = sources_of(out)
    missing = [source for source in sources if not is_there(Path(source))]
    if not missing or str(plain_path(photos)) in sources or not photos.exists():
        return ""
    relocate = Command("relocate", printable(missing[0]), printable(photos), printable(out / RUN_CACHE))
    return f"{printable(missing[0])} is gone. If its photos were moved here, run this first: {relocate}."


def _refuse_other_pack(out: Path, pack: str | None) -> None:
    """Refuse a pack whose embeddings differ from those in OUT, even without new photos.

    Raises
    ------
    RecognizerMismatch
        The embeddings differ.
    """
    from facesets.assembly.stores import open_cache
    from facesets.inference.catalog import CONVERTED, PUBLISHED
    from facesets.inference.packs import find_pack
    from facesets.operations.models.known_packs import is_pack_of

    known = open_cache(out / RUN_CACHE).settings if pack else None
    if known is None or pack is None or pack == known.pack:
        return
    try:
        is_same = is_pack_of(find_pack(pack, settings.load().model_roots), known)
    except MissingModelPack:
        if pack not in PUBLISHED and pack not in CONVERTED:
            raise
        is_same = False
    if not is_same:
        raise RecognizerMismatch(
            f"The results in {printable(out)} were made with model pack {printable(known.pack)}, not "
            f"{printable(pack)}. Omit --pack, or give another OUT."
        )


def _options(context: typer.Context, materialize: Materialize | None, *, dry_run: bool) -> "RunOptions":
    """Return the settings of all steps."""
    from facesets.operations.run import RunOptions

    grouping, gates = configured_flags(context, "cluster"), configured_flags(context, "refine")
    finding, given = configured_flags(context, "embed"), given_threshold(grouping)
    others = {name: value for name, value in grouping.items() if name not in _THRESHOLD_OPTIONS}
    own: dict[str, Any] = {} if materialize is None else {"materialize": materialize}
    return RunOptions(
        cluster=replace(options_of(ClusterOptions, others), dry_run=False, **own).chosen(
            grouping["method"], given
        ),
        refine=replace(options_of(RefineOptions, gates), dry_run=False, **own),
        extend=replace(options_of(ExtendOptions, configured_flags(context, "extend")), dry_run=False),
        include=tuple(finding["include"] or ()),
        exclude=tuple(finding["exclude"] or ()),
        workers=settings.load().cpus,
        dry_run=dry_run,
    )


def _models(
    cache: "Cache", source: "Source", flags: Mapping[str, Any], work: "Work"
) -> "tuple[Embedder, Sequence[Stage], EmbedOptions]":
    """Load the models, and choose the numbers of threads and batch sizes."""
    from facesets import settings
    from facesets.assembly.models import choose, detection_options, make_embedder, tuning_for_run
    from facesets.assembly.packs import get_pack, pack_to_begin_with
    from facesets.assembly.stages import StageModels, stages_of_run
    from facesets.operations.models.tuning import is_long
    from facesets.operations.options.start import EmbedOptions

    conf = settings.load()
    detection = detection_options(
        cache.settings, flags["pack"], flags["det_size"], flags["min_det_score"], conf
    )
    if flags["pack"] or cache.settings:
        named = bool(flags["pack"])
        pack = get_pack(detection.pack, conf, console, work, known=cache.settings, is_named=named)
    else:
        agrees = agrees_to_open_pack(work.progress)
        pack = pack_to_begin_with(conf, console, work, agrees=agrees)
    choice = choose(flags["provider"], pack, console)
    tuning = tuning_for_run(
        conf,
        pack,
        choice,
        detection,
        lambda: is_long(source.files(), sum(map(source.covers, cache.files()))),
        workers=flags["workers"],
        batch_size=flags["batch_size"],
        work=work,
    )
    options = replace(
        options_of(EmbedOptions, flags),
        workers=tuning.workers,
        batch_size=tuning.images_per_run,
        dry_run=False,
    )
    embedder = make_embedder(pack, detection, choice, tuning=tuning)
    stages = stages_of_run(
        options.stages,
        StageModels(embedder.settings, None, flags["provider"]),
        conf,
        console,
        work,
        enrich=options.enrich,
    )
    return embedder, stages, options
