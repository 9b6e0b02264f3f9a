"""What commands on face sets, and on reports of a result, did, in words."""

from facesets.files import printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import by_gate, learned_lines, table, would

_SHOWN = 40
"""Groups that `discover` lists."""


def export_swap(done: Result) -> list[str]:
    """Words of `export-swap`."""
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
        *_left_out(done),
    ]


def discover(done: Result) -> list[str]:
    """Words of `discover`."""
    new = sum(bool(cluster.name) for cluster in done.clusters)
    line = (
        f"{printable(done.out)}: {counted(done.faces, 'face')}, {done.known} of them known; "
        f"{counted(len(done.clusters), 'group')} of others, {counted(new, 'face set')} "
        f"{would(done.dry_run, 'added', 'to add')}."
    )
    rows = [
        (cluster.name or "-", cluster.faces, cluster.images, cluster.survivors)
        for cluster in done.clusters[: _SHOWN if not done.dry_run else None]
    ]
    return [
        line,
        *([table(("face set", "faces", "photos", "photos through the gates"), rows)] if rows else []),
        *(_left_out(done.export) if done.export else []),
    ]


def import_folders(done: Result) -> list[str]:
    """Words of `import-folders`, but for what became of the people of a library."""
    rows = [
        (p.state, printable(p.set) or "-", p.photos, p.faces, p.core, p.routed, p.faces - p.core)
        for p in done.people
    ]
    return [
        table(("", "set", "photos", "faces", "core", "routed", "bystanders"), rows),
        (
            f"{printable(done.out)}: {people(len(done.people))}, {counted(done.export.faces, 'face')} "
            f"{would(done.dry_run, 'in their sets', 'to check and export')}, "
            f"{counted(done.export.sets, 'set')} in all."
        ),
        *_left_out(done.export),
    ]


def probe_eras(done: Result) -> list[str]:
    """Words of `split-eras --probe`."""
    written = "" if done.dry_run else f"{printable(done.chart)} shows the same as a picture."
    return [done.text + written]


def split_eras(done: Result) -> list[str]:
    """Words of `split-eras`."""
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
        table(("", "set", "faces", "mostly", "years", "joined fragments"), rows),
        *(f"{would(done.dry_run, 'gone', 'to go')}: {printable(name)}" for name in done.gone),
        (
            f"{printable(done.out)}: {counted(done.recovered, 'face')} of {printable(done.set)} in "
            f"{counted(len(done.eras) - thin, 'era')} and {thin} thin ones; {done.left_out} alone."
        ),
        *([f"Split by --force: {done.forced}"] if done.forced else []),
        *([] if done.export is None else _left_out(done.export)),
    ]


def dedup(done: Result) -> list[str]:
    """Words of `dedup`."""
    left_out = f"{counted(done.left_out, 'path')} left out: links, or files that are gone or changed."
    return [
        (
            f"{counted(done.images, 'image')}: {done.identical_groups} at several paths "
            f"({counted(done.spare_files, 'spare file')}); "
            f"{counted(done.near_groups, 'group')} that look the same "
            f"({counted(done.spare_images, 'spare image')})."
        ),
        *([left_out] if done.left_out else []),
        f"Report {would(done.dry_run, 'in', 'would go to')} {printable(done.report)}",
    ]


def sheet(done: Result) -> list[str]:
    """Words of `sheet`."""
    verb = would(done.dry_run, "drawn", "to draw")
    return [f"{counted(done.rows, 'row')} {verb}.", *map(printable, done.pages)]


def verify_bundle(done: Result) -> list[str]:
    """Words of `verify-bundle`."""
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
        for check in done.bundles
    ]
    headings = ["file", "format", "pictures", "faces", "own set", "nearest other", "verdict"]
    return [table(headings, rows)]


def _left_out(export: Result) -> list[str]:
    """How many faces an export left out, by reason, and what was learned from the user's own changes."""
    reasons = by_gate(export.dropped_by)
    total = f"{counted(export.dropped, 'face')} left out" + (f": {reasons}." if reasons else ".")
    hint = [export.hint] if export.hint else []
    return [total, *map(_not_made, export.empty), *hint, *learned_lines(export.learned)]


def _not_made(empty: Result) -> str:
    reasons = [by_gate(empty.dropped_by)] if empty.dropped_by else []
    reasons += [f"{counted(empty.failed, 'photo')} could not be read"] if empty.failed else []
    return (
        f"{printable(empty.name) or 'A new person'}: none of {counted(empty.faces, 'face')} passed "
        f"({', '.join(reasons)}), so there is no face set."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
