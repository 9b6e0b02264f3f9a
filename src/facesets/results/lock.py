"""One run at a time in a result folder."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from facesets.files import FileLock, printable, writing
from facesets.rights import narrow

LOCK = ".facesets.lock"
_made: set[str] = set()


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
    if root in made:
        _made.add(os.path.realpath(root))
    try:
        with FileLock(root / LOCK, what=printable(root)):
            yield
    finally:
        _made.discard(os.path.realpath(root))
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def narrow_root(root: Path, rights: int, *, was_open: bool) -> bool:
    """Narrow a folder that is locked if it was made for that, or if the result in it had more rights.

    Any other is the user's, who chose its rights. Returns whether the user is to hear of it.
    """
    is_new = os.path.realpath(root) in _made
    return (is_new or was_open) and narrow(root.resolve(), rights) and not is_new
