"""`immich-stage`: download the originals of photos with large faces once, even after interruptions.

One thread lists assets, assigns their paths and records their outcomes; workers take an asset from the
server's face boxes to a verified file. The result depends only on the list: paths are assigned in its order,
and of several assets with the same bytes the first is staged. There is one exception: if two are in progress
and the server reports the checksum of only one, the first to arrive stays.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import partial
from pathlib import Path, PurePosixPath

from facesets.errors import FacesetsError
from facesets.file_system import patiently
from facesets.files import FileLock, printable, writing
from facesets.operations.immich.server import check_server, estimate, scope_of, stage_permissions
from facesets.operations.immich.stage_asset import AssetOutcome, IsKnown, PartialDownloads, stage_asset
from facesets.operations.immich.stage_list import FileWithoutChecksum, StageListing
from facesets.operations.immich.stage_state import StageRecord, sha256_by_sha1
from facesets.operations.immich.staged_paths import safe_label
from facesets.operations.options.immich import StageOptions
from facesets.remote.immich import Immich
from facesets.remote.immich_records import Asset
from facesets.remote.retry import Stopped
from facesets.result import Result
from facesets.rights import make_private_folder
from facesets.work import Work

_AHEAD_PER_WORKER = 8
_MAX_READINGS = 3


def immich_stage(
    server: Immich, out: Path, user: str, options: StageOptions, known: Sequence[IsKnown] = (), *, work: Work
) -> Result:
    """Stage the originals of all photos in which the server found a large face.

    Parameters
    ----------
    server : Immich
        The server with the photos.
    out : Path
        Photos go below `out/user`, with the queue beside them.
    user : str
        Name of the folder; only the key decides which account's photos are staged.
    known : sequence of callables
        Each returns whether content with a sha256 already exists elsewhere.

    Raises
    ------
    Unreachable
        The server became unavailable; finished work is stored, and the same call resumes.
    WrongUsage, CannotWrite, DamagedFile, NewerFormat, AlreadyRunning
        The message has the reason.
    """
    folder = out.absolute() / safe_label(user)
    done = Result(
        queue=str(folder / "queue.json"),
        listed=0,
        estimated=None,  # the server's count before the run
        settled_before=0,  # photos that an earlier run finished
        staged=0,
        megabytes=0.0,
        adopted=0,  # staged photos with bytes already in place, which were not downloaded
        # Photos with bytes that are already staged, or that are in a known cache.
        aliases=0,
        known=0,
        no_face=0,
        small_faces=0,
        size_unknown=0,  # staged without a known size of their faces
        skipped={},  # photos passed over, by kind
        of_others=0,  # listed, not passed over, and of another account
        gone=0,  # deleted on the server during the run
        failed=0,
        failures=[],
        stopped=False,
    )
    try:
        _stage(done, server, folder, user, options, known, work)
    except Stopped:
        # Stopped before anything was recorded.
        done["stopped"] = True
    return done


def _stage(
    done: Result,
    server: Immich,
    folder: Path,
    user: str,
    options: StageOptions,
    known: Sequence[IsKnown],
    work: Work,
) -> None:
    owner = check_server(server, user, work.progress, essential=stage_permissions(options))
    scope = scope_of(server, options)
    record = StageRecord(folder, user, owner.id if owner else "")
    listing = StageListing(server, options, owner, scope)
    if not options.dry_run:
        with writing(folder):
            # Photos get the rights of the folder; a new folder is private until its owner opens it.
            make_private_folder(folder)
    lock = nullcontext() if options.dry_run else FileLock(folder / "stage.lock", what=printable(folder))
    with lock:
        listing.load_records(record.records())
        sha256_of = sha256_by_sha1(folder.parent, without=folder) if known else {}
        expected = estimate(server, options, scope)
        about = "" if expected is None else f", about {expected} by the server's count"
        work.progress.begin(f"Staging{about}", expected)
        run = _Run(
            done,
            listing,
            record,
            partial(
                stage_asset, server=server, folder=folder, known=known, sha256_of=sha256_of, options=options
            ),
            options,
            folder,
            work,
        )
        try:
            with nullcontext() if options.dry_run else record.writing():
                run.work()
        finally:
            work.progress.end()
    done.update(
        listed=listing.listed,
        estimated=expected,
        settled_before=listing.settled_before,
        megabytes=round(run.fetched / 1e6, 1),
        skipped=dict(listing.skipped),
        of_others=listing.of_others,
        stopped=work.stop.requested,
    )


class _Run:
    """The state of one run: assets in progress, bytes downloaded, and counts."""

    def __init__(
        self,
        done: Result,
        listing: StageListing,
        record: StageRecord,
        stage_one: Callable[[Asset, str], AssetOutcome],
        options: StageOptions,
        folder: Path,
        work: Work,
    ) -> None:
        self._done = done
        self._listing = listing
        self._record = record
        self._stage_one = stage_one
        self._options = options
        self._folder = folder
        self._work = work
        self._pool = ThreadPoolExecutor(options.workers, thread_name_prefix="stage")
        self._running: set[Future[AssetOutcome]] = set()
        self._same_bytes: dict[str, deque[tuple[Asset, str]]] = {}
        """Assets that wait for an asset with the same bytes, which is in progress."""
        self._failed_bytes: set[str] = set()
        self._ending = False
        self._error: FacesetsError | None = None
        self.fetched = 0

    def work(self) -> None:
        """List, stage and record. Records finished assets before raising an error that ends the run."""
        partials = PartialDownloads(self._folder)
        try:
            self._submit_all()
        except FacesetsError as error:
            self._error = self._error or error
        except Stopped:
            pass
        finally:
            # Finished assets are recorded; those not begun are dropped.
            self._ending = True
            self._pool.shutdown(cancel_futures=True)
            self._running = {future for future in self._running if not future.cancelled()}
            while self._running:
                self._collect()
            if not self._options.dry_run:
                partials.sweep()
        if self._error is not None:
            raise self._error

    def _submit_all(self) -> None:
        if not self._options.dry_run:
            PartialDownloads(self._folder).sweep()
        # The list is read by page numbers. A deletion meanwhile moves assets to pages that were already read,
        # and new assets arrive, so the list is read again until it has nothing new.
        for _ in range(_MAX_READINGS):
            is_new = False
            for asset, name in self._listing.new_assets(self._work.progress):
                is_new = True
                self._submit(asset, name)
                while len(self._running) >= self._options.workers * _AHEAD_PER_WORKER:
                    self._collect()
                if self._is_over():
                    return
            while self._running and not self._is_over():
                self._collect()
            if not is_new or self._is_over():
                return

    def _is_over(self) -> bool:
        return self._work.stop.requested or self._error is not None

    def _collect(self) -> None:
        """Wait for a worker and record its outcome."""
        done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
        for future in done:
            try:
                self._record_outcome(future.result())
            except FacesetsError as error:
                self._error = self._error or error
            except Stopped:
                continue

    def _submit(self, asset: Asset, name: str) -> None:
        """Submit an asset, or queue it behind the one with the same content."""
        if self._listing.has_content(asset.sha1):
            self._record_alias(asset.id, asset.path, asset.sha1)
        elif asset.sha1 in self._failed_bytes:
            self._fail(asset, "an asset with the same content failed")
        elif asset.sha1 and asset.sha1 in self._same_bytes:
            self._same_bytes[asset.sha1].append((asset, name))
        else:
            if asset.sha1:
                self._same_bytes[asset.sha1] = deque()
            self._running.add(self._pool.submit(self._stage_one, asset, name))

    def _record_outcome(self, outcome: AssetOutcome) -> None:
        asset = outcome.asset
        if outcome.kind == "gone":
            self._count("gone")
        elif outcome.kind == "failed":
            if outcome.transient and asset.sha1:
                self._failed_bytes.add(asset.sha1)
            self._fail(asset, outcome.reason)
        elif outcome.kind == "staged" and outcome.content is not None and not asset.sha1:
            self._record_without_checksum(outcome, outcome.content.sha1)
        elif outcome.kind == "staged" and asset.sha1 in self._listing.without_checksum:
            # The same bytes arrived under another name meanwhile.
            self._remove(outcome.name)
            self._record_alias(asset.id, asset.path, asset.sha1)
        else:
            self._record_asset(outcome)
        for waiting, name in self._same_bytes.pop(asset.sha1, ()):
            if not self._ending:
                self._submit(waiting, name)

    def _record_without_checksum(self, outcome: AssetOutcome, sha1: str) -> None:
        """Record a file without a server checksum, comparing its content after the download.

        If several have the same content, the one with the first path stays.
        """
        before = self._listing.without_checksum.get(sha1)
        new = FileWithoutChecksum(outcome.name, outcome.asset.id, outcome.asset.path)
        if before is None and not self._listing.has_content(sha1):
            self._listing.without_checksum[sha1] = new
            self._record_asset(outcome)
            return
        duplicate = new if before is None else max(new, before)
        # In this order, the next run can repair everything after a kill in between.
        self._remove(duplicate.name)
        self._record_alias(duplicate.asset_id, duplicate.original_path, sha1, no_checksum=True)
        if duplicate is not new:
            self._listing.without_checksum[sha1] = new
            self._write(outcome.row())

    def _remove(self, name: str) -> None:
        """Remove a file that is staged under another name, and folders left empty."""
        path = self._folder / name
        with writing(self._folder):
            patiently(Path.unlink, path, missing_ok=True)
            for parent in path.parents[: len(PurePosixPath(name).parts) - 1]:
                try:
                    parent.rmdir()
                except OSError:
                    break

    def _record_asset(self, outcome: AssetOutcome) -> None:
        self._write(outcome.row())
        self._count("small_faces" if outcome.kind == "small" else outcome.kind)
        if outcome.kind == "staged":
            self._done["size_unknown"] += outcome.largest_short_px is None
            self._done["adopted"] += outcome.adopted
        if outcome.content is not None:
            self._listing.add_content(outcome.content.sha1)
            self.fetched += 0 if outcome.adopted or outcome.kind != "staged" else outcome.content.size

    def _record_alias(
        self, asset_id: str, original_path: str, sha1: str, *, no_checksum: bool = False
    ) -> None:
        row = {"asset_id": asset_id, "outcome": "alias", "sha1": sha1, "original_path": original_path}
        self._write(row | ({"no_checksum": True} if no_checksum else {}))
        self._count("aliases")

    def _fail(self, asset: Asset, reason: str) -> None:
        self._done.failures.append(Result(asset_id=asset.id, path=asset.path, reason=reason))
        self._count("failed")

    def _write(self, row: dict[str, object]) -> None:
        if not self._options.dry_run:
            self._record.append(row)

    def _count(self, what: str) -> None:
        self._done[what] += 1
        self._work.progress.advance()
