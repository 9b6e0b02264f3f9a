"""The last lines of a command: its contact sheet, and the command that usually comes next."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from facesets import settings
from facesets.cli.wording import with_library
from facesets.errors import Command
from facesets.files import PEOPLE, is_there, printable
from facesets.operations.options.results import ExportSwapOptions
from facesets.operations.options.shared import MIN_SHORT

Values: TypeAlias = Mapping[str, Any]
"""The arguments of a command, by name."""

Words: TypeAlias = tuple[object, ...]
"""A command line without the program's name; empty for none."""

Step: TypeAlias = Callable[[Values, object], Words]
"""Returns the command that usually comes next, from the arguments and the summary of a command."""

_RAW, _SETS, _SWAP = Path("out/raw"), Path("out/facesets"), Path("out/swap")


def last_lines(command: str, step: Step | None, values: Values, summary: object) -> list[str]:
    """Return the last lines of a command that ended normally.

    Parameters
    ----------
    command : str
        The command as the user types it, such as `models pull`.
    step : function or None
        Returns the next step; None for none.
    summary : object
        The summary that the command printed; None for none.
    """
    if values.get("dry_run"):
        return ["Next: the same command without --dry-run"]
    from facesets.results.manifest import SHEET_NAME

    sheets = [out / SHEET_NAME for out in _folders(command, values) if values.get("sheet", True)]
    words = step(values, summary) if step is not None else ()
    # Some next steps exist only with a cache, such as one after `export-cache`.
    library = "" if values.get("cache") in words else values.get("database") or ""
    return [
        *(f"Contact sheet: {printable(path)}" for path in sheets if is_there(path)),
        *([f"Next: {with_library(Command(*map(str, words)).line, library)}"] if words else []),
        *(_after_run(summary) if command == "run" else []),
    ]


def _after_run(summary: object) -> list[str]:
    """Return the next step in the user's folders, which is not a command."""
    out = getattr(summary, "out", "")
    if not out or not getattr(summary, "index", ""):
        return []
    if not getattr(summary, "persons", 0):
        return ["Next: add photos that show the same people, and run the same command again."]
    folder = Path(out) / PEOPLE
    if _has_named_person(folder):
        return []
    return [
        f"Next: name the folders in {printable(folder)}, such as person_001, and run the same command again."
    ]


def _has_named_person(folder: Path) -> bool:
    """Whether any person's folder has a name in place of its number."""
    from facesets.results.names.group_names import NUMBERED_GROUP

    people = (path.name for path in (folder.iterdir() if is_there(folder) else ()) if path.is_dir())
    return any(name[0] not in "._" and not NUMBERED_GROUP.fullmatch(name) for name in people)


def _folders(command: str, values: Values) -> list[Path]:
    """Return the result folders that a command wrote."""
    if command not in _WRITING:
        return []
    return [path for path in (_out(values), values.get("refine_out")) if path is not None]


def _out(values: Values) -> Path | None:
    """Return the folder that was named last."""
    named = [values.get(name) for name in ("first", "second", "third")]
    return next((path for path in reversed(named) if path is not None), None)


_WRITING = frozenset(
    {"cluster", "refine", "export-swap", "extend", "discover", "import-folders", "split-eras"}
)


def _sibling(out: Path, name: str) -> Path:
    return out.with_name(name if out.name != name else f"{name}-2")


def _of_cache(cache: Path | None) -> Words:
    """Return the next step for a cache, by what was made from it, or for the library."""
    named = () if cache is None else (cache,)
    base = Path() if cache is None else cache.parent
    if not is_there(base / _RAW / "manifest.json"):
        return ("cluster", *named, base / _RAW)
    if not is_there(base / _SETS / "refine_manifest.json"):
        return ("refine", *named, base / _SETS)
    return ("extend", *named, base / _RAW, "--refine-out", base / _SETS)


def after_embed(values: Values, _summary: object) -> Words:
    """Return the next step after `embed`."""
    return _of_cache(values["cache"] or values["source"])


def after_cluster(values: Values, summary: object) -> Words:
    """Return the next step after `cluster`."""
    first, second = values["first"], values["second"]
    if first is None and any(getattr(summary, name, 0) for name in ("questions", "new_persons")):
        return ("people", "review")
    if first is None:
        return ("refine", _SETS)
    if not getattr(summary, "faces", 0):
        return ()
    cache = () if second is None else (first,)
    return ("refine", *cache, _sibling(second or first, "facesets"))


def after_refine(values: Values, summary: object) -> Words:
    """Return the next step after `refine`."""
    first, second = values["first"], values["second"]
    if not getattr(summary, "facesets", 0):
        return ()
    cache, out = ((), first) if second is None else ((first,), second)
    smallest = values.get("min_short", MIN_SHORT)
    # Requested smaller faces are exported, too.
    has_smaller_faces = smallest != MIN_SHORT and smallest < ExportSwapOptions().min_face_short
    smaller = ("--min-face-short", f"{smallest:g}") if has_smaller_faces else ()
    return ("export-swap", *cache, out, _sibling(out, "swap"), *smaller)


def after_export(values: Values, summary: object) -> Words:
    """Return the next step after `export-swap`."""
    out = _out(values)
    return ("verify-bundle", out) if getattr(summary, "bundles", 0) else ()


def show_output(values: Values, _summary: object) -> Words:
    """Return `show` as the next step."""
    return ("show", _out(values))


def after_eras(values: Values, summary: object) -> Words:
    """Return the next step after `split-eras`."""
    first, second = values["first"], values["second"]
    if not values["probe"]:
        return ("show", second or first)
    if not getattr(getattr(summary, "evidence", None), "splits", True):
        return ()
    cache, out = ((), first) if second is None else ((first,), second)
    return ("split-eras", *cache, out, "--set", values["name"])


def then(*words: str) -> Step:
    """Return the same next step in both cases."""
    return lambda _values, _summary: words


def after_inspection(values: Values, _summary: object) -> Words:
    """Return the next undone step of that cache, or of the library."""
    return _of_cache(values["cache"])


def after_pipeline(_values: Values, summary: object) -> Words:
    """Return the next step after `pipeline`."""
    questions = getattr(getattr(summary, "library", None), "questions", 0)
    return ("people", "review") if questions else ()


def after_stage(values: Values, summary: object) -> Words:
    """Return the next step after `immich-stage`."""
    if not getattr(summary, "staged", 0):
        return ()
    out = () if values["out"] == Path("immich") else ("--out", values["out"])
    return ("immich-finish", values["user"], *out)


def after_push(values: Values, summary: object) -> Words:
    """Return the next step after `immich-push`."""
    if getattr(summary, "applied", True) or not getattr(summary, "changes", 0):
        return ()
    folder = ("--people", values["people"], "--cache", values["cache"]) if values["people"] else ()
    return ("immich-push", values["staged"], *folder, "--apply")


def after_pull(values: Values, _summary: object) -> Words:
    """Return the next step after `models pull`."""
    from facesets.inference.catalog import PUBLISHED_BODY, PUBLISHED_CLIP
    from facesets.inference.packs import usual_pack

    conf, name = settings.load(), values["name"]
    default = usual_pack(conf.pack, conf.model_roots)
    if name in PUBLISHED_CLIP:
        return ("index", "PHOTOS")
    if name in PUBLISHED_BODY:
        return ("index", "--stage", "bodies")
    return ("run", "PHOTOS", *(() if name in (None, default) else ("--pack", name)))


def after_undo(values: Values, summary: object) -> Words:
    """Return the next step after `undo`."""
    if values["run"]:
        folders = getattr(summary, "folders", ())
        return ("show", folders[-1].folder if folders else values["out"])
    runs = getattr(summary, "runs", ())
    return ("undo", values["out"], runs[0].run) if runs else ()
