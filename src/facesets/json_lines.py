"""Files of JSON records, one a line, that are only appended to: a kill costs at most the last line."""

import json
import os
from collections.abc import Iterable
from typing import IO, Any

from facesets.errors import DamagedFile

_BLOCK = 4096


def append_lines(file: IO[bytes], records: Iterable[Any], *, sync: bool = True) -> None:
    """Append records to a file without a torn last line; with `sync` they are durable afterwards."""
    file.write(b"".join(map(json_line, records)))
    file.flush()
    if sync:
        os.fsync(file.fileno())


def json_line(record: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    """Encode a record as stored: ASCII, so that paths which are not UTF-8 come back the same."""
    return json.dumps(record).encode("ascii") + b"\n"


def whole_lines(content: bytes) -> list[bytes]:
    """Return the lines of such a file without an unfinished last one."""
    return content.split(b"\n")[:-1]


def cut_torn_line(file: IO[bytes]) -> int:
    """Drop a last line that a kill or a full disk cut short, from a file open for reading and writing.

    Returns
    -------
    int
        The file's new length, which is also its position.
    """
    end = whole = file.seek(0, os.SEEK_END)
    while whole:
        start = max(0, whole - _BLOCK)
        file.seek(start)
        found = file.read(whole - start).rfind(b"\n")
        whole = start + found + 1
        if found >= 0:
            break
    if whole < end:
        file.truncate(whole)
    return file.seek(whole)


def json_object(line: bytes, damaged: DamagedFile) -> dict[str, Any]:
    """Read a record, a JSON object; raises `damaged` otherwise."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise damaged from error
    if not isinstance(value, dict):
        raise damaged
    return value
