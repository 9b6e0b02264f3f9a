"""One finding of `doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one check.

    Attributes
    ----------
    level : str
        `ok`; `note` for possible improvements; `problem` if commands cannot work.
    repair : str
        The command that repairs it; empty when there is nothing to repair.
    """

    subject: str
    level: str
    state: str
    repair: str = ""
