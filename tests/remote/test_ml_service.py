"""The Immich ML contract: what is asked, what is understood, and what is tried again."""

import itertools

import numpy as np
import pytest

from facesets.errors import ServiceFailed, Unreachable, WrongUsage
from facesets.remote.ml_service import RemoteEmbedder
from facesets.stop import Stop
from tests.fixtures.ml_service import Service, ml_service

PICTURE = np.full((250, 250, 3), 128, np.uint8)


def embedder(service: Service, attempts: int = 4, timeout_s: float = 5.0) -> RemoteEmbedder:
    return RemoteEmbedder(
        service.url,
        model="buffalo_l",
        min_det_score=0.7,
        stop=Stop(),
        waits_s=[0.01] * (attempts - 1),
        timeout_s=timeout_s,
    )


def test_faces_come_with_scaled_boxes_and_unit_vectors() -> None:
    with ml_service() as service:
        remote = embedder(service)
        (faces,) = remote.embed([PICTURE])
        remote.close()
    assert service.asked == [
        {
            "facial-recognition": {
                "detection": {"modelName": "buffalo_l", "options": {"minScore": 0.7}},
                "recognition": {"modelName": "buffalo_l"},
            }
        }
    ]
    assert faces.box[0, :2].tolist() == [20.0, 40.0]
    assert np.linalg.norm(faces.embedding[0]) == pytest.approx(1, abs=1e-6)
    assert np.isnan(faces.kps).all()


def test_whatever_goes_wrong_for_a_moment_is_tried_again() -> None:
    with ml_service() as service:
        good = embedder(service)
        (expected,) = good.embed([PICTURE])
        good.close()
        service.misbehaves, service.hang_s = 0.6, 0.5
        remote = embedder(service, attempts=40, timeout_s=0.3)
        for _ in range(6):
            (faces,) = remote.embed([PICTURE])
            np.testing.assert_array_equal(faces.embedding, expected.embedding)
        remote.close()


def test_a_picture_that_fails_each_time_is_given_up() -> None:
    with ml_service() as service:
        remote = embedder(service, timeout_s=0.3)
        service.misbehaves, service.hang_s = 1.0, 0.5
        with pytest.raises(ServiceFailed, match="4 times"):
            remote.embed([PICTURE])
        remote.close()


def test_a_refusal_is_not_tried_again() -> None:
    with ml_service() as service:
        remote = embedder(service)
        service.status = 422
        with pytest.raises(ServiceFailed, match="422"):
            remote.embed([PICTURE])
        remote.close()
    assert len(service.asked) == 1


def test_a_stop_ends_the_waiting() -> None:
    stop = Stop()
    slept = itertools.count()

    def sleep(_: float) -> None:
        if next(slept) == 2:
            stop.request()

    with ml_service() as service:
        remote = RemoteEmbedder(service.url, model="m", min_det_score=0.5, stop=stop, sleep=sleep)
        service.misbehaves, service.hang_s = 1.0, 0.0
        with pytest.raises(ServiceFailed, match="stopped"):
            remote.embed([PICTURE])
        remote.close()


def test_a_service_that_is_not_there_is_a_sentence_without_secrets() -> None:
    with pytest.raises(Unreachable, match=r"http://127.0.0.1:9 ") as caught:
        RemoteEmbedder("http://me:s3cret@127.0.0.1:9/x", model="m", min_det_score=0.5, stop=Stop())
    assert "s3cret" not in str(caught.value)
    with pytest.raises(WrongUsage, match="must be a URL"):
        RemoteEmbedder("ml:3003", model="m", min_det_score=0.5, stop=Stop())
