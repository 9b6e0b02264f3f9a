"""An export as an earlier run and its user left it: read once by every run that goes on with it."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from facesets.results.crop_edits import SaidOfCrops, said_of_crops
from facesets.results.crop_names import files_of_entry
from facesets.results.export_manifest import ExportManifest, SetEntry
from facesets.results.inside import is_inside
from facesets.results.manifest import EXPORT_MANIFEST, PlacedFile
from facesets.results.manifest_json import read_manifest
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.set_edits import EditedSets, SetManifests, edited_sets

ERA = "era"


class EarlierExport:
    """What lies in the folder of an export before a run writes to it.

    Attributes
    ----------
    manifest : ExportManifest or None
        None where the export is new.
    """

    def __init__(self, root: Path, manifest: ExportManifest | None) -> None:
        """Take what was read already; all else is read when it is first asked for."""
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
    def said(self) -> SaidOfCrops:
        """What the user said by deleting and moving crops."""
        return SaidOfCrops() if self.manifest is None else said_of_crops(self.manifest, self.edits, self.sets)

    @property
    def entries(self) -> tuple[SetEntry, ...]:
        """The sets that are there, by the names that they have now."""
        return self.edits.there

    @cached_property
    def by_source(self) -> Mapping[str, SetEntry]:
        """The sets that are there, by what they come from."""
        return {entry.source: entry for entry in self.entries}

    @property
    def is_cut_off(self) -> bool:
        """Whether a run was cut off in it."""
        return (self.root / ANNOUNCEMENT).is_file()

    def files(self) -> dict[str, PlacedFile | None]:
        """Every file that it lists."""
        if self.manifest is None:
            return {}
        listed = [name for entry in self.entries for name in files_of_entry(self.sets, entry)]
        there = set(self.entries)
        for entry in self.manifest.sets:
            if entry not in there and is_inside(entry.name):
                listed += files_of_entry(None, entry)
        return dict.fromkeys([*sorted(listed), *self.manifest.sheets, *self.manifest.models])

    def people(self) -> Mapping[str, frozenset[str]]:
        """Ids of the faces of each set that stands for a whole person: eras are parts of one.

        Raises
        ------
        DamagedFile, NewerFormat
            A set's manifest cannot be read.
        """
        return {entry.name: self.sets.faces_of(entry.name) for entry in self.entries if entry.kind != ERA}
