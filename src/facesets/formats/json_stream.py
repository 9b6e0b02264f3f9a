"""A long JSON array of a file, one element after another, in memory for one of them."""

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

_READ = 1 << 20
_LARGEST = 1 << 24
_SPACE = " \t\n\r"


class BrokenJson(Exception):
    """It is no JSON array of elements that each fit into memory."""


def elements(file: IO[bytes]) -> Iterator[Any]:
    """The elements of the array that a file holds; of another value that value alone.

    Raises
    ------
    BrokenJson
        The text is no JSON, or one element is too large or nested too deeply.
    OSError
        The file cannot be read.
    """
    text = _Text(file)
    if text.next_character() != "[":
        yield text.next_value()
        return
    text.skip()
    while text.next_character() not in ("]", ""):
        yield text.next_value()
        if text.next_character() == ",":
            text.skip()
        elif text.next_character() != "]":
            raise BrokenJson
    if text.next_character() != "]":
        raise BrokenJson


class _Text:
    """The text of a file, of which no more is held than is needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._scan = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._ended = False

    def next_character(self) -> str:
        """The next that is no space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more(_READ):
                return ""

    def skip(self) -> None:
        """Go on behind that character."""
        self._at += 1

    def next_value(self) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """The value that begins here. Raises `BrokenJson`."""
        self.next_character()
        wanted = _READ
        while True:
            try:
                value, end = self._scan.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise BrokenJson from error
            except ValueError as error:
                # It may go on in what was not read yet; twice as much each time, so that few scans do.
                if len(self._text) - self._at > _LARGEST or not self._more(wanted):
                    raise BrokenJson from error
                wanted *= 2
                continue
            # A number at the end of what was read may go on, too.
            if end < len(self._text) or not self._more(wanted):
                self._at = end
                return value

    def _more(self, count: int) -> bool:
        """Read on; False at the end."""
        if self._ended:
            return False
        content = self._file.read(count)
        self._ended = len(content) < count
        self._text = self._text[self._at :] + self._decode.decode(content, final=self._ended)
        self._at = 0
        return bool(content)
