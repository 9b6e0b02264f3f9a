"""Automatic clustering, without a threshold or a size to choose.

1. Certain cores: average linkage, cut where faces are one person beyond doubt.
2. Faces that are alone join the core whose centroid they resemble: a centroid has less noise than any
   one face, so this reaches further than comparing faces.
3. What is left links by average linkage at the calibrated cut; clusters of several faces a little below
   it, because the mean of many pairs strays less than one pair.
4. Loose clusters around a tight one (a person's poor photos find each other first) join it.
5. Clusters that hold together by nothing (blurred and tiny faces attract each other) are taken apart;
   their faces join a coherent person, stay a certain core, or become noise.
6. Faces that show too little, where the caller knows of such, took no part so far: each that shows a
   little joins the person with a similar centroid, or none.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesets.clustering.approximate_knn import CandidatePairs, similar_pairs
from facesets.clustering.average_linkage import merge_groups
from facesets.clustering.calibration import Calibration, calibrate, without_offset
from facesets.clustering.centroids import cluster_means, coherence, unit_centers
from facesets.clustering.constraints import Constraints, Groups, Partners, among, resolve, same_image_pairs
from facesets.clustering.engine import IN_PROCESS, Engine, held_copy, held_unit_rows
from facesets.clustering.graph import Edges, OnProgress
from facesets.clustering.known_recognizers import PairModel
from facesets.clustering.labels import numbered
from facesets.clustering.linkage import Clusters, merge_while_similar
from facesets.clustering.membership import MAX_INTRUDERS, join_anchors, separate_leniently
from facesets.clustering.pairing import group_by_pairs
from facesets.clustering.placement import AutoResult, Placement, describe
from facesets.clustering.poor_faces import Clarities, Clarity, join_people, set_aside
from facesets.clustering.vectors import (
    Bool,
    Embeddings,
    Float32,
    Int64,
    canonical_order,
    check_matrix,
    unit_rows,
)

_ANCHOR_FACES = 4
_LOOSE_FACES = 2
_JUNK_FACES = 8
_SATELLITE_RATIO = 0.85
"""Maximum coherence of a satellite, as a share of its anchor's; siblings are equally coherent."""

_TIGHT_SHARE = 0.9
_MIN_PAIRS = 8
"""With at least this many pairs, their mean tells more than the similarity of two faces."""

_BLOCK_CLUSTERS = 1024


_STRATEGY = "average linkage from certain cores, with quality control"
_OFFSET_TAKEN = (
    "Even faces of different people had a similarity of {:.2f}, so their common component was removed first."
)


def cluster_auto(
    embeddings: Embeddings,
    *,
    image_index: ArrayLike | None = None,
    constraints: Constraints | None = None,
    clarity: Clarities | None = None,
    calibration: Calibration | None = None,
    approximate: bool | None = None,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> AutoResult:
    """Group faces by person with thresholds measured on the faces themselves.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    image_index : integers of shape (n,), optional
        The image of each face: two faces in one image are two people, unless they are copies.
    constraints : Constraints, optional
        What else is known.
    clarity : uint8 array of shape (n,), optional
        How much each face shows (`Clarity`): faces that show too little make a person only with must-links.
    calibration : Calibration, optional
        Measured by `calibrate` where absent.
    approximate : bool, optional
        Compare each face with those in nearby cells only (`approximate_knn_graph`), not with all. By default
        from 100 000 faces on.
    engine : Engine
        What compares the pairs.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or constraints name rows that do not exist.
    """
    check_matrix(embeddings)
    known = constraints if constraints is not None else Constraints()
    measured = calibration or calibrate(embeddings, image_index=image_index)
    first = (_OFFSET_TAKEN.format(measured.middle),) if measured.offset else ()
    if measured.offset:
        embeddings = without_offset(embeddings)
        measured = calibrate(embeddings, image_index=image_index)
    if image_index is not None:
        known = known.plus(same_image_pairs(embeddings, image_index))
    # Check in the caller's order, so that an error names the caller's rows.
    resolved = resolve(known, len(embeddings))
    aside = set_aside(clarity, resolved)
    joining = aside if clarity is None else aside & (clarity > Clarity.NOTHING)
    order = canonical_order(embeddings)
    order = order[~aside[order]]
    rows = held_unit_rows(embeddings, order, engine)
    groups = resolve(among(known, order, len(embeddings)), len(order))
    lowest = min(measured.loose, measured.link)
    found = similar_pairs(rows, lowest, on_progress, engine, approximate=approximate)
    work = _Work(rows, groups, measured, found, engine)
    labels, placement = work.run(embeddings, order, aside, joining, resolved)
    described = describe(measured, placement, len(known.cannot_link), len(resolved.contradictions))
    reasons = (*first, *described, *work.reasons, *found.reasons)
    return AutoResult(numbered(labels), placement, _STRATEGY, measured, reasons, resolved.contradictions)


class _Work:
    """Labels between the steps; rows are unit vectors in canonical order."""

    def __init__(
        self, rows: Float32, groups: Groups, measured: Calibration, pairs: CandidatePairs, engine: Engine
    ) -> None:
        self._pairs = pairs
        self._engine = engine
        self._rows = rows
        self._groups = groups
        self._apart = Partners.of_pairs(groups.forbidden, len(rows))
        self._tied = np.bincount(groups.group, minlength=len(rows))[groups.group] > 1
        self._measured = measured
        self.labels: Int64 = np.arange(len(rows))
        self.placement = np.full(len(rows), Placement.ALONE, np.uint8)
        self.reasons: tuple[str, ...] = ()

    def run(
        self, embeddings: Embeddings, order: Int64, aside: Bool, joining: Bool, known: Groups
    ) -> tuple[Int64, NDArray[np.uint8]]:
        """Run all steps; return labels and placement of all faces, in the order of `embeddings`."""
        self._group()
        labels, placement = self._in_order_of(order, len(embeddings))
        placement[aside] = Placement.POOR
        if joining.any():
            outside = unit_rows(embeddings, np.flatnonzero(joining))
            joined = join_people(
                outside, joining, labels, known, self._rows, self.labels, self._measured, self._engine
            )
            placement[joined] = Placement.JOINED
        return labels, placement

    def _group(self) -> None:
        if not len(self._rows):
            return
        if self._measured.pairs is not None:
            self._group_by_pairs(self._measured.pairs)
            return
        self._find_cores(self._pairs.faces(self._measured.core))
        core = self.labels.copy()
        all_faces = np.ones(len(self._rows), bool)
        self._join(self._loose(_LOOSE_FACES), all_faces, _ANCHOR_FACES)
        self._link()
        self.labels = self._linked_from(self._measured.several, min_pairs=_MIN_PAIRS)
        self._join(self._loose(1), all_faces, _LOOSE_FACES)
        self._attach_satellites()
        self._take_apart_junk(core)
        self._mark_alone()

    def _in_order_of(self, order: Int64, count: int) -> tuple[Int64, NDArray[np.uint8]]:
        """Return labels and placement in the caller's order; incoherent faces are noise.

        Faces that took no part have labels of their own.
        """
        labels = len(order) + np.arange(count)
        placement = np.full(count, Placement.ALONE, np.uint8)
        labels[order], placement[order] = self.labels, self.placement
        labels[placement == Placement.INCOHERENT] = -1
        return labels, placement

    def _group_by_pairs(self, model: PairModel) -> None:
        edges = self._pairs.faces(self._measured.link)
        self._find_cores(edges.take(edges.similarity >= self._measured.core))
        self.labels, core, pair_cut = group_by_pairs(
            self._rows, self.labels, edges, self._groups, self._measured, model, self._separate
        )
        self.placement[:] = np.where(core, Placement.CORE, Placement.LINKED)
        self._mark_alone()
        self.reasons = (
            f"Pairs of faces that match no other face were grouped from a similarity of {pair_cut:.2f}.",
        )

    def _find_cores(self, edges: Edges) -> None:
        cut = self._measured.core
        free = replace(self._groups, forbidden=self._groups.forbidden[:0])

        def cores(groups: Groups) -> Int64:
            return numbered(merge_groups(held_copy(self._rows, self._engine), groups, edges, cut))

        self.labels = self._separate(cores(free), lambda: cores(self._groups))
        self.placement[self._sizes()[self.labels] > 1] = Placement.CORE

    def _separate(self, merged: Int64, strictly: Callable[[], Int64]) -> Int64:
        return separate_leniently(self._rows, merged, self._groups, self._apart, strictly)

    def _sizes(self) -> Int64:
        return np.bincount(self.labels).astype(np.int64)

    def _loose(self, faces: int) -> Int64:
        return np.flatnonzero(self._sizes()[self.labels] <= faces)

    def _join(self, loose: Int64, may_attract: Bool, least: int) -> None:
        """Let faces join, one by one, the most similar cluster of at least `least` faces, by centroid."""
        size, inside = coherence(self._rows, self.labels)
        attracts = (size >= least) & (inside >= self._measured.coherent)
        attracts[self.labels[~may_attract]] = False
        loose = loose[~self._tied[loose]]
        joined = join_anchors(
            self._rows,
            self.labels,
            loose,
            np.flatnonzero(attracts),
            # A face leaves its partner only for a cluster that is more similar.
            min_cosine_similarity=np.fmax(inside[self.labels[loose]], self._measured.link),
            apart=self._apart,
            engine=self._engine,
        )
        self.placement[joined] = Placement.JOINED

    def _link(self) -> None:
        self.labels = numbered(self.labels)
        before = self._sizes()[self.labels]
        self.labels = self._linked_from(self._measured.link)
        self.placement[(before == 1) & (self._sizes()[self.labels] > 1)] = Placement.LINKED

    def _linked_from(self, similarity: float, *, min_pairs: int = 1) -> Int64:
        """Return labels after all clusters continue to merge by average linkage.

        With `min_pairs` only clusters of several faces merge, and only if they have that many pairs between
        them.
        """
        size = self._sizes()
        mean = cluster_means(self._rows, self.labels, self._engine)
        edges = self._pairs.clusters(mean, self.labels, similarity)
        if min_pairs > 1:
            i, j = size[edges.i], size[edges.j]
            edges = edges.take((np.minimum(i, j) > 1) & (i * j >= min_pairs))

        def linked(forbidden: Int64) -> Int64:
            clusters = Clusters(held_copy(mean, self._engine), size.astype(np.float64))
            ended = merge_while_similar(
                clusters, edges, min_cosine_similarity=similarity, forbidden=forbidden
            )
            return numbered(ended[self.labels])

        return self._separate(linked(self._groups.forbidden[:0]), lambda: linked(self._barred()))

    def _barred(self) -> Int64:
        return np.unique(np.sort(self.labels[self._groups.forbidden], axis=1), axis=0)

    def _attach_satellites(self) -> None:
        size, inside = coherence(self._rows, self.labels)
        several = np.flatnonzero(size > 1)
        center = unit_centers(self._rows, self.labels, several)
        anchors = np.flatnonzero((size >= _ANCHOR_FACES) & (inside >= self._measured.coherent))
        anchor_center = center[np.searchsorted(several, anchors)]
        into = np.arange(len(size))
        for start in range(0, len(several), _BLOCK_CLUSTERS):
            here = several[start : start + _BLOCK_CLUSTERS]
            similarity = center[start : start + _BLOCK_CLUSTERS] @ anchor_center.T
            fits = size[anchors] > size[here, None]
            fits &= inside[here, None] < _SATELLITE_RATIO * inside[anchors]
            similarity[~fits] = -np.inf
            best = similarity.argmax(axis=1) if len(anchors) else np.empty(0, np.int64)
            close = np.flatnonzero(similarity[np.arange(len(best)), best] >= self._measured.satellite)
            into[here[close]] = anchors[best[close]]
        self._merge_satellites(into)

    def _merge_satellites(self, into: Int64) -> None:
        moved = np.flatnonzero(into != np.arange(len(into)))
        # A satellite of a satellite would have to be checked against all; only direct ones count.
        moved = moved[into[into[moved]] == into[moved]]
        order = np.argsort(self.labels, kind="stable")
        start = np.searchsorted(self.labels[order], np.arange(len(into) + 1))
        for one in moved.tolist():
            members, anchor = order[start[one] : start[one + 1]], int(into[one])
            intruders = self._intruders(members, anchor)
            if len(intruders) <= MAX_INTRUDERS * len(members):
                self.labels[members] = anchor
                self.placement[members] = Placement.SATELLITE
                # Separate numbers, which do not clash with the others.
                self.labels[intruders] = len(self.labels) + intruders
        self.labels = numbered(self.labels)

    def _intruders(self, satellite: Int64, anchor: int) -> Int64:
        """Find faces of a satellite that cannot be with a face of its anchor, so are not the person's.

        The whole satellite, if must-links tie some of these faces to others.
        """
        bound = satellite[self._apart.has_any(satellite)]
        found = [one for one in bound.tolist() if (self.labels[self._apart.of(one)] == anchor).any()]
        return satellite if self._tied[found].any() else np.array(found, np.int64)

    def _take_apart_junk(self, core: Int64) -> None:
        # Further merging reveals junk: a person stays coherent, junk gathers more of its kind.
        self.labels = numbered(self.labels)
        gathered = self._linked_from(self._measured.loose)
        junk = self._incoherent(gathered)
        found = junk
        while found.any():
            self._scatter(junk, core)
            # Scattered faces may have gathered around another seed of the same kind.
            found = self._incoherent(self.labels) & ~junk
            junk = junk | found

    def _incoherent(self, labels: Int64) -> Bool:
        size, inside = coherence(self._rows, labels)
        hollow: Bool = ((size >= _JUNK_FACES) & (inside < self._measured.coherent))[labels]
        return hollow

    def _scatter(self, junk: Bool, core: Int64) -> None:
        # Back to the certain cores; their numbers must not clash with those of the other clusters.
        self.labels = numbered(np.where(junk, core + len(self._rows), self.labels))
        _, inside = coherence(self._rows, self.labels)
        # Faces that are known to be one person are never junk.
        tight = (inside >= _TIGHT_SHARE * self._measured.typical)[self.labels] | self._tied
        self.placement[junk] = np.where(tight[junk], Placement.CORE, Placement.INCOHERENT)
        self._join(np.flatnonzero(junk & ~tight), ~junk, _ANCHOR_FACES)

    def _mark_alone(self) -> None:
        single = (self._sizes()[self.labels] == 1) & (self.placement != Placement.INCOHERENT)
        self.placement[single] = Placement.ALONE
