"""What is asked of a worker: a command with what it is given, as the queue keeps it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from facesets.assembly.commands import VERBS, Needs
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.store.postgres.paths import from_text, to_text
from facesets.store.postgres.queue.notes import PART_OF_INDEX

T = TypeVar("T")

PHOTOS_OF_INDEX = PART_OF_INDEX
"""What `index` queues for each chunk of photos."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command for the queue.

    Attributes
    ----------
    options : mapping
        What its operation takes, as JSON can hold it. Never anything secret.
    by : str
        Who queued it, for the log of changes.
    """

    command: str
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: Needs = field(default_factory=Needs)
    by: str = ""

    @property
    def queue(self) -> str:
        """The queue of all jobs of this command that need the same."""
        text = json.dumps(stored_needs(self.needs), sort_keys=True)
        return f"{self.command}/{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    @property
    def lock(self) -> str | None:
        """Jobs with the same lock are done one after the other."""
        if self.command in VERBS and VERBS[self.command].changes_people:
            return "people"
        return None if self.command in ("index", PHOTOS_OF_INDEX) else self.command

    @property
    def queueing_lock(self) -> str | None:
        """Of jobs with the same, one waits at a time: a further one would find nothing to do."""
        if self.command in ("index", PHOTOS_OF_INDEX):
            return None
        if self.command == "maintain":
            return f"maintain {' '.join(self.options.get('tasks', ()))}"
        return "cluster" if self.command == "cluster --dual" else self.command

    def arguments(self) -> dict[str, Any]:
        """What procrastinate keeps, for the job."""
        return {"options": dict(self.options), "needs": stored_needs(self.needs), "by": self.by}


def stored_needs(needs: Needs) -> dict[str, Any]:
    """Needs as they are kept with a job."""
    stored: dict[str, Any] = msgspec.to_builtins(needs)
    return {**stored, "folders": [to_text(folder) for folder in needs.folders]}


def read_needs(stored: Mapping[str, Any]) -> Needs:
    """What was kept; of a later program the parts that are known."""
    needs = msgspec.convert(dict(stored), Needs)
    return replace(needs, folders=tuple(map(from_text, needs.folders)))


def kept(options: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Options as JSON can hold them."""
    return json.loads(msgspec.json.encode(options, enc_hook=_as_text))


def read(stored: object, kind: type[T]) -> T:
    """Options of a kind, of what `kept` made of them.

    Raises
    ------
    WrongUsage
        Another version of the program made them; or as making them does.
    """
    try:
        return msgspec.convert(stored, kind, strict=False, dec_hook=_of_text)
    except msgspec.ValidationError as error:
        raise WrongUsage(
            f"Another version of facesets queued this job ({printable(str(error))}). Install the same on all "
            "hosts, then queue its command again."
        ) from error


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return to_text(str(value.absolute()))
    raise NotImplementedError(type(value))


def _of_text(kind: type, value: object) -> object:
    if issubclass(kind, Path):
        return kind(from_text(str(value)))
    raise NotImplementedError(kind)
