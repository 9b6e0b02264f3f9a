"""`import-cache` and `export-cache`: copy between a cache and a library, bit for bit."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from facesets.file_records import FileRecord
from facesets.interfaces import Store
from facesets.operations.ingest.same_models import require_models_of_library
from facesets.records import Collection, ImageRecord
from facesets.result import Result
from facesets.store.postgres.library import Library
from facesets.work import Work

_IMAGES_AT_A_TIME = 500


def transfer(
    source: Store,
    target: Store,
    *,
    known_paths_of: Callable[[Sequence[str]], Mapping[str, object]] = lambda _: {},
    dry_run: bool = False,
    work: Work,
) -> Result:
    """Copy every photo of one store into another; both must use the same models.

    Missing files are not copied: their records in a cache serve its own next run only.

    Parameters
    ----------
    known_paths_of : callable
        Which of some paths the target keeps unchanged; by default all are replaced.

    Raises
    ------
    WrongUsage
        The source is empty.
    CannotWrite
        No space; committed data stays.
    """
    collection = source.load()
    files, unreadable = _by_content(source.files().values())
    images = faces = known = paths = 0
    work.progress.begin("Copying photos", len(collection.images))
    for chunk in _chunks(collection):
        if work.stop.requested:
            break
        there = target.has_images([image.sha256 for image in chunk])
        new = [image for image in chunk if image.sha256 not in there]
        of_chunk = _without(
            known_paths_of, [record for image in chunk for record in files.get(image.sha256, [])]
        )
        if not dry_run:
            target.commit(of_chunk, new)
        images += len(new)
        faces += sum(len(image.faces) for image in new)
        known += len(chunk) - len(new)
        paths += len(of_chunk)
        work.progress.advance(len(chunk))
    unreadable = _without(known_paths_of, unreadable)
    if unreadable and not work.stop.requested and not dry_run:
        target.commit(unreadable, [])
    work.progress.end()
    return Result(
        images=images,
        faces=faces,
        known=known,  # images that were there already and stay as they are
        paths=paths,  # known ones that are replaced included
        unreadable=len(unreadable),  # further paths, which could not be read
        dry_run=dry_run,
        stopped=work.stop.requested,
    )


def import_cache(cache: Store, library: Library, *, dry_run: bool = False, work: Work) -> Result:
    """Copy a cache into a library with the same models; see `transfer`.

    Records in the library stay, because they may be newer than those of the cache.

    Raises
    ------
    RecognizerMismatch
        The library's faces come from other models.
    WrongUsage, CannotWrite
        As `transfer`.
    """
    if cache.settings is not None:
        require_models_of_library(library, cache.settings)
    return transfer(cache, library, known_paths_of=library.seen_at, dry_run=dry_run, work=work)


def _by_content(records: Iterable[FileRecord]) -> tuple[dict[str, list[FileRecord]], list[FileRecord]]:
    """Return the files of each photo, and the unreadable files."""
    files: dict[str, list[FileRecord]] = {}
    unreadable = []
    for record in records:
        if record.reason:
            unreadable.append(record)
        else:
            files.setdefault(record.sha256, []).append(record)
    return files, unreadable


def _without(
    staying: Callable[[Sequence[str]], Mapping[str, object]], files: Sequence[FileRecord]
) -> list[FileRecord]:
    stay = staying([file.path for file in files])
    return [file for file in files if file.path not in stay]


def _chunks(collection: Collection) -> Iterator[list[ImageRecord]]:
    """Yield the photos with their faces, some at a time."""
    images, faces = collection.images, collection.faces
    order = np.argsort(faces.image, kind="stable")
    ends = np.searchsorted(faces.image[order], np.arange(len(images) + 1))
    for start in range(0, len(images), _IMAGES_AT_A_TIME):
        rows = range(start, min(start + _IMAGES_AT_A_TIME, len(images)))
        yield [
            ImageRecord(
                sha256=images.sha256[row].decode(),
                width=int(images.width[row]),
                height=int(images.height[row]),
                taken=images.taken[row],
                fingerprint=images.fingerprint[row].tobytes(),
                faces=(own := faces.take(order[ends[row] : ends[row + 1]])).with_image(
                    np.zeros(len(own), np.int64)
                ),
            )
            for row in rows
        ]
