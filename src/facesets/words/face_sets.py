"""Summaries of the commands on face sets, and of reports on a result."""

from facesets.errors import Command
from facesets.files import printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import by_gate, learned_lines, table, would

_SHOWN = 40
"""Maximum clusters that `discover` lists."""
_GOOD_SHOWN = 10
"""Maximum good files that `verify-bundle` lists; more are only counted."""


def export_swap(done: Result) -> list[str]:
    """Return the summary of `export-swap`."""
    models = f"{counted(done.models, 'face model')}, " if done.models else ""
    return [
        (
            f"{printable(done.out)}: {counted(done.sets, 'face set')} "
            f"({done.unchanged_sets} unchanged), "
            f"{counted(done.faces, 'face')} {would(done.dry_run, 'exported', 'to export')} "
            f"({done.masked} with bystanders masked), "
            f"{counted(done.bundles, 'bundle')}, {models}"
            f"{counted(done.candidates, 'candidate')}."
        ),
        *([_removed(done)] if done.removed else []),
        *_left_out(done),
    ]


def _removed(done: Result) -> str:
    """Report files that are no longer part of an export, such as those of a format not named again."""
    did = would(done.dry_run, "removed", "to remove")
    files = f"{counted(done.removed, 'file')} of the previous export {did}"
    return f"{files}. `{Command('undo', printable(done.out)).line}` lists the runs to undo."


def discover(done: Result) -> list[str]:
    """Return the summary of `discover`."""
    new = sum(bool(cluster.name) for cluster in done.clusters)
    line = (
        f"{printable(done.out)}: {counted(done.faces, 'face')}, {done.known} of known people; "
        f"{counted(len(done.clusters), 'cluster')} of new people, {counted(new, 'face set')} "
        f"{would(done.dry_run, 'added', 'to add')}."
    )
    rows = [
        (cluster.name or "-", cluster.faces, cluster.images, cluster.survivors)
        for cluster in done.clusters[: _SHOWN if not done.dry_run else None]
    ]
    return [
        line,
        *([table(("face set", "faces", "photos", "photos that pass the filters"), rows)] if rows else []),
        *(_left_out(done.export) if done.export else []),
    ]


def import_folders(done: Result) -> list[str]:
    """Return the summary of `import-folders`, without the changes to people of a library."""
    rows = [
        (p.state, printable(p.set) or "-", p.photos, p.faces, p.core, p.routed, p.faces - p.core)
        for p in done.people
    ]
    return [
        table(("", "face set", "photos", "faces", "core", "matched", "bystanders"), rows),
        (
            f"{printable(done.out)}: {people(len(done.people))}, {counted(done.export.faces, 'face')} "
            f"{would(done.dry_run, 'in their face sets', 'to check and export')}, "
            f"{counted(done.export.sets, 'face set')} in total."
        ),
        *_left_out(done.export),
    ]


def probe_eras(done: Result) -> list[str]:
    """Return the report of `split-eras --probe`."""
    written = "" if done.dry_run else f"Chart: {printable(done.chart)}"
    return [done.text + written]


def split_eras(done: Result) -> list[str]:
    """Return the summary of `split-eras`."""
    rows = [
        (
            era.state,
            printable(era.set) or "-",
            era.faces,
            era.dominant or "",
            f"{era.first} to {era.last}" if era.first else "unknown",
            era.fragments,
        )
        for era in done.eras
    ]
    thin = sum(era.thin for era in done.eras)
    return [
        table(("", "face set", "faces", "mostly", "years", "joined fragments"), rows),
        *(f"{would(done.dry_run, 'removed', 'to remove')}: {printable(name)}" for name in done.gone),
        (
            f"{printable(done.out)}: {counted(done.recovered, 'face')} of {printable(done.set)} in "
            f"{counted(len(done.eras) - thin, 'era')} and {counted(thin, 'thin era')}; {done.left_out} "
            "unassigned."
        ),
        *([f"Split because of --force: {done.forced}"] if done.forced else []),
        *([] if done.export is None else _left_out(done.export)),
    ]


def dedup(done: Result) -> list[str]:
    """Return the summary of `dedup`."""
    left_out = f"{counted(done.left_out, 'path')} skipped: links, or files that are gone or changed."
    return [
        (
            f"{counted(done.images, 'photo')}: {done.identical_groups} at several paths "
            f"({counted(done.spare_files, 'spare file')}); "
            f"{counted(done.near_groups, 'group')} of near-duplicates "
            f"({counted(done.spare_images, 'spare photo')})."
        ),
        *([left_out] if done.left_out else []),
        f"Report{would(done.dry_run, ':', ' would go to')} {printable(done.report)}",
    ]


def sheet(done: Result) -> list[str]:
    """Return the summary of `sheet`."""
    verb = would(done.dry_run, "drawn", "to draw")
    return [f"{counted(done.rows, 'row')} {verb}.", *map(printable, done.pages)]


def verify_bundle(done: Result, *, verbose: bool) -> list[str]:
    """Return the table of `verify-bundle`, problems last; many good files are counted, unless `verbose`."""
    good = [check for check in done.bundles if not check.problems]
    bad = [check for check in done.bundles if check.problems]
    rows = [
        [
            printable(check.file),
            check.format,
            check.pictures or "-",
            check.faces,
            _number(check.own_cosine_similarity),
            f"{printable(check.nearest_other)} {_number(check.nearest_other_cosine_similarity)}".strip(),
            printable("; ".join(check.problems)) or "good",
        ]
        for check in (*(good if verbose or len(good) <= _GOOD_SHOWN else ()), *bad)
    ]
    headings = ["file", "format", "pictures", "faces", "own face set", "most similar other", "verdict"]
    many = counted(len(done.bundles), "file")
    total = f"{many} checked: {len(good)} good, {len(bad)} with problems."
    return [*([table(headings, rows)] if rows else []), total]


def _left_out(export: Result) -> list[str]:
    """Return how many faces an export rejected, by reason, and which edits of the user it noted."""
    reasons = by_gate(export.dropped_by)
    total = f"{counted(export.dropped, 'face')} rejected" + (f": {reasons}." if reasons else ".")
    hint = [export.hint] if export.hint else []
    return [total, *map(_not_made, export.empty), *hint, *learned_lines(export.learned)]


def _not_made(empty: Result) -> str:
    reasons = [by_gate(empty.dropped_by)] if empty.dropped_by else []
    reasons += [f"{counted(empty.failed, 'photo')} could not be read"] if empty.failed else []
    return (
        f"{printable(empty.name) or 'A new person'}: no face set, as none of {counted(empty.faces, 'face')} "
        f"passed ({', '.join(reasons)})."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
