"""What photos will cost, before they are sent: as expected, and at most.

Models count a picture by its area. What they count at most is a bound with room over what their makers
publish, so that a limit holds whatever model it is.
"""

from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from facesets.descriptions.asking import MOST_OUTPUT_TOKENS, PhotoQuestion
from facesets.descriptions.prices import Model, Usage

_PIXELS_A_TOKEN = 750
_LEAST_PIXELS_A_TOKEN = 560
_MOST_BESIDE = 1_500
"""Tokens of the schema and of what a provider says to the model by itself, at most."""
_USUAL_BESIDE = 700
_LETTERS_A_TOKEN = 3.5
_USUAL_OUTPUT = 600


@dataclass(frozen=True, slots=True)
class Estimate:
    """US dollars: what is expected, and what it can be at most; None where the price is not known."""

    expected: Decimal | None
    most: Decimal | None


def most_of(model: Model, question: PhotoQuestion, *, in_batch: bool) -> Decimal | None:
    """What one question costs at most; None where the price is not known."""
    price = model.price
    if price is None:
        return None
    tokens = model.picture_tokens or ceil(question.width * question.height / _LEAST_PIXELS_A_TOKEN)
    # No tokenizer makes more tokens of a text than it has bytes.
    tokens += len(question.text.encode()) + _MOST_BESIDE
    at_most = price.cost(Usage(tokens, MOST_OUTPUT_TOKENS), in_batch=in_batch)
    # As if all of it were written to a cache first, where that costs more.
    return max(at_most, price.cost(Usage(0, MOST_OUTPUT_TOKENS, 0, tokens), in_batch=in_batch))


def estimate(model: Model, photos: int, pixels: int, letters: int, *, in_batch: bool) -> Estimate:
    """What photos will cost.

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
    text = _USUAL_BESIDE + ceil(letters / _LETTERS_A_TOKEN)
    expected = Usage(pixels // _PIXELS_A_TOKEN + photos * text, photos * _USUAL_OUTPUT)
    pictures = ceil(pixels / _LEAST_PIXELS_A_TOKEN)
    if model.picture_tokens is not None:
        pictures = photos * model.picture_tokens
    tokens = pictures + photos * (1 + letters * 4 + _MOST_BESIDE)
    most = max(
        price.cost(Usage(tokens, photos * MOST_OUTPUT_TOKENS), in_batch=in_batch),
        price.cost(Usage(0, photos * MOST_OUTPUT_TOKENS, 0, tokens), in_batch=in_batch),
    )
    return Estimate(price.cost(expected, in_batch=in_batch), most)
