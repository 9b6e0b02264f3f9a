"""How long to go on with what is tried again and again: a little in every run, long in `scripts/soak`."""

import os
from typing import TypeVar

Amount = TypeVar("Amount")
IS_SOAKING = bool(os.environ.get("FACESETS_TEST_SOAK"))


def soaking(long: Amount, *, else_: Amount) -> Amount:
    """The long way in `scripts/soak`, the other elsewhere."""
    return long if IS_SOAKING else else_
