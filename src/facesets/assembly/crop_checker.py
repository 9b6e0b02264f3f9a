"""What finds faces in crops, loaded only if there are crops to check."""

from functools import cache
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices
from facesets.operations.options.cache import LOADER_DET_SIZE, VERIFY_MIN_DET_SCORE, DetectionOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facesets.inference.local import LocalEmbedder
    from facesets.interfaces import Progress, Store
    from facesets.records import CacheSettings, Faces, Pixels
    from facesets.settings import Settings
    from facesets.stop import Stop


class EmbedderOnDemand:
    """An embedder whose models are found, fetched and loaded when they are first needed."""

    def __init__(self, load: "Callable[[], LocalEmbedder]") -> None:
        self._load = cache(load)

    @property
    def settings(self) -> "CacheSettings":
        """Those of the embedder; errors as loading it."""
        return self._load().settings

    def embed(self, pictures: "Sequence[Pixels]") -> "list[Faces]":
        """As the embedder; errors as loading it."""
        return self._load().embed(pictures)


def crop_checker(
    store: "Store",
    pack: str | None,
    provider: str,
    conf: "Settings",
    notices: Notices,
    progress: "Progress",
    stop: "Stop",
    *,
    fetch: bool,
) -> EmbedderOnDemand:
    """What finds faces in crops as the bundles' consumer does, with the store's own pack unless told.

    `MissingModelPack` is raised when it is first used, so that a typo in a name is reported before any
    download.
    """

    def load() -> "LocalEmbedder":
        from facesets.assembly.models import choose, make_embedder
        from facesets.assembly.packs import get_pack
        from facesets.operations.ingest.enrich import require_models

        known = require_models(store)
        name = pack or known.pack
        models = get_pack(name, conf, notices, progress, stop, known=known, fetch=fetch)
        detection = DetectionOptions(name, LOADER_DET_SIZE, VERIFY_MIN_DET_SCORE)
        return make_embedder(models, detection, choose(provider, models, notices))

    return EmbedderOnDemand(load)
