"""Which XMP sidecar is of which photo, by their names: `photo.jpg.xmp`, or a `photo.xmp` of its own."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePath

from facesets.imaging.decode import RAW_SUFFIXES, SUFFIXES, VIDEO_SUFFIXES
from facesets.sources.walking import suffix_of

SUFFIX = ".xmp"
_WRITTEN = (SUFFIX, SUFFIX.upper())
_WITH_SIDECARS = SUFFIXES | RAW_SUFFIXES | VIDEO_SUFFIXES


def sidecars_to_read(photo: str, names: Collection[str]) -> Iterator[str]:
    """The sidecars that a photo may have among all names of its folder, that with its whole name first."""
    stem = photo.rpartition(".")[0]
    for name in (photo,) if _is_itself_one(stem, names) else (photo, stem):
        yield from (f"{name}{suffix}" for suffix in _WRITTEN if f"{name}{suffix}" in names)


def has_video(photo: str, names: Collection[str]) -> bool:
    """Whether a video has the name of a photo but for its ending: a `photo.xmp` may be either's."""
    stem = photo.rpartition(".")[0]
    endings = (each for suffix in VIDEO_SUFFIXES for each in (suffix, suffix.upper()))
    return any(f"{stem}{each}" in names for each in endings)


def shared_stems(names: Iterable[str]) -> frozenset[str]:
    """The names `photo` in a folder whose `photo.xmp` may be another one's sidecar.

    These are names that several photos or videos have but for their endings, and their whole names: beside
    `clip.mov` and `clip.mov.jpg`, `clip.mov.xmp` is of the first.
    """
    known = [PurePath(name) for name in names if suffix_of(name) in _WITH_SIDECARS]
    found = Counter(name.stem for name in known)
    return frozenset(stem for stem, count in found.items() if count > 1) | {name.name for name in known}


def _is_itself_one(stem: str, names: Collection[str]) -> bool:
    return suffix_of(stem) in _WITH_SIDECARS and stem in names
