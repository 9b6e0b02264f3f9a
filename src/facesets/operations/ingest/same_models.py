"""Check that new faces, or faces to search by, come from the same models as the library's."""

from typing import TYPE_CHECKING

from facesets.errors import Field, RecognizerMismatch, Sentence
from facesets.files import printable
from facesets.installation import page
from facesets.records import CacheSettings
from facesets.remote.service_embedder import service_model

if TYPE_CHECKING:
    from facesets.store.postgres.library import Library


def require_models_of_library(library: "Library", settings: CacheSettings) -> None:
    """Refuse faces from other models once a library has people: they would match none of them.

    Raises
    ------
    RecognizerMismatch
    """
    ours = library.searched_by()
    if ours is not None and _way(ours) != _way(settings) and library.has_people():
        raise RecognizerMismatch(
            f"The faces of {library.label} were found with {_options(ours)}; faces found with "
            f"{_options(settings)} would match none of its people. Use the same options, another "
            f"library ({Field('database')}), or start over ({page('library.md')})."
        )


def require_recognizer_of_library(library: "Library", settings: CacheSettings) -> None:
    """Refuse to search with faces of another recognition model: raises `RecognizerMismatch`."""
    ours = library.settings
    if ours is not None and ours.recognizer_sha256 != settings.recognizer_sha256:
        service = service_model(ours)
        pack = Field("pack", printable(ours.pack) if service is None else service)
        way = f"{pack}" if service is None else f"{Field('ml_uri', 'URL')} {pack}"
        raise RecognizerMismatch(
            f"The faces of {library.label} come from another recognition model "
            f"({ours.pack}/{ours.recognizer}) than the pack {printable(settings.pack)}, and their "
            f"embeddings cannot be compared. Search with {way}."
        )


def _way(models: CacheSettings) -> tuple[object, ...]:
    return models.recognizer_sha256, models.pack, models.detection


def _options(models: CacheSettings) -> Sentence:
    of_service = service_model(models)
    own = f"{Field('pack', printable(models.pack))} {Field('det_size', str(models.det_size))}"
    service = f"the ML service's {of_service}"
    score = Field("min_det_score", f"{models.min_det_score:g}")
    return Sentence(f"{own if of_service is None else service} {score}")
