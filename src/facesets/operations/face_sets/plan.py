"""Plan an export: the sets to write, the sets to leave alone, and the candidates of each."""

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
    """The plan of an export, made before a picture is read.

    Attributes
    ----------
    remaining_sets, remaining_files
        Sets of the export that are left alone, and their files.
    earlier : mapping
        Every file that the export lists so far.
    removed_sets : tuple of str
        Existing sets that are removed.
    removed : tuple of SetEntry
        Sets with a folder that the user deleted; they stay deleted.
    edited : tuple of str
        Crops that the user edited, in these sets and in removed ones: they are set aside.
    moved : mapping
        Crops that the user moved to other sets, with the names under which they are stored.
    withdrawn : tuple of str
        Stored crops that no longer count.
    corrections : tuple of Correction
        The user's corrections so far.
    before : ExportManifest or None
        The manifest before this run, with the user's changes.
    learned : tuple of str
        A sentence for each of the user's changes to folders and crops.
    renamed : tuple of RenamedCrops
        Crops without the name of their set.
    deleted : tuple of str
        Sets with a folder that the user deleted since; they are not made again.
    takes_over : bool
        As in `Policy`.
    """

    made: Provenance
    sets: tuple[PlannedSet, ...]
    remaining_sets: tuple[SetEntry, ...]
    remaining_files: tuple[str, ...]
    earlier: dict[str, PlacedFile | None]
    removed_sets: tuple[str, ...] = ()
    removed: tuple[SetEntry, ...] = ()
    edited: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
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
    """Fit sets into a new or existing export.

    A name that another set has is replaced by `faceset_NNN`, past the highest number in use. By `succession`,
    wanted sets inherit from others in the export; sets that are made again get names by `naming`.

    Raises
    ------
    RecognizerMismatch
        The embedder has another recognizer than the store.
    WrongUsage
        Neither models nor the store have the columns of ReActor's face models.
    DamagedFile, NewerFormat
        A set's manifest cannot be read.
    """
    require_same_recognizer(run.collection.settings, run.embedder.settings, run.embedder.settings.pack)
    earlier, edits = run.earlier, run.earlier.edits
    succession = succession or Succession()
    wanted = _without_deleted(wanted, edits)
    again = {*(each.source for each in wanted), *succession.heirs.values()} if policy.remakes else frozenset()
    new_names = _names_elsewhere(earlier, again, naming or Naming())
    crops = earlier.corrections.renamed(run.out, new_names)
    rest = [e for e in edits.there if e.source in edits.linked or not (e.source in again or policy.drops(e))]
    named = _named(wanted, rest, edits, policy, succession, new_names)
    sets = tuple(_planned(run, new, name, crops, succession) for new, name in named)
    _require_columns(run, sets)
    staying = {*(entry.name for entry in rest), *(each.name for each in sets)}
    renamed = tuple(renamed_crops(earlier.sets, [entry for entry in edits.there if entry.name in staying]))
    removed_sets = tuple(entry.name for entry in edits.there if entry.name not in staying)
    remade = [name for each in sets for name in edited_crops(earlier.sets, each.name)]
    dropped = [name for old in removed_sets for name in edited_crops(earlier.sets, old, goes=True)]
    changes = [*_renames(new_names), *crops.learned, *_changes(sets, remade, dropped), *_crop_names(renamed)]
    sources = {each.source for each in sets}
    corrections = crops.lasting([each.name for each in sets])
    return ExportPlan(
        made=made,
        sets=sets,
        remaining_sets=tuple(rest),
        remaining_files=_files_of_remaining(earlier, rest, renamed),
        earlier={**earlier.files(), **dict.fromkeys(crops.moved)},
        removed_sets=removed_sets,
        removed=tuple(entry for entry in edits.removed if entry.source not in sources),
        edited=(*remade, *dropped),
        moved=crops.moved,
        withdrawn=crops.withdrawn,
        corrections=corrections,
        before=_with_user_changes(earlier, corrections),
        learned=(*edits.learned(sources), *changes),
        renamed=renamed,
        deleted=tuple(entry.name for entry in edits.deleted if entry.source not in sources),
        takes_over=policy.takes_over,
    )


def _require_columns(run: ExportRun, sets: Sequence[PlannedSet]) -> None:
    if "safetensors" in run.options.formats:
        rows = np.unique(np.concatenate([np.empty(0, np.int64), *(each.rows for each in sets)]))
        require_lead_columns(run.modeller_needed, run.collection.faces, rows)


def _files_of_remaining(
    earlier: EarlierExport, remaining: Sequence[SetEntry], renamed: Sequence[RenamedCrops]
) -> tuple[str, ...]:
    """Return the files of sets that stay, by their new names."""
    moves = {old: new for crops in renamed for old, new in crops.moves.items()}
    return tuple(moves.get(name, name) for entry in remaining for name in files_of_entry(earlier.sets, entry))


def _renames(new_names: Mapping[str, str]) -> list[str]:
    return [f"{printable(old)} was renamed to {printable(new)}." for old, new in new_names.items()]


def _without_deleted(wanted: Sequence[NewSet], edits: EditedSets) -> list[NewSet]:
    """Drop sets that the user deleted, except sets of folders or a person that the command names."""
    refused = {entry.source for entry in edits.removed}
    return [each for each in wanted if each.kind in _ASKED_FOR or each.source not in refused]


def _names_elsewhere(earlier: EarlierExport, again: Set[str], naming: Naming) -> dict[str, str]:
    """Return sets made again that have another name in other results: old to new name."""
    if not naming.people or not again:
        return {}
    edits, groups = earlier.edits, earlier.people()
    new_names, _ = naming.names_elsewhere(
        groups, [entry.name for entry in (*edits.there, *edits.removed) if entry.name not in groups]
    )
    may = {entry.name for entry in edits.there if entry.source in again and entry.source not in edits.linked}
    return {old: new for old, new in new_names.items() if old in may and (new not in groups or new in may)}


def _named(
    wanted: Sequence[NewSet],
    remaining: Sequence[SetEntry],
    edits: EditedSets,
    policy: Policy,
    succession: Succession,
    new_names: Mapping[str, str],
) -> list[tuple[NewSet, str]]:
    """Return the sets to make, each with its name."""
    there = {entry.source: entry.name for entry in edits.there}
    there |= {new: there[old] for new, old in succession.heirs.items()}
    there = {source: new_names.get(name, name) for source, name in there.items()}
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
        [entry.name for entry in remaining],
        [entry.name for entry in (*edits.there, *edits.removed)],
    )
    return list(zip(new, names, strict=True))


def _planned(
    run: ExportRun, wanted: NewSet, name: str, crops: CropCorrections, succession: Succession
) -> PlannedSet:
    inherited = succession.taken_out.get(wanted.source, frozenset())
    out = rows_among(run.ids, crops.out_of(name) | (inherited - crops.given_to(name)))
    given = rows_among(run.ids, crops.given_to(name))
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


def _with_user_changes(earlier: EarlierExport, corrections: tuple[Correction, ...]) -> ExportManifest | None:
    """Return the manifest of an export with the user's changes."""
    if earlier.manifest is None:
        return None
    edits = earlier.edits
    # Sets without a face, as earlier versions made them, go with this run.
    empty = (entry for entry in earlier.manifest.sets if not entry.faces)
    return replace(
        earlier.manifest, sets=(*edits.there, *empty), removed=edits.removed, statements=corrections
    )


def _changes(sets: Sequence[PlannedSet], remade: Sequence[str], dropped: Sequence[str]) -> list[str]:
    """Return a sentence for each set that lost faces, and for each crop that is set aside."""
    taken = [
        f"{counted(len(each.taken_out), 'face was', 'faces were')} removed from {printable(each.name)} and "
        "will stay out."
        for each in sets
        if len(each.taken_out)
    ]
    again = [f"{printable(name)} was edited: it is set aside and exported again." for name in remade]
    removed_sets = [
        f"{printable(name)} was edited: it is set aside because its face set is removed." for name in dropped
    ]
    return [*taken, *again, *removed_sets]


def _crop_names(renamed: Sequence[RenamedCrops]) -> list[str]:
    earlier = [crops for crops in renamed if crops.is_of_earlier_version]
    if not earlier:
        return []
    example = next(iter(earlier[0].moves.values()))
    return [f"Crops are now named after their face sets, such as {printable(example)}."]


def groups_of(run: ExportRun, plan: ExportPlan) -> dict[str, frozenset[str]]:
    """Return the face ids of each planned set, as far as they are known before pictures are read."""
    remaining = {entry.name: run.earlier.sets.faces_of(entry.name) for entry in plan.remaining_sets}
    return remaining | {each.name: run.ids_of(each.rows) for each in plan.sets}
