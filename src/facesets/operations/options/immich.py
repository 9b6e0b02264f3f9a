"""Options of the commands that talk to an Immich server."""

from dataclasses import dataclass
from datetime import datetime

from facesets.operations.options.limits import within


@dataclass(frozen=True, slots=True)
class StageOptions:
    """What `immich-stage` takes from a server.

    Attributes
    ----------
    workers : int
        Assets that are worked on at a time.
    min_face_short : float
        Least short edge of a photo's largest face, in pixels of the original.
    thumbnails : bool
        Keep pictures that Immich made itself and then indexed as originals.
    trashed, hidden, locked, archived, edited : bool
        Keep assets that are so in Immich.
    partners : bool
        Keep photos of other accounts, which partners share or albums hold.
    faceless : bool
        Keep assets in which the server found no face.
    recheck : bool
        Ask again about assets in which the server had found no face.
    albums, people : tuple of str
        Keep only what is in one of these albums, and shows one of these people; by name or id.
    since, until : datetime or None
        Keep only what was taken from then on, and until then.
    dry_run : bool
        Ask and count; fetch and write nothing.
    """

    workers: int = 8
    min_face_short: float = 90.0
    thumbnails: bool = False
    trashed: bool = False
    hidden: bool = False
    locked: bool = False
    archived: bool = True
    edited: bool = True
    partners: bool = False
    faceless: bool = False
    recheck: bool = False
    albums: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        within("workers", self.workers, 1, 64)
        within("min-face-short", self.min_face_short, 0)


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What `immich-push` may change on a server.

    Attributes
    ----------
    workers : int
        Photos that are worked on at a time.
    min_faces : int
        Fewest faces of ours that make a nameless person of the server's ours as a whole.
    min_purity : float
        Of that person's faces that are somebody's here, at least so many, as a share, have to be ours.
    min_share : float
        Of that person's photos we have to know at least this share to name it, or to merge it into another.
    rename : bool
        Where the server has another name, ours counts.
    hidden : bool
        Touch people whom the server hides.
    new_faces : bool
        Add faces that the server has not found.
    dry_run : bool
        Plan only.
    """

    workers: int = 8
    min_faces: int = 3
    min_purity: float = 0.8
    min_share: float = 0.5
    rename: bool = False
    hidden: bool = False
    new_faces: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        within("workers", self.workers, 1, 64)
        within("min-faces", self.min_faces, 1)
        # With half or less, one person of the server's could be two of ours.
        within("min-purity", self.min_purity, 0.51, 1)
        within("min-share", self.min_share, 0, 1)
