"""Stage one asset: from the server's face boxes to a verified file."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facesets.file_system import patiently
from facesets.files import sync_directory, writing
from facesets.operations.options.immich import StageOptions
from facesets.remote.immich import Downloaded, Immich
from facesets.remote.immich_answers import NotOnServer, RequestFailed
from facesets.remote.immich_records import Asset, ServerFace

IsKnown = Callable[[str], bool]
"""Whether content with this sha256 is already known. Called from several threads."""

Kind = Literal["staged", "known", "small", "no_face", "gone", "failed"]


@dataclass(frozen=True, slots=True)
class AssetOutcome:
    """The outcome of one asset.

    Attributes
    ----------
    faces : sequence of dict
        As in the queue, with boxes in pixels of the upright original.
    largest_short_px : float or None
        Short edge of the largest face; None if the size is unknown.
    content : Downloaded or None
        Digests of the bytes, if they were read.
    adopted : bool
        The file was already in place.
    reason : str
        Why it failed.
    transient : bool
        The reason lies outside of the asset.
    """

    kind: Kind
    asset: Asset
    name: str
    faces: Sequence[dict[str, Any]] = ()
    largest_short_px: float | None = None
    content: Downloaded | None = None
    adopted: bool = False
    reason: str = ""
    transient: bool = False

    def row(self) -> dict[str, Any]:
        """The record of the asset; later runs find it by id and checksum."""
        row: dict[str, Any] = {"asset_id": self.asset.id, "outcome": self.kind, "sha1": self.asset.sha1}
        if not self.asset.sha1 and self.content is not None:
            row |= {"sha1": self.content.sha1, "no_checksum": True}
        if self.kind == "small":
            return row | {"largest_short_px": self.largest_short_px}
        if self.content is None:
            return row
        row |= {"sha256": self.content.sha256, "original_path": self.asset.path}
        if self.kind == "known":
            return row
        return row | {
            "path": self.name,
            "size": self.content.size,
            # If an asset was cropped or rotated in Immich, its boxes are in pixels of the edited picture.
            "edited": self.asset.is_edited,
            "faces": list(self.faces),
        }


class PartialDownloads:
    """The folder of incomplete downloads. Those of a killed run are removed by the next."""

    def __init__(self, folder: Path) -> None:
        """Name the folder of the photos; nothing is created yet."""
        self._directory = folder / "stage.partial"

    def path(self, asset_id: str) -> Path:
        """Return a path for a download."""
        with writing(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory / asset_id

    def sweep(self) -> None:
        """Remove leftovers. The caller must hold the folder's lock."""
        if self._directory.is_dir():
            with writing(self._directory):
                for path in self._directory.iterdir():
                    patiently(os.unlink, path)
                self._directory.rmdir()


def stage_asset(
    asset: Asset,
    name: str,
    *,
    server: Immich,
    folder: Path,
    known: Sequence[IsKnown],
    sha256_of: Mapping[str, str],
    options: StageOptions,
) -> AssetOutcome:
    """Check an asset's faces and download its original if one is large.

    Parameters
    ----------
    name : str
        The path of its file below `folder`.
    known : sequence of callables
        Each returns whether content with a sha256 already exists elsewhere.
    sha256_of : mapping of sha1 to sha256
        Content found before: known content need not be downloaded to be recognized.

    Raises
    ------
    Unreachable, WrongUsage, CannotWrite
        The run as a whole cannot continue.
    Stopped
        The run was asked to stop.
    """
    try:
        on_server = server.faces(asset.id)
        if not on_server and not options.faceless:
            return AssetOutcome("no_face", asset, name)
        faces, largest_px = _scaled(asset, on_server)
        if on_server and largest_px is not None and largest_px < options.min_face_short:
            return AssetOutcome("small", asset, name, largest_short_px=largest_px)
        if options.dry_run:
            return AssetOutcome("staged", asset, name, largest_short_px=largest_px)
        sha256 = sha256_of.get(asset.sha1)
        if sha256 is not None and any(is_known(sha256) for is_known in known):
            met = Downloaded(0, asset.sha1, sha256)
            return AssetOutcome("known", asset, name, faces, largest_px, met)
        try:
            content, adopted = _fetch(asset, folder / name, server, PartialDownloads(folder), known)
        except NotOnServer:
            # The server has no faces for a deleted photo either.
            server.faces(asset.id)
            return AssetOutcome("failed", asset, name, reason="the server lacks the original of this photo")
    except NotOnServer as error:
        return AssetOutcome("gone", asset, name, reason=error.reason)
    except RequestFailed as error:
        return AssetOutcome("failed", asset, name, reason=error.reason, transient=error.transient)
    kind: Kind = "known" if any(is_known(content.sha256) for is_known in known) else "staged"
    return AssetOutcome(kind, asset, name, faces, largest_px, content, adopted)


def _fetch(
    asset: Asset, target: Path, server: Immich, partials: PartialDownloads, known: Sequence[IsKnown]
) -> tuple[Downloaded, bool]:
    """Download the original unless its content is in place or known; return whether it was in place."""
    with writing(target):
        there = _digests(target) if asset.sha1 and target.is_file() else None
        if there is not None and there.sha1 == asset.sha1:
            return there, True
        partial = partials.path(asset.id)
        try:
            with partial.open("wb") as file:
                content = server.download(asset, file)
                file.flush()
                os.fsync(file.fileno())
            if not any(is_known(content.sha256) for is_known in known):
                target.parent.mkdir(parents=True, exist_ok=True)
                patiently(os.replace, partial, target)
                sync_directory(target.parent)
        finally:
            with suppress(FileNotFoundError):
                patiently(os.unlink, partial)
    return content, False


def _digests(path: Path) -> Downloaded:
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            sha1.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return Downloaded(size, sha1.hexdigest(), sha256.hexdigest())


def _scaled(asset: Asset, found: Sequence[ServerFace]) -> tuple[list[dict[str, Any]], float | None]:
    """Return the faces with boxes scaled to the original, and their longest short edge.

    The server may give an original's width and height before its orientation is applied. The preview is
    upright, so in that case its other side is longer. If the size is unknown, there are no faces and no edge.
    """
    faces: list[dict[str, Any]] = []
    largest_px = 0.0
    for face in found:
        size = _upright_size(asset, face)
        if size is None:
            return [], None
        across, down = size[0] / face.width, size[1] / face.height
        left, top, right, bottom = face.box
        box = [round(edge, 1) for edge in (left * across, top * down, right * across, bottom * down)]
        faces.append({"id": face.id, "person_id": face.person_id, "person": face.person_name, "box": box})
        largest_px = max(largest_px, min(box[2] - box[0], box[3] - box[1]))
    return faces, largest_px


def _upright_size(asset: Asset, face: ServerFace) -> tuple[int, int] | None:
    if not (asset.width and asset.height and face.width and face.height):
        return None
    turned = (asset.width > asset.height) != (face.width > face.height) and asset.width != asset.height
    return (asset.height, asset.width) if turned else (asset.width, asset.height)
