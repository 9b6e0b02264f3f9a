"""Contact sheets of a manifest, on demand."""

from pathlib import Path

from facesets.errors import WrongUsage
from facesets.files import printable, require_suffix
from facesets.result import Result
from facesets.results.duplicates_report import DuplicatesReport
from facesets.results.manifest_json import read_any_manifest
from facesets.results.pages.contact_sheets import draw_sheets, page_name, plan_rows, write_sheet
from facesets.work import Work


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
        raise WrongUsage(f"{printable(manifest)} is a report of duplicates and shows no people.")
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
