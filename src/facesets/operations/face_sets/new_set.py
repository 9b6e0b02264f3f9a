"""A face set as a command wants it, and what the command does with those that an export has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from facesets.records import Int64
from facesets.results.export_manifest import SetEntry

REFINED = "refined"


@dataclass(frozen=True, slots=True)
class NewSet:
    """A face set as a command wants it in an export.

    Attributes
    ----------
    name : str
        Its folder, relative to the export; another one, if that is taken.
    source : str
        What it comes from, down to the group: a set is known again by it.
    rows : int64 array
        Rows of the store.
    kind : str
        `refined`, `discovered`, `imported` or `era`.
    markers : mapping
        Names and contents of text files that say in the set's folder what it is.
    candidates : mapping
        Row of a face for review to its cosine distance from the set's centroid.
    is_numbered : bool
        Its name is but the next number, which another such set takes if no face of this one passes.
    """

    name: str
    source: str
    rows: Int64
    kind: str = REFINED
    markers: Mapping[str, str] = field(default_factory=dict)
    candidates: Mapping[int, float] = field(default_factory=dict)
    is_numbered: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What a command does with the sets that an export has.

    Attributes
    ----------
    remakes : bool
        A set that is wanted, and is there from the same source but from other faces, is made again in its
        place. Otherwise it is left alone.
    drops : function
        Whether a set that is not wanted goes. The others stay.
    takes_over : bool
        The export is from then on one of the command's own cache or library.
    """

    remakes: bool = True
    drops: Callable[[SetEntry], bool] = lambda _: False
    takes_over: bool = False
