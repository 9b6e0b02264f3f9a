"""Draw contact sheets on demand: of a manifest, and of the worst errors of a clustering."""

from collections.abc import Sequence
from pathlib import Path

from facesets.errors import WrongUsage
from facesets.files import printable, require_suffix
from facesets.imaging.encode import png_bytes
from facesets.imaging.quality import quality
from facesets.imaging.sheets import MAX_CROPS, draw_sheet
from facesets.operations.reports.evaluate import Evaluation, WrongMerge, WrongSplit
from facesets.plurals import counted, people
from facesets.records import Collection
from facesets.result import Result
from facesets.results.duplicates_report import DuplicatesReport
from facesets.results.manifest import FaceEntry, face_describer
from facesets.results.manifest_json import read_any_manifest
from facesets.results.pages.contact_sheets import (
    PlannedRow,
    PlannedTile,
    draw_sheets,
    finished_row,
    page_name,
    plan_rows,
    write_sheet,
)
from facesets.work import Work


def draw_errors(evaluation: Evaluation, collection: Collection, path: Path, *, work: Work) -> None:
    """Draw a row for each wrong merge and each wrong split of an evaluation.

    Parameters
    ----------
    collection : Collection
        The collection of the evaluated faces.

    Raises
    ------
    CannotWrite
        The picture cannot be written.
    """
    describe = face_describer(collection, quality(collection.faces).total)
    rows = [
        _row(_merge_title(merge), merge.pairs, [describe(row) for row in merge.rows])
        for merge in evaluation.merges
    ] + [
        _row(_split_title(split), split.pairs, [describe(row) for row in split.rows])
        for split in evaluation.splits
    ]
    work.progress.begin("Drawing the worst errors", len(rows))
    finished = [finished_row(row, work.progress) for row in rows if not work.stop.requested]
    work.progress.end()
    best = evaluation.trials[0]
    at = "" if best.threshold is None else f" at {best.threshold:g}"
    subtitle = (
        f"{best.method}{at}   ·   {people(len(evaluation.merges))} merged, {len(evaluation.splits)} split"
    )
    write_sheet(path, png_bytes(draw_sheet("Worst errors", subtitle, finished)), rows)


def _merge_title(merge: WrongMerge) -> str:
    return " = ".join(f"{name} ({count})" for name, count in merge.people[:2])


def _split_title(split: WrongSplit) -> str:
    return f"{split.person}: {' + '.join(str(piece) for piece in split.pieces[:6])}"


def _row(title: str, pairs: int, faces: Sequence[FaceEntry]) -> PlannedRow:
    step = max(1, -(-len(faces) // MAX_CROPS))
    shown = faces[::step][:MAX_CROPS]
    return PlannedRow(
        title=title,
        facts=(counted(pairs, "pair of faces", "pairs of faces"),),
        faces=tuple(PlannedTile(face, face.paths[0].rpartition("/")[2][:18]) for face in shown),
        more=len(faces) - len(shown),
        dropped=(),
        more_dropped=0,
    )


def sheet(manifest: Path, out: Path | None, *, dry_run: bool = False, work: Work) -> Result:
    """Draw every row of a manifest.

    Parameters
    ----------
    out : Path, optional
        The first page; further pages get `_2` and so on. `sheet.png` beside the manifest if not given.

    Raises
    ------
    WrongUsage
        The manifest is missing, or shows no faces.
    CannotWrite
        A page cannot be written.
    """
    if out is not None:
        require_suffix(out, ".png")
    record = read_any_manifest(manifest)
    if isinstance(record, DuplicatesReport):
        raise WrongUsage(f"{printable(manifest)} is a duplicates report, which has no people to draw.")
    folder = manifest if manifest.is_dir() else manifest.parent
    first = out or folder / "sheet.png"
    rows = plan_rows(record, folder)
    done = Result(pages=[], rows=len(rows), dry_run=dry_run, stopped=False)
    if dry_run:
        return Result(done, pages=[str(first)])
    pages = draw_sheets(record, rows, manifest.name, work=work, limit=len(rows))
    if work.stop.requested:
        return Result(done, stopped=True)
    written = []
    for number, content in enumerate(pages.values(), start=1):
        path = first.with_name(page_name(first.name, number))
        write_sheet(path, content, rows)
        written.append(str(path))
    return Result(done, pages=written)
