"""Every error that a user can cause, each with the exit status that it ends the program with.

    FacesetsError                 1
    ├── WrongUsage                2   the command line or a file it names does not fit
    │   ├── MissingModelPack      2
    │   ├── RecogniserMismatch    2
    │   ├── NewerFormat           2
    │   ├── SchemaOutdated        2
    │   └── MissingExtra          2
    ├── Unreachable               2   something that the command depends on does not answer
    │   ├── SourceGone            2
    │   └── ServiceFailed         -   a service failed for one picture; tried again next time
    ├── DamagedFile               1   one of our own files cannot be read
    ├── CannotWrite               1   the disk is full, or permission is missing
    ├── CannotInfer               1   a model does not run on this machine
    ├── UnreadableImage           -   one picture; recorded with its reason, never ends a run
    └── AlreadyRunning            75  another run holds the lock

An error's message is one plain sentence that says what is wrong and what to do. Programming errors
are not in this tree: they surface as tracebacks.
"""

from typing import ClassVar


class FacesetsError(Exception):
    """Base of all errors that carry a sentence for the user."""

    exit_status: ClassVar[int] = 1


class WrongUsage(FacesetsError):
    """What was asked for does not fit together."""

    exit_status = 2


class MissingModelPack(WrongUsage):
    """No model pack of that name was found and none could be fetched."""


class RecogniserMismatch(WrongUsage):
    """Vectors of two recognisers would have been compared."""


class NewerFormat(WrongUsage):
    """A file was written by a later version of this program."""


class SchemaOutdated(WrongUsage):
    """The database does not have the tables that this version of the program works on."""


class MissingExtra(WrongUsage):
    """An optional part of the program is not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(f"This needs an optional part: run `pip install 'facesets[{extra}]'`.")


class Unreachable(FacesetsError):
    """A server or a mount does not answer."""

    exit_status = 2


class SourceGone(Unreachable):
    """The folder of photos disappeared while it was being read."""


class ServiceFailed(Unreachable):
    """An inference service failed for one picture, each time it was asked."""


class DamagedFile(FacesetsError):
    """A file of ours is not what it should be."""


class CannotWrite(FacesetsError):
    """A result could not be written."""


class CannotInfer(FacesetsError):
    """A model cannot be loaded or run."""


class UnreadableImage(FacesetsError):
    """One picture cannot be decoded. The reason is recorded and the run goes on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AlreadyRunning(FacesetsError):
    """Another run holds the lock."""

    exit_status = 75
