"""`discover`: find new people in a mixed folder, who have no face set in an export."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facesets.clustering import nearest
from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.interfaces import Embedder, Store
from facesets.operations.face_sets.export_run import ExportRun, FaceModeller, open_export
from facesets.operations.face_sets.new_set import NewSet, Policy
from facesets.operations.face_sets.plan import groups_of, plan_sets
from facesets.operations.face_sets.selection import centroid_of, rows_under
from facesets.operations.face_sets.write_export import export_planned
from facesets.operations.grouping.gating import Gated, report_unmeasured
from facesets.operations.grouping.refine import gate_faces, surviving, years_of_faces
from facesets.operations.options.declaration import for_recognizer, settled
from facesets.operations.options.results import DiscoverOptions, ExportSwapOptions
from facesets.operations.options.start import RefineOptions
from facesets.plurals import counted
from facesets.records import Bool, Collection, Float32, Int64
from facesets.result import Result
from facesets.results.earlier_export import EarlierExport
from facesets.results.edits.membership import assigned_faces
from facesets.results.export_manifest import SetEntry
from facesets.results.gates import MIN_FACES
from facesets.results.manifest import EXPORT_MANIFEST, SET_MANIFEST, provenance, recorded_options
from facesets.results.names.group_names import following_names
from facesets.results.preflight import require_same_recognizer
from facesets.work import Work

KIND = "discovered"
MARKER = "DISCOVERED.txt"
_THIN = "_thin/"
NEW_ONLY = Policy(remakes=False)
"""The policy of `discover`: existing sets stay as they are."""


@dataclass(frozen=True, slots=True)
class KnownSets:
    """The face sets of an export.

    Attributes
    ----------
    names : tuple of str
        Names of all sets, of any kind.
    faces : frozenset of str
        Ids of their faces, exported or left out.
    centroids : float32 array of shape (k, d)
        Of sets of a whole person: no eras, and none with too few faces. Also of people with a deleted set, as
        far as the store has their best faces.
    unwanted : frozenset of str
        Ids of a few faces of each person with a set that the user deleted.
    """

    names: tuple[str, ...]
    faces: frozenset[str]
    centroids: Float32
    unwanted: frozenset[str]


def discover(
    store: Store,
    out: Path,
    roots: list[Path],
    embedder: Embedder,
    options: DiscoverOptions,
    refine: RefineOptions,
    export: ExportSwapOptions,
    *,
    is_known: bool = False,
    modeller: FaceModeller | None = None,
    work: Work,
) -> Result:
    """Make face sets of new people below some folders, and add them to an export.

    Parameters
    ----------
    out : Path
        The export; its sets are left as they are. It may be new, unless it `is_known`.
    roots : list of Path
        Only photos below these count; all photos if there are none.
    refine : RefineOptions
        How unknown faces are clustered, and the gates for new face sets.
    export : ExportSwapOptions
        How and whether these are exported.

    Raises
    ------
    WrongUsage
        A root, or the export that is known, does not exist; or as `open_export`, as all other errors.
    """
    if is_known and not (out / EXPORT_MANIFEST).exists():
        raise WrongUsage(
            f"{printable(out)} holds no export. Check the path, or make one first: "
            f"{Command('export-swap', 'SETS', printable(out))}."
        )
    with open_export(store, out, embedder, export, work, modeller) as run:
        rows = rows_under(run.collection, roots)
        return _discover(run, roots, rows, options, refine)


def _discover(
    run: ExportRun, roots: list[Path], rows: Int64, options: DiscoverOptions, refine: RefineOptions
) -> Result:
    collection = run.collection
    options = for_recognizer(options, collection.settings.recognizer)
    known = known_sets(run.earlier, run.collection)
    run.work.progress.begin(f"Looking for new people among {counted(len(rows), 'face')}")
    unknown = rows[~_is_known(run, rows, known, options)]
    refine = refine.for_store(len(collection.images), collection.settings.recognizer)
    years = years_of_faces(collection)[unknown]
    faces = collection.faces.take(unknown)
    report_unmeasured(faces, collection.settings, refine, run.work.progress)
    gated = gate_faces(faces, refine, years)
    found = [
        members
        for members in (unknown[part] for part in surviving(gated))
        if not any(run.ids[row] in known.unwanted for row in members)
    ]
    names = following_names("faceset", known.names, len(found))
    run.work.progress.end()
    summary = Result(
        out=str(run.out),
        faces=len(rows),
        known=len(rows) - len(unknown),  # in an existing face set, or near one
        clusters=_clusters(collection, unknown, gated, dict(zip(names, found, strict=True))),
        export=None,  # what was written; None if no person was found
        failed=0,
        failures=[],
        dry_run=run.options.dry_run,
        stopped=run.work.stop.requested,
    )
    is_interrupted = run.earlier.is_interrupted and not run.options.dry_run
    if run.work.stop.requested or not (found or is_interrupted):
        return summary
    wanted = [_new_set(run, name, members, roots) for name, members in zip(names, found, strict=True)]
    exported = _export(run, wanted, options, refine)
    return Result(
        summary,
        clusters=_as_named(summary.clusters, wanted, exported),
        export=exported if found else None,
        failed=exported.failed,
        failures=exported.failures,
        stopped=exported.stopped,
    )


def _export(
    run: ExportRun, wanted: Sequence[NewSet], options: DiscoverOptions, refine: RefineOptions
) -> Result:
    made = provenance(run.store, run.collection.settings, options, run.options)
    made = replace(made, options=_gates_of(refine, made.options) | made.options)
    plan = plan_sets(run, wanted, NEW_ONLY, made)
    naming, groups = run.naming(), {run.out: groups_of(run, plan)}
    if not run.options.dry_run:
        naming.learn(groups)
    written = export_planned(run, plan, command="discover")
    if not run.options.dry_run and not written.stopped:
        naming.save(groups)
    return written


def _as_named(clusters: Sequence[Result], wanted: Sequence[NewSet], exported: Result) -> list[Result]:
    """Name clusters by the sets that they became: the next set takes the number of a set without a face."""
    empty = {each.source for each in exported.empty}
    numbers = iter([new.name for new in wanted])
    named = {new.name: "" if new.source in empty else next(numbers) for new in wanted}
    return [Result(each, name=named.get(each.name, "")) for each in clusters]


def _gates_of(refine: RefineOptions, others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of refining; those that the export has, too, get the prefix `refine_`."""
    return {
        f"refine_{name}" if name in others else name: value
        for name, value in recorded_options(refine).items()
        if name != "materialize"
    }


def known_sets(earlier: EarlierExport, collection: Collection) -> KnownSets:
    """Read the face sets of an export that may be new; errors as `discover`."""
    edits = earlier.edits
    corrections = () if earlier.manifest is None else earlier.manifest.statements
    faces, whole = assigned_faces(corrections), list[tuple[float, ...]]()
    for entry in edits.there:
        path = earlier.root / entry.name / SET_MANIFEST
        if not path.is_file():
            continue
        known = earlier.sets.read(entry.name)
        require_same_recognizer(collection.settings, known.made.models, path)
        faces |= {item.face.face for item in known.faces} | {item.face.face for item in known.dropped}
        if _is_person(entry):
            whole.append(known.centroid)
    deleted = [_faces_of_deleted(entry) for entry in edits.removed if _is_person(entry)]
    centroids = [
        np.array(whole, np.float32).reshape(-1, collection.faces.dimension),
        *_centroids(collection, deleted),
    ]
    names = tuple(entry.name for entry in (*edits.there, *edits.removed))
    return KnownSets(names, frozenset(faces), np.concatenate(centroids), frozenset().union(*deleted))


def _is_person(entry: SetEntry) -> bool:
    return entry.kind != "era" and not entry.name.startswith(_THIN)


def _faces_of_deleted(entry: SetEntry) -> frozenset[str]:
    """Return faces that identify the person of a deleted set."""
    return frozenset([*entry.best, *([_first_face(entry.source)] if entry.kind == KIND else [])])


def _centroids(collection: Collection, people: Sequence[frozenset[str]]) -> Iterator[Float32]:
    """Yield the centroid, of shape (1, d), of each person with a face in the store."""
    row_of = {face: row for row, face in enumerate(collection.face_ids())} if any(people) else {}
    for faces in people:
        if rows := [row_of[face] for face in sorted(faces) if face in row_of]:
            yield centroid_of(collection.faces.embedding[rows])[None]


def _is_known(run: ExportRun, rows: Int64, known: KnownSets, options: DiscoverOptions) -> Bool:
    listed = np.array([run.ids[row] in known.faces for row in rows], bool)
    if not len(known.centroids) or not len(rows):
        return listed
    found = nearest(run.collection.faces.embedding[rows], known.centroids)
    return listed | (found.cosine_distance <= settled(options.known_threshold))


def _clusters(collection: Collection, unknown: Int64, gated: Gated, sets: dict[str, Int64]) -> list[Result]:
    """Return groups of at least two faces that are in no set, largest first."""
    image = collection.faces.image[unknown]
    alone = np.isin(gated.gate, ["", MIN_FACES.name])
    place = {int(row): i for i, row in enumerate(unknown)}
    names = {int(gated.cluster[place[int(rows[0])]]): name for name, rows in sets.items()}
    found = []
    for cluster, size in enumerate(np.bincount(gated.cluster, minlength=0) if len(unknown) else ()):
        if size > 1:
            mine = gated.cluster == cluster
            one = Result(
                faces=int(size),
                images=len(np.unique(image[mine])),
                survivors=len(np.unique(image[mine & alone])),  # of the gates for single faces
                name=names.get(cluster, ""),  # of the set that it becomes, if any
            )
            found.append(one)
    return sorted(found, key=lambda cluster: (-cluster.images, -cluster.faces))


def _new_set(run: ExportRun, name: str, rows: Int64, roots: list[Path]) -> NewSet:
    where = ", ".join(printable(root.absolute()) for root in roots) or "all photos"
    images = len(np.unique(run.collection.faces.image[rows]))
    text = f"Discovered by facesets in {where}: {counted(len(rows), 'face')} in {counted(images, 'photo')}.\n"
    source = f"discover:{where}#{run.ids[int(rows[0])]}"
    return NewSet(name, source, rows, kind=KIND, markers={MARKER: text}, is_numbered=True)


def _first_face(source: str) -> str:
    """Return the face in the source of a discovered set."""
    return "#".join(source.rsplit("#", 2)[1:])
