"""Files of JSON records: after a kill, all records except the last can be read, and more can be appended."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.errors import DamagedFile
from facesets.json_lines import append_lines, cut_torn_line, json_object, whole_lines

RECORDS = st.lists(
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(alphabet="a\n\udcffé", max_size=9)),
    max_size=4,
)
DAMAGED = DamagedFile("It is damaged.")


def written(records: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    append_lines(file, records, sync=False)
    return file.getvalue()


def read(content: bytes) -> list[dict[str, Any]]:
    return [json_object(line, DAMAGED) for line in whole_lines(content)]


@given(RECORDS, RECORDS, st.integers(0, 400))
def test_a_cut_costs_the_last_record_at_most(
    records: list[dict[str, Any]], more: list[dict[str, Any]], length: int
) -> None:
    content = written(records)[:length]
    stored = read(content)
    assert stored == records[: content.count(b"\n")]
    file = io.BytesIO(content)
    assert cut_torn_line(file) == len(written(stored))
    append_lines(file, more, sync=False)
    assert read(file.getvalue()) == [*stored, *more]


def test_a_torn_line_longer_than_one_read_is_cut() -> None:
    file = io.BytesIO(written([{"a": 1}]) + b"x" * 10_000)
    cut_torn_line(file)
    assert file.getvalue() == written([{"a": 1}])


@pytest.mark.parametrize("line", [b"", b"[1]", b"{", b"\xff", b"5"])
def test_a_line_that_is_no_object_is_damage(line: bytes) -> None:
    with pytest.raises(DamagedFile, match="It is damaged"):
        json_object(line, DAMAGED)
