"""Find faces in crops and make face models, loading models only if needed."""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices
from facesets.operations.options.results import LOADER_DET_SIZE, VERIFY_MIN_DET_SCORE
from facesets.operations.options.start import DetectionOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facesets.inference.attributes import Attributes
    from facesets.inference.decoders import Detections
    from facesets.inference.landmarks import Landmarks
    from facesets.inference.local import LocalEmbedder
    from facesets.inference.packs import ModelPack
    from facesets.inference.providers import ProviderChoice
    from facesets.interfaces import Store
    from facesets.records import CacheSettings, Faces, Float32, Pixels
    from facesets.settings import Settings
    from facesets.work import Work


class EmbedderOnDemand:
    """An embedder that finds, downloads and loads its models on first use.

    It also makes face models, with further models of the pack.
    """

    def __init__(
        self, find: "Callable[[], tuple[ModelPack, ProviderChoice]]", det_size: int, min_det_score: float
    ) -> None:
        """Set the function that finds pack and provider, and the detection settings."""
        self._found = cache(find)
        self._detection = det_size, min_det_score
        self._load = cache(self._embedder)
        self._lead_models = cache(self._landmarks_and_attributes)

    def _embedder(self) -> "LocalEmbedder":
        from facesets.assembly.models import make_embedder

        pack, choice = self._found()
        return make_embedder(pack, DetectionOptions(pack.name, *self._detection), choice)

    def _landmarks_and_attributes(self) -> "tuple[Landmarks, Attributes | None]":
        from facesets.assembly.models import make_attributes, make_landmarks

        return make_landmarks(*self._found()), make_attributes(*self._found())

    @property
    def settings(self) -> "CacheSettings":
        """Return the settings of the embedder; raises the errors of loading it."""
        return self._load().settings

    def embed(self, pictures: "Sequence[Pixels]") -> "list[Faces]":
        """As the embedder; errors as loading it."""
        return self._load().embed(pictures)

    def detect(self, pixels: "Pixels") -> "Detections":
        """As the embedder; errors as loading it."""
        return self._load().detect(pixels)

    def raw_embeddings(self, pixels: "Pixels", kps: "Float32") -> "Float32":
        """As the embedder; errors as loading it."""
        return self._load().raw_embeddings(pixels, kps)

    @property
    def lead_columns(self) -> frozenset[str]:
        """Return the columns of faces that other models of the pack add; errors as finding it."""
        from facesets.inference.attributes import attribute_model
        from facesets.inference.model_files import LANDMARK_2D_106, LANDMARK_3D_68

        pack, _ = self._found()
        columns_of = {LANDMARK_2D_106: ("landmark_2d_106",), LANDMARK_3D_68: ("landmark_3d_68", "pose")}
        columns = {name for task, names in columns_of.items() if task in pack.models for name in names}
        return frozenset(columns | ({"age", "male"} if attribute_model(pack) else set()))

    def with_lead_columns(self, pixels: "Pixels", faces: "Faces") -> "Faces":
        """Add `lead_columns` to the faces of an image; errors as loading the models."""
        landmarks, attributes = self._lead_models()
        faces = landmarks.add(pixels, faces)
        if attributes is None:
            return faces
        seen = attributes.of(pixels, faces.box)
        return replace(faces, age=seen.age, male=seen.male)


def crop_checker(
    store: "Store",
    pack: str | None,
    provider: str,
    conf: "Settings",
    notices: Notices,
    work: "Work",
    *,
    fetch: bool,
) -> EmbedderOnDemand:
    """Make what finds faces in crops like the consumer of bundles, by default with the store's pack.

    `MissingModelPack` is raised when it is first used, so that a typo in a name is reported before any
    download.
    """

    def find() -> "tuple[ModelPack, ProviderChoice]":
        from facesets.assembly.models import choose
        from facesets.assembly.packs import get_pack
        from facesets.operations.ingest.enrich import require_models

        known = require_models(store)
        name = pack or known.pack
        models = get_pack(name, conf, notices, work, known=known, fetch=fetch, is_named=bool(pack))
        return models, choose(provider, models, notices)

    return EmbedderOnDemand(find, LOADER_DET_SIZE, VERIFY_MIN_DET_SCORE)
