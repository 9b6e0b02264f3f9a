"""Questions about photos, their costs and replies, and the protocol of providers.

Models count a picture by its area. The maximum count lies above what their makers publish, so that a cost
limit holds for any model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from math import ceil
from pathlib import Path
from typing import Any, Protocol

from facesets.descriptions.prices import Model, Usage
from facesets.errors import FacesetsError, Unreachable, WrongUsage
from facesets.files import atomic_write, printable, read_regular_file

_PROMPT_FILE = "describe-prompt.txt"
_MAX_BYTES = 20_000
_PROMPT = """\
Describe this photo from a private photo library, so that its owner finds it again by words.

Say what is to be seen, in plain words: who does what, where, with what. Two to four sentences.
Be specific (a golden retriever, not an animal) and do not guess beyond what the photo and the notes
below show. Where notes name people, use their names; otherwise do not guess who anybody is.
Read out all text that can be read. Tags are single words in lower case.
"""

MAX_OUTPUT_TOKENS = 4_096
"""Maximum tokens of one answer and the reasoning before it; the maximum cost is computed from it."""

STAGE, STAGE_VERSION = "describe", "1"
"""The version is that of the question: another model or prompt makes no photo pending again."""

EDGE = 1_568
"""Longer side, in pixels, of a picture that is sent."""

_HASH_LETTERS = 40
"""Letters of a content's SHA-256 in the name of a request; providers allow 64 letters in all."""

_PIXELS_A_TOKEN = 750
_MIN_PIXELS_A_TOKEN = 560
_MAX_EXTRA = 1_500
"""Maximum tokens of the schema and of a provider's own instructions."""

_USUAL_EXTRA = 700
_LETTERS_A_TOKEN = 3.5
_USUAL_OUTPUT = 600


def read_prompt(folder: Path, *, write: bool = True) -> str:
    """Return the user's prompt; if they have none, write the default one first.

    Raises
    ------
    WrongUsage
        The prompt cannot be read, is empty, or is too long.
    CannotWrite
        The prompt is missing and cannot be written.
    """
    path = folder / _PROMPT_FILE
    try:
        text = read_regular_file(path, max_bytes=_MAX_BYTES).decode("utf-8")
    except FileNotFoundError:
        if write:
            with atomic_write(path) as file:
                file.write(_PROMPT.encode())
        return _PROMPT
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(
            f"The prompt in {printable(path)} cannot be read ({error}). Repair it, or delete it for the "
            "usual one."
        ) from error
    if not text.strip():
        raise WrongUsage(
            f"The prompt in {printable(path)} is empty. Write one, or delete it for the usual one."
        )
    return text


@dataclass(frozen=True, slots=True)
class PhotoQuestion:
    """A photo and the question about it, as sent.

    Attributes
    ----------
    sha256 : str
        Hash of the photo's own file; the JPEG that is sent is another.
    jpeg : bytes
        The picture, without the camera's metadata.
    width, height : int
        Of the JPEG.
    text : str
        The question, and the notes on the photo.
    """

    sha256: str
    jpeg: bytes = field(repr=False)
    width: int
    height: int
    text: str


class Outcome(Enum):
    """The outcome of a question."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Paid, but without a description; asking again would give none either."""
    FREE = "free"
    """Neither processed nor paid: it may be asked again."""
    DOUBTFUL = "doubtful"
    """Possibly paid, but its answer will never come."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one question.

    Attributes
    ----------
    answer : mapping or None
        As returned by `answer.read_answer`; None if the model gave no answer.
    reason : str
        Why the answer is missing.
    lasting : bool
        Asking again would fail the same way, even though nothing was paid.
    duration_s : float or None
        None for a reply from a batch.
    """

    outcome: Outcome
    answer: Mapping[str, Any] | None = None
    usage: Usage = field(default_factory=Usage)
    reason: str = ""
    lasting: bool = False
    duration_s: float | None = None


class NotSent(Unreachable):
    """The provider accepted nothing, and nothing is paid. The run ends; the same command resumes it."""


class Doubtful(FacesetsError):
    """It is unknown whether the provider accepted the question."""


class BatchState(Enum):
    """The state of a batch."""

    UNDER_WAY = "under way"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """The provider has no batch of that name, or hides it from this account."""
    LOST = "lost"
    """The provider no longer has its results."""


@dataclass(frozen=True, slots=True)
class LostBatch:
    """A batch that may or may not have reached the provider.

    Attributes
    ----------
    key : str
        Start of the names of its requests.
    since : datetime
        When it was about to be sent, by the clock of the library's server.
    known : frozenset of str
        Ids of our other batches, which are excluded.
    """

    key: str
    requests: int
    since: datetime
    known: frozenset[str] = frozenset()


class Batches(Protocol):
    """A provider's batches: many questions at once, answered later at a lower price."""

    @property
    def least(self) -> int:
        """Minimum questions of a batch."""
        ...

    def send_batch(self, key: str, questions: Sequence[PhotoQuestion]) -> str:
        """Hand over a batch; return the provider's name for it.

        Raises
        ------
        NotSent, WrongUsage
            The provider did not accept the batch.
        Doubtful
            The provider may have accepted the batch.
        """
        ...

    def find_batch(self, batch: LostBatch) -> tuple[str | None, bool]:
        """Return a possibly sent batch's id, and whether its absence is certain. Raises `NotSent`."""
        ...

    def batch_state(self, batch_id: str) -> BatchState:
        """Return the state of a batch. Raises `NotSent` if the provider does not answer."""
        ...

    def results(self, batch_id: str, key: str) -> Iterator[tuple[str, Reply]]:
        """Return the replies of an ended batch, by the names of its requests. Raises `NotSent`."""
        ...

    def without_result(self, batch_id: str) -> Reply:
        """Return the reply for a request without a result in an ended batch. Raises `NotSent`."""
        ...


class Provider(Protocol):
    """A provider of models; may be called from several threads at once."""

    @property
    def name(self) -> str:
        """Return the provider's name, such as `anthropic`."""
        ...

    @property
    def place(self) -> str:
        """Return the server or account that receives photos, in words that may be shown."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine."""
        ...

    @property
    def model(self) -> Model:
        """Return the answering model, with its price."""
        ...

    @property
    def batches(self) -> Batches | None:
        """Return the provider's batches, if it takes any."""
        ...

    @property
    def at_once(self) -> int:
        """Return how many questions to ask in parallel."""
        ...

    def ask(self, question: PhotoQuestion) -> Reply:
        """Ask one question and wait for the reply.

        Raises
        ------
        NotSent, WrongUsage
            The provider answers no question at the moment, or none of ours.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def request_name(key: str, sha256: str) -> str:
    """Return the name of a request at the provider."""
    return f"{key}-{sha256[:_HASH_LETTERS]}"


def content_of(name: str, key: str, known: Mapping[str, str]) -> str | None:
    """Return the SHA-256, of the given ones, that a request's name stands for; None if unknown."""
    return known.get(name[len(key) + 1 :]) if name.startswith(f"{key}-") else None


def by_start(contents: Sequence[str]) -> dict[str, str]:
    """Map the part of contents' hashes that requests' names hold to the contents."""
    return {sha256[:_HASH_LETTERS]: sha256 for sha256 in contents}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected and maximum cost in US dollars; None if the price is unknown."""

    expected: Decimal | None
    most: Decimal | None


def most_of(model: Model, question: PhotoQuestion, *, in_batch: bool) -> Decimal | None:
    """Return the maximum cost of one question; None if the price is unknown."""
    price = model.price
    if price is None:
        return None
    tokens = model.picture_tokens or ceil(question.width * question.height / _MIN_PIXELS_A_TOKEN)
    # No tokenizer makes more tokens of a text than it has bytes.
    tokens += len(question.text.encode()) + _MAX_EXTRA
    at_most = price.cost(Usage(tokens, MAX_OUTPUT_TOKENS), in_batch=in_batch)
    # Writing all input to a cache first may cost more.
    return max(at_most, price.cost(Usage(0, MAX_OUTPUT_TOKENS, 0, tokens), in_batch=in_batch))


def estimate(model: Model, photos: int, pixels: int, letters: int, *, in_batch: bool) -> Estimate:
    """Estimate the cost of photos.

    Parameters
    ----------
    pixels : int
        Total of all photos, as sent.
    letters : int
        Length of the question about each photo.
    """
    price = model.price
    if price is None:
        return Estimate(None, None)
    text = _USUAL_EXTRA + ceil(letters / _LETTERS_A_TOKEN)
    expected = Usage(pixels // _PIXELS_A_TOKEN + photos * text, photos * _USUAL_OUTPUT)
    pictures = ceil(pixels / _MIN_PIXELS_A_TOKEN)
    if model.picture_tokens is not None:
        pictures = photos * model.picture_tokens
    tokens = pictures + photos * (1 + letters * 4 + _MAX_EXTRA)
    most = max(
        price.cost(Usage(tokens, photos * MAX_OUTPUT_TOKENS), in_batch=in_batch),
        price.cost(Usage(0, photos * MAX_OUTPUT_TOKENS, 0, tokens), in_batch=in_batch),
    )
    return Estimate(price.cost(expected, in_batch=in_batch), most)
