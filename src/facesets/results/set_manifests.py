"""The manifests in the folders of an export's sets, each read once a run."""

from pathlib import Path

from facesets.errors import FacesetsError
from facesets.results.export_manifest import SetManifest
from facesets.results.gates import was_taken_out
from facesets.results.inside import is_inside
from facesets.results.manifest import SET_MANIFEST
from facesets.results.manifest_json import read_manifest
from facesets.results.safe_folder import SafeFolder


class SetManifests:
    """What the sets of an export say of themselves, by the names of their folders."""

    def __init__(self, root: Path) -> None:
        """Name the export; nothing is read yet."""
        self.root = root
        self.folder = SafeFolder(root)
        self._read: dict[str, SetManifest | FacesetsError] = {}

    def read(self, name: str) -> SetManifest:
        """The manifest of the set in a folder, a linked one too.

        Raises
        ------
        WrongUsage, DamagedFile, NewerFormat
            There is none, or it cannot be read.
        """
        if name not in self._read:
            try:
                self._read[name] = read_manifest(self.root / name / SET_MANIFEST, SetManifest)
            except FacesetsError as error:
                self._read[name] = error
        found = self._read[name]
        if isinstance(found, FacesetsError):
            raise found
        return found

    def find(self, name: str) -> SetManifest | None:
        """As `read`; None where it cannot be read, and for a name that leads out of the export."""
        try:
            return self.read(name) if is_inside(name) else None
        except FacesetsError:
            return None

    def is_there(self, name: str) -> bool:
        """Whether a folder of the export's own holds a set, readable or not."""
        return self.folder.is_file(f"{name}/{SET_MANIFEST}")

    def is_linked(self, name: str) -> bool:
        """Whether the folder of a set is reached through a link."""
        return bool(self.folder.link_above(f"{name}/{SET_MANIFEST}"))

    def folders(self) -> list[str]:
        """Every folder at the top that holds a set."""
        return sorted(path.parent.name for path in self.root.glob(f"[!._]*/{SET_MANIFEST}"))

    def faces_of(self, name: str) -> frozenset[str]:
        """Every face of a set but those that the user took out: also those that a gate left out of its crops.

        Raises
        ------
        DamagedFile, NewerFormat
            The set's manifest cannot be read.
        """
        if not (self.root / name / SET_MANIFEST).is_file():
            return frozenset()
        manifest = self.read(name)
        dropped = [item.face.face for item in manifest.dropped if not was_taken_out(item)]
        return frozenset([*dropped, *(item.face.face for item in manifest.faces)])
