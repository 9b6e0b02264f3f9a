"""Check whether splitting a person by era makes sense: the evidence as numbers, text and chart."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from facesets.clustering import average_linkage
from facesets.clustering.labels import cluster_sizes
from facesets.clustering.people.splitting import NO_YEAR, Eras, pairwise_histogram
from facesets.files import printable
from facesets.imaging.encode import png_bytes
from facesets.imaging.era_chart import FACES_SHOWN, ChartRow, CutBar, EraChart, draw_era_chart
from facesets.imaging.quality import quality
from facesets.interfaces import Progress
from facesets.operations.face_sets.eras.capture_years import YearSources
from facesets.operations.face_sets.eras.era_faces import Curated, EraFaces, Recovered, year_range
from facesets.operations.options.results import SplitErasOptions
from facesets.plurals import counted
from facesets.records import Collection, Float32, Int64
from facesets.results.manifest import face_describer
from facesets.results.pages.contact_sheets import PlannedRow, PlannedTile, finished_row

CUTS = (0.30, 0.35, 0.40, 0.45, 0.50)

_EDGES = np.round(np.arange(0, 1.2001, 0.02), 2)
_ROWS_SHOWN = 14
_TEXT_BAR = 40
_TEXT_BIN = 2


@dataclass(frozen=True, slots=True)
class Cut:
    """Sub-clusters at one cosine distance: their sizes, largest first; the first `anchors` are anchors."""

    threshold: float
    anchors: int
    sizes: list[int]


@dataclass(frozen=True, slots=True)
class SubCluster:
    """One sub-cluster at the cut that splits.

    Attributes
    ----------
    first, last, dominant : int
        Capture years; 0 if none is known.
    years : dict
        Faces by capture year; year 0 holds faces of an unknown year.
    nearest_anchor : int
        Number of the nearest anchor, counted from 1; 0 for anchors and if there is none.
    cosine_distance : float or None
        From its centroid.
    joins : bool
        Whether the fragment becomes part of that anchor's era.
    """

    faces: int
    anchor: bool
    first: int
    last: int
    dominant: int
    years: dict[int, int]
    nearest_anchor: int
    cosine_distance: float | None
    joins: bool

    def role(self, join_threshold: float) -> str:
        """Return the outcome for the sub-cluster, with the reason."""
        if self.anchor:
            return "anchor"
        if self.cosine_distance is None:
            return "no anchor to join"
        where = f"{self.nearest_anchor} (distance {self.cosine_distance:.2f})"
        if self.joins:
            return f"joins {where}"
        if self.cosine_distance > join_threshold:
            return f"too far from {where}"
        return (
            f"no capture year to join {where}" if self.dominant == NO_YEAR else f"years differ from {where}"
        )


@dataclass(frozen=True, slots=True)
class EraProbe:
    """The evidence on a person's faces, before anything is split.

    Attributes
    ----------
    edges, pairs : list
        Bounds of bins of cosine distance, and the number of pairs of faces in each.
    clusters : list of SubCluster
        At the cut that splits, by falling size.
    mean_inside, mean_between : float or None
        Mean cosine distance of two faces of one anchor, and of two anchors.
    verdict : str
        The conclusion in a sentence.
    splits : bool
        Whether splitting makes sense.
    """

    edges: list[float]
    pairs: list[int]
    cuts: list[Cut]
    clusters: list[SubCluster]
    mean_inside: float | None
    mean_between: float | None
    verdict: str
    splits: bool


def probe(
    embeddings: Float32, years: Int64, eras: Eras, named: Sequence[EraFaces], options: SplitErasOptions
) -> EraProbe:
    """Measure how a person's faces separate.

    Parameters
    ----------
    embeddings : float32 array of shape (n, d)
    years : int64 array of shape (n,)
    eras, named
        What splitting would give.
    """
    thresholds = sorted({*CUTS, options.split_threshold})
    cuts = []
    for threshold in thresholds:
        sizes = cluster_sizes(average_linkage(embeddings, max_cosine_distance=threshold))[:-1]
        anchors = int((sizes >= options.min_era_faces).sum())
        cuts.append(Cut(threshold, anchors, sizes.tolist()))
    clusters = [_sub_cluster(number, years, eras) for number in range(len(eras.dominant_year))]
    inside, between = _mean_distances(embeddings, eras)
    splits, verdict = judge(years, eras, named, options)
    return EraProbe(
        edges=_EDGES.tolist(),
        pairs=pairwise_histogram(embeddings, _EDGES).tolist(),
        cuts=cuts,
        clusters=clusters,
        mean_inside=inside,
        mean_between=between,
        verdict=verdict,
        splits=splits,
    )


def _sub_cluster(number: int, years: Int64, eras: Eras) -> SubCluster:
    members = eras.cluster == number
    first, last = year_range(years[members])
    anchor = int(eras.nearest_anchor[number])
    return SubCluster(
        faces=int(members.sum()),
        anchor=number < eras.anchors,
        first=first,
        last=last,
        dominant=int(eras.dominant_year[number]),
        years=dict(sorted(Counter(years[members].tolist()).items())),
        nearest_anchor=anchor + 1,
        cosine_distance=round(float(eras.cosine_distance[number]), 4) if anchor >= 0 else None,
        joins=bool(eras.era[members][0] != number),
    )


def _mean_distances(embeddings: Float32, eras: Eras) -> tuple[float | None, float | None]:
    """Return mean distances within and between anchors; for unit vectors both follow from sums."""
    if eras.anchors < 2:
        return None, None
    groups = [embeddings[eras.cluster == anchor].astype(np.float64) for anchor in range(eras.anchors)]
    sums = np.array([group.sum(axis=0) for group in groups])
    sizes = np.array([len(group) for group in groups], np.float64)
    products = sums @ sums.T
    inside = (np.diag(products) - sizes).sum() / (sizes * (sizes - 1)).sum()
    across = ~np.eye(len(sizes), dtype=bool)
    between = products[across].sum() / np.outer(sizes, sizes)[across].sum()
    return round(1 - float(inside), 4), round(1 - float(between), 4)


def judge(years: Int64, eras: Eras, named: Sequence[EraFaces], options: SplitErasOptions) -> tuple[bool, str]:
    """Return whether splitting makes sense, and why, in a sentence; parameters as of `probe`."""
    clusters = [_sub_cluster(number, years, eras) for number in range(len(eras.dominant_year))]
    anchors = [cluster for cluster in clusters if cluster.anchor]
    if not anchors:
        return (
            False,
            f"No sub-cluster has {counted(options.min_era_faces, 'face')}: too few photos to split by era.",
        )
    if len(anchors) == 1:
        total = sum(cluster.faces for cluster in clusters)
        held = f"{anchors[0].faces} of {counted(total, 'face')}"
        return False, f"One anchor holds {held}: there is nothing to split."
    dated = [anchor.dominant for anchor in anchors if anchor.dominant != NO_YEAR]
    if len(dated) < 2:
        return (
            False,
            f"There are {len(anchors)} anchors, but too few capture years to tell whether they are eras.",
        )
    if max(dated) - min(dated) <= options.join_years:
        spread = f"{len(anchors)} anchors with the same years ({min(dated)} to {max(dated)})"
        return False, f"There are {spread}: something other than age separates them."
    names = ", ".join(_span(era.first, era.last) for era in _by_year(named) if era.clusters[0] < len(anchors))
    return True, f"Splitting makes {len(anchors)} eras: {names}."


def _by_year(named: Sequence[EraFaces]) -> list[EraFaces]:
    return sorted(named, key=lambda era: (era.first == NO_YEAR, era.first, era.last))


def _span(first: int, last: int) -> str:
    if first == NO_YEAR:
        return "no years"
    return str(first) if first == last else f"{first} to {last}"


def facts_line(recovered: Recovered, curated: Curated, years: YearSources) -> str:
    """Return a line on where the faces come from."""
    dropped = sum(recovered.dropped_by.values())
    parts = [
        f"{counted(len(recovered.rows), 'face')} found, starting from the {curated.faces} of the face set",
        f"{recovered.near} similar, {dropped} rejected",
        (
            f"capture year from metadata {years.by_exif}, from file name {years.by_name}, unknown "
            f"{years.unknown}"
        ),
    ]
    if recovered.twice:
        parts.append(f"photos with two of the faces: {recovered.twice}")
    return "  ·  ".join(parts)


def probe_text(name: str, facts: str, found: EraProbe, options: SplitErasOptions) -> str:
    """Return the evidence as plain text."""
    lines = [printable(name), facts.replace("  ·  ", "; "), found.verdict, ""]
    if found.mean_inside is not None:
        means = f"{found.mean_inside:.2f} within an anchor, {found.mean_between:.2f} between anchors"
        lines += [f"Mean cosine distance of two faces: {means}.", ""]
    lines += ["Cosine distance of all pairs of faces", *_text_histogram(found), ""]
    lines += ["Sub-clusters at each cut"]
    for cut in found.cuts:
        mark = "*" if cut.threshold == options.split_threshold else " "
        alone = sum(size == 1 for size in cut.sizes)
        shown = " ".join(str(size) for size in cut.sizes if size > 1)
        lines.append(f"{mark} {cut.threshold:.2f}  {cut.anchors:3d} anchors  sizes {shown}  single {alone}")
    lines += ["", f"Sub-clusters at {options.split_threshold:.2f}, and faces by capture year"]
    for number, cluster in enumerate(found.clusters, start=1):
        if cluster.faces < options.min_fragment_faces:
            continue
        role = cluster.role(options.join_threshold)
        mostly = f"mostly {cluster.dominant}" if cluster.dominant else "undated"
        lines.append(f"{number:4d}  {cluster.faces:5d} faces  {mostly:11s}  {role}")
        lines.append("      " + " ".join(f"{year or 'unknown'}:{n}" for year, n in cluster.years.items()))
    return "\n".join(lines) + "\n"


def _text_histogram(found: EraProbe) -> list[str]:
    """Draw two bins a line, from the first to the last that is not empty."""
    bounds = found.edges[::_TEXT_BIN]
    counts = [sum(found.pairs[i : i + _TEXT_BIN]) for i in range(0, len(found.pairs), _TEXT_BIN)]
    used = [place for place, count in enumerate(counts) if count]
    peak = max([*counts, 1])
    bins = list(zip(pairwise(bounds), counts, strict=True))[used[0] : used[-1] + 1] if used else []
    return [
        f"  {low:.2f}-{high:.2f} {count:9d} {'#' * round(count / peak * _TEXT_BAR)}".rstrip()
        for (low, high), count in bins
    ]


def probe_png(
    name: str,
    facts: str,
    found: EraProbe,
    collection: Collection,
    rows: Int64,
    years: Int64,
    eras: Eras,
    options: SplitErasOptions,
    progress: Progress,
) -> bytes:
    """Draw the evidence as a picture; the faces are cut out of their photos."""
    shown = [
        place for place, cluster in enumerate(found.clusters) if cluster.faces >= options.min_fragment_faces
    ][:_ROWS_SHOWN]
    describe = face_describer(collection, quality(collection.faces).total)
    progress.begin("Drawing the chart", len(shown))
    drawn = []
    for place in shown:
        members = np.flatnonzero(eras.cluster == place)
        chosen = _through_the_years(members, years)
        tiles = [PlannedTile(describe(int(rows[m])), str(int(years[m]) or "")) for m in chosen]
        row = finished_row(PlannedRow("", (), tuple(tiles), 0, (), 0), progress)
        cluster = found.clusters[place]
        drawn.append(
            ChartRow(
                title=f"{place + 1}    {counted(cluster.faces, 'face')}",
                facts=(_dates(cluster), cluster.role(options.join_threshold)),
                is_anchor=cluster.anchor,
                faces=row.faces,
                years={year: count for year, count in cluster.years.items() if year != NO_YEAR},
            )
        )
    progress.end()
    chart = EraChart(
        title=printable(name),
        subtitle=facts,
        verdict=found.verdict,
        edges=found.edges,
        counts=found.pairs,
        marks=[cut.threshold for cut in found.cuts],
        chosen_mark=options.split_threshold,
        cuts=[
            CutBar(f"{cut.threshold:.2f}", cut.sizes, cut.anchors, cut.threshold == options.split_threshold)
            for cut in found.cuts
        ],
        rows=drawn,
        more=len(found.clusters) - len(drawn),
    )
    return png_bytes(draw_era_chart(chart))


def _dates(cluster: SubCluster) -> str:
    if cluster.dominant == NO_YEAR:
        return "no capture years"
    span = _span(cluster.first, cluster.last)
    return span if cluster.first == cluster.last else f"{span}, mostly {cluster.dominant}"


def _through_the_years(members: Int64, years: Int64) -> Int64:
    """Choose a few members, evenly from the oldest photo to the newest; undated ones last."""
    dated = np.where(years[members] == NO_YEAR, np.iinfo(np.int64).max, years[members])
    ordered = members[np.argsort(dated, kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(FACES_SHOWN, len(ordered))).round().astype(int)
    chosen: Int64 = ordered[places]
    return chosen
