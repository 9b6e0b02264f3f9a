"""One finding of `doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one check.

    Attributes
    ----------
    level : str
        `ok`; `note` for what could be better; `problem` for what stops commands from working.
    repair : str
        The command that repairs it; empty when there is nothing to repair.
    """

    subject: str
    level: str
    state: str
    repair: str = ""
