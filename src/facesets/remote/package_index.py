"""Download archives from the package index that pip is configured for.

Nothing of what is fetched is run. To learn the name and the version of a source archive pip would run its
`setup.py`: a build backend of ours, which reads them from `PKG-INFO`, takes the place of setuptools.
"""

import errno
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import DamagedFile, Unreachable, typed
from facesets.files import printable, writing
from facesets.plurals import counted
from facesets.work import Work

_BACKEND = """
import pathlib, shutil

class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(directory, config_settings=None):
        lines = pathlib.Path("PKG-INFO").read_text("utf-8").splitlines()
        fields = dict(line.split(": ", 1) for line in lines if line.startswith(("Name: ", "Version: ")))
        name = "-".join((fields["Name"].replace("-", "_"), fields["Version"])) + ".dist-info"
        (pathlib.Path(directory) / name).mkdir()
        shutil.copy("PKG-INFO", pathlib.Path(directory) / name / "METADATA")
        return name
"""

# pip has no flag for either: its search path for build backends, and its download directory.
_RUN_PIP = """
import os, runpy, sys
os.environ["PYTHONPATH"] = sys.argv.pop(1)
os.environ["TMPDIR"] = os.environ["TEMP"] = os.environ["TMP"] = sys.argv.pop(1)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""

_ANSWER_TIMEOUT_S = 20.0
_POLL_S = 0.2
_RETRIES = 2
_STOPPED = "The download from the package index was stopped."


@dataclass(frozen=True, slots=True)
class Release:
    """An archive on a package index: a wheel or a source archive."""

    project: str
    version: str
    wheel: bool
    size: int
    sha256: str

    @property
    def requirement(self) -> str:
        """Return the pip requirement."""
        return f"{self.project}=={self.version}"


def fetch_releases(releases: Sequence[Release], folder: Path, *, work: Work) -> list[Path]:
    """Download and verify archives into a folder; return their paths in order.

    Raises
    ------
    Unreachable
        pip is missing, or the index does not answer or does not have them; or the user stopped it.
    DamagedFile
        The content differs from the published archive.
    CannotWrite
        No space or no permission.
    """
    if importlib.util.find_spec("pip") is None:
        raise Unreachable(
            f"{printable(sys.executable)} has no pip, which is needed to download from the package "
            f"index. Install it with `{typed((sys.executable, '-m', 'ensurepip'))}`."
        )
    total = sum(release.size for release in releases)
    work.progress.begin(
        f"Downloading {counted(len(releases), 'archive')} from the package index", total, in_bytes=True
    )
    try:
        with _arguments(folder, releases) as arguments:
            _run(arguments, folder, total, releases, work)
    finally:
        work.progress.end()
    return [_archive_of(release, folder) for release in releases]


def answers(project: str) -> bool:
    """Whether the package index has a project; nothing is downloaded."""
    arguments = [
        *(sys.executable, "-P", "-m", "pip", "index", "versions", project),
        *("--quiet", "--no-input", "--disable-pip-version-check", "--retries=0", "--timeout=4"),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - pip, with arguments of ours
            arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@contextmanager
def _arguments(folder: Path, releases: Sequence[Release]) -> Iterator[list[str]]:
    """Return the pip command, which stores its files in the folder."""
    with writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".pip.") as name:
        backend, scratch = Path(name) / "backend", Path(name) / "scratch"
        (backend / "setuptools").mkdir(parents=True)
        (backend / "setuptools" / "__init__.py").touch()
        (backend / "setuptools" / "build_meta.py").write_text(_BACKEND, "utf-8")
        scratch.mkdir()
        wanted = Path(name) / "wanted.txt"
        lines = [f"{release.requirement} --hash=sha256:{release.sha256}" for release in releases]
        wanted.write_text("\n".join(lines), "utf-8")
        kinds = [(f"--{'only' if r.wheel else 'no'}-binary", r.project) for r in releases]
        yield [
            # -P: modules in the folder where the user happens to be are not the library's.
            *(sys.executable, "-P", "-c", _RUN_PIP, str(backend), str(scratch)),
            *("download", "--no-deps", "--no-build-isolation", "--use-pep517", "--require-hashes"),
            *("--quiet", "--no-input", "--disable-pip-version-check", f"--retries={_RETRIES}"),
            *(argument for kind in kinds for argument in kind),
            *("--dest", str(folder), "--requirement", str(wanted)),
        ]


def _run(arguments: Sequence[str], folder: Path, total: int, releases: Sequence[Release], work: Work) -> None:
    seen = 0
    # Not in the folder: if that has no space left, pip's message would not fit either.
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(  # noqa: S603 - pip, with arguments of ours
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=messages
        )
        try:
            while process.poll() is None:
                if work.stop.requested:
                    raise Unreachable(_STOPPED)
                time.sleep(_POLL_S)
                now = min(_bytes_below(folder), total)
                work.progress.advance(max(now - seen, 0))
                seen = max(now, seen)
        finally:
            process.kill()
            process.wait()
        messages.seek(0)
        output = messages.read().decode("utf-8", errors="replace")
    if process.returncode:
        # Ctrl-C reaches pip as well, which may end before it is seen here.
        raise Unreachable(_STOPPED) if work.stop.requested else _refusal(output, releases)


def _bytes_below(folder: Path) -> int:
    """Return the number of bytes downloaded so far."""
    total = 0
    # Not `rglob`: it fails if a folder is removed between being listed and being entered.
    for above, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".whl", ".tar.gz")):
                with suppress(FileNotFoundError):
                    total += (Path(above) / name).stat().st_size
    return total


def _refusal(messages: str, releases: Sequence[Release]) -> Exception:
    wanted = " and ".join(release.requirement for release in releases)
    if "DO NOT MATCH THE HASHES" in messages:
        return DamagedFile(
            f"The package index returned a different file for {wanted} than the published one. Ask "
            "its administrator, or use another index (PIP_INDEX_URL)."
        )
    if os.strerror(errno.ENOSPC) in messages:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    reasons = [line.removeprefix("ERROR: ") for line in messages.splitlines() if line.startswith("ERROR: ")]
    reason = printable(reasons[-1] if reasons else messages.strip()[-200:])
    return Unreachable(
        f"pip cannot download {wanted}: {reason}. Check the connection and pip's settings "
        "(PIP_INDEX_URL, PIP_PROXY), or put the two archives into a folder and set PIP_NO_INDEX=1 "
        "PIP_FIND_LINKS=FOLDER."
    )


def _archive_of(release: Release, folder: Path) -> Path:
    """Find the archive by pip's file name."""
    ending = ".whl" if release.wheel else ".tar.gz"
    start = f"{release.project}-{release.version}".lower().replace("_", "-")
    for path in sorted(folder.iterdir()):
        if path.name.endswith(ending) and path.name.lower().replace("_", "-").startswith(start):
            return path
    raise Unreachable(f"pip did not download {release.requirement}. Try again.")
