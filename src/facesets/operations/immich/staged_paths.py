"""Paths of staged originals: safe on every system, and unique."""

import hashlib
import re
import unicodedata
from array import array
from pathlib import PurePosixPath

from facesets.imaging.decode import SUFFIXES
from facesets.joiners import made_printable
from facesets.results.names.file_names import is_reserved

_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
_MAX_PART_BYTES = 120
_MAX_PATH_BYTES = 200
_MARK_LENGTH = 12
_JOINERS = re.compile("[\u200c\u200d]")
_NOT_LAST = ". \u200c\u200d\ufe0f"

OWN_NAMES = frozenset(
    {
        *("queue.json", "state.json", "aliases.json", "stage.journal", "stage.partial", "stage.lock"),
        *("push", "push.lock"),
    }
)
"""Names of our own files beside the photos; no photo folder may have such a name."""

_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_THUMBNAIL_NAME = re.compile(
    rf"(?:.+[-_](?:preview|thumbnail|fullsize)(?:[-_]edited)?|{_UUID})\.(?:jpe?g|webp|png|avif)",
    re.IGNORECASE,
)


def is_thumbnail(path: str) -> bool:
    """Whether a path is a thumbnail made by Immich, such as `<library>/thumbs/…-preview.jpeg`."""
    *folders, name = _parts(path) or [""]
    return "thumbs" in folders and _THUMBNAIL_NAME.fullmatch(name) is not None


def is_readable(path: str) -> bool:
    """Whether a file name has a supported photo extension."""
    return _suffix(path) in SUFFIXES


def safe_path(original: str) -> str:
    """Make a relative path from an original's, safe on any system.

    Parts of the path stay as they are if possible. Invalid names are replaced or shortened, and no part leads
    upwards or elsewhere.

    Parameters
    ----------
    original : str
        A text that ends like a picture's name, see `is_readable`.
    """
    *folders, name = [_safe_part(part) for part in _parts(original)] or ["_"]
    stem, suffix = name[: -len(_suffix(name)) or None], name[len(name) - len(_suffix(name)) :]
    safe_name = _bounded(stem, _MAX_PART_BYTES - len(suffix)) + suffix
    path = "/".join([*map(_safe_folder, folders), safe_name])
    if len(path.encode()) <= _MAX_PATH_BYTES:
        return path
    # Windows allows 260 characters for a whole path.
    mark = _digest("/".join(folders))
    return f"{mark}/{_bounded(stem, _MAX_PATH_BYTES - len(suffix) - len(mark) - 1)}{suffix}"


def safe_label(label: str) -> str:
    """Make a safe folder name from any text."""
    # Without joiners, as in earlier versions, whose folders have such names.
    return _safe_folder(_JOINERS.sub("_", _safe_part(re.sub(r"[/\\]", "_", label))))


class UniquePaths:
    """Gives every asset a unique path, in the order of the calls.

    Paths that are equal on a system that ignores case or composes accents count as the same. The second one
    gets a part of its asset's id, so names depend only on the list of the assets.
    """

    def __init__(self) -> None:
        self._taken = DigestSet()

    def take(self, path: str) -> bool:
        """Reserve a path; False if it is taken."""
        # A Mac's HFS+ compares names without joiners.
        seen = _JOINERS.sub("", path)
        return self._taken.add(unicodedata.normalize("NFC", unicodedata.normalize("NFKC", seen).casefold()))

    def give(self, original: str, asset_id: str) -> str:
        """Reserve a safe path for an asset.

        Parameters
        ----------
        original : str
            Its path on the server.
        asset_id : str
            Makes the path unique if needed.
        """
        path = safe_path(original)
        if self.take(path):
            return path
        suffix = PurePosixPath(path).suffix
        stem = path.removesuffix(suffix)
        for mark in (asset_id[:8], asset_id, f"{asset_id}~2"):
            if self.take(f"{stem}~{mark}{suffix}"):
                return f"{stem}~{mark}{suffix}"
        raise ValueError(f"three assets with the id {asset_id}")


def _parts(path: str) -> list[str]:
    """Split a path at both kinds of slashes, as on Windows."""
    return [part for part in re.split(r"[/\\]", path) if part not in ("", ".")]


def _suffix(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).suffix.lower()


def _safe_part(part: str) -> str:
    text = part.encode("utf-8", errors="replace").decode("utf-8")
    text = unicodedata.normalize("NFC", _FORBIDDEN.sub("_", text))
    text = made_printable(text, lambda _: "_")
    # Windows drops dots and spaces at the end of a name.
    kept = text.rstrip(". ")
    text = kept + "_" * (len(text) > len(kept))
    return f"_{text}" if is_reserved(text) else text


def _safe_folder(part: str) -> str:
    """Make a folder name that cannot clash with a photo or our own files."""
    if _suffix(part) in SUFFIXES or part.casefold() in OWN_NAMES:
        part += "_"
    return _bounded(part, _MAX_PART_BYTES)


def _bounded(text: str, max_bytes: int) -> str:
    """Return the text, or its beginning and a digest if it is too long."""
    if len(text.encode()) <= max_bytes:
        return text or "_"
    beginning = text.encode()[: max_bytes - _MARK_LENGTH - 1].decode("utf-8", errors="ignore")
    # A name must not end with a joiner that joins nothing.
    return f"{beginning.rstrip(_NOT_LAST)}~{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_MARK_LENGTH]


_FIRST_SLOTS = 1 << 12


class DigestSet:
    """A set of texts, stored as digests of 64 bits, in 16 to 32 bytes each.

    Two of a million texts share a digest in one of 40 million cases; then the second counts as present.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, text: str) -> bool:
        return self._slots[self._place(_hash64(text))] != 0

    def add(self, text: str) -> bool:
        """Add a text; False if it was there."""
        digest = _hash64(text)
        place = self._place(digest)
        if self._slots[place]:
            return False
        self._slots[place] = digest
        self._count += 1
        if 2 * self._count > len(self._slots):
            self._grow()
        return True

    def _place(self, digest: int) -> int:
        """Return the slot of a digest, or the free one for it."""
        mask = len(self._slots) - 1
        place = digest & mask
        while self._slots[place] not in (0, digest):
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        before = self._slots
        self._slots = array("Q", bytes(2 * 8 * len(before)))
        for digest in before:
            if digest:
                self._slots[self._place(digest)] = digest


def _hash64(text: str) -> int:
    """Return 64 bits of a text, never 0."""
    raw = hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(raw, "little") or 1
