"""Download a file over HTTP: retried, verified, all or nothing."""

import hashlib
from functools import partial
from pathlib import Path

import httpx

from facesets.errors import DamagedFile, Unreachable
from facesets.files import atomic_write
from facesets.remote.retry import Stopped, TransientError, doubling, pausing, retrying
from facesets.rights import SHARED
from facesets.work import Work

_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 4.0
_ATTEMPTS = 3
_FIRST_WAIT_S = 1.0


def download(url: str, path: Path, *, size: int | None = None, sha256: str | None = None, work: Work) -> None:
    """Download a file; it gets its final name only after its size and hash are verified.

    Raises
    ------
    Unreachable
        The server does not answer, refuses, or breaks off three times; or the user stopped it.
    DamagedFile
        The content differs from the published file.
    CannotWrite
        No space or no permission.
    """
    attempt = partial(_attempt, url, path, size, sha256, work)
    try:
        retrying(attempt, doubling(_FIRST_WAIT_S, attempts=_ATTEMPTS), pausing(work.stop))
    except TransientError as fault:
        raise Unreachable(
            f"Cannot download {url}: {fault.reason}. Check the connection, then try again."
        ) from fault
    except Stopped as error:
        raise Unreachable(f"The download of {path.name} was stopped.") from error


def answers(url: str) -> bool:
    """Whether a file can be downloaded, checked quickly."""
    try:
        return httpx.head(url, follow_redirects=True, timeout=_ANSWER_TIMEOUT_S).is_success
    except httpx.HTTPError:
        return False


def _attempt(url: str, path: Path, size: int | None, sha256: str | None, work: Work) -> None:
    timeout = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
    digest = hashlib.sha256()
    received = 0
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=timeout) as response:
            if response.status_code >= 500:
                raise TransientError(f"the server returned {response.status_code}")
            if response.status_code != 200:
                raise Unreachable(f"The server rejected {url} (status {response.status_code}).")
            announced = int(response.headers.get("content-length", 0)) or size
            work.progress.begin(f"Downloading {path.name}", announced, in_bytes=True)
            with atomic_write(path, rights=SHARED) as file:
                for chunk in response.iter_bytes(1 << 20):
                    if work.stop.requested:
                        raise Unreachable(f"The download of {path.name} was stopped.")
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    work.progress.advance(len(chunk))
                _verify(path.name, received, digest.hexdigest(), size, sha256)
    except httpx.HTTPError as error:
        raise TransientError(str(error) or type(error).__name__) from error
    finally:
        work.progress.end()


def _verify(name: str, received: int, digest: str, size: int | None, sha256: str | None) -> None:
    if size is not None and received != size:
        raise TransientError(f"{name} has {received} bytes instead of {size}")
    if sha256 is not None and digest != sha256:
        raise DamagedFile(
            f"{name} does not match the published checksum (its sha256 is {digest}). Try again later."
        )
