"""`facesets verify-bundle`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import PackOption, ProviderOption
from facesets.files import printable
from facesets.operations.options.cache import LOADER_DET_SIZE, LOADER_MIN_DET_SCORE, DetectionOptions


def verify_bundle(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Bundles, or folders: all bundles below them.", show_default=False
        ),
    ],
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Load .fsz bundles as roop-unleashed does, and say whom the result resembles."""
    from facesets import settings
    from facesets.assembly.models import choose, detection_options, make_embedder
    from facesets.assembly.packs import get_pack
    from facesets.operations.reports.verify_bundle import bundles_at, models_beside, verify_bundles

    files = bundles_at(paths)
    conf = settings.load()
    with console.stoppable() as stop, console.progress() as progress:
        known = models_beside(files[0])
        name = detection_options(known, pack, None, None, conf).pack
        models = get_pack(name, conf, console, progress, stop, known=known)
        detection = DetectionOptions(name, LOADER_DET_SIZE, LOADER_MIN_DET_SCORE)
        loader = make_embedder(models, detection, choose(provider, models, console))
        summary = verify_bundles(files, loader, progress=progress, stop=stop)
    rows = [
        [
            printable(check.file),
            check.pictures,
            check.faces,
            _number(check.own_cosine_similarity),
            f"{printable(check.nearest_other)} {_number(check.nearest_other_cosine_similarity)}".strip(),
            printable("; ".join(check.problems)) or "good",
        ]
        for check in summary.bundles
    ]
    headings = ["bundle", "pictures", "faces", "own set", "nearest other", "verdict"]
    console.show(summary, [console.table(headings, rows)], asked_for=True)
    console.finish(failed=summary.failed)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
