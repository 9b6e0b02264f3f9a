"""The search of results for a name: in JSON it may be escaped in more than one way."""

import json
from pathlib import Path

import pytest

from facesets.operations.people.forgetting.forget_proof import names_in
from facesets.operations.people.forgetting.forget_words import written_forms

NAME = "Änne Zwölfender"


@pytest.mark.parametrize("said", [NAME, NAME.upper(), f"two lines\n{NAME}", f"a\t{NAME}"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_name_is_found_however_json_escapes_it(tmp_path: Path, said: str, ascii_only: bool) -> None:
    (tmp_path / "set").mkdir()
    held, other = tmp_path / "set" / "x_visomaster.json", tmp_path / "other.json"
    held.write_text(json.dumps([{"name": said}], ensure_ascii=ascii_only), "utf-8")
    other.write_text(json.dumps([f"{NAME}ova", "Änne\nZwölfe"]), "utf-8")
    assert names_in(tmp_path, written_forms([NAME]), set()) == (["set/x_visomaster.json"], [])


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_name_that_looks_like_a_path_is_found_whole(tmp_path: Path, ascii_only: bool) -> None:
    forms = written_forms(["Änne/Zwölf"])
    for name, said in {"held": "Änne/Zwölf", "parts": "Änne/Berg", "photo": "/photos/Änne/Zwölf"}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps([said], ensure_ascii=ascii_only), "utf-8")
    assert names_in(tmp_path, forms, set())[0] == ["held.json"]
