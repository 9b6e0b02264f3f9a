"""Questions about photos, their costs and replies, and the protocol of providers.

Models count a picture by its area. What they count at most is a bound with room over what their makers
publish, so that a limit holds whatever model it is.
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
_MOST_BYTES = 20_000
_PROMPT = """\
Describe this photo from a private photo library, so that its owner finds it again by words.

Say what is to be seen, in plain words: who does what, where, with what. Two to four sentences.
Be specific (a golden retriever, not an animal) and do not guess beyond what the photo and the notes
below show. Where notes name people, use their names; otherwise do not guess who anybody is.
Read out all text that can be read. Tags are single words in lower case.
"""

MOST_OUTPUT_TOKENS = 4_096
"""Of one answer, and of what a model thinks before it: what it may cost at most goes by this."""

STAGE, STAGE_VERSION = "describe", "1"
"""The version is that of what is asked for: another model or prompt makes no photo pending again."""

EDGE = 1_568
"""Pixels of the longer side of a picture that is sent."""

_HASH_LETTERS = 40
"""Of a content's SHA-256 in the name of a request, for which providers allow 64 letters."""

_PIXELS_A_TOKEN = 750
_LEAST_PIXELS_A_TOKEN = 560
_MOST_EXTRA = 1_500
"""Maximum tokens of the schema and of a provider's own instructions."""

_USUAL_EXTRA = 700
_LETTERS_A_TOKEN = 3.5
_USUAL_OUTPUT = 600


def read_prompt(folder: Path, *, write: bool = True) -> str:
    """The user's prompt; the usual one, which is written there, where the user has none yet.

    Raises
    ------
    WrongUsage
        It cannot be read, or is empty or too long.
    CannotWrite
        It is not there and cannot be written.
    """
    path = folder / _PROMPT_FILE
    try:
        text = read_regular_file(path, max_bytes=_MOST_BYTES).decode("utf-8")
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
    """A photo as it is sent.

    Attributes
    ----------
    sha256 : str
        Of the photo's own file, which is not what is sent.
    jpeg : bytes
        The picture, without anything that a camera wrote beside it.
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
    """It was paid, but gave no description; asking again would give none either."""
    FREE = "free"
    """It was not worked on, and not paid: it may be asked again."""
    DOUBTFUL = "doubtful"
    """It may have been paid, and its answer will never come."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one question.

    Attributes
    ----------
    answer : mapping or None
        As `answer.read_answer` gives it, where there is one.
    reason : str
        Why there is none.
    lasting : bool
        Though it was not paid, asking again would come to the same.
    duration_s : float or None
        None for what came in a batch.
    """

    outcome: Outcome
    answer: Mapping[str, Any] | None = None
    usage: Usage = field(default_factory=Usage)
    reason: str = ""
    lasting: bool = False
    duration_s: float | None = None


class NotSent(Unreachable):
    """The provider took nothing, and nothing is paid. The run ends, and the same command goes on later."""


class Doubtful(FacesetsError):
    """It is not known whether the provider took it."""


class BatchState(Enum):
    """The state of a batch."""

    UNDER_WAY = "under way"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """The provider has no batch of that name, or hides it from this account."""
    LOST = "lost"
    """The provider has its results no more."""


@dataclass(frozen=True, slots=True)
class LostBatch:
    """A batch of which it is not known whether the provider has it.

    Attributes
    ----------
    key : str
        What the names of its requests begin with.
    since : datetime
        When it was about to be sent, by the clock of the library's server.
    known : frozenset of str
        Ids of other batches of ours, which it is not.
    """

    key: str
    requests: int
    since: datetime
    known: frozenset[str] = frozenset()


class Batches(Protocol):
    """A provider of batches: many questions at once, answered later at a lower price."""

    @property
    def least(self) -> int:
        """Minimum questions of a batch."""
        ...

    def send_batch(self, key: str, questions: Sequence[PhotoQuestion]) -> str:
        """Hand over a batch; returns what the provider calls it.

        Raises
        ------
        NotSent, WrongUsage
            It did not take it.
        Doubtful
            It may have taken it.
        """
        ...

    def find_batch(self, batch: LostBatch) -> tuple[str | None, bool]:
        """The id of a batch that was perhaps sent, and whether that it has none is sure. Raises `NotSent`."""
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
    """A provider of models. May be called from several threads at once."""

    @property
    def name(self) -> str:
        """Such as `anthropic`."""
        ...

    @property
    def place(self) -> str:
        """The server or account that photos go to, in words that may be shown."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine."""
        ...

    @property
    def model(self) -> Model:
        """The model that answers, and its price."""
        ...

    @property
    def batches(self) -> Batches | None:
        """Its batches, if it takes any."""
        ...

    @property
    def at_once(self) -> int:
        """How many questions to ask side by side."""
        ...

    def ask(self, question: PhotoQuestion) -> Reply:
        """Ask one question and wait for the reply.

        Raises
        ------
        NotSent, WrongUsage
            It answers no question at the moment, or none of ours.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def request_name(key: str, sha256: str) -> str:
    """Return the name of a request at the provider."""
    return f"{key}-{sha256[:_HASH_LETTERS]}"


def content_of(name: str, key: str, known: Mapping[str, str]) -> str | None:
    """The SHA-256 that a request's name stands for, among those of its batch; None for none of them."""
    return known.get(name[len(key) + 1 :]) if name.startswith(f"{key}-") else None


def by_start(contents: Sequence[str]) -> dict[str, str]:
    """Contents by what their requests' names show of them."""
    return {sha256[:_HASH_LETTERS]: sha256 for sha256 in contents}


@dataclass(frozen=True, slots=True)
class Estimate:
    """US dollars: what is expected, and what it can be at most; None where the price is not known."""

    expected: Decimal | None
    most: Decimal | None


def most_of(model: Model, question: PhotoQuestion, *, in_batch: bool) -> Decimal | None:
    """Return the maximum cost of one question; None if the price is unknown."""
    price = model.price
    if price is None:
        return None
    tokens = model.picture_tokens or ceil(question.width * question.height / _LEAST_PIXELS_A_TOKEN)
    # No tokenizer makes more tokens of a text than it has bytes.
    tokens += len(question.text.encode()) + _MOST_EXTRA
    at_most = price.cost(Usage(tokens, MOST_OUTPUT_TOKENS), in_batch=in_batch)
    # As if all of it were written to a cache first, where that costs more.
    return max(at_most, price.cost(Usage(0, MOST_OUTPUT_TOKENS, 0, tokens), in_batch=in_batch))


def estimate(model: Model, photos: int, pixels: int, letters: int, *, in_batch: bool) -> Estimate:
    """Estimate the cost of photos.

    Parameters
    ----------
    pixels : int
        Of all of them as they are sent.
    letters : int
        Of what is asked about each.
    """
    price = model.price
    if price is None:
        return Estimate(None, None)
    text = _USUAL_EXTRA + ceil(letters / _LETTERS_A_TOKEN)
    expected = Usage(pixels // _PIXELS_A_TOKEN + photos * text, photos * _USUAL_OUTPUT)
    pictures = ceil(pixels / _LEAST_PIXELS_A_TOKEN)
    if model.picture_tokens is not None:
        pictures = photos * model.picture_tokens
    tokens = pictures + photos * (1 + letters * 4 + _MOST_EXTRA)
    most = max(
        price.cost(Usage(tokens, photos * MOST_OUTPUT_TOKENS), in_batch=in_batch),
        price.cost(Usage(0, photos * MOST_OUTPUT_TOKENS, 0, tokens), in_batch=in_batch),
    )
    return Estimate(price.cost(expected, in_batch=in_batch), most)
