"""`facesets dedup`, `sheet`, `evaluate` and `verify-bundle`: reports on results."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.flags import typed_flags
from facesets.cli.opening import opened_store, work_on_store, working
from facesets.cli.params import (
    DatabaseOption,
    MaxCosineDistanceOption,
    MinCosineSimilarityOption,
    OptionalCacheArgument,
    PackOption,
    ProviderOption,
    given_threshold,
    refuse_several_results,
)
from facesets.errors import WrongUsage
from facesets.files import require_suffix
from facesets.operations.options.declaration import Option
from facesets.operations.options.grouping import Method
from facesets.operations.options.results import LOADER_DET_SIZE, LOADER_MIN_DET_SCORE, DedupOptions
from facesets.operations.options.shared import DryRun
from facesets.operations.options.start import ClusterOptions
from facesets.plurals import counted, people
from facesets.words import face_sets as words
from facesets.words.phrases import table

if TYPE_CHECKING:
    from facesets.inference.packs import ModelPack
    from facesets.inference.providers import ProviderChoice
    from facesets.operations.reports.evaluate import Evaluation

_OF_LIBRARY = "library.duplicates.json"


def dedup(
    cache: OptionalCacheArgument = None,
    database: DatabaseOption = None,
    out: Annotated[
        Path | None,
        Option(
            "File for the report.",
            unset=f"CACHE.duplicates.json; of the library {_OF_LIBRARY} in this folder",
        ),
    ] = None,
    *,
    options: DedupOptions,
) -> None:
    """Report copies and near-duplicates; delete nothing."""
    from facesets.operations.reports.dedup import dedup as run

    default_out = Path(_OF_LIBRARY) if cache is None else cache.with_name(cache.name + ".duplicates.json")
    with work_on_store(cache, database) as (store, work):
        done = run(store, out or default_out, options, work=work)
    console.report(done, words.dedup(done))


def sheet(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A result folder, or its manifest.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Argument(metavar="[OUT.png]", help="The first page. [default: sheet.png beside the manifest]"),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Draw contact sheets of a result.

    One row for each person, and the rejected faces with the reason.
    """
    from facesets.operations.reports.evaluation_sheet import sheet as run

    refuse_several_results(manifest, "sheet")
    with working() as work:
        done = run(manifest, out, dry_run=dry_run, work=work)
    console.show(done, words.sheet(done))
    console.finish()


_DEFAULT = ClusterOptions()
_FOLDER_ABOVE = "the folder above each photo (use --truth FILE.csv for others)"


def evaluate(
    context: typer.Context,
    cache: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CACHE]",
            help="The cache file. [default: the library, unless --vectors is given]",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
    truth: Annotated[
        str,
        Option(
            "Where the true people come from: parent-folder, or a CSV file with the columns name and face"
            " or path."
        ),
    ] = "parent-folder",
    vectors: Annotated[
        Path | None,
        Option(
            "Evaluate this .npz file with the arrays embedding, name and optionally image.", advanced=True
        ),
    ] = None,
    method: Annotated[
        Method | None, Option("How to group.", unset=f"{_DEFAULT.method}, with thresholds agglomerative")
    ] = None,
    max_cosine_distance: MaxCosineDistanceOption = None,
    min_cosine_similarity: MinCosineSimilarityOption = None,
    threshold: Annotated[
        float | None,
        Option("Cosine distance (agglomerative) or cosine similarity (components).", hidden=True),
    ] = None,
    sweep: Annotated[
        str | None,
        Option("Try a range of thresholds, such as 0.4:0.8:0.05.", metavar="FROM:TO:STEP"),
    ] = None,
    sheet: Annotated[
        Path | None,
        Option("Draw the worst errors into this PNG."),
    ] = None,
) -> None:
    """Measure a clustering against known people.

    Worst errors come first.
    """
    from facesets.operations.reports import evaluate as run

    if sheet is not None:
        require_suffix(sheet, ".png")
    collection = None
    if vectors is not None:
        known = run.truth_of_vectors(vectors)
    else:
        with opened_store(cache, database) as store:
            collection = store.load()
        by_folder = truth == run.PARENT_FOLDER
        known = run.truth_of_folders(collection) if by_folder else run.truth_of_csv(collection, Path(truth))
    given = given_threshold(context.params, typed_flags(context))
    options = _DEFAULT.chosen(method, given)
    if given is not None and given.measure is None and given.value is not None:
        options = options.with_own_threshold(given.value)
    trials = [options]
    if sweep:
        trials = run.sweep(_DEFAULT.chosen(method or "agglomerative", None), _range(sweep))
    evaluation = run.evaluate(known, trials)
    if sheet is not None:
        if collection is None:
            raise WrongUsage("--sheet needs a cache or the library: embeddings alone have no photos.")
        from facesets.operations.reports.evaluation_sheet import draw_errors

        with working() as work:
            draw_errors(evaluation, collection, sheet, work=work)
    console.show(evaluation, _lines(evaluation), asked_for=True)


def _range(text: str) -> list[float]:

    match = re.fullmatch(r"(\d*\.?\d+):(\d*\.?\d+):(\d*\.?\d+)", text)
    first, last, step = (float(part) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    if step <= 0 or last < first:
        raise WrongUsage(f"--sweep {text} is not a range. Give FROM:TO:STEP, such as 0.4:0.8:0.05.")
    return [round(first + i * step, 6) for i in range(int((last - first) / step + 1e-9) + 1)]


def _lines(evaluation: "Evaluation") -> list[str]:
    from facesets.operations.reports.evaluate import PARENT_FOLDER

    headings = ("method", "cut", "pairwise P", "R", "F1", "BCubed P", "R", "F1", "V", "clusters")
    rows = [
        (
            trial.method,
            "measured" if trial.threshold is None else f"{trial.threshold:g}",
            *(
                f"{value:.4f}"
                for value in (
                    trial.scores.pairwise_precision,
                    trial.scores.pairwise_recall,
                    trial.scores.pairwise_f1,
                    trial.scores.bcubed_precision,
                    trial.scores.bcubed_recall,
                    trial.scores.bcubed_f1,
                    trial.scores.v_measure,
                )
            ),
            trial.scores.clusters,
        )
        for trial in evaluation.trials
    ]
    left_out = f", {evaluation.unknown} named without a face" if evaluation.unknown else ""
    lines = [
        f"{counted(evaluation.faces, 'face')} of {people(evaluation.people)}{left_out}",
        f"True people: {_FOLDER_ABOVE if evaluation.truth == PARENT_FOLDER else evaluation.truth}.",
        table(headings, rows),
    ]
    for merge in evaluation.merges:
        mixed = ", ".join(f"{name} ({count})" for name, count in merge.people[:6])
        lines.append(f"merged, {counted(merge.pairs, 'wrong pair')}: {mixed}")
    for split in evaluation.splits:
        pieces = " + ".join(str(piece) for piece in split.pieces[:10])
        lines.append(f"split, {counted(split.pairs, 'separated pair')}: {split.person} ({pieces})")
    return lines


def verify_bundle(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Bundles and face models, or folders of them.",
            show_default=False,
        ),
    ],
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Check that bundles load and resemble the right person.

    More than 10 good files are only counted; -v lists them all.
    """
    from facesets.assembly.crop_checker import EmbedderOnDemand
    from facesets.assembly.models import choose, detection_options
    from facesets.assembly.packs import get_pack
    from facesets.operations.reports.export_context import bundles_at, models_of_export
    from facesets.operations.reports.verify_bundle import verify_bundles

    files = bundles_at(paths)
    conf = settings.load()
    with working() as work:

        def find() -> "tuple[ModelPack, ProviderChoice]":
            known = next(filter(None, map(models_of_export, files)), None)
            name = detection_options(known, pack, None, None, conf).pack
            models = get_pack(name, conf, console, work, known=known, is_named=bool(pack))
            return models, choose(provider, models, console)

        loader = EmbedderOnDemand(find, LOADER_DET_SIZE, LOADER_MIN_DET_SCORE)
        done = verify_bundles(files, loader, work=work)
    console.show(done, words.verify_bundle(done, verbose=console.session.verbose), asked_for=True)
    console.finish(failed=done.failed)
