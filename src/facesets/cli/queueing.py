"""Run a command of the table: here, or with `--queue` on a worker."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from facesets import settings
from facesets.cli import console
from facesets.cli.opening import current_user, work_on_library
from facesets.errors import Field, SourceGone, WrongUsage, require_extra
from facesets.files import has_something, printable
from facesets.result import Result

if TYPE_CHECKING:
    from facesets.assembly.commands import Needs
    from facesets.assembly.describing import RequestedModels
    from facesets.operations.options.index import IndexOptions


def commands() -> list[str]:
    """Return the commands that take `--queue`."""
    from facesets.assembly.commands import VERBS

    return [name for name in VERBS if " --" not in name]


def is_asked() -> bool:
    """Whether the command is to be queued."""
    return console.session.queue


def begin(name: str, database: str | None, **given: Any) -> "Result | None":  # noqa: ANN401 - by name
    """Run a command as `carry_out` does, and print the result."""
    from facesets.assembly.commands import VERBS

    done = carry_out(name, database, **given)
    if done is not None:
        words = VERBS[name].words
        for line in VERBS[name].details(done):
            console.detail(line)
        console.show(done, [] if words is None else words(done), asked_for=done.get("dry_run", False))
    return done


def carry_out(name: str, database: str | None, **given: Any) -> "Result | None":  # noqa: ANN401 - by name
    """Run a command of the table on the library, or queue it with --queue.

    Parameters
    ----------
    given
        Arguments of the command, by their names in the table.

    Returns
    -------
    Result or None
        The result; None if the command was queued.
    """
    from facesets.assembly.commands import VERBS

    if is_asked():
        queue(name, database, **given)
        return None
    verb = VERBS[name]
    console.quiet_unless_terminal()
    with work_on_library(database, is_whole=verb.is_whole) as work:
        return verb.run(work, **given)


def queue(name: str, database: str | None, **given: Any) -> None:  # noqa: ANN401 - by name
    """Queue a command of the table, and print the number of the job."""
    from facesets.assembly.commands import VERBS

    _queue(name, database, VERBS[name].needs(**given), given)


def _queue(name: str, database: str | None, needs: "Needs", given: Mapping[str, Any]) -> None:
    from facesets.assembly.stores import open_queue

    require_extra("jobs")
    from facesets.jobs.queueing import Order, as_json, put

    order = Order(name, as_json(given), needs, current_user())
    with open_queue(database, settings.load(), console) as session:
        number = put(session, order)
    console.show(Result(job=number, command=name), [str(number)], asked_for=True)
    console.aside(f"Queued. `facesets worker` runs it; `facesets jobs show {number}` shows its progress.")


def refuse(why: str) -> None:
    """Refuse `--queue` with options that contradict it. Raises `WrongUsage`."""
    if is_asked():
        raise WrongUsage(f"{why} Omit --queue.")


def queue_index(
    database: str | None,
    targets: Sequence[Path],
    patterns: tuple[Sequence[str], Sequence[str]],
    asked: "RequestedModels",
    options: "IndexOptions",
) -> bool:
    """Queue `index` if requested: a worker lists the folders and divides the photos into chunks."""
    if not is_asked():
        return False
    from facesets.sources.galleries import GallerySource

    require_extra("jobs")
    from facesets.jobs.indexing import needs_of_index
    from facesets.remote.ml_service import service_url
    from facesets.store.postgres.paths import escaped, to_text

    refuse_secrets(asked.ml_uri)
    if asked.ml_uri:
        service_url(asked.ml_uri)
    pack, det_size, min_det_score = asked.detection
    models = {
        "pack": pack if asked.ml_uri else placed(pack),
        "det_size": det_size,
        "min_det_score": min_det_score,
        "clip_pack": placed(asked.clip_pack),
        "ml_uri": asked.ml_uri,
        "skip_faces": asked.skip_faces,
        "skip_clip": asked.skip_clip,
    }
    if options.prune or options.max_images or options.max_minutes or options.dry_run:
        raise WrongUsage(
            "--prune, --max-images, --max-minutes and --dry-run need a single run over all photos. Omit "
            "them, or omit --queue."
        )
    roots = GallerySource(targets).roots
    for root in roots:
        if not has_something(Path(root)):
            raise SourceGone(f"{printable(root)} is empty. Check the path, or mount the drive.")
    given = {
        "targets": [to_text(root) for root in roots],
        "include": [escaped(each) for each in patterns[0]],
        "exclude": [escaped(each) for each in patterns[1]],
        "asked": models,
        "options": options,
    }
    _queue("index", database, needs_of_index(roots, models), given)
    return True


def refuse_typed(typed: Collection[str], *names: str) -> None:
    """Refuse flags that describe the host that does the work. Raises `WrongUsage`."""
    flags = " and ".join(Field(name).flag for name in names if name in typed)
    if flags and is_asked():
        raise WrongUsage(f"{flags} cannot be used with --queue: the worker decides. Omit one or the other.")


def refuse_with_index(stage: str | None, profile: Path | None, *, assign: bool, alone: bool) -> None:
    """Refuse flags that only work without a queue. Raises `WrongUsage`."""
    if stage is not None or profile is not None or assign or alone:
        refuse("--stage, --assign, --alone and --profile cannot be queued.")


def placed(pack: str | None) -> str | None:
    """Return a pack given by its path as an absolute path."""
    return str(Path(pack).absolute()) if pack and Path(pack).is_dir() else pack


def refuse_secrets(uri: str | None) -> None:
    """Refuse to queue an address that contains a password. Raises `WrongUsage`."""
    if uri and "@" in urlsplit(uri).netloc:
        raise WrongUsage(
            "An address that contains a password cannot be queued. Configure it on the worker: in its "
            "settings, or with `facesets worker --ml-uri`."
        )
