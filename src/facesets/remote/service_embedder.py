"""A machine-learning service as an embedder of single pictures, for runs that outlive its failures."""

from collections.abc import Sequence

from facesets.errors import CannotInfer, ServiceFailed, Unreachable
from facesets.records import CacheSettings, Faces, Pixels
from facesets.remote.ml_service import MlService
from facesets.remote.retry import Stopped

_PACK = "ml-service/"


def service_model(settings: CacheSettings) -> str | None:
    """The name of the service's model that faces come from; None when they come from this machine."""
    return settings.pack.removeprefix(_PACK) if settings.pack.startswith(_PACK) else None


class ServiceEmbedder:
    """An `Embedder` whose failures cost the picture and not the run. May be called from several threads."""

    def __init__(self, service: MlService) -> None:
        """Find out whether the service is there.

        Raises
        ------
        Unreachable
            It does not answer.
        """
        if not service.answers():
            raise Unreachable(f"The machine-learning service {service.label} does not answer. Is it running?")
        self._service = service

    @property
    def settings(self) -> CacheSettings:
        """The models that the faces come from."""
        return self._service.settings

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """Find and embed the faces of each picture.

        Raises
        ------
        ServiceFailed
            The service failed for one of them, over all retries.
        """
        try:
            return self._service.embed(pictures)
        except (Unreachable, CannotInfer) as error:
            raise ServiceFailed(str(error)) from error
        except Stopped as error:
            raise ServiceFailed("the run was stopped while the service was failing") from error
