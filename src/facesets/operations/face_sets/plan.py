"""What an export will hold: the sets to write, those to leave alone, and the candidates for each."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np

from facesets.files import printable
from facesets.operations.face_sets.export_run import ExportRun, require_lead_columns
from facesets.operations.face_sets.new_set import NewSet, PlannedSet, Policy, digest_of_inputs
from facesets.plurals import counted
from facesets.results.crop_names import RenamedCrops, files_of_entry, renamed_crops
from facesets.results.earlier_export import ERA, EarlierExport, Succession
from facesets.results.edits.crop_edits import CropCorrections
from facesets.results.edits.set_edits import EditedSets, edited_crops
from facesets.results.export_manifest import ExportManifest, SetEntry
from facesets.results.manifest import Correction, PlacedFile, Provenance
from facesets.results.names.group_names import free_names
from facesets.results.names.naming import Naming
from facesets.results.preflight import require_same_recognizer, rows_among

_ASKED_FOR = frozenset({"imported", ERA})


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """All that is decided before a picture is read.

    Attributes
    ----------
    kept_sets, kept_files
        What is in the export already and is left alone.
    earlier : mapping
        Every file that the export lists so far.
    gone : tuple of str
        Sets that are there and go.
    removed : tuple of SetEntry
        Sets whose folder the user deleted, and that stay deleted.
    edited : tuple of str
        Crops that the user worked on, in these sets and in those that go: they are set aside.
    moved : mapping
        Crops that the user moved to other sets, and the names under which they are kept.
    withdrawn : tuple of str
        Kept crops that no longer count.
    statements : tuple of Correction
        What the user said so far.
    before : ExportManifest or None
        What the export lists before this run, in the light of what the user did.
    learned : tuple of str
        What the user did to folders and crops, a sentence each.
    renamed : tuple of RenamedCrops
        Crops that are not called after their set yet.
    deleted : tuple of str
        Sets whose folder the user deleted since, and that are not made again.
    takes_over : bool
        As `Policy` has it.
    """

    made: Provenance
    sets: tuple[PlannedSet, ...]
    kept_sets: tuple[SetEntry, ...]
    kept_files: tuple[str, ...]
    earlier: dict[str, PlacedFile | None]
    gone: tuple[str, ...] = ()
    removed: tuple[SetEntry, ...] = ()
    edited: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()
    statements: tuple[Correction, ...] = ()
    before: ExportManifest | None = None
    learned: tuple[str, ...] = ()
    renamed: tuple[RenamedCrops, ...] = ()
    deleted: tuple[str, ...] = ()
    takes_over: bool = False


def plan_sets(
    run: ExportRun,
    wanted: Sequence[NewSet],
    policy: Policy,
    made: Provenance,
    *,
    succession: Succession | None = None,
    naming: Naming | None = None,
) -> ExportPlan:
    """Fit sets into an export, whatever is there already.

    A name that another set has is replaced by `faceset_NNN`, past the highest number in use. By `succession`
    wanted sets take over from others in the export; those that are made again follow `naming`.

    Raises
    ------
    RecognizerMismatch
        The embedder has another recognizer than the store.
    WrongUsage
        Neither models nor the store tell what ReActor's face models hold.
    DamagedFile, NewerFormat
        A set's manifest cannot be read.
    """
    require_same_recognizer(run.collection.settings, run.embedder.settings, run.embedder.settings.pack)
    earlier, edits = run.earlier, run.earlier.edits
    succession = succession or Succession()
    wanted = _not_refused(wanted, edits)
    again = {*(each.source for each in wanted), *succession.heirs.values()} if policy.remakes else frozenset()
    called = _called_elsewhere(earlier, again, naming or Naming())
    said = earlier.corrections.renamed(run.out, called)
    kept = [e for e in edits.there if e.source in edits.linked or not (e.source in again or policy.drops(e))]
    named = _named(wanted, kept, edits, policy, succession, called)
    sets = tuple(_planned(run, new, name, said, succession) for new, name in named)
    _require_columns(run, sets)
    staying = {*(entry.name for entry in kept), *(each.name for each in sets)}
    renamed = tuple(renamed_crops(earlier.sets, [entry for entry in edits.there if entry.name in staying]))
    gone = tuple(entry.name for entry in edits.there if entry.name not in staying)
    remade = [name for each in sets for name in edited_crops(earlier.sets, each.name)]
    dropped = [name for old in gone for name in edited_crops(earlier.sets, old, goes=True)]
    changes = [*_calling(called), *said.learned, *_changes(sets, remade, dropped), *_renaming(renamed)]
    sources = {each.source for each in sets}
    statements = said.lasting([each.name for each in sets])
    return ExportPlan(
        made=made,
        sets=sets,
        kept_sets=tuple(kept),
        kept_files=_kept_files(earlier, kept, renamed),
        earlier={**earlier.files(), **dict.fromkeys(said.moved)},
        gone=gone,
        removed=tuple(entry for entry in edits.removed if entry.source not in sources),
        edited=(*remade, *dropped),
        moved=said.moved,
        withdrawn=said.withdrawn,
        statements=statements,
        before=_as_found(earlier, statements),
        learned=(*edits.learned(sources), *changes),
        renamed=renamed,
        deleted=tuple(entry.name for entry in edits.deleted if entry.source not in sources),
        takes_over=policy.takes_over,
    )


def _require_columns(run: ExportRun, sets: Sequence[PlannedSet]) -> None:
    if "safetensors" in run.options.formats:
        rows = np.unique(np.concatenate([np.empty(0, np.int64), *(each.rows for each in sets)]))
        require_lead_columns(run.modeller_needed, run.collection.faces, rows)


def _kept_files(
    earlier: EarlierExport, kept: Sequence[SetEntry], renamed: Sequence[RenamedCrops]
) -> tuple[str, ...]:
    """The files of sets that stay, by the names that they get."""
    moves = {old: new for crops in renamed for old, new in crops.moves.items()}
    return tuple(moves.get(name, name) for entry in kept for name in files_of_entry(earlier.sets, entry))


def _calling(called: Mapping[str, str]) -> list[str]:
    return [f"{printable(old)} was renamed to {printable(new)}." for old, new in called.items()]


def _not_refused(wanted: Sequence[NewSet], edits: EditedSets) -> list[NewSet]:
    """Whoever names folders or a person wants just these sets; others come back only if nobody said no."""
    refused = {entry.source for entry in edits.removed}
    return [each for each in wanted if each.kind in _ASKED_FOR or each.source not in refused]


def _called_elsewhere(earlier: EarlierExport, again: Set[str], naming: Naming) -> dict[str, str]:
    """Which sets that are made again have another name in other results: old to new name."""
    if not naming.people or not again:
        return {}
    edits, groups = earlier.edits, earlier.people()
    called, _ = naming.names_elsewhere(
        groups, [entry.name for entry in (*edits.there, *edits.removed) if entry.name not in groups]
    )
    may = {entry.name for entry in edits.there if entry.source in again and entry.source not in edits.linked}
    return {old: new for old, new in called.items() if old in may and (new not in groups or new in may)}


def _named(
    wanted: Sequence[NewSet],
    kept: Sequence[SetEntry],
    edits: EditedSets,
    policy: Policy,
    succession: Succession,
    called: Mapping[str, str],
) -> list[tuple[NewSet, str]]:
    """Those of the sets that are to be made, and the name of each."""
    there = {entry.source: entry.name for entry in edits.there}
    there |= {new: there[old] for new, old in succession.heirs.items()}
    there = {source: called.get(name, name) for source, name in there.items()}
    left_alone = edits.linked if policy.remakes else there.keys()
    new = [
        each
        for each in wanted
        if each.source not in left_alone and succession.heirs.get(each.source) not in edits.linked
    ]
    restored = {entry.source: entry.name for entry in edits.restored}
    names = free_names(
        [(each.source, each.name) for each in new],
        {**succession.names, **there, **restored} if policy.remakes else {},
        [entry.name for entry in kept],
        [entry.name for entry in (*edits.there, *edits.removed)],
    )
    return list(zip(new, names, strict=True))


def _planned(
    run: ExportRun, wanted: NewSet, name: str, said: CropCorrections, succession: Succession
) -> PlannedSet:
    inherited = succession.taken_out.get(wanted.source, frozenset())
    out = rows_among(run.ids, said.out_of(name) | (inherited - said.given_to(name)))
    given = rows_among(run.ids, said.given_to(name))
    decided = {*out.tolist(), *given.tolist()}
    wanted = replace(
        wanted,
        rows=np.r_[wanted.rows[~np.isin(wanted.rows, out)], np.setdiff1d(given, wanted.rows)],
        candidates={row: d for row, d in wanted.candidates.items() if row not in decided},
    )
    nearest = sorted(wanted.candidates, key=wanted.candidates.__getitem__)
    return PlannedSet(
        name=name,
        source=wanted.source,
        rows=wanted.rows,
        kind=wanted.kind,
        markers=wanted.markers,
        candidates={row: wanted.candidates[row] for row in nearest},
        is_numbered=wanted.is_numbered,
        inputs=digest_of_inputs(run, wanted, given),
        taken_out=out,
        given=given,
        before=run.earlier.by_source.get(succession.heirs.get(wanted.source, wanted.source)),
    )


def _as_found(earlier: EarlierExport, statements: tuple[Correction, ...]) -> ExportManifest | None:
    """What an export lists, after what the user did."""
    if earlier.manifest is None:
        return None
    edits = earlier.edits
    # Sets without a face, as earlier versions made them, go with this run.
    empty = (entry for entry in earlier.manifest.sets if not entry.faces)
    return replace(
        earlier.manifest, sets=(*edits.there, *empty), removed=edits.removed, statements=statements
    )


def _changes(sets: Sequence[PlannedSet], remade: Sequence[str], dropped: Sequence[str]) -> list[str]:
    """A sentence for each set from which faces were taken, and for each crop that is set aside."""
    taken = [
        f"{counted(len(each.taken_out), 'face was', 'faces were')} removed from {printable(each.name)} and "
        "will stay out."
        for each in sets
        if len(each.taken_out)
    ]
    again = [f"{printable(name)} was edited: it is set aside and exported again." for name in remade]
    gone = [
        f"{printable(name)} was edited: it is set aside because its face set is removed." for name in dropped
    ]
    return [*taken, *again, *gone]


def _renaming(renamed: Sequence[RenamedCrops]) -> list[str]:
    earlier = [crops for crops in renamed if crops.is_of_earlier_version]
    if not earlier:
        return []
    example = next(iter(earlier[0].moves.values()))
    return [f"Crops are now named after their face sets, such as {printable(example)}."]


def groups_of(run: ExportRun, plan: ExportPlan) -> dict[str, frozenset[str]]:
    """Ids of the faces of each set that an export will have, as far as is known before pictures are read."""
    kept = {entry.name: run.earlier.sets.faces_of(entry.name) for entry in plan.kept_sets}
    return kept | {each.name: run.ids_of(each.rows) for each in plan.sets}
