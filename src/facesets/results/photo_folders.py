"""Write folders of photos with a manifest and contact sheets, for `cluster` and `refine`."""

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from facesets.errors import CannotWrite, WrongUsage
from facesets.files import plain_path, printable
from facesets.plurals import counted
from facesets.results import Materialize
from facesets.results.edits.folder_contents import folder_of, in_folder
from facesets.results.edits.group_marks import mark_bytes, mark_of, marks_of
from facesets.results.edits.membership import GroupMembership
from facesets.results.edits.moved_photos import new_names, with_current_sources, without_old_names
from facesets.results.folder import ResultFolder
from facesets.results.folder_runs import finish, would_remove, writing_results
from facesets.results.manifest import ClusterManifest, Failure, PlacedFile, RefineManifest, photos_of
from facesets.results.manifest_json import manifest_bytes, read_any_manifest, refuse_other_results
from facesets.results.names.file_names import flatten_all
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.pages.contact_sheets import draw_sheets, own_sheet_names, plan_rows
from facesets.results.photo_sources import PhotoSources
from facesets.results.placement import WITHOUT_ORIGINAL
from facesets.results.run_records import clear_restored
from facesets.work import Work

Result = ClusterManifest | RefineManifest


@dataclass(frozen=True, slots=True)
class Written:
    """The changes to the files of a result folder; `run` is what `facesets undo` undoes."""

    copied: int
    unchanged: int
    removed: int
    failures: list[Failure] = field(default_factory=list)
    stopped: bool = False
    run: str = ""
    renamed: int = 0

    @property
    def failed(self) -> int:
        """The number of photos that could not be used."""
        return len({failure.path for failure in self.failures})


@dataclass(frozen=True, slots=True)
class PhotoFolders:
    """A planned result: where its photos go.

    Attributes
    ----------
    command : str
        The command that writes it.
    files : mapping
        Relative name to source path.
    paths : mapping
        Source path to all paths of its image.
    retained : mapping
        Photos in the folder that stay as they are, in any state.
    also, run
        As `writing_results` takes them.
    moved : mapping
        Our photos by the names that the user gave them.
    sources : PhotoSources
        Where the photos are from; if they are unavailable in the end, nothing is removed.
    current_paths : mapping
        Current paths of photos that moved since the earlier result: old to new.
    called : mapping
        Folders of the earlier result to rename: old to new name.
    marks : mapping
        Group to the id that it already has.
    as_left : manifest, optional
        The result as the user left it; written before anything else.
    """

    out: Path
    command: str
    manifest_name: str
    files: Mapping[str, str]
    paths: Mapping[str, tuple[str, ...]]
    how: Materialize
    with_sheet: bool
    retained: Mapping[str, PlacedFile] = field(default_factory=dict)
    also: tuple[Path, ...] = ()
    run: str = ""
    moved: Mapping[str, PlacedFile] = field(default_factory=dict)
    sources: PhotoSources = field(default_factory=PhotoSources)
    current_paths: Mapping[str, str] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    as_left: Result | None = None


def plan_folders(
    out: Path,
    command: str,
    manifest_name: str,
    members: Mapping[str, Iterable[tuple[str, ...]]],
    how: Materialize,
    membership: GroupMembership | None,
    *,
    present: Mapping[str, PlacedFile],
    unwanted: Collection[tuple[str, str]],
    with_sheet: bool,
    sources: PhotoSources | None = None,
    adds: bool = False,
) -> PhotoFolders:
    """Turn {folder: paths of each image} into names for all of them; none if nothing is materialized.

    Parameters
    ----------
    membership : GroupMembership or None
        The people of the earlier result; None if there was none.
    present : mapping
        The photos in the folder: they keep their names, unless these come from a former path of the photo.
    unwanted : collection of (str, str)
        Folder and path of copies that stay deleted.
    adds : bool
        Whether everything in the folder stays as and where it is.
    """
    current_paths, called = ({}, {}) if membership is None else (membership.current_paths, membership.called)
    members = {name: list(images) for name, images in members.items()} if adds or how != "none" else {}
    everything = plan_names(members) if how != "none" else {}
    named = {
        in_folder(name, called): put.source for name, put in without_old_names(present, current_paths).items()
    }
    retained = _remaining(present, everything | named, called) if adds else {}
    taken = {(folder_of(name), put.source) for name, put in retained.items()}.union(unwanted)
    name_at = {(folder_of(name), source): name for name, source in named.items()}
    files = {
        name_at.get(place, name): path
        for name, path in everything.items()
        if (place := (folder_of(name), path)) not in taken
    }
    return PhotoFolders(
        out,
        command,
        manifest_name,
        files,
        {path: paths for images in members.values() for paths in images for path in paths},
        how,
        with_sheet,
        retained,
        moved=present,
        sources=sources or PhotoSources(),
        current_paths=current_paths,
        called=called,
        marks={} if membership is None else membership.marks,
        as_left=None if membership is None else membership.as_left,
    )


def _remaining(
    present: Mapping[str, PlacedFile], wanted: Mapping[str, str], called: Mapping[str, str]
) -> dict[str, PlacedFile]:
    """Return the photos that stay, by their new names."""
    renamed = new_names({name: put.source for name, put in present.items()}, wanted, called)
    return {
        renamed.get(name, name): put
        for name, put in present.items()
        if name in renamed or name in wanted or folder_of(name) not in called
    }


def plan_names(members: Mapping[str, Iterable[tuple[str, ...]]]) -> dict[str, str]:
    """Name every path of every image in each folder: relative name to path."""
    return {
        f"{folder}/{name}": path
        for folder, images in members.items()
        for path, name in flatten_all(path for paths in images for path in paths).items()
    }


def write_plan(plan: PhotoFolders, manifest: Result, *, dry_run: bool, work: Work) -> Written:
    """Write the photos of a result into its folder, or only find out what that would do."""
    return _rehearse(plan, manifest) if dry_run else _write(plan, manifest, work=work)


def _write(plan: PhotoFolders, manifest: Result, *, work: Work) -> Written:
    """Materialize the photos, draw the sheets, and write the manifest last.

    A request to stop leaves the folder as an interrupted run does: the next run completes it. So do photos
    that become unavailable meanwhile: raises `SourceGone`. The journal of a
    run that writes to several folders stays open.
    """
    earlier = _files_of_earlier_run(plan, type(manifest))
    shown = photos_of(manifest)
    with writing_results(
        plan.out, earlier, plan.command, photos=shown, also=plan.also, run=plan.run
    ) as folder:
        folder.contents |= plan.retained
        return _fill(folder, plan, manifest, work)


def tighten(plan: PhotoFolders, manifest: Result) -> None:
    """Give others no more rights to an unchanged result than to its photos.

    Errors as `writing_results`.
    """
    earlier = _with_marks(manifest, manifest.files)
    with writing_results(plan.out, earlier, plan.command, photos=photos_of(manifest)):
        pass


def _fill(folder: ResultFolder, plan: PhotoFolders, manifest: Result, work: Work) -> Written:
    rows = plan_rows(manifest, plan.out) if plan.with_sheet else []
    folder.refuse_conflicts(own_sheet_names(len(rows)))
    sheets: dict[str, bytes] = draw_sheets(manifest, rows, plan.manifest_name, work=work)
    wanted = {name: put.source for name, put in plan.retained.items()} | dict(plan.files)
    earlier = {name: put[-1].source for name, put in folder.owned.items() if put}
    if plan.called or folder.inside.exists(ANNOUNCEMENT):
        # An interrupted run announced more names than it wrote; a user may have freed a folder's name.
        there = folder.inside.existing(earlier)
        earlier = {name: source for name, source in earlier.items() if name in there}
    renamed = new_names(earlier, wanted, plan.called)
    with_photos = set(map(folder_of, wanted))
    ids = marks_of(manifest, plan.marks)
    marks: dict[str, str] = {name: ids[name] for name in ids if name in with_photos}
    moves = {new: wanted[new] for new in renamed.values()}
    if plan.as_left is not None:
        folder.write_manifest(plan.manifest_name, manifest_bytes(plan.as_left))
    folder.announce({**plan.files, **moves, **dict.fromkeys([*sheets, *map(mark_of, marks)], "")})
    for link in folder.links:
        work.progress.say(f"{printable(plan.out / link)} is a link; its target is left as it is.")
    for old in renamed.keys() - folder.rename(renamed):
        if renamed[old] in plan.retained:
            folder.contents[old] = folder.contents.pop(renamed[old])
    if not _place_all(folder, plan, work):
        return _written(folder, plan, removed=0, stopped=True)
    plan.sources.require()
    for name, content in sheets.items():
        folder.write(name, content)
    failed, missing = _failures(folder, plan)
    files = {name: placed for name, placed in sorted(folder.contents.items()) if placed}
    complete = replace(manifest, failed=failed, missing=missing, files=files, sheets=tuple(sheets))
    complete = _marked(folder, plan, complete, marks)
    removed = finish(folder, plan.manifest_name, manifest_bytes(complete), closes=not plan.also)
    clear_restored(plan.out)
    if folder.set_aside:
        one, many = "photo without its original is", "photos without their originals are"
        aside = printable(plan.out / WITHOUT_ORIGINAL)
        work.progress.say(f"{counted(folder.set_aside, one, many)} now in {aside}.")
    return _written(folder, plan, removed=removed)


def _marked(folder: ResultFolder, plan: PhotoFolders, manifest: Result, marks: dict[str, str]) -> Result:
    """Write the marks of groups, and return the manifest with their ids.

    A run without changes writes none. A folder that cannot be written, or has an unreadable mark, gets no id.
    """
    folder.retain(map(mark_of, marks))
    known = {name: group for name, group in marks.items() if name in plan.marks}
    unchanged_manifest = replace(manifest, marks=known)
    if not folder.journal.run and folder.holds(plan.manifest_name, manifest_bytes(unchanged_manifest)):
        return unchanged_manifest
    written = dict(known)
    for name, group in marks.items():
        there = folder.inside.status(mark_of(name))
        if mark_of(name) in folder.owned and not (there and stat.S_ISDIR(there.st_mode)):
            with suppress(CannotWrite):
                folder.write(mark_of(name), mark_bytes(group))
                written[name] = group
    return replace(manifest, marks={name: written[name] for name in marks if name in written})


def _rehearse(plan: PhotoFolders, manifest: Result) -> Written:
    """Report what `_write` would do, as far as names show."""
    earlier = _files_of_earlier_run(plan, type(manifest))
    drawn: list[str] = own_sheet_names(len(plan_rows(manifest, plan.out))) if plan.with_sheet else []
    wanted = {name: put.source for name, put in plan.retained.items()} | dict(plan.files)
    present = {name: put.source for name, put in earlier.items() if put is not None}
    moves: dict[str, str] = new_names(present, wanted, plan.called)
    own_marks: list[str] = [mark_of(folder) for folder in set(map(folder_of, wanted))]
    there = sum(name in moves.values() or (plan.out / name).exists() for name in plan.files)
    return Written(
        copied=len(plan.files) - there,
        unchanged=there,
        removed=would_remove(plan.out, earlier, [*plan.files, *plan.retained, *drawn, *moves, *own_marks]),
        renamed=len(moves),
    )


def _files_of_earlier_run(plan: PhotoFolders, kind: type[Result]) -> dict[str, PlacedFile | None]:
    _refuse_source(plan)
    refuse_other_results(plan.out, kind)
    path = plan.out / plan.manifest_name
    manifest = read_any_manifest(path) if path.is_file() else None
    if not isinstance(manifest, kind):
        return {}
    return _with_marks(manifest, with_current_sources({**manifest.files, **plan.moved}, plan.current_paths))


def _with_marks(manifest: Result, files: Mapping[str, PlacedFile]) -> dict[str, PlacedFile | None]:
    """Return all files of a result, with the marks of folders with photos."""
    marks = map(mark_of, set(map(folder_of, files)) if manifest.marks else ())
    return {**files, **dict.fromkeys(manifest.sheets), **dict.fromkeys(marks)}


def _refuse_source(plan: PhotoFolders) -> None:
    """Refuse to write results among their source photos: the next `embed` would read them as photos."""
    folders = (plain_path(plan.out), plan.out.resolve())
    places = tuple(f"{str(folder).rstrip(os.sep)}{os.sep}" for folder in folders)
    inside = next((path for path in plan.paths if path.startswith(places)), None)
    if inside is not None:
        raise WrongUsage(
            f"{printable(plan.out)} contains photos of the cache ({printable(inside)}). Choose another "
            "folder."
        )


def _place_all(folder: ResultFolder, plan: PhotoFolders, work: Work) -> bool:
    """Put every photo in its place; False when asked to stop before the end."""
    work.progress.begin("Writing photos", len(plan.files))
    for name, source in plan.files.items():
        if work.stop.requested:
            folder.flush()
            return False
        folder.place(name, source, plan.how)
        work.progress.advance()
    work.progress.end()
    folder.flush()
    return not work.stop.requested


def _failures(folder: ResultFolder, plan: PhotoFolders) -> tuple[tuple[Failure, ...], tuple[Failure, ...]]:
    """Return failures, and missing paths of images that also lie at other paths."""
    failed, missing = list(folder.failed), list[Failure]()
    for source, reason in folder.unreadable.items():
        elsewhere = any(path not in folder.unreadable for path in plan.paths[source])
        (missing if elsewhere else failed).append(Failure(source, reason))
    return tuple(failed), tuple(missing)


def _written(folder: ResultFolder, plan: PhotoFolders, *, removed: int, stopped: bool = False) -> Written:
    failed, _ = _failures(folder, plan)
    run = folder.journal.run
    return Written(folder.copied, folder.unchanged, removed, list(failed), stopped, run, folder.renamed)
