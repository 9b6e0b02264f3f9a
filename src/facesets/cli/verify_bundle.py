"""`facesets verify-bundle`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import working
from facesets.cli.params import PackOption, ProviderOption
from facesets.operations.options.results import LOADER_DET_SIZE, LOADER_MIN_DET_SCORE
from facesets.words import face_sets as words

if TYPE_CHECKING:
    from facesets.inference.packs import ModelPack
    from facesets.inference.providers import ProviderChoice


def verify_bundle(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Bundles and face models, or folders: all below them.",
            show_default=False,
        ),
    ],
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Load bundles and face models as their consumers do, and say whom the result resembles."""
    from facesets import settings
    from facesets.assembly.crop_checker import EmbedderOnDemand
    from facesets.assembly.models import choose, detection_options
    from facesets.assembly.packs import get_pack
    from facesets.operations.reports.sets_beside import bundles_at, models_beside
    from facesets.operations.reports.verify_bundle import verify_bundles

    files = bundles_at(paths)
    conf = settings.load()
    with working() as work:

        def find() -> "tuple[ModelPack, ProviderChoice]":
            known = next(filter(None, map(models_beside, files)), None)
            name = detection_options(known, pack, None, None, conf).pack
            models = get_pack(name, conf, console, work, known=known, is_named=bool(pack))
            return models, choose(provider, models, console)

        loader = EmbedderOnDemand(find, LOADER_DET_SIZE, LOADER_MIN_DET_SCORE)
        done = verify_bundles(files, loader, work=work)
    console.show(done, words.verify_bundle(done), asked_for=True)
    console.finish(failed=done.failed)
