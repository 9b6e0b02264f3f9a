"""`index` in the queue: one job lists the folders and queues chunks of photos, and each chunk is a job."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from facesets.assembly.commands import Needs
from facesets.assembly.describing import RequestedModels, describer
from facesets.assembly.indexing import further_stages
from facesets.assembly.models import detection_options
from facesets.errors import Unreachable
from facesets.file_records import FoundFile
from facesets.interfaces import Describer
from facesets.jobs.hosts import Host
from facesets.jobs.queueing import JobWork, Order, cancel_waiting_parts, put_parts
from facesets.operations.ingest.index_chunks import hand_over_chunks, index_chunk
from facesets.operations.ingest.stages import Stage
from facesets.operations.options.index import BatchingOptions, IndexOptions
from facesets.result import Result
from facesets.sources.galleries import GallerySource, ListedPhotos
from facesets.store.postgres.connection import Database
from facesets.store.postgres.copying import analyze_grown
from facesets.store.postgres.library import Library
from facesets.store.postgres.paths import from_text, to_text, unescaped
from facesets.store.postgres.queue.notes import PART_OF_INDEX
from facesets.work import Stop, Work

_QUEUED_AT_ONCE = 8


class Models:
    """Loads describers of photos once for all jobs with the same options."""

    def __init__(
        self,
        host: Host,
        database: Database,
        stop: Stop,
        *,
        concurrency: int | None,
        provider: str,
        batching: BatchingOptions | None = None,
    ) -> None:
        """Prepare; nothing is loaded yet."""
        self._host = host
        self._library = Library(database)
        self._stop = stop
        self._concurrency = concurrency
        self._provider = provider
        self._batching = batching or BatchingOptions()
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[Describer, IndexOptions, list[Stage]]] = {}

    def of(
        self, requested: dict[str, Any], options: IndexOptions
    ) -> tuple[Describer, IndexOptions, list[Stage]]:
        """Return the describer for a job, matching options, and further steps.

        Raises
        ------
        All errors of `describer` and `further_stages`.
        """
        key = _key(requested, options)
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = self._load(requested, options)
            describe, fitting, stages = self._loaded[key]
        return (
            describe,
            replace(options, concurrency=fitting.concurrency, batch_size=fitting.batch_size),
            stages,
        )

    def forget(self, requested: dict[str, Any], options: IndexOptions) -> None:
        """Reload a describer of a service next time, since it may have given up on the service."""
        if not self._service(requested):
            # Models loaded here are still usable, even if the database was unavailable for a moment.
            return
        with self._lock:
            self._loaded.pop(_key(requested, options), None)

    def named(self, requested: dict[str, Any]) -> dict[str, Any]:
        """Return the request with this host's default pack if none is named.

        Other workers may have other packs, with faces that cannot be compared with these.
        """
        if (
            requested.get("pack")
            or requested.get("skip_faces")
            or self._service(requested)
            or self._library.settings
        ):
            return requested
        pack = detection_options(None, None, None, None, self._host.conf).pack
        # A pack at a path exists only on this host.
        return requested if len(Path(pack).parts) > 1 else requested | {"pack": pack}

    def _service(self, requested: dict[str, Any]) -> str | None:
        return self._host.ml_uri or requested.get("ml_uri")

    def _load(
        self, requested: dict[str, Any], options: IndexOptions
    ) -> tuple[Describer, IndexOptions, list[Stage]]:
        host, work = self._host, Work(stop=self._stop)
        ways = RequestedModels(
            (requested.get("pack"), requested.get("det_size"), requested.get("min_det_score")),
            requested.get("clip_pack"),
            self._provider,
            self._service(requested),
            skip_faces=bool(requested.get("skip_faces")),
            skip_clip=bool(requested.get("skip_clip")),
            workers=self._concurrency,
            batching=self._batching,
        )
        options = replace(options, concurrency=self._concurrency or options.concurrency)
        describe, fitting = describer(self._library, options, host.conf, ways, host.notices, work)
        stages = further_stages(self._library, describe, options, ways, host.conf, host.notices, work)
        return describe, fitting, stages


def _key(requested: dict[str, Any], options: IndexOptions) -> str:
    return json.dumps([requested, options.stages, options.enrich, options.fast_decode, options.trust_mtime])


def index_targets(work: JobWork, models: Models) -> Result:
    """List the targets, and queue changed files in chunks; a restart queues what is left."""
    cancel_waiting_parts(work.session, work.number)
    requested, paths = models.named(dict(work.options["asked"])), work.paths
    describe, options, _ = models.of(requested, work.read(IndexOptions))
    targets = [from_text(target) for target in work.options["targets"]]
    source = GallerySource(
        [Path(paths.here(target)) for target in targets],
        include=[unescaped(each) for each in work.options.get("include", ())],
        exclude=[unescaped(each) for each in work.options.get("exclude", ())],
    )
    needs = needs_of_index(targets, requested)
    waiting: list[Order] = []
    totals: list[int] = []

    def flush() -> None:
        if waiting:
            put_parts(work.session, waiting, work.number, totals)
        waiting.clear()
        totals.clear()

    def hand_over(files: Sequence[FoundFile]) -> None:
        given = {
            "targets": work.options["targets"],
            "files": _by_folder([paths.known(file.path) for file in files]),
            "asked": requested,
            "options": work.options.get("options", {}),
        }
        waiting.append(Order(PART_OF_INDEX, given, needs, work.by))
        totals.append(len(files))
        if len(waiting) >= _QUEUED_AT_ONCE:
            flush()

    library = Library(work.session, paths=paths)
    summary = hand_over_chunks(source, library, describe, options, hand_over, work=work)
    if not summary.stopped:
        flush()
    return summary


def index_photos(work: JobWork, models: Models) -> Result:
    """Index the files of one chunk."""
    paths = work.paths
    requested, given = dict(work.options["asked"]), work.read(IndexOptions)
    describe, options, stages = models.of(requested, given)
    source = ListedPhotos(
        [Path(paths.here(from_text(target))) for target in work.options["targets"]],
        [paths.here(path) for path in _of_folders(work.options["files"])],
    )
    library = Library(work.session, paths=paths)
    try:
        summary = index_chunk(source, library, describe, options, stages=stages, work=work)
    except Unreachable:
        models.forget(requested, given)
        raise
    work.session.run(analyze_grown)
    return summary


def needs_of_index(targets: Sequence[str], requested: Mapping[str, Any]) -> Needs:
    """Return what a host needs to index these folders."""
    service = requested.get("ml_uri") or ""
    return Needs(
        tuple(targets),
        models=not service,
        pack=requested.get("pack") or "",
        service=service,
        faces=not requested.get("skip_faces"),
    )


def _by_folder(paths: Sequence[str]) -> dict[str, list[str]]:
    """Return paths as stored with a job: file names by folder."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = to_text(path).rpartition("/")
        folders.setdefault(folder, []).append(name)
    return folders


def _of_folders(folders: dict[str, list[str]]) -> list[str]:
    return [from_text(f"{folder}/{name}") for folder in sorted(folders) for name in folders[folder]]
