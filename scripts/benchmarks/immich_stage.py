"""`facesets immich-stage` against a server double in a process of its own.

    .venv/bin/python scripts/benchmarks/immich_stage.py speed [--photos 100] [--latency-ms 50]
    .venv/bin/python scripts/benchmarks/immich_stage.py memory [--photos 10000 100000]

`speed`: assets a second with 1, 2, 4 and 8 workers and so many photos for each of them, every asset listed,
looked at, fetched and verified. Then a second run over the same folder.
`memory`: peak resident memory and time over libraries of growing size, without latency, where one asset in
ten is staged.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "src")]


def serve(photos: int, latency_s: float, size: int, one_in: int) -> None:
    """Run a server until the process is ended."""
    from tests.fixtures.immich_server import Face, ImmichServer, photo

    class Forgetful(list):  # type: ignore[type-arg]
        def append(self, _: object) -> None:
            pass

    library = [
        photo(
            n,
            content=f"{n:08}".encode() + bytes(size),
            faces=(Face(),) if n % one_in == 0 else (),
        )
        for n in range(photos)
    ]
    server = ImmichServer(library, latency_s=latency_s, is_checked=False)
    server.requests = Forgetful()
    server.start()
    print(server.url, flush=True)
    sys.stdin.read()


@contextlib.contextmanager
def serving(photos: int, latency_s: float, size: int, one_in: int = 1) -> Iterator[str]:
    """Yield the address of a server in a process of its own."""
    numbers = [str(value) for value in (photos, latency_s, size, one_in)]
    with subprocess.Popen(
        [sys.executable, __file__, "serve", *numbers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def stage(url: str, out: Path, workers: int) -> tuple[float, float]:
    """Return seconds and peak megabytes of one run of the command."""
    from tests.fixtures.immich_server import KEY

    arguments = ["immich-stage", "--user", "ana", "--out", str(out), "--url", url, "--workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "IMMICH_API_KEY": KEY}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "facesets", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0.0
    while process.poll() is None:
        with contextlib.suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(found[1]) / 1024 if found else 0.0)
        time.sleep(0.05)
    assert process.returncode == 0, process.returncode
    return time.perf_counter() - began, peak


def speed(photos: int, latency_ms: float, kilobytes: int) -> None:
    """Print assets a second over the number of workers."""
    latency_s, size = latency_ms / 1000, kilobytes * 1000
    print(f"{photos} photos a worker, of {kilobytes} kB, {latency_ms:g} ms latency")
    rate_of_one = 0.0
    for workers in (1, 2, 4, 8):
        count = photos * workers
        with (
            serving(1, latency_s, size) as small,
            serving(count, latency_s, size) as url,
            tempfile.TemporaryDirectory() as folder,
        ):
            # The cost of starting, and of the requests before the list.
            overhead, _ = stage(small, Path(folder) / "small", 1)
            seconds, _ = stage(url, Path(folder) / "large", workers)
            again, _ = stage(url, Path(folder) / "large", workers)
        rate = (count - 1) / (seconds - overhead)
        rate_of_one = rate_of_one or rate
        print(
            f"{workers} workers: {count / seconds:.1f} assets/s over all; without the {overhead:.1f} s "
            f"of a run over one photo {rate:.1f}, {rate / rate_of_one:.2f} times one worker; "
            f"a second run, which fetches nothing: {again:.1f} s",
            flush=True,
        )


def memory(sizes: list[int]) -> None:
    """Print peak memory over the size of the library."""
    for photos in sizes:
        with serving(photos, 0, 2000, one_in=10) as url, tempfile.TemporaryDirectory() as folder:
            seconds, peak = stage(url, Path(folder), 8)
            again, peak_again = stage(url, Path(folder), 8)
            print(
                f"{photos} assets: {peak:.0f} MB, {seconds:.0f} s; again {peak_again:.0f} MB, {again:.0f} s",
                flush=True,
            )


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    fast = kinds.add_parser("speed")
    fast.add_argument("--photos", type=int, default=100)
    fast.add_argument("--latency-ms", type=float, default=50)
    fast.add_argument("--kilobytes", type=int, default=200)
    large = kinds.add_parser("memory")
    large.add_argument("--photos", type=int, nargs="+", default=[10_000, 100_000])
    server = kinds.add_parser("serve")
    for name, kind in {"photos": int, "latency_s": float, "size": int, "one_in": int}.items():
        server.add_argument(name, type=kind)
    chosen = vars(parser.parse_args())
    kind = chosen.pop("kind")
    if kind == "memory":
        memory(chosen["photos"])
    elif kind == "speed":
        speed(**chosen)
    else:
        serve(**chosen)


if __name__ == "__main__":
    main()
