"""Sets of texts that take a few bytes a member, for libraries of a million assets."""

import hashlib
from array import array

_FIRST_SLOTS = 1 << 12


class DigestSet:
    """Remembers texts by digests of 64 bits, in 16 to 32 bytes each.

    Two of a million texts share a digest in one of 40 million cases; then the second counts as known.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, text: str) -> bool:
        return self._slots[self._place(_digest(text))] != 0

    def add(self, text: str) -> bool:
        """Add a text; False when it was there."""
        digest = _digest(text)
        place = self._place(digest)
        if self._slots[place]:
            return False
        self._slots[place] = digest
        self._count += 1
        if 2 * self._count > len(self._slots):
            self._grow()
        return True

    def _place(self, digest: int) -> int:
        """Slot of a digest, or the free one where it would go."""
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


def _digest(text: str) -> int:
    """64 bits of a text, never 0."""
    raw = hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(raw, "little") or 1
