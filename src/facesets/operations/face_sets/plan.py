"""What an export will hold: the sets to write, those to leave alone, and the candidates for each."""

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.imaging.quality import Quality, known_pose, quality
from facesets.interfaces import Embedder
from facesets.operations.face_sets.candidates import matched_candidates, single_faces
from facesets.operations.options.cache import ExportSwapOptions
from facesets.plurals import counted
from facesets.records import CacheSettings, Collection, Faces, Float32, Int64
from facesets.results.crop_edits import SaidOfCrops, said_of_crops
from facesets.results.crop_names import RenamedCrops, files_of_entry, renamed_crops
from facesets.results.era_lineage import Succession, faces_of_set, succession
from facesets.results.export_manifest import ExportManifest, SetEntry
from facesets.results.group_names import NUMBERED, free_names
from facesets.results.inside import is_inside
from facesets.results.manifest import EXPORT_MANIFEST, PlacedFile, Provenance, RefineManifest, Statement
from facesets.results.manifest_json import manifest_file, read_manifest, refuse_other_results
from facesets.results.naming import ERA, Naming
from facesets.results.same_faces import require_same_faces, require_same_recogniser, rows_among, rows_of
from facesets.results.set_edits import EditedSets, edited_crops, edited_sets

REFINED = "refined"
_ASKED_FOR = frozenset({"imported", ERA})

# Raised when the same inputs give other crops, so that finished sets are made anew.
_CROP_RULES = 1


@dataclass(frozen=True, slots=True)
class NewSet:
    """A face set as a command wants it in an export.

    Attributes
    ----------
    name : str
        Its folder, relative to the export; another one, if that is taken.
    source : str
        What it comes from, down to the group: a set is known again by it.
    rows : int64 array
        Rows of the store.
    kind : str
        `refined`, `discovered`, `imported` or `era`.
    markers : mapping
        Names and contents of text files that say in the set's folder what it is.
    candidates : mapping
        Row of a face for review to its cosine distance from the set's centroid.
    is_numbered : bool
        Its name is but the next number, which another such set takes if no face of this one passes.
    """

    name: str
    source: str
    rows: Int64
    kind: str = REFINED
    markers: Mapping[str, str] = field(default_factory=dict)
    candidates: Mapping[int, float] = field(default_factory=dict)
    is_numbered: bool = False


@dataclass(frozen=True, slots=True)
class PlannedSet:
    """One face set to be written.

    Attributes
    ----------
    name : str
        Its folder.
    inputs : str
        Digest of everything that decides about the result.
    wanted : NewSet
    candidates : int64 array
        Rows of the store, nearest first.
    taken_out : int64 array
        Rows of faces that the user took out of the set.
    given : int64 array
        Those of its faces that the user put there: no gate drops them.
    """

    name: str
    inputs: str
    wanted: NewSet
    candidates: Int64
    taken_out: Int64
    given: Int64

    @property
    def source(self) -> str:
        """What it comes from."""
        return self.wanted.source

    @property
    def rows(self) -> Int64:
        """Its faces: rows of the store."""
        return self.wanted.rows

    @property
    def candidate_distance(self) -> Mapping[int, float]:
        """Row to cosine distance from the set's centroid."""
        return self.wanted.candidates


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """All that is decided before a picture is read.

    Attributes
    ----------
    quality : float32 array
        Of every face of the store.
    sets : tuple of PlannedSet
    kept_sets, kept_files
        What lies in the export already and is left alone.
    earlier : mapping
        Every file that the export lists so far.
    gone : tuple of str
        Sets that lie there and go.
    removed : tuple of SetEntry
        Sets whose folder the user deleted, and that stay away.
    edited : tuple of str
        Crops that the user worked on, in these sets and in those that go: they are set aside.
    moved : mapping
        Crops that the user moved to other sets, and the names under which they are kept.
    withdrawn : tuple of str
        Kept crops that no longer count.
    statements : tuple of Statement
        What the user said so far.
    before : ExportManifest or None
        What the export lists before this run, in the light of what the user did.
    learned : tuple of str
        What the user did to folders and crops, a sentence each.
    renamed : tuple of RenamedCrops
        Crops that are not called after their set yet.
    deleted : tuple of str
        Sets whose folder the user deleted since, and that are not made again.
    is_added : bool
        Whether sets of others stay.
    """

    made: Provenance
    quality: Float32
    sets: tuple[PlannedSet, ...]
    kept_sets: tuple[SetEntry, ...]
    kept_files: tuple[str, ...]
    earlier: dict[str, PlacedFile | None]
    gone: tuple[str, ...] = ()
    removed: tuple[SetEntry, ...] = ()
    edited: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    before: ExportManifest | None = None
    learned: tuple[str, ...] = ()
    renamed: tuple[RenamedCrops, ...] = ()
    deleted: tuple[str, ...] = ()
    is_added: bool = False


def plan_export(
    collection: Collection,
    refine_manifest: Path,
    raw_manifest: Path | None,
    out: Path,
    embedder: Embedder,
    options: ExportSwapOptions,
    *,
    made: Provenance,
    naming: Naming,
) -> ExportPlan:
    """Read the manifests, compare recognisers, and settle names; errors as `export_swap`."""
    refined = read_manifest(refine_manifest, RefineManifest)
    require_same_faces(collection.settings, refined.made.models, refine_manifest)
    rows_by_id = {face: row for row, face in enumerate(collection.face_ids())}
    members = {
        group.name: rows_of([entry.face for entry in group.faces], rows_by_id, refine_manifest)
        for group in refined.facesets
    }
    candidates = {}
    if options.candidates:
        single = single_faces(raw_manifest, rows_by_id, collection.settings)
        candidates = matched_candidates(collection, members, single, quality(collection.faces).total, options)
    prefix = f"{manifest_file(refine_manifest).absolute()}#"
    ids = list(rows_by_id)
    called, warnings = naming.called({name: {ids[row] for row in rows} for name, rows in members.items()})
    wanted = [
        NewSet(called.get(name, name), prefix + name, rows, candidates=candidates.get(name, {}))
        for name, rows in members.items()
    ]
    if not options.merge:
        _refuse_foreign_sets(out, prefix)
    plan = plan_sets(
        collection,
        wanted,
        out,
        embedder.settings,
        options,
        made=made,
        keep=options.merge,
        remake=not options.merge,
        heirs=_heirs(out, wanted, ids),
        naming=naming,
    )
    return replace(plan, learned=(*plan.learned, *warnings))


def plan_sets(
    collection: Collection,
    wanted: Sequence[NewSet],
    out: Path,
    consumer: CacheSettings,
    options: ExportSwapOptions,
    *,
    made: Provenance,
    keep: bool = True,
    remake: bool = True,
    replaced: str | None = None,
    heirs: Mapping[str, str] | None = None,
    naming: Naming | None = None,
) -> ExportPlan:
    """Fit sets into an export, whatever lies there already.

    Parameters
    ----------
    wanted : sequence of NewSet
        A name that another set has is replaced by `faceset_NNN`, past the highest number in use.
    consumer : CacheSettings
        Of the embedder that the crops are checked with.
    keep : bool
        Leave sets alone that are not wanted. Otherwise those go that came from a refine manifest.
    replaced : str, optional
        Of the sets that are not wanted, those go whose source is this up to its last `#`.
    remake : bool
        Make a set again, in its place, when it is there from the same source but from other faces. Otherwise
        leave it alone.
    heirs : mapping, optional
        Sources of wanted sets to those of sets in the export, of whatever kind, that are the same people.
    naming : Naming, optional
        What people are called in other results: a set that is made again follows.

    Raises
    ------
    RecogniserMismatch
        The embedder has another recogniser than the store.
    WrongUsage
        `out` holds something else.
    """
    require_same_recogniser(collection.settings, consumer, consumer.pack)
    parts = quality(collection.faces)
    before, edits, earlier = _read_earlier(out)
    said = SaidOfCrops() if before is None else said_of_crops(out, before, edits)
    entries = edits.there
    # Whoever names folders or a person wants just these sets; the others come back only if nobody said no.
    unwanted = {entry.source for entry in edits.removed}
    wanted = [each for each in wanted if each.kind in _ASKED_FOR or each.source not in unwanted]
    by_source = {entry.source: entry.name for entry in entries}
    heirs = heirs or {}
    by_source |= {new: by_source[old] for new, old in heirs.items()}
    again = {each.source for each in wanted} | set(heirs.values()) if remake else set()
    called = _called_elsewhere(out, edits, again, naming or Naming())
    by_source = {source: called.get(name, name) for source, name in by_source.items()}
    said = said.renamed(out, called)
    kept = [e for e in entries if (keep or e.kind != REFINED) and e.source not in again]
    if replaced is not None:
        kept = [e for e in kept if e.source.rpartition("#")[0] != replaced]
    kept = [e for e in entries if e in kept or e.source in edits.linked]
    untouched = edits.linked if remake else by_source.keys()
    new = [e for e in wanted if e.source not in untouched and heirs.get(e.source) not in edits.linked]
    pardoned = {entry.source: entry.name for entry in edits.pardoned}
    inherited = _inherited(collection, out, entries, new, replaced, said)
    names = free_names(
        [(each.source, each.name) for each in new],
        {**inherited.names, **by_source, **pardoned} if remake else {},
        [entry.name for entry in kept],
        [entry.name for entry in (*entries, *edits.removed)],
    )
    sets = tuple(
        _planned(
            collection,
            parts,
            each,
            name,
            said,
            inherited.taken_out.get(each.source, frozenset()),
            consumer,
            options,
        )
        for each, name in zip(new, names, strict=True)
    )
    staying = {entry.name for entry in kept} | set(names)
    renamed = tuple(renamed_crops(out, [entry for entry in entries if entry.name in staying]))
    moves = {old: new for crops in renamed for old, new in crops.moves.items()}
    kept_files = tuple(moves.get(name, name) for entry in kept for name in files_of_entry(out, entry))
    gone = tuple(entry.name for entry in entries if entry.name not in staying)
    again_edited = [name for each in sets for name in edited_crops(out, each.name)]
    gone_edited = [name for old in gone for name in edited_crops(out, old, goes=True)]
    taken = [
        f"{counted(len(each.taken_out), 'face was', 'faces were')} taken out of {printable(each.name)} and "
        "will stay out."
        for each in sets
        if len(each.taken_out)
    ]
    aside = [f"{printable(name)} was changed: it is set aside and made again." for name in again_edited]
    aside += [f"{printable(name)} was changed: it is set aside, for its set goes." for name in gone_edited]
    statements = said.lasting(names)
    if before is not None:
        before = replace(
            before, sets=(*edits.there, *edits.empty), removed=edits.removed, statements=statements
        )
    return ExportPlan(
        made,
        parts.total,
        sets,
        tuple(kept),
        kept_files,
        {**earlier, **dict.fromkeys(said.moved)},
        gone,
        removed=tuple(entry for entry in edits.removed if entry.source not in {s.source for s in sets}),
        edited=(*again_edited, *gone_edited),
        moved=said.moved,
        withdrawn=said.withdrawn,
        statements=statements,
        before=before,
        learned=(
            *edits.learned({each.source for each in sets}),
            *(f"{printable(old)} is called {printable(new)}." for old, new in called.items()),
            *said.learned,
            *taken,
            *aside,
            *_renaming(renamed),
        ),
        renamed=renamed,
        deleted=tuple(e.name for e in edits.deleted if e.source not in {s.source for s in sets}),
        is_added=keep,
    )


def _called_elsewhere(out: Path, edits: EditedSets, again: Set[str], naming: Naming) -> dict[str, str]:
    """Which sets that are made again have another name in other results: old to new name."""
    if not naming.people or not again:
        return {}
    groups = {entry.name: faces_of_set(out, entry.name) for entry in edits.there if entry.kind != ERA}
    called, _ = naming.called(
        groups, [entry.name for entry in (*edits.there, *edits.removed) if entry.name not in groups]
    )
    may = {entry.name for entry in edits.there if entry.source in again and entry.source not in edits.linked}
    return {old: new for old, new in called.items() if old in may and (new not in groups or new in may)}


def _renaming(renamed: Sequence[RenamedCrops]) -> list[str]:
    earlier = [crops for crops in renamed if crops.is_of_earlier_version]
    if not earlier:
        return []
    example = next(iter(earlier[0].moves.values()))
    return [f"Crops are called after their sets now, such as {printable(example)}."]


def _inherited(
    collection: Collection,
    out: Path,
    entries: Sequence[SetEntry],
    new: Sequence[NewSet],
    split: str | None,
    said: SaidOfCrops,
) -> Succession:
    """What the sets of a split made anew have from those that it made before."""
    before = [entry for entry in entries if entry.source.rpartition("#")[0] == split]
    if not before:
        return Succession()
    ids = collection.face_ids()
    return succession(out, before, {each.source: {ids[row] for row in each.rows} for each in new}, said)


def _planned(
    collection: Collection,
    parts: Quality,
    wanted: NewSet,
    name: str,
    said: SaidOfCrops,
    inherited: Set[str],
    consumer: CacheSettings,
    options: ExportSwapOptions,
) -> PlannedSet:
    rows = rows_among(collection, said.out_of(name) | (inherited - said.given_to(name)))
    given = rows_among(collection, said.given_to(name))
    decided = {*rows.tolist(), *given.tolist()}
    wanted = replace(
        wanted,
        rows=np.r_[wanted.rows[~np.isin(wanted.rows, rows)], np.setdiff1d(given, wanted.rows)],
        candidates={row: d for row, d in wanted.candidates.items() if row not in decided},
    )
    return PlannedSet(
        name=name,
        inputs=_digest(collection, parts, wanted, given, consumer, options),
        wanted=wanted,
        candidates=np.array(sorted(wanted.candidates, key=wanted.candidates.__getitem__), np.int64),
        taken_out=rows,
        given=given,
    )


def _digest(
    collection: Collection,
    parts: Quality,
    wanted: NewSet,
    given: Int64,
    consumer: CacheSettings,
    options: ExportSwapOptions,
) -> str:
    ids = collection.face_ids()
    decisive = {k: v for k, v in asdict(options).items() if k not in {"dry_run", "sheet", "merge", "replace"}}
    facts = {
        "rules": _CROP_RULES,
        "options": decisive,
        "consumer": asdict(consumer),
        "faces": [ids[row] for row in wanted.rows],
        "candidates": {ids[row]: distance for row, distance in wanted.candidates.items()},
        "markers": dict(wanted.markers),
        "detection": collection.settings.detection,
        "measures": _measured(collection.faces, parts, [*map(int, wanted.rows), *wanted.candidates]),
    }
    if len(given):
        facts["given"] = [ids[row] for row in given]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _measured(faces: Faces, parts: Quality, rows: Sequence[int]) -> str:
    """Digest of all numbers that choose, rank and crop these faces."""
    ratings = [getattr(parts, part.name) for part in fields(parts)]
    digest = hashlib.sha256()
    for column in (*ratings, known_pose(faces), faces.face_short, faces.box, faces.kps, faces.embedding):
        digest.update(column[list(rows)].astype("<f4").tobytes())
    return digest.hexdigest()


def _read_earlier(
    out: Path,
) -> tuple[ExportManifest | None, EditedSets, dict[str, PlacedFile | None]]:
    """What an export says, its sets as the user left them, and every file that it lists."""
    refuse_other_results(out, ExportManifest)
    if not (out / EXPORT_MANIFEST).is_file():
        return None, EditedSets(), {}
    before = read_manifest(out / EXPORT_MANIFEST, ExportManifest)
    edits = edited_sets(out, before)
    entries = {*edits.there, *(entry for entry in before.sets if is_inside(entry.name))}
    listed = [name for entry in entries for name in files_of_entry(out, entry)]
    return before, edits, dict.fromkeys([*sorted(listed), *before.sheets])


def _heirs(out: Path, wanted: Sequence[NewSet], ids: Sequence[str]) -> dict[str, str]:
    """Which wanted sets are people that the export has already, from another source.

    `discover` found them before `refine` knew them, or they were named in the folder of `refine` or in the
    export since. A set with more than half of the faces of such a person is that person.
    """
    there = _read_earlier(out)[1].there
    sources = {entry.source for entry in there}
    new = {each.source: {ids[row] for row in each.rows} for each in wanted if each.source not in sources}
    numbered = {each.source for each in wanted if NUMBERED.fullmatch(each.name)}
    heirs: dict[str, str] = {}
    for entry in there:
        is_gone = entry.kind == REFINED and all(entry.source != each.source for each in wanted)
        if entry.kind != "discovered" and not is_gone:
            continue
        faces = faces_of_set(out, entry.name)
        # A number tells nothing: whoever has another one now is another set.
        of_number = is_gone and NUMBERED.fullmatch(entry.name)
        shared = {
            source: len(faces & own)
            for source, own in new.items()
            if source not in heirs and not (of_number and source in numbered)
        }
        best = max(shared, key=shared.__getitem__, default="")
        if best and 2 * shared[best] > len(faces):
            heirs[best] = entry.source
    return heirs


def _refuse_foreign_sets(out: Path, prefix: str) -> None:
    there = [entry for entry in _read_earlier(out)[1].there if entry.kind == REFINED]
    foreign = [entry.name for entry in there if not entry.source.startswith(prefix)]
    if foreign:
        raise WrongUsage(
            f"{printable(out)} holds sets from another manifest ({foreign[0]} and {len(foreign) - 1} "
            "more). Use --merge to add to them, or choose another OUT."
        )


def groups_of(out: Path, plan: ExportPlan, collection: Collection) -> dict[str, frozenset[str]]:
    """Ids of the faces of each set that an export will have, as far as is known before pictures are read."""
    ids = collection.face_ids()
    kept = {entry.name: faces_of_set(out, entry.name) for entry in plan.kept_sets}
    return kept | {each.name: frozenset(ids[row] for row in each.rows) for each in plan.sets}
