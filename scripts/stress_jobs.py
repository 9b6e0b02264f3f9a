"""The queue under SIGKILL: of workers, of PostgreSQL, and of the command that queues, at random moments.

    PYTHONPATH=src:. .venv/bin/python scripts/stress_jobs.py [--kills 200] [--photos 3000] [--seed 1]

Three workers index photos by a service on loopback into an embedded library of its own. One of them is
another host: it has a network namespace of its own where this user may make one, and the photos at another
path. Prints what was killed, and the longest time that a job had no worker; status 1 if the library
differs from that of a direct run, or a job did not end.
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.queued import make_pictures, stored

from facesets.store.postgres.claims import is_claimed
from facesets.store.postgres.connection import Connection, Database, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.queue.job_list import JobLine, list_jobs
from facesets.store.postgres.server.embedded import EmbeddedServer

REPOSITORY = Path(__file__).resolve().parents[1]
NAMESPACE = "facesets-soak"
HOST_ADDRESS, OTHER_ADDRESS = "10.231.77.1", "10.231.77.2"
HEARTBEAT_S = 5.0
LONGEST_S = 60.0
_AT_FIRST = 0.1
"""The share of the photos that is there when the first command queues them."""


class Home:
    """An embedded library, and the programs that work on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self, config: Path | None = None) -> dict[str, str]:
        """Of a program on this library alone."""
        env = {**os.environ, "FACESETS_DATA": str(self.folder), "PYTHONPATH": str(REPOSITORY / "src")}
        env.pop("DATABASE_URL", None)
        return env | ({"FACESETS_CONFIG": str(config)} if config else {})

    def start(
        self, *arguments: object, config: Path | None = None, within: tuple[str, ...] = ()
    ) -> "subprocess.Popen[bytes]":
        """Begin a run of the program."""
        line = [*within, sys.executable, "-m", "facesets", *map(str, arguments)]
        with (self.folder / "said.log").open("ab") as log:
            return subprocess.Popen(line, env=self.environment(config), stdout=log, stderr=log)

    @contextmanager
    def session(self) -> Iterator[Database]:
        """A session, for which the server is started if need be."""
        with EmbeddedServer(self.folder / "postgres") as server:
            database = Database(server.conninfo, before_connecting=server.ensure_running)
            with opened(database):
                yield database

    def kill_postgres(self) -> bool:
        """Kill the postmaster, wherever it is in its life."""
        with suppress(FileNotFoundError, IndexError, ProcessLookupError, ValueError):
            pid = int((self.folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGKILL)
            return True
        return False


@contextmanager
def home() -> Iterator[Home]:
    """One that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="fsjobs."))
    folder.chmod(0o755)
    try:
        yield Home(folder)
    finally:
        EmbeddedServer(folder / "postgres").stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def other_host() -> Iterator[tuple[str, ...]]:
    """What runs a program in a network namespace with an address of its own; nothing where there is none."""
    made = [
        ["ip", "netns", "add", NAMESPACE],
        ["ip", "link", "add", "fsoak0", "type", "veth", "peer", "name", "fsoak1", "netns", NAMESPACE],
        ["ip", "addr", "add", f"{HOST_ADDRESS}/30", "dev", "fsoak0"],
        ["ip", "link", "set", "fsoak0", "up"],
        ["ip", "-n", NAMESPACE, "addr", "add", f"{OTHER_ADDRESS}/30", "dev", "fsoak1"],
        ["ip", "-n", NAMESPACE, "link", "set", "fsoak1", "up"],
    ]
    try:
        possible = all(
            subprocess.run(line, capture_output=True, check=False).returncode == 0 for line in made
        )
        yield ("ip", "netns", "exec", NAMESPACE) if possible else ()
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True, check=False)


class Workers:
    """Three workers, each started again when it died. The last one is on another host."""

    def __init__(
        self, at: Home, within: tuple[str, ...], service: Service, photos: Path, elsewhere: Path
    ) -> None:
        self._home = at
        self._within = within
        self._ml_uri = service.url
        self._config = at.folder / "other.toml"
        self._config.write_text(f'[worker]\npaths = {{"{photos}" = "{elsewhere}"}}\n')
        self._running = [self._start(number) for number in range(3)]

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        line: tuple[object, ...] = ("worker", "--heartbeat", HEARTBEAT_S)
        if number < 2:
            return self._home.start(*line)
        return self._home.start(*line, "--ml-uri", self._ml_uri, config=self._config, within=self._within)

    def kill(self, number: int) -> bool:
        """Kill one, if it lives, and start another in its place."""
        process = self._running[number]
        is_alive = process.poll() is None
        process.kill()
        process.wait()
        self._running[number] = self._start(number)
        return is_alive

    def revive(self) -> None:
        """Start those again that ended, the database having been away for too long."""
        for number, process in enumerate(self._running):
            if process.poll() is not None:
                self._running[number] = self._start(number)

    def end(self) -> None:
        """Let all end cleanly."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(60)


class Stuck:
    """Measures how long a taken job has no worker."""

    def __init__(self, session: Database) -> None:
        self._session = session
        self._since: dict[int, float] = {}
        self.longest_s = 0.0

    def look(self) -> None:
        """Check which jobs are taken, and whether a worker holds their lock."""

        def work(connection: Connection) -> list[int]:
            rows = connection.execute(
                "SELECT id FROM queue.procrastinate_jobs WHERE status = 'doing'"
            ).fetchall()
            return [number for (number,) in rows if not is_claimed(connection, "job", str(number))]

        free, now = self._session.run(work), time.monotonic()
        self._since = {number: self._since.get(number, now) for number in free}
        self.longest_s = max([self.longest_s, *(now - since for since in self._since.values())])


class Aside:
    """Photos that come into their folder later, so that there is work from the first kill to the last."""

    def __init__(self, photos: Path, folder: Path) -> None:
        folder.mkdir()
        self._left = [(folder / str(n), place) for n, place in enumerate(sorted(photos.rglob("*.jpg")))]
        self._count = len(self._left)
        for aside, place in self._left:
            place.rename(aside)

    def put_back(self, share: float) -> None:
        """Let this share of all be there, of 1."""
        while len(self._left) > self._count * (1 - share):
            aside, place = self._left.pop()
            aside.rename(place)


def kill_command(at: Home, index: tuple[object, ...], session: Database, wait_s: float | None) -> str:
    """Kill a command that queues, after so long or as soon as it has queued; when that was, or nothing."""
    before = queued_jobs(session)
    queueing = at.start(*index, "--queue")
    if wait_s is None:
        while queued_jobs(session) == before and queueing.poll() is None:
            time.sleep(0.001)
    else:
        time.sleep(wait_s)
    was_alive = queueing.poll() is None
    queueing.kill()
    queueing.wait()
    if not was_alive:
        return ""
    return "command that had queued" if queued_jobs(session) > before else "command before it queued"


def queued_jobs(session: Database) -> int:
    """How many times photos were queued so far."""
    row = session.run(
        lambda connection: connection.execute(
            "SELECT count(*) FROM queue.procrastinate_jobs WHERE task_name = 'index'"
        ).fetchone()
    )
    return int(row[0]) if row else 0


def kill_some(
    given: argparse.Namespace,
    at: Home,
    index: tuple[object, ...],
    workers: Workers,
    session: Database,
    stuck: Stuck,
    aside: Aside,
) -> Counter[str]:
    """Kill so often while photos are queued again and again; how many of which."""
    rng, killed = random.Random(given.seed), Counter[str]()
    aside.put_back(_AT_FIRST)
    began = time.monotonic()
    at.start(*index, "--queue").wait()
    usual_s = time.monotonic() - began
    while killed.total() < given.kills and time.monotonic() - began < 60 * given.minutes:
        time.sleep(rng.uniform(0.3, given.pause))
        stuck.look()
        aside.put_back(min(1, _AT_FIRST + killed.total() / given.kills))
        victim = rng.choice(("worker", "worker", "worker", "postgres", "command"))
        if victim == "worker":
            killed[victim] += workers.kill(rng.randrange(3))
        elif victim == "postgres":
            killed[victim] += at.kill_postgres()
        elif what := kill_command(
            at, index, session, rng.choice((None, None, rng.uniform(0.3, 1.0) * usual_s))
        ):
            killed[what] += 1
        workers.revive()
        if killed.total() % 20 == 0:
            seconds = time.monotonic() - began
            print(f"{seconds:.0f} s: {dict(killed)}; without anybody {stuck.longest_s:.0f} s", flush=True)
    aside.put_back(1)
    at.start(*index, "--queue").wait()
    return killed


def all_ended(given: argparse.Namespace, session: Database, workers: Workers, stuck: Stuck) -> list[JobLine]:
    """Wait for all jobs to end."""
    until = time.monotonic() + given.patience
    while True:
        workers.revive()
        stuck.look()
        jobs = session.run(lambda connection: list_jobs(connection, limit=10_000))
        left = [job for job in jobs if job.state in ("waiting", "running")]
        if not left:
            return jobs
        if time.monotonic() > until:
            raise SystemExit(f"jobs did not end: {left}")
        time.sleep(1)


def soak(given: argparse.Namespace) -> int:
    """Kill so often; what is wrong in the end, as a status."""
    with ExitStack() as stack:
        at, calm = stack.enter_context(home()), stack.enter_context(home())
        within = stack.enter_context(other_host())
        service = stack.enter_context(ml_service(HOST_ADDRESS if within else "127.0.0.1"))
        print(f"another host: {'a network namespace' if within else 'a path mapping alone'}", flush=True)
        photos = make_pictures(at.folder / "photos", given.photos)
        elsewhere = at.folder / "elsewhere"
        elsewhere.symlink_to(photos)
        index = ("index", "--target", photos, "--ml-uri", service.url, "--skip-clip")
        calm.start(*index).wait()
        with calm.session() as session:
            theirs = stored(session)
        service.pictures.clear()
        aside = Aside(photos, at.folder / "aside")
        service.latency_s = given.latency
        at.start("migrate").wait()
        workers = Workers(at, within, service, photos, elsewhere)
        stack.callback(workers.end)
        with at.session() as session:
            stuck = Stuck(session)
            killed = kill_some(given, at, index, workers, session, stuck, aside)
            jobs = all_ended(given, session, workers, stuck)
            problems, ours = session.run(find_problems), stored(session)
    states = Counter(job.state for job in jobs)
    reasons = {job.reason for job in jobs if job.state == "failed"}
    print(f"killed {dict(killed)}; jobs {dict(states)} {reasons or ''}")
    print(f"{len(service.pictures)} pictures asked for")
    print(f"longest without anybody at a job {stuck.longest_s:.0f} s; {len(ours)} of {given.photos} photos")
    is_same = ours == theirs and len(ours) == given.photos
    is_well = is_same and not problems and stuck.longest_s < LONGEST_S and all(reasons)
    print("as a direct run" if is_well else f"DIFFERENT: same {is_same}, problems {problems}")
    return 0 if is_well else 1


def main() -> int:
    """Read the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="kill no longer than this")
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two kills, at most")
    parser.add_argument("--latency", type=float, default=0.3, help="seconds that the service takes")
    parser.add_argument("--patience", type=float, default=3600.0)
    return soak(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
