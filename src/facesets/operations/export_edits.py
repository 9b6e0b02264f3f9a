"""What a user did to the crops of an export: a crop that was deleted or moved away does not show that person.

The set's manifest keeps that for good, as faces dropped by the gate `taken_out`.
"""

from pathlib import Path

from facesets.exports.folders import ANNOUNCEMENT
from facesets.exports.manifest import SET_MANIFEST, SetManifest
from facesets.exports.manifest_files import read_manifest

TAKEN_OUT = "taken_out"


def taken_out(out: Path, name: str) -> frozenset[str]:
    """Ids of the faces that the user does not want in a set of an export, those of earlier runs included.

    A crop stands for the duplicates as well that were left out for it. Nothing new is learned from a set that
    a run was cut off in, nor from one without any crops: that was emptied, not edited.

    Raises
    ------
    DamagedFile, NewerFormat
        The set's manifest cannot be read.
    """
    path = out / name / SET_MANIFEST
    if not path.is_file():
        return frozenset()
    manifest = read_manifest(path, SetManifest)
    before = {item.face.face for item in manifest.dropped if item.gate == TAKEN_OUT}
    lost = [item for item in manifest.faces if not (out / name / item.file).is_file()]
    if len(lost) == len(manifest.faces) or (out / ANNOUNCEMENT).is_file():
        return frozenset(before)
    return frozenset(before.union(*({item.face.face, *item.duplicates} for item in lost)))
