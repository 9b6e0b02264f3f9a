"""`import-folders`: make face sets of folders that a user sorted by person."""

from collections.abc import Sequence
from pathlib import Path

from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.interfaces import Embedder, Store
from facesets.operations.face_sets.export_result import State, set_states, without_empty
from facesets.operations.face_sets.export_run import ExportRun, FaceModeller, open_export
from facesets.operations.face_sets.folder_labels import SortedFolders
from facesets.operations.face_sets.folder_people import Identity, find_identities
from facesets.operations.face_sets.new_set import NewSet, Policy
from facesets.operations.face_sets.plan import plan_sets
from facesets.operations.face_sets.write_export import export_planned
from facesets.operations.options.declaration import for_recognizer
from facesets.operations.options.results import ExportSwapOptions, ImportFoldersOptions
from facesets.operations.people.exchange.import_people import import_people
from facesets.operations.people.exchange.result_names import FolderFaces, brought
from facesets.result import Result
from facesets.results.manifest import Failure, face_describer, provenance
from facesets.results.names.file_names import folder_name
from facesets.store.postgres.library import Library
from facesets.work import Work

KIND = "imported"
REPLACE_LABELED = Policy()
"""The policy of `import-folders`: the set of a label is made again from its folders; all others stay."""


def import_folders(
    store: Store,
    folders: SortedFolders,
    out: Path,
    embedder: Embedder,
    options: ImportFoldersOptions,
    export: ExportSwapOptions,
    *,
    modeller: FaceModeller | None = None,
    work: Work,
) -> Result:
    """Make a set of each person's folders and merge them into an export; other sets are left alone.

    People of a library get the names of their folders, as one step.

    Raises
    ------
    WrongUsage
        No folder is named, or none gives a person; or as `open_export`, as all other errors.
    """
    if not folders.people and not folders.each_in:
        raise WrongUsage(
            f"No folders given. Use {Field('folder')} or {Field('each_in')}, or list them in a file with "
            f"{Field('folders')}."
        )
    with open_export(store, out, embedder, export, work, modeller) as run:
        return _import_folders(run, folders, options)


def _import_folders(run: ExportRun, folders: SortedFolders, options: ImportFoldersOptions) -> Result:
    options = for_recognizer(options, run.collection.settings.recognizer)
    identities, failures = find_identities(run.collection, folders, options)
    if not identities:
        reasons = "; ".join(f"{printable(failure.path)}: {failure.reason}" for failure in failures)
        raise WrongUsage(f"No person found in any of the folders ({reasons}).")
    made = provenance(run.store, run.collection.settings, options, run.options)
    plan = plan_sets(run, [_wanted(identity) for identity in identities], REPLACE_LABELED, made)
    states = set_states(run.out, plan)
    naming = run.naming()
    if not run.options.dry_run:
        # From here on, new names in the export, including labels, count as given by the user.
        naming.learn([run.out])
        naming.save({run.out: run.earlier.people()})
    written = export_planned(run, plan, command="import-folders")
    summary = _summary(identities, without_empty(states, written), written, failures)
    return summary if written.stopped else Result(summary, named=_name_in_library(run, identities))


def _name_in_library(run: ExportRun, identities: Sequence[Identity]) -> Result | None:
    """Name the people of a library after their folders."""
    if not isinstance(run.store, Library):
        return None
    describe = face_describer(run.collection, run.rating)
    people = [
        FolderFaces(identity.label, [describe(int(row)) for row in identity.core], {})
        for identity in identities
    ]
    found = brought(run.collection.images, people)
    source, dry_run = run.out.name, run.options.dry_run
    return import_people(
        run.store.database, found.file, source, by=run.work.by, members=found.members, dry_run=dry_run
    )


def source_of(label: str) -> str:
    """Return the key that identifies a face set: its label, so that its folders may change."""
    return f"import-folders#{label}"


def _wanted(identity: Identity) -> NewSet:
    name = folder_name(identity.label)
    return NewSet(
        name=name,
        source=source_of(identity.label),
        rows=identity.rows,
        kind=KIND,
        markers={f"{name}.txt": _marker(identity)},
    )


def _marker(identity: Identity) -> str:
    folders = "".join(f"    {printable(folder)}\n" for folder in identity.folders)
    return (
        f"{printable(identity.label)}\n\nImported by `facesets import-folders` from folders sorted by "
        f"person.\n{folders}"
    )


def _summary(
    identities: Sequence[Identity],
    states: dict[str, tuple[str, State]],
    written: Result,
    failures: list[Failure],
) -> Result:
    people = []
    for identity in identities:
        name, state = states[source_of(identity.label)]
        people.append(
            Result(
                label=identity.label,
                set=name,
                state=state,  # the outcome for the set
                folders=list(identity.folders),
                photos=identity.photos,
                faces=identity.faces,
                core=len(identity.core),  # faces that are this person; the others are bystanders
                routed=len(identity.routed),  # faces in mixed folders that are this person, too
                warning=identity.warning,  # what the user should check
            )
        )
    failures = [*failures, *written.failures]
    return Result(
        out=written.out,
        people=people,
        export=written,
        failed=len(failures),
        failures=failures,
        named=None,  # the result for the people of a library
        dry_run=written.dry_run,
        stopped=written.stopped,
    )
