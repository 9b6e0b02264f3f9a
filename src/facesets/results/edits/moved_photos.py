"""Photos of a result that lie elsewhere since it was made: their files in it follow, under new names.

The manifest says which image each path led to, and the store where that image lies today.
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


def paths_today(manifest: ClusterManifest | RefineManifest, images: Images) -> dict[str, str]:
    """Where each photo lies today of which the path that the manifest names is known no more."""
    now = dict(zip(images.sha256.tolist(), images.paths, strict=True))
    today: dict[str, str] = {}
    for sha256, before in _images_of(manifest):
        paths = now.get(sha256.encode(), ())
        if paths and paths != before:
            gone = [path for path in before if path not in paths]
            today.update(_paired(gone, [path for path in paths if path not in before], paths[0]))
    return today


def _images_of(manifest: ClusterManifest | RefineManifest) -> Iterator[tuple[str, tuple[str, ...]]]:
    for face in every_face(manifest):
        yield face.image, face.paths
    if isinstance(manifest, ClusterManifest):
        yield from ((image.sha256, image.paths) for image in manifest.no_face)


def _paired(gone: Iterable[str], new: Sequence[str], canonical: str) -> Iterator[tuple[str, str]]:
    """Old paths with new ones, those most alike from their ends; where none is left, the canonical one."""
    free = list(new)
    for path in gone:
        place = max(free, key=lambda candidate: _common_parts(path, candidate), default=canonical)
        if place in free:
            free.remove(place)
        yield path, place


def _common_parts(path: str, other: str) -> int:
    """How many parts two paths share at their ends."""
    both = zip(reversed(PurePath(path).parts), reversed(PurePath(other).parts), strict=False)
    return next((count for count, (a, b) in enumerate(both) if a != b), 0)


def with_sources_today(files: Mapping[str, PlacedFile], today: Mapping[str, str]) -> dict[str, PlacedFile]:
    """The files of a result, made from where their photos lie today."""
    if not today:
        return dict(files)
    return {name: replace(put, source=today.get(put.source, put.source)) for name, put in files.items()}


def without_old_names(files: Mapping[str, PlacedFile], today: Mapping[str, str]) -> dict[str, PlacedFile]:
    """Those files that are not called after where their photo lay before: they keep their names."""
    before: dict[str, list[str]] = {}
    for old, new in today.items():
        before.setdefault(new, []).append(old)
    return {
        name: put
        for name, put in files.items()
        if not any(may_be_called(PurePosixPath(name).name, path) for path in before.get(put.source, ()))
    }


def new_names(
    earlier: Mapping[str, str], wanted: Mapping[str, str], called: Mapping[str, str]
) -> dict[str, str]:
    """Files of a result that get another name in their folder, or a folder of another name: old to new.

    Parameters
    ----------
    earlier, wanted : mappings of name to path of the photo
        As it is, and as it is to be.
    called : mapping
        Folders that get another name: old to new.
    """
    place = {(folder_of(name), source): name for name, source in wanted.items()}
    # Each new name once: a photo that lay at several paths before may lie at one today.
    found: dict[str, str] = {}
    for name, source in earlier.items():
        folder = folder_of(name)
        new = place.get((called.get(folder, folder), source), name)
        if name not in wanted and new not in earlier:
            found.setdefault(new, name)
    return {name: new for new, name in found.items()}
