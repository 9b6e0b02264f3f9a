"""A machine-learning service as an embedder that tolerates single failures."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from facesets.errors import CannotInfer, ServiceFailed, Unreachable
from facesets.files import printable
from facesets.records import CacheSettings, ClipModel, Description, Faces, Float32, Pixels, Wanted
from facesets.remote.circuit import Circuit
from facesets.remote.ml_service import MlService
from facesets.remote.retry import Stopped

_PACK = "ml-service/"
T = TypeVar("T")


def service_model(settings: CacheSettings) -> str | None:
    """Return the service's model name of faces; None if they come from this machine."""
    return settings.pack.removeprefix(_PACK) if settings.pack.startswith(_PACK) else None


def service_clip(model: ClipModel) -> str | None:
    """Return the service's model name of embeddings; None if they come from this machine."""
    return model.name.removeprefix(_PACK) if model.name.startswith(_PACK) else None


class ServiceEmbedder:
    """An `Embedder` and `Describer` whose failures skip the image; the run ends only if it is down.

    May be called from several threads at once.
    """

    def __init__(self, service: MlService, *, faces: bool = True, clip: bool = False) -> None:
        """Check that the service responds.

        Parameters
        ----------
        faces, clip : bool
            What to describe pictures by.

        Raises
        ------
        Unreachable
            The service does not answer.
        """
        if not service.answers():
            raise Unreachable(
                f"The machine-learning service {service.label} is not responding. Check that it is running."
            )
        self._service = service
        self._faces = faces
        self._clip = clip
        self._circuit = Circuit(
            f"The machine-learning service {service.label}",
            service.answers,
            advice=f"Check that it has the {self._models()}.",
        )

    def _models(self) -> str:
        names = [self._service.settings.recognizer] if self._faces else []
        names += [service_clip(self._service.clip_model) or ""] if self._clip else []
        return f"model{'s' if len(names) > 1 else ''} {' and '.join(map(printable, names))}"

    @property
    def settings(self) -> CacheSettings:
        """Return the models of the faces."""
        return self._service.settings

    @property
    def faces_from(self) -> CacheSettings | None:
        """Return the models of the faces, if faces are detected."""
        return self.settings if self._faces else None

    @property
    def clip_from(self) -> ClipModel | None:
        """Return the model that embeds whole images, if any."""
        return self._service.clip_model if self._clip else None

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """Find and embed the faces of each picture.

        Raises
        ------
        ServiceFailed
            The service failed for one of them, over all retries.
        Unreachable
            It failed for so many in a row that it counts as down.
        """
        return self._at_the_cost_of_pictures(lambda: self._service.embed(pictures))

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        """Describe each image, in one request each. Raises as `embed`."""
        return self._at_the_cost_of_pictures(
            lambda: [self._one(pixels, each) for pixels, each in zip(pictures, wanted, strict=True)]
        )

    def clip_image(self, pixels: Pixels) -> Float32:
        """Return the embedding of an image. Raises as `embed`."""
        return self._at_the_cost_of_pictures(lambda: self._service.clip_image(pixels))

    def clip_text(self, text: str) -> Float32:
        """Return the embedding of a text. Raises as `embed`."""
        return self._at_the_cost_of_pictures(lambda: self._service.clip_text(text))

    def clip_texts(self, texts: Sequence[str], *, at_once: int) -> list[Float32]:
        """Return the embeddings of texts in order, one request each, several at a time.

        Raises
        ------
        As `embed`; further texts are not asked for then.
        """
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.clip_text, texts))

    def _one(self, pixels: Pixels, wanted: Wanted) -> Description:
        faces, clip = wanted.faces and self._faces, wanted.clip and self._clip
        if faces and clip:
            return Description(*self._service.faces_and_clip(pixels))
        if clip:
            return Description(clip=self._service.clip_image(pixels))
        return Description(self._service.embed([pixels])[0]) if faces else Description()

    def _at_the_cost_of_pictures(self, ask: Callable[[], T]) -> T:
        self._circuit.check()
        try:
            found = ask()
        except Unreachable as error:
            self._circuit.failed()
            raise ServiceFailed(error.sentence) from error
        except CannotInfer as error:
            raise ServiceFailed(error.sentence) from error
        except Stopped as error:
            raise ServiceFailed("the run was stopped while the service was failing") from error
        self._circuit.succeeded()
        return found
