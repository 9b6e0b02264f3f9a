"""One run at a time in a result folder."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from facesets.files import FileLock, printable, writing

LOCK = ".facesets.lock"


@contextmanager
def reserved(*roots: Path, dry_run: bool) -> Iterator[None]:
    """Keep other runs out of output folders, from before anything is read there until all is written.

    What was read of a folder before it was locked may be what another run has replaced since. A dry run keeps
    nobody out. Errors as `locked`.
    """
    with ExitStack() as stack:
        for root in {os.path.realpath(root): root for root in roots}.values():
            if not dry_run:
                stack.enter_context(locked(root))
        yield


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other runs out of an output folder, which is made if it is not there.

    What was made and stays empty is removed.

    Raises
    ------
    AlreadyRunning
        Another run writes there.
    CannotWrite
        The folder cannot be made.
    """
    made = [folder for folder in (root, *root.parents) if not os.path.lexists(folder)]
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / LOCK, what=printable(root)):
            yield
    finally:
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
