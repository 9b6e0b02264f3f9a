"""Measure how throughput adds up: photos per second of 1, 2 and 4 workers by a service on loopback.

    PYTHONPATH=src:. python scripts/benchmarks/workers.py [--photos 1500] [--latency 0.2] [--concurrency 4]
    PYTHONPATH=src:. python scripts/benchmarks/workers.py --listing 10000000

Says how many times as fast several workers are as one, and what the queue costs: a worker beside `index`
itself, and how long queueing takes of that. `--listing` lists so many made-up files instead, and says the
memory that it took.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.fixtures.made_listing import MadeUpListing, NoModels
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.program import command, environment
from tests.fixtures.queued import make_pictures, photos_of
from throw_away import throw_away_server

from facesets.file_records import FoundFile
from facesets.jobs.queueing import Order, put, put_parts
from facesets.operations.ingest.index_chunks import hand_over_chunks
from facesets.operations.options.index import IndexOptions
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.job_list import list_jobs
from facesets.store.postgres.queue.notes import PART_OF_INDEX
from facesets.store.postgres.queue.schema import install
from facesets.work import Work


def started(url: str, *arguments: object) -> "subprocess.Popen[bytes]":
    """Run the program as a silent process."""
    line = command(*arguments, "--database", url)
    return subprocess.Popen(line, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def library() -> Iterator[tuple[str, Database]]:
    """Make an empty library with a queue."""
    with throw_away_server() as url, closing(Database(url)) as session:
        install(session)
        yield url, session


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def with_workers(count: int, photos: Path, service: Service, concurrency: int) -> tuple[float, float]:
    """Return seconds from the first photo to the last, and those until all were queued."""
    index = ("index", "--target", photos, "--ml-uri", service.url, "--skip-clip")
    with library() as (url, session), ExitStack() as stack:
        workers = [
            stack.enter_context(started(url, "worker", "--concurrency", concurrency)) for _ in range(count)
        ]
        for each in workers:
            stack.callback(each.terminate)
        time.sleep(4)
        service.pictures.clear()
        queueing = time.monotonic()
        started(url, *index, "--queue").wait()
        while not photos_of(service):
            time.sleep(0.01)
        began = time.monotonic()
        while (job := session.run(lambda c: list_jobs(c, limit=1))[0]).state in ("waiting", "running"):
            time.sleep(0.05)
        if job.state != "done" or job.result["indexed"] != len(list(photos.rglob("*.jpg"))):
            raise SystemExit(f"not all was done: {job}")
        return time.monotonic() - began, began - queueing


def compare(given: argparse.Namespace) -> None:
    """Measure workers beside each other, and one beside a direct run."""
    with tempfile.TemporaryDirectory() as folder, ml_service() as service:
        service.latency_s = given.latency
        photos = make_pictures(Path(folder), given.photos)
        with library() as (url, _):
            line = ("index", "--target", photos, "--ml-uri", service.url, "--skip-clip")
            direct = seconds(started(url, *line, "--concurrency", given.concurrency).wait)
        print(f"index itself: {given.photos / direct:.1f} photos/s ({direct:.1f} s)", flush=True)
        one = 0.0
        for count in (1, 2, 4):
            took, _ = with_workers(count, photos, service, given.concurrency)
            one = one or took
            print(
                f"{count} workers: {given.photos / took:.1f} photos/s, {one / took:.2f} times one; "
                f"{took:.1f} s beside {direct:.1f} s of index itself",
                flush=True,
            )
        with library() as (url, session):
            queued = seconds(lambda: list_all(session, photos, given.photos))
            print(
                f"listing and queueing {given.photos} photos: {queued:.3f} s, "
                f"{queued / direct:.2%} of index itself"
            )


def list_all(session: Database, photos: Path, count: int) -> None:
    """List this many files into the queue, none of them known."""
    number = put(session, Order("index"))

    def hand_over(files: Sequence[FoundFile]) -> None:
        names = [file.path.rpartition("/")[2] for file in files]
        put_parts(session, [Order(PART_OF_INDEX, {"files": {str(photos): names}})], number, [len(files)])

    hand_over_chunks(
        MadeUpListing(photos, max(count, 1000)),
        Library(session),
        NoModels(),  # type: ignore[arg-type]
        IndexOptions(),
        hand_over,
        work=Work(),
    )


def main() -> int:
    """Read the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=1500)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--listing", type=int, default=0)
    given = parser.parse_args()
    if not given.listing:
        compare(given)
        return 0
    with library() as (_, session), tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "something").mkdir()
        took = seconds(lambda: list_all(session, Path(folder), given.listing))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{given.listing} files in {took:.0f} s, {given.listing / took:.0f} files/s, "
            f"{memory:.0f} MB at most"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
