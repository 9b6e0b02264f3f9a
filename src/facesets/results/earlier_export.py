"""An export as an earlier run and its user left it; every run that continues it reads it once.

When a person is split into eras again, a single photo can change the years of an era, which identify it. The
user's corrections of the old era, its name and its removed faces, are about the person, so the new eras
inherit them.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from facesets.results.crop_names import files_of_entry
from facesets.results.edits.crop_edits import CropCorrections, crop_corrections
from facesets.results.edits.set_edits import EditedSets, SetManifests, edited_sets
from facesets.results.export_manifest import ExportManifest, SetEntry
from facesets.results.inside import is_inside
from facesets.results.manifest import EXPORT_MANIFEST, PlacedFile
from facesets.results.manifest_json import read_manifest
from facesets.results.ownership import ANNOUNCEMENT

ERA = "era"


class EarlierExport:
    """The content of an export folder before a run writes to it.

    Attributes
    ----------
    manifest : ExportManifest or None
        None if the export is new.
    """

    def __init__(self, root: Path, manifest: ExportManifest | None) -> None:
        """Take the manifest; everything else is read on first use."""
        self.root = root
        self.manifest = manifest
        self.sets = SetManifests(root)

    def require_manifest(self) -> None:
        """Refuse an export that is new: raises `WrongUsage`."""
        if self.manifest is None:
            read_manifest(self.root / EXPORT_MANIFEST, ExportManifest)

    @cached_property
    def edits(self) -> EditedSets:
        """The sets as the user left them."""
        return EditedSets() if self.manifest is None else edited_sets(self.manifest, self.sets)

    @cached_property
    def corrections(self) -> CropCorrections:
        """The corrections that the user made by deleting and moving crops."""
        return (
            CropCorrections()
            if self.manifest is None
            else crop_corrections(self.manifest, self.edits, self.sets)
        )

    @property
    def entries(self) -> tuple[SetEntry, ...]:
        """The existing sets, by their current names."""
        return self.edits.there

    @cached_property
    def by_source(self) -> Mapping[str, SetEntry]:
        """The existing sets, by their sources."""
        return {entry.source: entry for entry in self.entries}

    @property
    def is_interrupted(self) -> bool:
        """Whether a run into it was interrupted."""
        return (self.root / ANNOUNCEMENT).is_file()

    def files(self) -> dict[str, PlacedFile | None]:
        """Return every file that the export lists."""
        if self.manifest is None:
            return {}
        listed = [name for entry in self.entries for name in files_of_entry(self.sets, entry)]
        there = set(self.entries)
        for entry in self.manifest.sets:
            if entry not in there and is_inside(entry.name):
                listed += files_of_entry(None, entry)
        return dict.fromkeys([*sorted(listed), *self.manifest.sheets, *self.manifest.models])

    def people(self) -> Mapping[str, frozenset[str]]:
        """Return the face ids of each set of a whole person; eras are parts of one.

        Raises
        ------
        DamagedFile, NewerFormat
            A set's manifest cannot be read.
        """
        return {entry.name: self.sets.faces_of(entry.name) for entry in self.entries if entry.kind != ERA}


@dataclass(frozen=True, slots=True)
class Succession:
    """What new sets inherit from sets of an export, by their sources.

    Attributes
    ----------
    heirs : mapping
        New sources to sources of sets of the same people, of any kind.
    names : mapping
        Names that the user gave to the former sets.
    taken_out : mapping
        Ids of faces that the user removed from sets of the same split.
    """

    heirs: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    taken_out: Mapping[str, frozenset[str]] = field(default_factory=dict)


def succession(export: EarlierExport, base: str, faces: Mapping[str, Collection[str]]) -> Succession:
    """Find for each removed set of a split the new set with most of its faces, which inherits from it.

    Parameters
    ----------
    base : str
        The source of all eras of the split, up to their years.
    faces : mapping
        Ids of the faces of each set of the new split, by its source.

    Raises
    ------
    DamagedFile, NewerFormat
        A set's manifest cannot be read.
    """
    corrections = export.corrections
    before = [entry for entry in export.entries if entry.source.rpartition("#")[0] == base]
    held = {entry.source: export.sets.faces_of(entry.name) for entry in before}
    removed = [entry for entry in before if entry.source not in faces]
    new = [source for source in faces if source not in held]
    common = {
        (entry.source, source): shared
        for entry in removed
        for source in new
        if (shared := len(held[entry.source].intersection(faces[source])))
    }
    name_of = {entry.source: entry.name for entry in removed if _is_users_name(entry)}
    names, heir = dict[str, str](), dict[str, str]()
    for old, source in sorted(common, key=lambda pair: (-common[pair], pair)):
        heir.setdefault(old, source)
        if old in name_of and source not in names:
            names[source] = name_of.pop(old)
    inherited = {source: set[str]() for source in faces}
    # A face moved from era to era is still the same person.
    stay = frozenset[str]().union(*(corrections.given_to(entry.name) for entry in before))
    for entry in before:
        unwanted = corrections.out_of(entry.name) - stay
        for source in faces:
            if heir.get(entry.source) == source:
                inherited[source] |= unwanted
            else:
                inherited[source] |= unwanted.intersection(faces[source])
    return Succession(names=names, taken_out={source: frozenset(ids) for source, ids in inherited.items()})


def _is_users_name(entry: SetEntry) -> bool:
    """Whether the user renamed the folder: an era's name has its years, with which its source ends."""
    years = PurePosixPath(entry.source.rpartition("#")[2]).name
    return re.fullmatch(rf".*_{re.escape(years)}(_\d+)?", PurePosixPath(entry.name).name) is None
