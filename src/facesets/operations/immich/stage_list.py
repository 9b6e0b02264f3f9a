"""List the assets of a server to stage, and give each a file path."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from facesets.errors import WrongUsage
from facesets.interfaces import Progress
from facesets.operations.immich.server import Query, queries
from facesets.operations.immich.stage_state import Record, seen_key
from facesets.operations.immich.staged_paths import DigestSet, UniquePaths, is_readable, is_thumbnail
from facesets.operations.options.immich import StageOptions
from facesets.remote.immich import Immich
from facesets.remote.immich_answers import RequestFailed
from facesets.remote.immich_records import Asset, Owner


@dataclass(frozen=True, slots=True, order=True)
class FileWithoutChecksum:
    """A staged file without a server checksum; ordered by its path."""

    name: str
    asset_id: str
    original_path: str


class StageListing:
    """The assets of one run, without unwanted ones and those finished by earlier runs.

    Attributes
    ----------
    listed, settled_before, of_others : int
        Listed assets, those that earlier runs finished, and wanted ones of another account.
    skipped : Counter
        Assets passed over, by kind.
    without_checksum : mapping of sha1 to FileWithoutChecksum
        Staged files for which the server gave no checksum.
    """

    def __init__(
        self, server: Immich, options: StageOptions, owner: Owner | None, scope: list[Query]
    ) -> None:
        """Prepare the listing; no request is sent yet."""
        self._server = server
        self._scope = scope
        self._options = options
        self._owner = owner
        self._names = UniquePaths()
        self._staged = DigestSet()
        self._done = DigestSet()
        self._contents = DigestSet()
        self._listed_keys = DigestSet()
        self.listed = self.settled_before = self.of_others = 0
        self.skipped: Counter[str] = Counter()
        self.without_checksum: dict[str, FileWithoutChecksum] = {}

    def load_records(self, records: Iterable[Record]) -> None:
        """Load what earlier runs finished, if it still applies with these options."""
        for row in records:
            key = seen_key(row["asset_id"], "" if row.get("no_checksum") else row["sha1"])
            outcome = row["outcome"]
            if outcome == "staged":
                self._staged.add(key)
                self._names.take(row["path"])
                if row.get("no_checksum"):
                    staged = FileWithoutChecksum(row["path"], row["asset_id"], row["original_path"])
                    self.without_checksum[row["sha1"]] = staged
            if outcome in ("staged", "known"):
                self.add_content(row["sha1"])
            if outcome == "small":
                # With a lower limit than before, the asset is checked again.
                is_done = row["largest_short_px"] < self._options.min_face_short
            else:
                is_done = outcome != "no_face" or not (self._options.recheck or self._options.faceless)
            if is_done:
                self._done.add(key)

    def add_content(self, sha1: str) -> None:
        """Record that a content is staged or known."""
        self._contents.add(sha1)

    def has_content(self, sha1: str) -> bool:
        """Whether a content is staged or known."""
        return bool(sha1) and sha1 in self._contents

    def new_assets(self, progress: Progress) -> Iterator[tuple[Asset, str]]:
        """Read the list and yield each new asset to stage with its path.

        Raises
        ------
        Unreachable, WrongUsage
            The server does not list its assets.
        """
        for query in queries(self._options, self._scope):
            for page in self._pages(query, progress):
                for asset in page:
                    name = self._name_if_wanted(asset, progress)
                    if name is not None:
                        yield asset, name

    def _name_if_wanted(self, asset: Asset, progress: Progress) -> str | None:
        key = seen_key(asset.id, asset.sha1)
        if not self._listed_keys.add(key):
            return None
        self.listed += 1
        is_of_another = self._owner is not None and asset.owner_id not in ("", self._owner.id)
        kind = "of another account" if is_of_another and not self._options.partners else self._unwanted(asset)
        if kind is not None:
            self.skipped[kind] += 1
            progress.advance()
            return None
        self.of_others += is_of_another
        # Every asset, finished or not, gets a path in the order of the list, so interruptions change no path.
        name = "" if key in self._staged else self._names.give(asset.path, asset.id)
        if key in self._done:
            self.settled_before += 1
            progress.advance()
            return None
        return name

    def _unwanted(self, asset: Asset) -> str | None:
        """Return why an asset is skipped regardless of its faces; None if it is not."""
        wants = self._options
        reasons = {
            "not a photo": not asset.is_image,
            "trashed": asset.is_trashed and not wants.trashed,
            "offline": asset.is_offline,
            "hidden": asset.visibility == "hidden" and not wants.hidden,
            "locked": asset.visibility == "locked" and not wants.locked,
            "archived": asset.visibility == "archive" and not wants.archived,
            "thumbnail": is_thumbnail(asset.path) and not wants.thumbnails,
            "edited": asset.is_edited and not wants.edited,
            "format not supported": not is_readable(asset.path),
        }
        return next((reason for reason, applies in reasons.items() if applies), None)

    def _pages(self, query: Mapping[str, Any], progress: Progress) -> Iterator[list[Asset]]:
        visibility = query["visibility"]
        try:
            yield from self._server.assets(query)
        except (RequestFailed, WrongUsage) as error:
            # Immich shows its locked folder only to a session with a PIN, never to a key.
            if visibility != "locked":
                raise WrongUsage(f"{self._server.label} does not list its photos: {error}") from error
            progress.say(f"{self._server.label} does not show locked photos to an API key.")
