"""What `people import` says of files that are none of ours."""

from pathlib import Path

import pytest

from facesets.errors import DamagedFile, WrongUsage
from facesets.operations.people.carrying.people_file import read_people


@pytest.mark.parametrize(
    ("content", "seems"),
    [
        (b"PK\x03\x04" + bytes(60), "an archive, as caches and bundles are. .*import-cache"),
        (b"root:x:0:0:root:/root:/bin/bash\n", "text. Give a JSON file"),
        (b"\xff\xd8\xff\xe0" + bytes(60), "a picture. Give"),
        (b"SQLite format 3\0" + bytes(60), "an SQLite database. Give"),
        (b"", "an empty file. Give"),
        (b"[1, 2]", "JSON of something else. Give"),
        (b"<?xml version='1.0'?>", "XML or HTML. Give"),
    ],
)
def test_a_file_of_something_else_is_called_what_it_seems_to_be(
    tmp_path: Path, content: bytes, seems: str
) -> None:
    (tmp_path / "people.json").write_bytes(content)
    with pytest.raises(WrongUsage, match=rf"holds no exported people: it seems to be {seems}"):
        read_people(tmp_path / "people.json")


def test_exported_people_that_were_cut_off_are_damaged(tmp_path: Path) -> None:
    (tmp_path / "people.json").write_bytes(b'{"format": "facesets/people", "version": 1, "peo')
    with pytest.raises(DamagedFile, match="is damaged"):
        read_people(tmp_path / "people.json")


@pytest.mark.parametrize("begins", [b"PK\x03\x04", b"\x80no archive"])
def test_a_cache_is_named_with_the_command_that_takes_it(tmp_path: Path, begins: bytes) -> None:
    cache = tmp_path / "my faces.npz"
    cache.write_bytes(begins + bytes(60))
    with pytest.raises(WrongUsage, match=f"`import-cache '{cache}'` brings it into the library"):
        read_people(cache)
