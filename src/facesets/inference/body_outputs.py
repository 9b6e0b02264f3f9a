"""Parse outputs of YOLO networks: their layout, and the boxes in them.

References
----------
Ultralytics, "ONNX export"; Ge et al., "YOLOX: Exceeding YOLO Series in 2021", the demo for ONNX Runtime.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facesets.records import Float32, Int64

PERSON, FACE = 0, 1
"""Classes of boxes that are used."""

_NAMES = {"person": PERSON, "face": FACE}
_COCO = 80
_STRIDES = (8, 16, 32)
_NMS_COLUMNS = 6
_LARGEST_OFFSET = 4.0
"""Maximum median center of offsets within a cell; larger numbers are pixels of the input."""

Kind = Literal["scores", "objectness", "cells", "suppressed"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of boxes in an output.

    Attributes
    ----------
    kind : str
        `scores`: center, size, a score a class (YOLOv8 to v11). `objectness`: one more score, of there being
        anything, before them (v5 to v7). `cells`: the same by cell and in logarithms (YOLOX). `suppressed`:
        corners, score, class, after the network's own non-maximum suppression.
    boxes_last : bool
        Each column is a box rather than each row.
    classes : dict of int to int
        Numbers of the network's classes, by `PERSON` and `FACE`.
    count : int
        Of all its classes.
    """

    kind: Kind
    boxes_last: bool
    classes: Mapping[int, int]
    count: int


@dataclass(frozen=True, slots=True)
class BodyCandidates:
    """Boxes in pixels of the network's input, unordered: x1, y1, x2, y2 (n, 4), scores (n,), kinds (n,)."""

    box: Float32
    score: Float32
    kind: Int64


def layout_of(
    output: NDArray[Any],
    names: Sequence[str],
    size: tuple[int, int],
    *,
    extra: bool,
    suppressed: bool = False,
) -> Layout:
    """Determine the layout of an output.

    Parameters
    ----------
    output : array of shape (batch, n, m)
        Output for an empty picture.
    names : sequence of str
        Names of the network's classes; empty if the file has none, which means COCO's 80 classes.
    size : tuple of int
        Width and height of the input.
    extra : bool
        Further columns may follow, such as those of masks or keypoints.
    suppressed : bool
        The file states that it includes non-maximum suppression.

    Raises
    ------
    ValueError
        The layout is unknown; with the reason.
    """
    if output.ndim != 3:
        raise ValueError(f"its output has {output.ndim} dimensions instead of 3")
    count = len(names) or _COCO
    classes = _classes(names)
    _, rows, columns = output.shape
    cells = _cells(size)
    if columns == _NMS_COLUMNS and not (rows in (cells, 3 * cells) and count in (1, 2)):
        return Layout("suppressed", boxes_last=False, classes=classes, count=count)
    if suppressed and extra and columns > _NMS_COLUMNS:
        return Layout("suppressed", boxes_last=False, classes=classes, count=count)
    for boxes_last, attributes in ((True, rows), (False, columns)):
        has_more = extra and 4 + count < attributes == min(rows, columns)
        if attributes == 4 + count or has_more:
            return Layout("scores", boxes_last, classes, count)
    for boxes_last, attributes in ((True, rows), (False, columns)):
        if attributes == 5 + count:
            boxes = output[0].T if boxes_last else output[0]
            is_offset = len(boxes) == cells and np.median(np.abs(boxes[:, 0])) < _LARGEST_OFFSET
            return Layout("cells" if is_offset else "objectness", boxes_last, classes, count)
    known = f"{count} classes" if names else f"COCO's {_COCO} classes, because it names none"
    raise ValueError(f"its output [{rows}, {columns}] does not fit {known}")


def _classes(names: Sequence[str]) -> dict[int, int]:
    if not names:
        return {PERSON: 0}
    folded = [name.strip().casefold() for name in names]
    found = {kind: folded.index(name) for name, kind in _NAMES.items() if name in folded}
    if PERSON not in found:
        shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
        raise ValueError(f"none of its classes is called person: {shown}")
    return found


def _cells(size: tuple[int, int]) -> int:
    width, height = size
    return sum((width // stride) * (height // stride) for stride in _STRIDES)


def candidates(output: NDArray[Any], layout: Layout, size: tuple[int, int], least: float) -> BodyCandidates:
    """Return the people and faces of one image with a minimum score."""
    table = np.asarray(output.T if layout.boxes_last else output, np.float32)
    if layout.kind == "suppressed":
        return _suppressed(table, layout, least)
    first = 4 if layout.kind == "scores" else 5
    scores = table[:, first : first + layout.count]
    if layout.kind != "scores":
        scores = scores * table[:, 4:5]
    found = []
    for kind, number in layout.classes.items():
        rows = np.flatnonzero(scores[:, number] >= least)
        # A box counts only for its best class.
        rows = rows[scores[rows].argmax(axis=1) == number]
        found.append((rows, np.full(len(rows), kind, np.int64), scores[rows, number]))
    rows, kinds, own = (np.concatenate(part) for part in zip(*found, strict=True))
    boxes = table[rows, :4]
    if layout.kind == "cells":
        boxes = _from_cells(boxes, rows, size)
    center, half = boxes[:, :2], boxes[:, 2:] / 2
    return BodyCandidates(np.hstack([center - half, center + half]), own, kinds)


def _suppressed(table: Float32, layout: Layout, least: float) -> BodyCandidates:
    kinds = np.full(len(table), -1, np.int64)
    for kind, number in layout.classes.items():
        kinds[np.rint(table[:, 5]) == number] = kind
    keep = (kinds >= 0) & (table[:, 4] >= least)
    return BodyCandidates(table[keep, :4], table[keep, 4], kinds[keep])


def _from_cells(boxes: Float32, rows: Int64, size: tuple[int, int]) -> Float32:
    """Convert cell offsets and log sizes to centers and sizes in pixels."""
    width, height = size
    corners, strides = [], []
    for stride in _STRIDES:
        y, x = np.divmod(np.arange((width // stride) * (height // stride)), width // stride)
        corners.append(np.stack([x, y], axis=1))
        strides.append(np.full(len(x), stride))
    corner, stride_of = np.concatenate(corners)[rows], np.concatenate(strides)[rows, None]
    pixels: Float32 = (np.hstack([boxes[:, :2] + corner, np.exp(boxes[:, 2:])]) * stride_of).astype(
        np.float32
    )
    return pixels
