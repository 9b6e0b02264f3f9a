"""`index` under SIGKILL: of itself, of PostgreSQL, of both, at random moments, again and again.

    .venv/bin/python scripts/stress_library.py [--kills 60] [--photos 60] [--seed 1]

Photos are indexed into an embedded library of its own while things die. After every death no image may be
there in part; and whenever a run comes to its end, the library must equal that of an undisturbed run, bit
for bit. Then it is emptied and the next round begins, until there were so many kills. Prints one line a
round; status 1 at the first difference. It takes some seconds a kill.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.library import Library
from facesets.store.postgres.server.embedded import EmbeddedServer

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("FACESETS_TEST_SHARED", REPOSITORY.parent / "shared"))
PACK = SHARED / "models" / "buffalo_test"
Contents = dict[tuple[str, int], bytes]


@contextmanager
def library_home() -> Iterator[Path]:
    """A directory for an embedded library that the server's account can reach too."""
    home = Path(tempfile.mkdtemp(prefix="fsstress."))
    home.chmod(0o755)
    try:
        yield home
    finally:
        EmbeddedServer(home / "postgres").stop()
        shutil.rmtree(home, ignore_errors=True)


def line(photos: Path) -> list[str]:
    """The command under test."""
    options = ["--target", str(photos), "--pack", str(PACK), "--provider", "cpu", "--json"]
    return [sys.executable, "-m", "facesets", "index", *options]


def start(home: Path, photos: Path) -> "subprocess.Popen[bytes]":
    """Begin a run."""
    environment = {**os.environ, "FACESETS_DATA": str(home)}
    environment.pop("DATABASE_URL", None)
    return subprocess.Popen(
        line(photos), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def look(home: Path, work: Callable[[Database], Contents]) -> Contents:
    """Do something with the library, whose server is started if need be."""
    with EmbeddedServer(home / "postgres") as server:
        database = Database(server.conninfo, before_connecting=server.ensure_running)
        with opened(database):
            return work(database)


def contents(database: Database) -> Contents:
    """Every vector by image and ordinal, and every path as the vector of no face."""
    library = Library(database)
    collection = library.load()
    found: Contents = {
        (path, -1): record.sha256.encode() for path, record in library.files().items() if not record.reason
    }
    for face_id, vector in zip(collection.face_ids(), collection.faces.embedding, strict=True):
        digest, ordinal = face_id.split("#")
        found[digest, int(ordinal)] = vector.tobytes()
    return found


def require_whole(database: Database) -> Contents:
    """No image may be there in part."""
    problems = database.run(find_problems)
    if problems:
        raise SystemExit(f"stored in part: {problems}")
    return {}


def emptied(database: Database) -> Contents:
    """Begin again."""
    database.run(lambda connection: connection.execute("DELETE FROM images"))
    database.run(lambda connection: connection.execute("DELETE FROM image_paths"))
    return {}


def kill_postgres(home: Path) -> bool:
    """Kill the postmaster, wherever it is in its life."""
    with suppress(FileNotFoundError, IndexError, ProcessLookupError, ValueError):
        os.kill(
            int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL
        )
        return True
    return False


def one_round(home: Path, photos: Path, rng: random.Random, left: int) -> Counter[str]:
    """Index everything, with deaths on the way; returns how many of which."""
    deaths: Counter[str] = Counter()
    process = start(home, photos)
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.2, 2.5))
        if process.poll() is not None or deaths.total() >= left:
            break
        victim = rng.choice(("index", "postgres", "both"))
        hit = victim != "index" and kill_postgres(home)
        if victim != "postgres":
            process.kill()
            process.wait()
            process = start(home, photos)
        elif not hit:
            continue
        deaths[victim] += 1
        # Where `index` lives on it goes on writing meanwhile, but never a part of an image.
        look(home, require_whole)
    if process.wait():
        raise SystemExit(f"index ended with {process.returncode}")
    return deaths


def main() -> None:
    """Run until there were enough kills."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with library_home() as home, tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary) / "photos"
        photos.mkdir()
        for photo in sorted((SHARED / "faces" / "lfw_dev").glob("*/*.jpg"))[: given.photos]:
            shutil.copy2(photo, photos)
        if start(home, photos).wait():
            raise SystemExit("the undisturbed run failed")
        expected = look(home, contents)
        deaths: Counter[str] = Counter()
        while deaths.total() < given.kills:
            look(home, emptied)
            began = time.monotonic()
            deaths += one_round(home, photos, rng, given.kills - deaths.total())
            look(home, require_whole)
            if look(home, contents) != expected:
                raise SystemExit(f"the library differs from an undisturbed one after {dict(deaths)}")
            print(
                f"{deaths.total()} kills {dict(deaths)}, equal; {time.monotonic() - began:.0f} s", flush=True
            )


if __name__ == "__main__":
    main()
