"""What `immich-push` reads from a server: the faces of known photos."""

from collections.abc import Iterable, Mapping, Sequence, Set

from facesets.operations.immich.face_matches import FaceMatch, match_faces
from facesets.operations.immich.local_people import LocalPeople
from facesets.operations.immich.push_executor import in_parallel
from facesets.remote.immich_answers import NotOnServer, RequestFailed
from facesets.remote.immich_people import ImmichPeople
from facesets.remote.immich_records import ServerFace
from facesets.work import Work


class ServerView:
    """The data read so far.

    Attributes
    ----------
    faces : mapping of asset to list of ServerFace
        All faces of the requested assets.
    seen : list of FaceMatch
        Our faces there.
    vanished, differing, of_others : int
        Assets that no longer exist, that show another picture, and that belong to another account.
    failures : list of pairs of str
        Assets that could not be read, and why.
    """

    def __init__(
        self,
        server: ImmichPeople,
        ours: LocalPeople,
        assets: Mapping[str, Sequence[tuple[str, bool]]],
        owner_id: str,
        workers: int,
        work: Work,
    ) -> None:
        """Prepare the view; no request is sent yet.

        Parameters
        ----------
        assets : mapping of sha256 to sequence of pairs
            The assets with each content, and whether each was edited on the server.
        owner_id : str
            The account whose photos may be changed.
        """
        self._server = server
        self._ours = ours
        self._assets = assets
        self._owner_id = owner_id
        self._workers = workers
        self._work = work
        self._checked: set[str] = set()
        self.faces: dict[str, list[ServerFace]] = {}
        self.seen: list[FaceMatch] = []
        self.vanished = self.differing = self.of_others = 0
        self.failures: list[tuple[str, str]] = []

    def is_at(self, sha256: str, assets: Set[str]) -> bool:
        """Whether one of these assets has this content."""
        return any(asset in assets for asset, _ in self._assets[sha256])

    def read_faces(self, contents: Iterable[str]) -> None:
        """Request the faces of all assets with this content."""
        wanted = []
        for sha256 in contents:
            for asset, is_edited in self._assets[sha256]:
                if asset in self.faces:
                    continue
                if is_edited:
                    self.faces[asset] = []
                    self.differing += 1
                else:
                    wanted.append((asset, sha256))
        self._work.progress.begin("Reading faces", len(wanted))
        try:
            found = in_parallel(self._faces, [asset for asset, _ in wanted], self._workers, self._work.stop)
        finally:
            self._work.progress.end()
        for (asset, sha256), faces in zip(wanted, found, strict=True):
            self.faces[asset] = faces or []
            if faces is None:
                continue
            pairs = match_faces(asset, self._ours.photos[sha256], faces)
            self.differing += pairs is None
            self.seen += pairs or []

    def drop_photos_of_others(self, assets: Set[str]) -> bool:
        """Drop our faces in assets of other accounts; False if there are none.

        A server may list and even change photos of partners, which do not belong to the user.
        """
        unchecked = sorted(assets - self._checked)
        self._checked |= assets
        are_own = in_parallel(self._is_own, unchecked, self._workers, self._work.stop)
        dropped = {asset for asset, is_own in zip(unchecked, are_own, strict=True) if not is_own}
        self.seen = [each for each in self.seen if each.asset not in dropped]
        return bool(dropped)

    def _is_own(self, asset: str) -> bool:
        try:
            owner = self._server.owner_of(asset)
        except NotOnServer:
            self.vanished += 1
            return False
        except RequestFailed as error:
            self.failures.append((asset, error.reason))
            return False
        self.of_others += owner != self._owner_id
        return owner == self._owner_id

    def _faces(self, asset: str) -> list[ServerFace] | None:
        self._work.progress.advance()
        try:
            return self._server.faces(asset)
        except NotOnServer:
            self.vanished += 1
        except RequestFailed as error:
            self.failures.append((asset, error.reason))
        return None
