"""What long work is handed: who hears how far it is, who may end it, and who it is done for."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facesets.progress import SilentProgress
from facesets.stop import Stop

if TYPE_CHECKING:
    from facesets.interfaces import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The surroundings of a piece of work; by default nobody looks on and nobody ends it.

    Attributes
    ----------
    by : str
        Who does it, for the log of changes.
    """

    progress: "Progress" = field(default_factory=SilentProgress)
    stop: Stop = field(default_factory=Stop)
    by: str = ""
