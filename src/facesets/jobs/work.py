"""A job at hand, and how a command of the table is done for it."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, TypeVar

from facesets.assembly.commands import VERBS, LibraryWork
from facesets.jobs.hosts import Host
from facesets.jobs.orders import read
from facesets.result import Result

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWork(LibraryWork):
    """A job at hand.

    Attributes
    ----------
    options : mapping
        What its command is given, as it was queued.
    """

    number: int
    host: Host
    options: Mapping[str, Any]

    def read(self, kind: type[T], name: str = "options") -> T:
        """Something that the command is given, as a kind."""
        return read(self.options.get(name, {}), kind)


def done(command: str, work: JobWork) -> Result:
    """Do a command of the table, with what was queued; what was not is as usual."""
    verb = VERBS[command]
    given = {
        name: work.read(kind, name)
        for name, kind in verb.kinds().items()
        if name in work.options or is_dataclass(kind)
    }
    return verb.run(work, **given)
