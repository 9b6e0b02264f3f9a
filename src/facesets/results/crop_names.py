"""The files of sets in an export, and crops that need the name of their set.

Earlier versions named crops only by rank, so that a crop moved to another set replaced one there; and a set
that the user renamed has crops with its old name. The next run renames both.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from facesets.results.edits.set_edits import SetManifests
from facesets.results.export_manifest import ExportedFace, SetEntry, SetManifest
from facesets.results.folder import ResultFolder
from facesets.results.manifest import SET_MANIFEST
from facesets.results.manifest_json import manifest_bytes
from facesets.results.names.group_names import CANDIDATES, candidate_name, names_of_set, png_name

_BY_RANK = re.compile(r"\d+\.png")


@dataclass(frozen=True, slots=True)
class RenamedCrops:
    """Crops of one set that get new names.

    Attributes
    ----------
    name : str
        The set's folder.
    moves : mapping
        Old to new names, relative to the export.
    manifest : SetManifest
        The manifest after that.
    """

    name: str
    moves: Mapping[str, str]
    manifest: SetManifest

    @property
    def is_of_earlier_version(self) -> bool:
        """Whether an earlier version named the crops, only by rank."""
        return any(_BY_RANK.fullmatch(old.rpartition("/")[2]) for old in self.moves)


def files_of_entry(sets: SetManifests | None, entry: SetEntry) -> list[str]:
    """Return every file of a set, relative to the export; from its own manifest if that can be read."""
    others = [*entry.bundles, *entry.markers]
    manifest = None if sets is None else sets.find(entry.name)
    if manifest is None:
        by_rank = [f"{entry.name}/{rank:03d}.png" for rank in range(entry.faces)]
        return [*names_of_set(entry.name, entry.faces, entry.candidates, others), *by_rank]
    return [
        *names_of_set(entry.name, 0, 0, others),
        *(f"{entry.name}/{item.file}" for item in manifest.faces),
        *(f"{CANDIDATES}/{manifest.name}/{item.file}" for item in manifest.candidates),
    ]


def renamed_crops(sets: SetManifests, entries: Iterable[SetEntry]) -> Iterator[RenamedCrops]:
    """Return sets with crops that do not have the set's name."""
    for entry in entries:
        manifest = sets.find(entry.name)
        if manifest is None or sets.is_linked(entry.name):
            continue
        own = {item.file: png_name(entry.name, rank) for rank, item in enumerate(manifest.faces)}
        review = {
            item.file: candidate_name(entry.name, rank) for rank, item in enumerate(manifest.candidates)
        }
        places = {f"{entry.name}/{old}": f"{entry.name}/{new}" for old, new in own.items()}
        places |= {
            f"{CANDIDATES}/{manifest.name}/{old}": f"{CANDIDATES}/{entry.name}/{new}"
            for old, new in review.items()
        }
        moves = {old: new for old, new in places.items() if old != new}
        # A file of the user's that has such a name by chance stays, and so does the crop.
        if moves and not any(
            sets.folder.exists(old) and sets.folder.exists(new) for old, new in moves.items()
        ):
            yield RenamedCrops(entry.name, moves, _with_names(manifest, entry.name, own, review, moves))


def rename_crops(folder: ResultFolder, renamed: Iterable[RenamedCrops]) -> None:
    """Rename crops, also in the manifests of their sets; missing crops stay missing."""
    for crops in renamed:
        for old, new in crops.moves.items():
            if folder.inside.exists(old):
                folder.move(old, new)
        name = f"{crops.name}/{SET_MANIFEST}"
        is_in_result = name in folder.contents
        folder.write(name, manifest_bytes(crops.manifest))
        if not is_in_result:
            # Whether the set has a face is not known yet.
            del folder.contents[name]


def _with_names(
    manifest: SetManifest,
    name: str,
    own: Mapping[str, str],
    review: Mapping[str, str],
    moves: Mapping[str, str],
) -> SetManifest:
    before = f"{manifest.name}/"
    files = [
        f"{name}/{each.removeprefix(before)}" if each.startswith(before) else each for each in manifest.files
    ]

    def named(items: tuple[ExportedFace, ...], names: Mapping[str, str]) -> tuple[ExportedFace, ...]:
        return tuple(replace(item, file=names[item.file]) for item in items)

    return replace(
        manifest,
        name=name,
        faces=named(manifest.faces, own),
        candidates=named(manifest.candidates, review),
        contents={own.get(file, file): content for file, content in manifest.contents.items()},
        files=tuple(sorted(moves.get(file, file) for file in files)),
    )
