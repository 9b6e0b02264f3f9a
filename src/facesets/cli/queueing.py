"""`--queue`: a command that goes to a worker, in place of being done here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facesets.cli import console
from facesets.cli.user import current_user
from facesets.errors import MissingExtra, SourceGone, WrongUsage

if TYPE_CHECKING:
    from facesets.assembly.describing import Asked
    from facesets.jobs.orders import Needs
    from facesets.operations.options.cache import EnrichOptions
    from facesets.operations.options.describe import DescribeOptions
    from facesets.operations.options.engine import EngineOptions
    from facesets.operations.options.library import ClusterLibraryOptions, IndexOptions
    from facesets.operations.options.training import TrainOptions

COMMANDS = ("index", "cluster", "assign", "people centroids", "enrich", "train", "describe", "maintain")
"""Those that have the flag."""

_PARTS = ("procrastinate", "psycopg_pool")


@dataclass(frozen=True, slots=True)
class QueuedCommand:
    """The number of a job, and the command that it does."""

    job: int
    command: str


def is_asked() -> bool:
    """Whether the command is to be queued."""
    return console.session.queue


def queue(database: str | None, command: str, needs: "Needs | None" = None, /, **options: object) -> None:
    """Queue a command with what its operation takes, and print the number of the job."""
    from facesets import settings
    from facesets.assembly.queue import open_queue

    require_jobs()
    from facesets.jobs.orders import Needs, Order, kept
    from facesets.jobs.queueing import put

    order = Order(command, kept(options), needs or Needs(), current_user())
    with open_queue(database, settings.load(), console) as session:
        number = put(session, order)
    console.show(QueuedCommand(number, command), [str(number)], asked_for=True)
    console.aside(f"Queued. `facesets worker` does it; `facesets jobs show {number}` says how far it is.")


def require_jobs() -> None:
    """Refuse to go on without the optional part of the program, or all it needs. Raises `MissingExtra`."""
    try:
        for part in _PARTS:
            import_module(part)
    except ImportError as error:
        raise MissingExtra("jobs") from error


def refuse(why: str) -> None:
    """Refuse `--queue` where it makes no sense. Raises `WrongUsage`."""
    if is_asked():
        raise WrongUsage(f"{why} Leave out --queue.")


def queue_index(
    database: str | None,
    targets: Sequence[Path],
    patterns: tuple[Sequence[str], Sequence[str]],
    asked: "Asked",
    options: "IndexOptions",
) -> bool:
    """Queue `index` if that is asked for: a worker lists the folders and cuts them into chunks of photos."""
    if not is_asked():
        return False
    from facesets.files import has_something, printable
    from facesets.sources.galleries import GallerySource

    require_jobs()
    from facesets.jobs.indexing import needs_of_index
    from facesets.remote.ml_service import service_url
    from facesets.store.postgres.paths import escaped, to_text

    refuse_secrets(asked.ml_uri)
    if asked.ml_uri:
        service_url(asked.ml_uri)
    pack, det_size, min_det_score = asked.detection
    models = {
        "pack": pack if asked.ml_uri else _placed(pack),
        "det_size": det_size,
        "min_det_score": min_det_score,
        "clip_pack": _placed(asked.clip_pack),
        "ml_uri": asked.ml_uri,
        "skip_faces": asked.skip_faces,
        "skip_clip": asked.skip_clip,
    }
    if options.prune or options.max_images or options.max_minutes or options.dry_run:
        raise WrongUsage(
            "--prune, --max-images, --max-minutes and --dry-run are of a run that sees all of its photos. "
            "Leave them out, or leave out --queue."
        )
    roots = GallerySource(targets).roots
    for root in roots:
        if not has_something(Path(root)):
            raise SourceGone(f"There is nothing in {printable(root)}. Check the path, or mount it.")
    queue(
        database,
        "index",
        needs_of_index(roots, models),
        targets=[to_text(root) for root in roots],
        include=[escaped(each) for each in patterns[0]],
        exclude=[escaped(each) for each in patterns[1]],
        asked=models,
        options=options,
    )
    return True


def refuse_typed(typed: Collection[str], *names: str) -> None:
    """Refuse flags of the command line that say how the host works that is to do it. Raises `WrongUsage`."""
    flags = " and ".join(f"--{name.replace('_', '-')}" for name in names if name in typed)
    if flags and is_asked():
        raise WrongUsage(f"{flags} cannot go into the queue: the worker decides. Leave out one or the other.")


def refuse_with_index(stage: str | None, profile: Path | None, *, assign: bool, alone: bool) -> None:
    """Refuse what only a run can do that does all by itself. Raises `WrongUsage`."""
    if stage is not None or profile is not None or assign or alone:
        refuse("--stage, --assign, --alone and --profile are of a run that does all by itself.")


def queue_cluster(database: str | None, options: "ClusterLibraryOptions", workers: "EngineOptions") -> None:
    """Queue `cluster` of the library, with who compares its faces."""
    require_jobs()
    from facesets.jobs.orders import Needs

    workers = workers.for_method(options.method)
    if workers.shards is not None:
        workers = replace(workers, shards=workers.shards.absolute())
    needs = Needs(extra="" if workers.engine is None else "scale")
    queue(database, "cluster", needs, options=options, workers=workers)


def queue_enrich(
    cache: Path | None, database: str | None, pack: str | None, options: "EnrichOptions"
) -> None:
    """Queue `enrich` of the library."""
    if cache is not None:
        refuse("A cache is worked on here.")
    require_jobs()
    from facesets.jobs.orders import Needs

    pack = _placed(pack)
    needs = Needs(models=True, pack=pack or "", here=True, files=True)
    queue(database, "enrich", needs, pack=pack, options=options)


def queue_train(database: str | None, options: "TrainOptions") -> None:
    """Queue `train`, for a host that has what it needs."""
    require_jobs()
    from facesets.jobs.orders import Needs

    queue(database, "train", Needs(extra="train"), options=options)


def queue_describe(
    database: str | None, below: Sequence[str], llm_uri: str | None, options: "DescribeOptions", *, yes: bool
) -> None:
    """Queue `describe`, which cannot ask later."""
    if not yes:
        raise WrongUsage("A worker cannot ask you before photos are sent. Add --yes, or leave out --queue.")
    refuse_secrets(llm_uri)
    require_jobs()
    from facesets.jobs.orders import Needs
    from facesets.store.postgres.paths import to_text

    needs = Needs(files=True, language_model=llm_uri is None)
    kept = [to_text(folder) for folder in below]
    queue(database, "describe", needs, below=kept, llm_uri=llm_uri, options=options)


def _placed(pack: str | None) -> str | None:
    """A pack that was named by its path, by one that does not depend on the folder where one is."""
    return str(Path(pack).absolute()) if pack and Path(pack).is_dir() else pack


def refuse_secrets(uri: str | None) -> None:
    """Refuse to keep an address in the queue that holds a password. Raises `WrongUsage`."""
    if uri and "@" in urlsplit(uri).netloc:
        raise WrongUsage(
            "An address with a password is not put into the queue. Give it to the worker: its settings, or "
            "`facesets worker --ml-uri`."
        )
