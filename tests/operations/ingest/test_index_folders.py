"""`index` on folders where not everything may be looked at."""

import codecs
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fixtures.photos import copy_photos
from tests.fixtures.postgres import open_directory
from tests.fixtures.taking_in import Intake

from facesets.operations.ingest.unavailable_sources import require_a_target
from facesets.operations.library.stats import stats
from facesets.sources.galleries import GallerySource

NOBODY = 65534


@pytest.fixture
def root() -> Iterator[Path]:
    base = open_directory()
    yield base
    shutil.rmtree(base)


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be no superuser, to whom no folder is closed, within the block."""
    if os.geteuid() != 0:
        yield
        return
    # Python reads a codec when it is first asked for, which may lie where only the superuser may read.
    for codec in ("ascii", "latin-1"):
        codecs.lookup(codec)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("is_target", [False, True])
def test_a_folder_that_cannot_be_listed_has_failed_only_while_that_is_so(
    intake: Intake, root: Path, lfw_photos: list[Path], *, is_target: bool
) -> None:
    photos = copy_photos(lfw_photos[:1], root / "photos")
    closed = copy_photos(lfw_photos[1:3], photos / "closed")
    library = intake.library
    for mode, reason in ((0o755, ""), (0, "Permission denied"), (0, "Permission denied"), (0o755, "")):
        closed.chmod(mode)
        target = closed if is_target else photos
        with somebody_else():
            require_a_target(GallerySource([target]), library)
            done = intake.take_in(target, prune=True)
        assert [failure.reason for failure in done.failures] == [f"cannot be read: {reason}"] * bool(reason)
        assert done.failed == bool(reason)
        assert (stats(library).unreadable, len(library.files())) == (0, 2 if is_target else 3)
