"""How long corrections of a result folder take in `serve --results`: processor seconds, all threads together.

    .venv/bin/python scripts/benchmarks/corrections.py [--photos 20000] [--people 400] [--corrections 10]
        [--profile]

A folder of small files is sorted by `cluster`; then faces are moved to another person one by one, as the
browser does: a call, and the page of the person after it. The first one is not counted: it fills the cache.
"""

import argparse
import hashlib
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from facesets.file_records import FileRecord
from facesets.operations.grouping.cluster import cluster
from facesets.operations.options.start import ClusterOptions
from facesets.records import CacheSettings, Faces, ImageRecord
from facesets.store.npz.cache import Cache
from facesets.web.access import Access
from facesets.web.api.result_folder import ResultSite
from facesets.web.app import create_results_app
from facesets.web.crops import CropStore
from facesets.work import Work

TOKEN = "the token of this measurement"
BASE = "/api/v1/faces"
DIMENSION = 64
SETTINGS = CacheSettings("made", "made.onnx", "aa" * 32, DIMENSION, "found.onnx", "bb" * 32, 640, 0.5)


def main() -> None:
    """Measure, and print the median and the maximum."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--corrections", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facesets-corrections-") as folder:
        root = make_result(Path(folder), asked.photos, asked.people)
        app = create_results_app(
            ResultSite(root, CropStore(Path(folder) / "crops", 1_000_000)), Access(TOKEN, must_log_in=False)
        )
        with TestClient(app, "http://127.0.0.1", headers={"authorization": f"Bearer {TOKEN}"}) as client:
            next(corrected(client, 1))
            took = list(corrected(client, asked.corrections))
    for what, seconds in (
        ("correction", [each for each, _ in took]),
        ("page after it", [each for _, each in took]),
    ):
        print(f"{what}: {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s")


def make_result(folder: Path, photos: int, people: int) -> Path:
    """Sort small files by the one made-up person on each; returns the result's folder."""
    rng = np.random.default_rng(0)
    hearts = rng.standard_normal((people, DIMENSION))
    source = folder / "photos"
    source.mkdir()
    store = Cache(folder / "cache.npz")
    store.require(SETTINGS)
    with store.writing(SETTINGS):
        files, images = [], []
        for number in range(photos):
            path = source / f"{number:06}.jpg"
            content = str(number).encode()
            path.write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            vector = hearts[number % people] + rng.standard_normal(DIMENSION) * 0.4
            files.append(FileRecord(str(path), len(content), path.stat().st_mtime_ns, digest))
            images.append(
                ImageRecord(
                    digest, 640, 480, np.datetime64("NaT", "s"), bytes.fromhex(digest), one_face(vector)
                )
            )
        store.commit(files, images)
    root = folder / "people"
    options = ClusterOptions(materialize="hardlink", sheet=False).chosen("components", None)
    cluster(store, root, options, work=Work())
    return root


def one_face(vector: np.ndarray) -> Faces:
    """Return a face with this vector."""
    box = np.array([[100, 100, 220, 220]], np.float32)
    return replace(
        Faces.empty(DIMENSION),
        image=np.zeros(1, np.int64),
        box=box,
        kps=np.zeros((1, 5, 2), np.float32),
        det_score=np.ones(1, np.float32),
        embedding=(vector / np.linalg.norm(vector)).astype(np.float32)[None],
        face_short=np.full(1, 120, np.float32),
        blur=np.full(1, 500, np.float32),
    )


def corrected(client: TestClient, count: int) -> Iterator[tuple[float, float]]:
    """Move a face of the largest person to the next one repeatedly; return processor seconds."""
    for _ in range(count):
        people = client.get(f"{BASE}/persons", params={"pageSize": 2}).raise_for_status().json()["items"]
        page = client.get(f"/people/{people[0]['id']}", headers={"accept": "text/html"}).raise_for_status()
        face = re.findall(r'type="checkbox"[^>]* value="([^"]+)"', page.text)[0]
        began = time.process_time()
        body = {
            "action": "move",
            "faceIds": [face],
            "name": people[1]["name"],
            "version": people[0]["version"],
        }
        client.post(f"{BASE}/persons/{people[0]['id']}", json=body).raise_for_status()
        answered = time.process_time()
        client.get(f"/people/{people[0]['id']}", headers={"accept": "text/html"}).raise_for_status()
        yield answered - began, time.process_time() - answered


if __name__ == "__main__":
    main()
