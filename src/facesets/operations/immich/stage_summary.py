"""What a run of `immich-stage` reports at its end."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AssetFailure:
    """An asset that could not be staged, and why. The next run tries again."""

    asset_id: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class StageSummary:
    """What one run of `immich-stage` did.

    Attributes
    ----------
    queue : str
        The file to give to `facesets embed --queue`.
    listed : int
        Photos that the server names.
    estimated : int or None
        What the server had counted beforehand.
    settled_before : int
        Photos that an earlier run had dealt with.
    staged, megabytes : int, float
        New files.
    adopted : int
        New files among them whose bytes existed already and were not fetched.
    aliases, known : int
        Photos whose bytes are staged already, or are in a cache given as known.
    no_face, small_faces : int
        Photos without a face according to the server, and those whose faces are all too small.
    size_unknown : int
        Photos staged without a look at the size of their faces, which the server does not know.
    skipped : mapping of str to int
        Photos passed over by kind.
    of_others : int
        Photos listed, and not passed over, that belong to another account.
    gone : int
        Photos that vanished from the server during the run.
    failed : int
        Photos that could not be staged.
    stopped : bool
        The run was asked to end before it was through.
    """

    queue: str
    listed: int = 0
    estimated: int | None = None
    settled_before: int = 0
    staged: int = 0
    megabytes: float = 0.0
    adopted: int = 0
    aliases: int = 0
    known: int = 0
    no_face: int = 0
    small_faces: int = 0
    size_unknown: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    of_others: int = 0
    gone: int = 0
    failed: int = 0
    failures: list[AssetFailure] = field(default_factory=list)
    stopped: bool = False
