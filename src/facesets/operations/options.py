"""What each command can be told, with the documented defaults, once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """How `embed` works through a source.

    Attributes
    ----------
    flush_every : int
        New files after which the cache is flushed: at most so many are lost by a crash.
    workers : int
        Threads, each of which takes a batch from file to faces.
    batch_size : int
        Files that one worker takes at a time.
    retry_failed : bool
        Try files again that could not be read before, though they have not changed.
    dry_run : bool
        List and compare only.
    """

    flush_every: int = 50
    workers: int = 1
    batch_size: int = 1
    retry_failed: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """What counts as a face.

    Attributes
    ----------
    pack : str
        Model pack, by name or path.
    det_size : int
        Edge of the detector's square input in pixels.
    min_det_score : float
        Least detector score, in [0, 1].
    """

    pack: str = "buffalo_l"
    det_size: int = 640
    min_det_score: float = 0.5


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
    recheck : bool
        Ask again about assets in which the server had found no face.
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
    recheck: bool = False
    dry_run: bool = False
