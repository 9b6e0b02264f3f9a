"""Compute perceptual hashes, and find all pairs that differ in few bits, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facesets.records import Bool, Float32, Int64, Pixels

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class ClosePairs:
    """Pairs of rows, `first` < `second`, with the number of differing bits; each (m,)."""

    first: Int64
    second: Int64
    bits: Int64


def close_pairs(fingerprints: NDArray[np.uint8], *, max_bits: int) -> ClosePairs:
    """Find every pair of fingerprints at a Hamming distance of `max_bits` or less.

    Bits become ±1, so that a matrix product counts agreements: exact, and as fast as the machine
    multiplies. Memory grows with n and with the pairs found, not with n².

    Parameters
    ----------
    fingerprints : uint8 array of shape (n, bytes)
    """
    signs = _signs(fingerprints)
    found = [_pairs_between(signs, low, high, max_bits) for low, high in _blocks(len(signs))]
    nothing = (np.empty(0, np.int64),) * 3
    rows, columns, bits = (np.concatenate(parts) for parts in zip(nothing, *found, strict=True))
    order = np.lexsort((columns, rows))
    return ClosePairs(rows[order], columns[order], bits[order])


def hamming(fingerprints: NDArray[np.uint8], other: NDArray[np.uint8]) -> Int64:
    """Return the number of bits in which each row differs from one fingerprint: (n,)."""
    differing: Int64 = np.bitwise_count(fingerprints ^ other).sum(axis=-1).astype(np.int64)
    return differing


def has_detail(fingerprints: NDArray[np.uint8]) -> Bool:
    """Whether each fingerprint is informative: half of its bits are set, but few of an even surface's."""
    ones = np.bitwise_count(fingerprints).sum(axis=1)
    telling: Bool = ones > fingerprints.shape[1]
    return telling


def _signs(fingerprints: NDArray[np.uint8]) -> Float32:
    bits = np.unpackbits(np.ascontiguousarray(fingerprints), axis=1)
    return bits.astype(np.float32) * 2 - 1


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    """Return the lower corners of the blocks on and above the diagonal."""
    starts = range(0, n, _BLOCK)
    return ((low, high) for low in starts for high in starts if high >= low)


def _pairs_between(signs: Float32, low: int, high: int, max_bits: int) -> tuple[Int64, Int64, Int64]:
    width = signs.shape[1]
    agreement = signs[low : low + _BLOCK] @ signs[high : high + _BLOCK].T
    rows, columns = np.nonzero(agreement >= width - 2 * max_bits)
    bits = ((width - agreement[rows, columns]) / 2).astype(np.int64)
    rows, columns = rows + low, columns + high
    above = rows < columns
    return rows[above], columns[above], bits[above]


_EDGE = 16
_SAMPLED = 64
# Averaging every pixel of a large picture takes longer than decoding it and changes no bit that counts.
_ENOUGH = 512


def fingerprint(pixels: Pixels) -> bytes:
    """Return 256 bits that survive scaling, recompression and small changes of brightness and contrast.

    Each bit says whether one of the 16×16 lowest frequencies of the gray picture, squeezed to
    64×64, lies above their median.

    References
    ----------
    Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010 (the DCT
    hash), with 256 bits in place of 64.
    """
    step = max(1, min(pixels.shape[:2]) // _ENOUGH)
    # Whole rows first: picking single pixels out of three channels takes twice as long.
    gray = cv2.cvtColor(pixels[::step], cv2.COLOR_RGB2GRAY)[:, ::step]
    small = cv2.resize(gray, (_SAMPLED, _SAMPLED), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_EDGE, :_EDGE].ravel()
    bits = low > np.median(low[1:])
    return np.packbits(bits).tobytes()
