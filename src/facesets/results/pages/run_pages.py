"""Make the pages of `run` from its results: which pictures each page shows."""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import CannotWrite
from facesets.file_system import patiently
from facesets.files import PAGES, atomic_write, printable, writing
from facesets.plurals import counted, people
from facesets.records import Collection
from facesets.results.manifest import (
    CLUSTER_MANIFEST,
    REFINE_MANIFEST,
    ClusterManifest,
    Group,
    RefineManifest,
)
from facesets.results.manifest_json import read_manifest
from facesets.results.names.group_names import NUMBERED_GROUP
from facesets.results.ownership import rights_of_result
from facesets.results.pages.counterparts import counterparts, faces_by_name
from facesets.results.pages.html_pages import MADE_BY, START, PagePicture, PageSite, PersonPage, render
from facesets.results.pages.thumbnails import Thumbnail, make_thumbnails, of_face, of_photo
from facesets.results.safe_folder import SafeFolder
from facesets.rights import narrow, report_tightened
from facesets.work import Work

_THUMBNAILS = f"{PAGES}/thumbnails"


@dataclass(frozen=True, slots=True)
class Shown:
    """The results to show.

    Attributes
    ----------
    out : Path
        Where all results lie.
    people, sets : Path
        Results of `cluster` and of `refine`.
    photos : tuple of str
        The folders that the photos come from.
    failed : tuple of (path, reason)
    """

    out: Path
    people: Path
    sets: Path
    photos: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


def refuse_foreign_pages(out: Path) -> None:
    """Make sure, before any work is done, that the pages may be written.

    Raises
    ------
    CannotWrite
        Something of the user's has their names.
    """
    start = out / START
    # What lies behind a link is never ours.
    links = [
        each for each in (start, out / PAGES, out / _THUMBNAILS, out / PAGES / "person") if each.is_symlink()
    ]
    foreign = [*links, *([start] if start.exists() and not _is_ours(start) else [])]
    if foreign:
        raise CannotWrite(
            f"{printable(foreign[0])} was not written by facesets and is not replaced. Move it away, "
            "or choose another OUT."
        )


def write_pages(shown: Shown, collection: Collection, *, workers: int, work: Work) -> dict[str, int]:
    """Update thumbnails and pages; files that are up to date are not touched.

    Returns
    -------
    dict
        The numbers of `images`, `faces`, `persons`, `singletons`, `no_face` and `facesets`, and of images
        that are `gone`: in the results, but no longer in the collection.

    Raises
    ------
    CannotWrite
        They cannot be written.
    """
    found = read_manifest(shown.people / CLUSTER_MANIFEST, ClusterManifest)
    refined = read_manifest(shown.sets / REFINE_MANIFEST, RefineManifest)
    faces = [face for group in found.persons for face in group.faces]
    thumbnails = [*map(of_face, [*faces, *found.singletons]), *map(of_photo, found.no_face)]
    images = collection.images
    longer = {
        digest.decode(): int(max(width, height))
        for digest, width, height in zip(images.sha256, images.width, images.height, strict=True)
    }
    # The face sets are of these people.
    rights = rights_of_result(shown.people) or 0
    _make_folders(shown.out, rights)
    folder = SafeFolder(shown.out / _THUMBNAILS, rights)
    drawn = make_thumbnails(folder, thumbnails, longer, workers=workers, work=work)
    images_shown = {face.image for face in (*faces, *found.singletons)}.union(i.sha256 for i in found.no_face)
    gone = len(images_shown.difference(longer))
    counts = {**found.counts, "facesets": len(refined.facesets), "gone": gone}
    if work.stop.requested:
        return counts
    pages = render(_site(shown, found, refined, drawn))
    for name, content in pages.items():
        _write(shown.out / name, content, rights)
    _remove_leftovers(shown.out / PAGES, {shown.out / name for name in pages})
    return counts


def _site(shown: Shown, found: ClusterManifest, refined: RefineManifest, drawn: set[str]) -> PageSite:
    picture = _pictures(shown, found, drawn)
    sets_of = counterparts(faces_by_name(found), faces_by_name(refined))
    sheets = [
        (f"{title} {number}" if number > 1 else title, f"{folder.name}/{sheet}")
        for title, folder, names in (
            ("people", shown.people, found.sheets),
            ("face sets", shown.sets, refined.sheets),
        )
        for number, sheet in enumerate(names, 1)
        if (folder / sheet).is_file()
    ]
    return PageSite(
        photos=shown.photos,
        facts=(
            people(len(found.persons)),
            counted(found.counts["images"], "photo"),
            counted(found.counts["faces"], "face"),
            counted(len(refined.facesets), "face set"),
        ),
        people=tuple(_person(shown, group, sets_of[group.name], picture) for group in found.persons),
        single=tuple(picture("_singletons", of_face(face), "Face") for face in found.singletons),
        no_face=tuple(picture("_noface", of_photo(image), "Photo") for image in found.no_face),
        failed=shown.failed,
        sheets=tuple(sheets),
    )


def _person(
    shown: Shown,
    group: Group,
    sets: Mapping[str, int],
    picture: Callable[[str, Thumbnail, str], PagePicture],
) -> PersonPage:
    best_first = sorted(group.faces, key=lambda face: -face.quality)
    facts = [counted(group.images, "photo"), counted(len(group.faces), "face")]
    facts += [f"{counted(count, 'face')} in {name}" for name, count in sets.items()]
    what = f"Face of {group.name}"
    cover = picture(group.name, of_face(best_first[0]), what)
    return PersonPage(
        name=group.name,
        is_named=not NUMBERED_GROUP.fullmatch(group.name),
        facts=tuple(facts),
        folders=tuple(
            f"{folder.name}/{name}"
            for folder, name in (
                (shown.people, group.name),
                *((shown.sets, name) for name in sets),
            )
            if (folder / name).is_dir()
        ),
        cover=PagePicture(cover.thumbnail, "", group.name, what),
        pictures=tuple(
            picture(group.name, of_face(face), what)
            for face in sorted(group.faces, key=lambda face: (face.paths, face.face))
        ),
    )


def _pictures(
    shown: Shown, found: ClusterManifest, drawn: set[str]
) -> Callable[[str, Thumbnail, str], PagePicture]:
    """Return a function that makes the picture of a thumbnail in a person's folder."""
    placed: dict[str, dict[str, str]] = defaultdict(dict)
    for name, put in found.files.items():
        placed[name.partition("/")[0]][put.source] = name

    def picture(folder: str, thumbnail: Thumbnail, what: str) -> PagePicture:
        path = thumbnail.paths[0]
        copy = next((placed[folder][each] for each in thumbnail.paths if each in placed[folder]), "")
        file = os.path.basename(path)  # noqa: PTH119 - a path of any system, as it was recorded
        return PagePicture(
            thumbnail=f"{_THUMBNAILS}/{thumbnail.name}" if thumbnail.name in drawn else "",
            photo=f"{shown.people.name}/{copy}" if copy else _relative(path, shown.out),
            caption=file,
            alt=f"{what} in {file}",
        )

    return picture


def _relative(path: str, out: Path) -> str:
    """Return a path relative to a folder; empty if there is none, as to another drive of Windows."""
    try:
        return os.path.relpath(path, out.absolute()).replace(os.sep, "/")
    except ValueError:  # pragma: no cover
        return ""


def _make_folders(out: Path, rights: int) -> None:
    """Make the folders of the pages; existing ones get no more rights than these."""
    start, pages = out / START, out / PAGES
    if any([narrow(start, rights), narrow(pages, rights)]):
        for each in pages.rglob("*"):
            narrow(each, rights)
        report_tightened(pages)
    with writing(pages):
        for name in (_THUMBNAILS, f"{PAGES}/person"):
            SafeFolder(out, rights).make_folder(name)


def _write(path: Path, content: bytes, rights: int) -> None:
    if not path.is_file() or path.read_bytes() != content:
        with atomic_write(path, rights=rights) as file:
            file.write(content)


def _remove_leftovers(folder: Path, wanted: set[Path]) -> None:
    """Remove our outdated pages, and leftovers of a killed run."""
    for path in [*folder.rglob("*.html"), *folder.rglob(".*.html.*.tmp"), *folder.glob(".style.css.*.tmp")]:
        unfinished = path.suffix == ".tmp"
        if path not in wanted and not path.is_symlink() and (unfinished or _is_ours(path)):
            with writing(path):
                patiently(os.unlink, path)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MADE_BY)) == MADE_BY.encode()
    except OSError:
        return False
