"""Follow photos that moved since a result was made: their files in the result get new names.

The manifest records the image at each path, and the store the current paths of that image.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath, PurePosixPath

from facesets.records import Images
from facesets.results.edits.folder_contents import folder_of
from facesets.results.manifest import (
    ClusterManifest,
    PlacedFile,
    RefineManifest,
    every_face,
)
from facesets.results.names.file_names import may_be_called


def current_paths(manifest: ClusterManifest | RefineManifest, images: Images) -> dict[str, str]:
    """Return the current path of each photo whose path in the manifest is out of date: old to new."""
    now = dict(zip(images.sha256.tolist(), images.paths, strict=True))
    current: dict[str, str] = {}
    for sha256, before in _images_of(manifest):
        paths = now.get(sha256.encode(), ())
        if paths and paths != before:
            missing = [path for path in before if path not in paths]
            current.update(_paired(missing, [path for path in paths if path not in before], paths[0]))
    return current


def _images_of(manifest: ClusterManifest | RefineManifest) -> Iterator[tuple[str, tuple[str, ...]]]:
    for face in every_face(manifest):
        yield face.image, face.paths
    if isinstance(manifest, ClusterManifest):
        yield from ((image.sha256, image.paths) for image in manifest.no_face)


def _paired(missing: Iterable[str], new: Sequence[str], canonical: str) -> Iterator[tuple[str, str]]:
    """Pair old paths with the new ones most similar from the end; with the canonical one if none is left."""
    free = list(new)
    for path in missing:
        place = max(free, key=lambda candidate: _common_parts(path, candidate), default=canonical)
        if place in free:
            free.remove(place)
        yield path, place


def _common_parts(path: str, other: str) -> int:
    """Count the parts that two paths share at their ends."""
    both = zip(reversed(PurePath(path).parts), reversed(PurePath(other).parts), strict=False)
    return next((count for count, (a, b) in enumerate(both) if a != b), 0)


def with_current_sources(
    files: Mapping[str, PlacedFile], current: Mapping[str, str]
) -> dict[str, PlacedFile]:
    """Return the files of a result with the current paths of their photos."""
    if not current:
        return dict(files)
    return {name: replace(put, source=current.get(put.source, put.source)) for name, put in files.items()}


def without_old_names(files: Mapping[str, PlacedFile], current: Mapping[str, str]) -> dict[str, PlacedFile]:
    """Return the files that keep their names, as these do not come from a former path of the photo."""
    before: dict[str, list[str]] = {}
    for old, new in current.items():
        before.setdefault(new, []).append(old)
    return {
        name: put
        for name, put in files.items()
        if not any(may_be_called(PurePosixPath(name).name, path) for path in before.get(put.source, ()))
    }


def new_names(
    earlier: Mapping[str, str], wanted: Mapping[str, str], called: Mapping[str, str]
) -> dict[str, str]:
    """Return the files of a result that get a new name or a renamed folder: old to new name.

    Parameters
    ----------
    earlier, wanted : mappings of name to path of the photo
        The present names, and the wanted ones.
    called : mapping
        Folders to rename: old to new name.
    """
    place = {(folder_of(name), source): name for name, source in wanted.items()}
    # Each new name once: a photo that had several paths may have one now.
    found: dict[str, str] = {}
    for name, source in earlier.items():
        folder = folder_of(name)
        new = place.get((called.get(folder, folder), source), name)
        if name not in wanted and new not in earlier:
            found.setdefault(new, name)
    return {name: new for new, name in found.items()}
