"""Get faces and CLIP embeddings from an Immich-compatible machine-learning service.

The service takes one picture a request and answers with boxes, scores and embeddings. It gives no
keypoints: `Faces.kps` is NaN throughout, so that what needs keypoints (aligned crops, pose from
keypoints) has to find them itself. Vectors arrive as text that holds JSON, in older builds as arrays,
and not always of unit length.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, Literal

import httpx
import numpy as np
from PIL import Image

from facesets.errors import CannotInfer, Unreachable
from facesets.imaging.boxes import short_edge
from facesets.imaging.sharpness import sharpness
from facesets.records import CacheSettings, ClipModel, Faces, Float32, Pixels
from facesets.remote.access import client_of, plain_url
from facesets.remote.retry import Pause, TransientError, retrying

WAITS_S = (5.0, 10.0, 20.0)
"""Waits between attempts: an idle service exits, and requests fail while it restarts."""

_PING_TIMEOUT_S = 10.0
"""Pings are answered immediately, even by a busy service."""

FACE_DIMENSION = 512
_JPEG_QUALITY = 95

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ServiceModels:
    """The models to use at the service.

    Attributes
    ----------
    faces : str
        Face detection and recognition.
    clip : str
        Images and texts in one space.
    min_det_score : float
        Least detector score of a face, in [0, 1].
    """

    faces: str = "buffalo_l"
    clip: str = "ViT-B-32__openai"
    min_det_score: float = 0.7


def service_url(text: str) -> tuple[httpx.URL, str]:
    """Return the address of a service, and how to call it in messages. Raises `WrongUsage`."""
    return plain_url(text, what="machine-learning service", example="http://HOST:3003")


class MlService:
    """An `Embedder` on a server, which also has CLIP. May be called from several threads at once."""

    def __init__(
        self,
        url: str,
        models: ServiceModels | None = None,
        *,
        pause: Pause,
        waits_s: Sequence[float] = WAITS_S,
        timeout_s: float = 120.0,
        picture_format: Literal["JPEG", "PNG"] = "JPEG",
    ) -> None:
        """Store the service's address; nothing is sent yet.

        Parameters
        ----------
        url : str
            Its address, such as `http://host:3003`.
        pause : callable
            Waits the given seconds between attempts; see `pausing`.
        picture_format : {'JPEG', 'PNG'}
            How pictures travel: JPEG is a fraction of the size, PNG loses nothing.

        Raises
        ------
        WrongUsage
            The address cannot be one.
        """
        base, self.label = service_url(url)
        self._models = models or ServiceModels()
        self._pause = pause
        self._waits_s = waits_s
        self._format = picture_format
        # Callers bring their own threads: if these waited for each other here, all would wake each time.
        self._client = client_of(base, httpx.Timeout(timeout_s, connect=10.0), {}, connections=None)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    @property
    def settings(self) -> CacheSettings:
        """Return the models of the faces.

        A service names its models and shows no digests: in their place stand digests of the names. So
        its vectors mix with those of the same model name on any service, and never with local ones.
        """
        name = self._models.faces
        return CacheSettings(
            pack=f"ml-service/{name}",
            recognizer=name,
            recognizer_sha256=_stand_in(f"{name}/recognition"),
            dimension=FACE_DIMENSION,
            detector=name,
            detector_sha256=_stand_in(f"{name}/detection"),
            det_size=0,
            min_det_score=self._models.min_det_score,
        )

    @property
    def clip_model(self) -> ClipModel:
        """Return the model that embeds images and texts, identified by its name."""
        name = self._models.clip
        return ClipModel(f"ml-service/{name}", _stand_in(f"{name}/clip"))

    def answers(self) -> bool:
        """Whether the service responds."""
        try:
            response = self._client.get("ping", timeout=_PING_TIMEOUT_S)
        except httpx.RequestError:
            return False
        return response.is_success and response.text.strip().strip('"') == "pong"

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """Find and embed the faces of each picture.

        Raises
        ------
        Unreachable
            The service does not answer, over all retries.
        CannotInfer
            It refuses the request, or answers with something else.
        """
        return [self._faces(pixels, self._ask(self._for_faces(), pixels)) for pixels in pictures]

    def faces_and_clip(self, pixels: Pixels) -> tuple[Faces, Float32]:
        """Return the faces and the CLIP embedding of an image in one request. Raises as `embed`."""
        answer = self._ask(self._for_faces() | self._for_clip("visual"), pixels)
        return self._faces(pixels, answer), self._vector(answer.get("clip"))

    def clip_image(self, pixels: Pixels) -> Float32:
        """Return the CLIP embedding of an image. Raises as `embed`."""
        return self._vector(self._ask(self._for_clip("visual"), pixels).get("clip"))

    def clip_text(self, text: str, *, language: str | None = None) -> Float32:
        """Return the CLIP embedding of a text. Raises as `embed`.

        Parameters
        ----------
        language : str or None
            Such as `en`, for models that know several.
        """
        return self._vector(self._ask(self._for_clip("textual", language), text).get("clip"))

    def _for_faces(self) -> dict[str, Any]:
        name = self._models.faces
        options = {"minScore": self._models.min_det_score}
        return {
            "facial-recognition": {
                "detection": {"modelName": name, "options": options},
                "recognition": {"modelName": name},
            }
        }

    def _for_clip(self, kind: str, language: str | None = None) -> dict[str, Any]:
        options = {"options": {"language": language}} if language else {}
        return {"clip": {kind: {"modelName": self._models.clip, **options}}}

    def _ask(self, entries: Json, subject: Pixels | str) -> Json:
        content: dict[str, Any] = {"entries": (None, json.dumps(entries))}
        if isinstance(subject, str):
            content["text"] = (None, subject)
        else:
            # An octet stream, like Immich's own requests: the service detects the format from the bytes.
            content["image"] = ("image", _encoded(subject, self._format), "application/octet-stream")
        try:
            return retrying(partial(self._ask_once, content), self._waits_s, self._pause)
        except TransientError as fault:
            raise Unreachable(
                f"The machine-learning service {self.label} failed: {fault.reason}. Results so far "
                "are saved; when it works again, run the same command again."
            ) from fault

    def _ask_once(self, content: Mapping[str, Any]) -> Json:
        try:
            response = self._client.post("predict", files=content)
        except httpx.RequestError as error:
            reason = "no answer in time" if isinstance(error, httpx.TimeoutException) else "no connection"
            raise TransientError(reason) from error
        if response.status_code >= 500 or response.status_code == 429:
            raise TransientError(f"it returned {response.status_code}")
        if not response.is_success:
            raise CannotInfer(
                f"The machine-learning service {self.label} rejected the request "
                f"({response.status_code}). Check that it has the models {self._models.faces} and "
                f"{self._models.clip}."
            )
        try:
            answer = response.json()
        except (ValueError, RecursionError) as error:
            raise self._other_answer() from error
        if not isinstance(answer, dict):
            raise self._other_answer()
        return answer

    def _faces(self, pixels: Pixels, answer: Json) -> Faces:
        rows = answer.get("facial-recognition")
        if not isinstance(rows, list):
            raise self._other_answer()
        height, width = pixels.shape[:2]
        try:
            boxes = [[row["boundingBox"][corner] for corner in ("x1", "y1", "x2", "y2")] for row in rows]
            box = np.array(boxes, np.float32).reshape(-1, 4)
            scores = np.array([row["score"] for row in rows], np.float32)
            # Boxes are in pixels of the picture that was sent.
            seen = float(answer.get("imageWidth") or width), float(answer.get("imageHeight") or height)
            box *= np.array([width / seen[0], height / seen[1]] * 2, np.float32)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._other_answer() from error
        if not (_are_boxes(box, width, height) and _are_scores(scores)):
            raise self._other_answer()
        vectors = [self._vector(row.get("embedding"), FACE_DIMENSION) for row in rows]
        return Faces(
            image=np.zeros(len(rows), np.int64),
            box=box,
            kps=np.full((len(rows), 5, 2), np.nan, np.float32),
            det_score=scores,
            embedding=np.array(vectors, np.float32).reshape(-1, FACE_DIMENSION),
            face_short=short_edge(box),
            blur=np.array([sharpness(pixels, each) for each in box], np.float32),
        )

    def _vector(self, value: object, dimension: int | None = None) -> Float32:
        """Parse an embedding given as text or array, normalized to unit length."""
        try:
            numbers = json.loads(value) if isinstance(value, str) else value
            vector = np.array(numbers, np.float32)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise self._other_answer() from error
        length = float(np.linalg.norm(vector))
        has_length = np.isfinite(length) and length > 0
        if vector.ndim != 1 or not has_length or dimension not in (None, len(vector)):
            raise self._other_answer()
        unit: Float32 = vector / np.float32(length)
        return unit

    def _other_answer(self) -> CannotInfer:
        return CannotInfer(
            f"{self.label} returned invalid faces or embeddings. Check that it is Immich's "
            "machine-learning service, and that its recognition model has 512 dimensions."
        )


def _are_boxes(box: Float32, width: int, height: int) -> bool:
    """Whether each box has an area inside the image."""
    starts, ends = box[:, :2], box[:, 2:]
    return bool(((starts < ends) & (starts < (width, height)) & (ends > 0) & np.isfinite(box[:, 2:])).all())


def _are_scores(scores: Float32) -> bool:
    return scores.ndim == 1 and bool(((scores >= 0) & (scores <= 1)).all())


def _encoded(pixels: Pixels, picture_format: Literal["JPEG", "PNG"]) -> bytes:
    out = BytesIO()
    options: dict[str, Any] = {"quality": _JPEG_QUALITY, "subsampling": 0} if picture_format == "JPEG" else {}
    Image.fromarray(pixels).save(out, picture_format, **options)
    return out.getvalue()


def _stand_in(name: str) -> str:
    return hashlib.sha256(f"ml-service/{name}".encode()).hexdigest()
