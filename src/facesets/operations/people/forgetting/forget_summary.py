"""What forgetting somebody would remove, and what it removed."""

from dataclasses import dataclass, field

from facesets.operations.people.forgetting.forget_files import CacheForgotten
from facesets.operations.people.forgetting.forget_proof import Proof
from facesets.results.forgetting import ResultForgotten


@dataclass(frozen=True, slots=True)
class ForgetSummary:
    """What went, what did not, and the proof.

    Attributes
    ----------
    steps : int
        Of the journal, that cannot be taken back any more.
    searched : list of str
        Result folders that were looked at.
    log_removed : bool
        Whether the server's write-ahead log from before is gone, too.
    out_of_reach : list of str
        What may still hold the person.
    was_cut_off : bool
        The person was erased by an earlier run that was cut off, and now only the rest was done. Nobody knows
        their vectors any more, so these were not searched for. `person` is the name that was, or empty.
    """

    person: str
    faces: int
    loose_faces: int
    steps: int
    caches: list[CacheForgotten]
    results: list[ResultForgotten]
    searched: list[str]
    log_removed: bool
    proof: Proof
    out_of_reach: list[str] = field(default_factory=list)
    was_cut_off: bool = False


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """Whom a user would forget: to be asked about, unless they are erased already, which was cut off."""

    name: str
    number: str
    faces: int
    loose_faces: int
    results: list[ResultForgotten]
    was_cut_off: bool = False
