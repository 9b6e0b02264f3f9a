"""Run `index` with many readers, by a service of known latency and by one simulated device.

    .venv/bin/python scripts/benchmarks/readers.py [service] [alone] [collected] [--readers 1 4 16 64 500]
        [--latency-ms 200] [--seconds 10] [--most 2000]

Each line is a run of its own process into an empty library: photos a second beside what the latency alone
would allow, connections with the database and memory at their peak. The photos are made, and small. `alone`
and `collected` stand for a GPU, which does one batch at a time in 20 ms and 2 ms a picture: each reader by
itself, or all through one collector.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from psycopg import conninfo
from throw_away import throw_away_server

from facesets.inference.collecting import CollectingDescriber
from facesets.operations.ingest.index import index
from facesets.operations.options.index import IndexOptions
from facesets.records import CacheSettings, ClipModel, Description, Faces, Pixels, Wanted
from facesets.remote.ml_service import MlService
from facesets.remote.service_embedder import ServiceEmbedder
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.claims import room
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.work import Work

if TYPE_CHECKING:
    from facesets.interfaces import Describer

BATCH_S = 0.020
PICTURE_S = 0.002
RUNNERS = 2
_ANSWER = json.dumps(
    {
        "facial-recognition": [
            {
                "boundingBox": {"x1": 10, "y1": 10, "x2": 90, "y2": 110},
                "embedding": json.dumps([round(float(each), 6) for each in np.linspace(-1, 1, 512)]),
                "score": 0.9,
            }
        ]
    }
).encode()


class PlayedDevice:
    """A describer that simulates a device: one batch at a time, without processor time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.batches = 0

    @property
    def faces_from(self) -> CacheSettings:
        """Return no models."""
        return CacheSettings("played", "played", "aa" * 32, 512, "played", "bb" * 32, 640, 0.5)

    @property
    def clip_from(self) -> ClipModel | None:
        """Return no models."""
        return None

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        """Return one face per picture, after the batch's duration."""
        with self._turn:
            self.batches += 1
            time.sleep(BATCH_S + PICTURE_S * len(pictures))
        return [Description(_face()) for _ in wanted]


def _face() -> Faces:
    embedding = np.linspace(-1, 1, 512, dtype=np.float32)[None]
    return Faces(
        image=np.zeros(1, np.int64),
        box=np.array([[10, 10, 90, 110]], np.float32),
        kps=np.zeros((1, 5, 2), np.float32),
        det_score=np.full(1, 0.9, np.float32),
        embedding=embedding / np.linalg.norm(embedding),
        face_short=np.full(1, 80, np.float32),
        blur=np.full(1, 90, np.float32),
    )


def serve(latency_s: float, ports: "multiprocessing.queues.Queue[int]") -> None:
    """Answer every picture with one face, after the latency."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                size = head.partition("content-length:")[2].partition("\r\n")[0].strip()
                await reader.readexactly(int(size or 0))
                if head.startswith("post"):
                    await asyncio.sleep(latency_s)
                body = _ANSWER if head.startswith("post") else b"pong"
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def made_photos(folder: Path, count: int) -> Path:
    """Make small pictures, all different."""
    folder.mkdir()
    picture = Image.fromarray(np.linspace(0, 255, 250 * 250 * 3).astype(np.uint8).reshape(250, 250, 3))
    for number in range(count):
        picture.save(folder / f"{number:06d}.jpg", quality=95, comment=str(number).encode())
    return folder


def one(kind: str, readers: int, url: str, database: str, photos: Path) -> None:
    """Index once, and print the cost as JSON."""
    device = PlayedDevice()
    service = MlService(url, pause=time.sleep) if kind == "service" else None
    describe: Describer = device if service is None else ServiceEmbedder(service)
    if kind == "collected":
        describe = CollectingDescriber(device, readers=readers, runners=RUNNERS)
    options = IndexOptions(concurrency=readers, stages=())
    with closing(Database(database)) as session:
        began = time.monotonic()
        summary = index(GallerySource([photos]), Library(session), describe, options, work=Work())
        took = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu = time.process_time()
    print(
        json.dumps(
            {
                "indexed": summary.indexed,
                "failed": summary.failed,
                "seconds": took,
                "cpu": cpu,
                "megabytes": peak,
                "batches": device.batches,
            }
        )
    )


def _of_database(address: str, name: str) -> str:
    return conninfo.make_conninfo(address, dbname=name)


def measured(kind: str, readers: int, url: str, address: str, photos: Path) -> dict[str, float]:
    """Return the cost of a run in a process of its own, in an empty library."""
    name = f"readers_{kind}_{readers}"
    with closing(Database(_of_database(address, "postgres"))) as watching:

        def make(connection: Connection) -> None:
            template = conninfo.conninfo_to_dict(address)["dbname"]
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())

        watching.run_alone(make)
        line = [
            sys.executable,
            __file__,
            "--one",
            kind,
            str(readers),
            url,
            _of_database(address, name),
            str(photos),
        ]
        most = 0
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                most = max(most, watching.run(room).ours - 1)
                time.sleep(0.1)
            assert process.stdout is not None
            found: dict[str, float] = json.loads(process.stdout.read())
    return found | {"connections": most}


def main() -> None:
    """Measure what was asked for, and print a table of each."""
    if sys.argv[1:2] == ["--one"]:
        kind, number, url, database, folder_of_photos = sys.argv[2:]
        one(kind, int(number), url, database, Path(folder_of_photos))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", default=["service", "alone", "collected"])
    parser.add_argument("--readers", nargs="+", type=int, default=[1, 4, 16, 64, 500])
    parser.add_argument("--latency-ms", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--most", type=int, default=2000)
    asked = parser.parse_args()
    latency = asked.latency_ms / 1000
    ports: multiprocessing.queues.Queue[int] = multiprocessing.Queue()
    service = multiprocessing.Process(target=serve, args=(latency, ports), daemon=True)
    service.start()
    url = f"http://127.0.0.1:{ports.get()}"
    with tempfile.TemporaryDirectory() as folder, throw_away_server() as address:
        for kind in asked.kinds:
            print(
                f"{kind}\nreaders  photos  photos/s  ceiling  pictures a batch  cpu s  connections  peak MB"
            )
            for readers in asked.readers:
                ceiling = readers / latency if kind == "service" else 1 / (BATCH_S + PICTURE_S)
                if kind == "collected":
                    batch = min(readers, 32)
                    ceiling = batch / (BATCH_S + PICTURE_S * batch)
                count = max(40, min(asked.most, int(ceiling * asked.seconds)))
                photos = made_photos(Path(folder) / f"{kind}_{readers}", count)
                found = measured(kind, readers, url, address, photos)
                assert (found["indexed"], found["failed"]) == (count, 0), found
                batch_size = count / found["batches"] if found["batches"] else 1
                print(
                    f"{readers:7}  {count:6}  {count / found['seconds']:8.1f}  {ceiling:7.1f}"
                    f"  {batch_size:16.1f}  {found['cpu']:5.1f}  {found['connections']:11}"
                    f"  {found['megabytes']:7.0f}",
                    flush=True,
                )
    service.terminate()


if __name__ == "__main__":
    main()
