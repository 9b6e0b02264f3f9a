"""Faces from an Immich-compatible machine-learning service."""

import json
import math
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import httpx
import numpy as np
from PIL import Image

from facesets.errors import ServiceFailed, Unreachable, WrongUsage
from facesets.imaging.boxes import short_edge
from facesets.imaging.sharpness import sharpness
from facesets.records import CacheSettings, Faces, Float32, Pixels
from facesets.stop import Stop

WAITS_S = (5.0, 10.0, 20.0)
"""Before each further attempt: the service restarts itself when it was idle."""

_IDENTITY = "ml-service:"
_DIMENSION = 512
_DET_SIZE = 640
_TIMEOUT_S = 120.0
_PING_TIMEOUT_S = 10.0
_SLICE_S = 0.1
# At 95 without colour subsampling a face's vector is as good as that of the original.
_JPEG = {"quality": 95, "subsampling": 0}


class _Nonsense(Exception):
    """The service answered what it never should."""


def is_remote(settings: CacheSettings) -> bool:
    """Whether faces come from a service rather than from models of this machine."""
    return settings.recogniser_sha256.startswith(_IDENTITY)


class RemoteEmbedder:
    """An `Embedder` that asks a service. May be called from several threads at once.

    Such faces have no keypoints (NaN). What the service calls a model is taken as that model's
    identity: vectors of equal names are compared, others never.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        min_det_score: float,
        stop: Stop,
        waits_s: Sequence[float] = WAITS_S,
        timeout_s: float = _TIMEOUT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Find out whether the service is there.

        Raises
        ------
        WrongUsage
            The address is no http URL.
        Unreachable
            Nothing answers there, or not as an ML service does.
        """
        if not url.startswith(("http://", "https://")):
            raise WrongUsage(f"--ml-uri must be a URL such as http://ml:3003, not {_harmless(url)}.")
        self._label = _harmless(url)
        self._model = model
        self._stop = stop
        self._waits_s = tuple(waits_s)
        self._sleep = sleep
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=timeout_s)
        self._settings = CacheSettings(
            pack=model,
            recogniser=f"{model} of an ML service",
            recogniser_sha256=f"{_IDENTITY}{model}",
            dimension=_DIMENSION,
            detector=f"{model} of an ML service",
            detector_sha256=f"{_IDENTITY}{model}",
            det_size=_DET_SIZE,
            min_det_score=min_det_score,
        )
        self._ping()

    @property
    def settings(self) -> CacheSettings:
        """The model as the service names it, and the detection settings asked for."""
        return self._settings

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """Find and embed the faces of each picture, one request each.

        Raises
        ------
        ServiceFailed
            The service failed for one of them each time it was asked.
        """
        return [self._faces(pixels) for pixels in pictures]

    def _ping(self) -> None:
        reason = ""
        for wait_s in (0.0, *self._waits_s):
            self._pause(wait_s)
            try:
                answer = self._client.get("/ping", timeout=_PING_TIMEOUT_S)
            except httpx.HTTPError as error:
                reason = type(error).__name__
                if isinstance(error, httpx.ConnectError):
                    break
                continue
            if answer.status_code == httpx.codes.OK and "pong" in answer.text:
                return
            reason = f"it answers {answer.status_code}"
        raise Unreachable(f"There is no ML service at {self._label} ({reason}). Is it running there?")

    def _faces(self, pixels: Pixels) -> Faces:
        body = _jpeg(pixels)
        reason = ""
        for wait_s in (0.0, *self._waits_s):
            self._pause(wait_s)
            try:
                answer = self._client.post(
                    "/predict", data={"entries": self._entries()}, files={"image": ("image.jpg", body)}
                )
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return self._parsed(answer, pixels)
                reason = f"it answered {answer.status_code}"
            except httpx.HTTPError as error:
                reason = f"{type(error).__name__}"
            except _Nonsense as error:
                reason = f"its answer makes no sense: {error}"
        raise ServiceFailed(f"the ML service failed {len(self._waits_s) + 1} times: {reason}")

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.requested:
                raise ServiceFailed("the run was stopped while the ML service was failing")
            self._sleep(min(left, _SLICE_S))

    def _entries(self) -> str:
        detection = {"modelName": self._model, "options": {"minScore": self._settings.min_det_score}}
        recognition = {"modelName": self._model}
        return json.dumps({"facial-recognition": {"detection": detection, "recognition": recognition}})

    def _parsed(self, answer: httpx.Response, pixels: Pixels) -> Faces:
        if answer.status_code != httpx.codes.OK:
            raise ServiceFailed(f"the ML service refuses the picture ({answer.status_code})")
        try:
            content = json.loads(answer.content)
            found = content["facial-recognition"]
            height, width = pixels.shape[:2]
            scale = np.array(
                [
                    width / _positive(content.get("imageWidth", width)),
                    height / _positive(content.get("imageHeight", height)),
                ],
                np.float64,
            )
            faces = [_face(item) for item in found]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _Nonsense(type(error).__name__) from error
        if not faces:
            return Faces.empty(_DIMENSION)
        box = (np.array([face[0] for face in faces]) * np.tile(scale, 2)).astype(np.float32)
        return Faces(
            image=np.zeros(len(faces), np.int64),
            box=box,
            kps=np.full((len(faces), 5, 2), np.nan, np.float32),
            det_score=np.array([face[1] for face in faces], np.float32),
            embedding=np.stack([face[2] for face in faces]),
            face_short=short_edge(box),
            blur=np.array([sharpness(pixels, one) for one in box], np.float32),
        )


def _face(item: Any) -> tuple[list[float], float, Float32]:  # noqa: ANN401 - whatever JSON can hold
    """Box, score and unit vector of one face; whatever is wrong with it raises ValueError and the like."""
    box = [float(item["boundingBox"][name]) for name in ("x1", "y1", "x2", "y2")]
    score = float(item["score"])
    raw = item["embedding"]
    vector = np.array(json.loads(raw) if isinstance(raw, str) else raw, np.float64)
    length = float(np.linalg.norm(vector))
    if vector.shape != (_DIMENSION,) or not math.isfinite(length) or length == 0:
        raise ValueError("the vector")
    if not all(map(math.isfinite, (*box, score))) or box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError("the box")
    return box, score, (vector / length).astype(np.float32)


def _positive(value: Any) -> float:  # noqa: ANN401 - whatever JSON can hold
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError("the size")
    return number


def _jpeg(pixels: Pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **_JPEG)
    return buffer.getvalue()


def _harmless(url: str) -> str:
    """A URL for messages: without user, password and query."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "what was given"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}" if parsed.host else "what was given"
