"""Making something once for all processes of a run."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def made_once(directory: Path, make: Callable[[Path], None]) -> Path:
    """A directory of the run that the first who wants it fills; the others wait for that."""
    with _alone(directory.with_name(f"{directory.name}.lock")):
        if not directory.exists():
            aside = directory.with_name(f"{directory.name}.new")
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            make(aside)
            aside.rename(directory)
    return directory


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
