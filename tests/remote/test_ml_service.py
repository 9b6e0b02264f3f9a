"""Faces and CLIP vectors from a service, over loopback."""

import json
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facesets.errors import CannotInfer, Unreachable, WrongUsage
from facesets.interfaces import Embedder
from facesets.records import Pixels
from facesets.remote.ml_service import MlService, ServiceModels
from tests.fixtures.ml_service import Service, ml_service

NUMBERS = np.random.default_rng(9).normal(size=512).tolist()
"""A vector that is not of unit length."""
PICTURE: Pixels = np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8)


def face(box: tuple[float | None, ...] = (10, 20, 60, 100), **changes: Any) -> dict[str, Any]:
    """A face as the service answers it."""
    named = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    return {"boundingBox": named, "embedding": json.dumps(NUMBERS), "score": 0.87, **changes}


@pytest.fixture
def server() -> Iterator[Service]:
    """Run a service that finds no faces by default."""
    with ml_service() as running:
        running.faces, running.clip = [], NUMBERS
        yield running


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def service(server: Service, waited: list[float]) -> Iterator[MlService]:
    client = MlService(server.url, pause=waited.append)
    yield client
    client.close()


def test_faces_come_with_box_score_and_a_vector_of_unit_length(server: Service, service: MlService) -> None:
    server.faces = [face(), face((0, 0, 30, 40))]
    embedder: Embedder = service
    [faces] = embedder.embed([PICTURE])
    assert faces.box.tolist() == [[10, 20, 60, 100], [0, 0, 30, 40]]
    assert faces.face_short.tolist() == [50, 30]
    assert faces.det_score == pytest.approx([0.87, 0.87])
    assert np.linalg.norm(faces.embedding, axis=1) == pytest.approx([1, 1], abs=1e-6)
    assert faces.embedding[1] == pytest.approx(NUMBERS / np.linalg.norm(NUMBERS), abs=1e-6)
    assert (faces.blur > 0).all()
    # The service gives no keypoints, and none are made up.
    assert np.isnan(faces.kps).all()


def test_vectors_may_be_arrays_as_older_services_send_them(server: Service, service: MlService) -> None:
    server.faces = [face(), face(embedding=NUMBERS)]
    faces, clip = service.faces_and_clip(PICTURE)
    assert (faces.embedding[0] == faces.embedding[1]).all()
    server.clip = json.dumps(NUMBERS)
    assert clip == pytest.approx(service.clip_text("a dog"))


def test_boxes_are_in_pixels_of_the_picture_whatever_size_was_seen(
    server: Service, service: MlService
) -> None:
    server.faces, server.seen_size = [face((5, 10, 30, 50))], (80, 60)
    [faces] = service.embed([PICTURE])
    assert faces.box.tolist() == [[10, 20, 60, 100]]


def test_a_picture_without_faces_has_no_result(service: MlService) -> None:
    [faces] = service.embed([PICTURE])
    assert (len(faces), faces.dimension) == (0, 512)


def test_requests_name_the_models_as_the_service_wants_them(server: Service) -> None:
    service = MlService(server.url, ServiceModels("antelopev2", "nllb", 0.5), pause=lambda _: None)
    service.faces_and_clip(PICTURE)
    service.clip_text("ein Hund", language="de")
    service.close()
    both, text = server.asked
    assert both == {
        "facial-recognition": {
            "detection": {"modelName": "antelopev2", "options": {"minScore": 0.5}},
            "recognition": {"modelName": "antelopev2"},
        },
        "clip": {"visual": {"modelName": "nllb"}},
    }
    assert text == {"clip": {"textual": {"modelName": "nllb", "options": {"language": "de"}}}}
    assert (len(server.pictures), server.texts) == (1, [b"ein Hund"])


def test_upright_pixels_arrive_whole_as_png_and_nearly_so_as_jpeg(server: Service) -> None:
    smooth = np.add.outer(np.arange(120), np.arange(160)).astype(np.uint8)[..., None].repeat(3, axis=2)
    for picture_format in ("PNG", "JPEG"):
        service = MlService(server.url, pause=lambda _: None, picture_format=picture_format)
        service.embed([smooth])
        service.close()
    png, jpeg = (np.asarray(Image.open(BytesIO(picture)), np.int16) for picture in server.pictures)
    assert (png == smooth).all()
    assert abs(jpeg - smooth).mean() < 2


def test_a_restarting_service_is_retried_after_5_10_and_20_seconds(
    server: Service, service: MlService, waited: list[float]
) -> None:
    server.failures = [503, 500, 502]
    server.faces = [face()]
    assert len(service.embed([PICTURE])[0]) == 1
    assert waited == [5.0, 10.0, 20.0]
    server.failures = [500] * 4
    with pytest.raises(Unreachable, match="returned 500"):
        service.embed([PICTURE])


def test_a_missing_service_is_reported_as_unreachable(service: MlService, waited: list[float]) -> None:
    assert service.answers()
    nobody = MlService("http://127.0.0.1:9", pause=waited.append)
    assert not nobody.answers()
    with pytest.raises(Unreachable, match="no connection"):
        nobody.clip_text("a dog")
    nobody.close()


def test_refused_questions_are_not_asked_again(
    server: Service, service: MlService, waited: list[float]
) -> None:
    server.failures = [422]
    with pytest.raises(CannotInfer, match="buffalo_l"):
        service.embed([PICTURE])
    assert (waited, len(server.asked)) == ([], 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"facial-recognition": [], "imageWidth": 1' + b"0" * 400 + b"}",
        b'{"facial-recognition": [{}]}',
        b'{"facial-recognition": [{"boundingBox": {"x1": 0, "y1": 0, "x2": 9, "y2": 9}, "score": 1}]}',
        b'{"facial-recognition": [{"boundingBox": {"x1":0,"y1":0,"x2":9,"y2":9},"score":1,"embedding":[1]}]}',
    ],
)
def test_an_invalid_answer_is_refused(answer: bytes, server: Service, service: MlService) -> None:
    server.raw_answer = answer
    with pytest.raises(CannotInfer):
        service.embed([PICTURE])


@pytest.mark.parametrize(
    "odd",
    [
        face(score=None),
        face(score=7),
        face(score=[0.5, 0.5]),
        face((None, 0, 9, 9)),
        face((9, 0, 0, 9)),
        face((0, 0, math.inf, 9)),
        face((900, 0, 999, 9)),
        face((0, 0, 10**400, 9)),
        face(embedding="[" * 100_000),
        face(embedding=[10**400] * 512),
    ],
)
def test_impossible_faces_are_refused(odd: dict[str, Any], server: Service, service: MlService) -> None:
    server.faces = [face(), odd]
    with pytest.raises(CannotInfer):
        service.embed([PICTURE])


@pytest.mark.parametrize("vector", ["[]", "[0, 0]", "[NaN]", "nonsense", None, "[[1]]"])
def test_an_invalid_vector_is_refused(vector: object, server: Service, service: MlService) -> None:
    server.clip = vector
    with pytest.raises(CannotInfer):
        service.clip_image(PICTURE)


def test_service_vectors_mix_only_with_the_same_models_at_services() -> None:
    here, there = (MlService(f"http://{host}:3003", pause=lambda _: None) for host in ("a", "b"))
    other = MlService("http://a:3003", ServiceModels(faces="antelopev2"), pause=lambda _: None)
    assert here.settings == there.settings
    assert here.settings.recognizer_sha256 != other.settings.recognizer_sha256
    for service in (here, there, other):
        service.close()


@pytest.mark.parametrize("url", ["", "host:3003", "ftp://host"])
def test_an_invalid_address_is_refused(url: str) -> None:
    with pytest.raises(WrongUsage, match="machine-learning service"):
        MlService(url, pause=lambda _: None)


@pytest.mark.slow
def test_as_many_pictures_are_under_way_as_there_are_readers(server: Service, service: MlService) -> None:
    readers = 120
    server.before_answer = threading.Barrier(readers, timeout=60).wait
    with ThreadPoolExecutor(readers) as pool:
        assert len(list(pool.map(lambda _: service.embed([PICTURE[:32, :32]]), range(readers)))) == readers
