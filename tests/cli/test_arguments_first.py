"""Wrong arguments are reported before any model is loaded, which may be a download of minutes."""

import shutil
from pathlib import Path

import pytest

from tests.fixtures.photo_library import Library
from tests.fixtures.program import run as run_program


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("embed", "no/such/folder", "new.npz"), "Folder not found"),
        (("split-eras", "CACHE", "OUT", "--set", "nobody"), "Manifest not found"),
        (("import-folders", "CACHE", "OUT", "--folder", "no/such/folder"), "embed it first"),
        (("discover", "CACHE", "OUT"), "swap holds no export"),
        (("export-swap", "CACHE", "no/refine_manifest.json", "OUT"), "Manifest not found"),
    ],
)
def test_a_wrong_argument_is_reported_before_models_are_loaded(
    pristine: Library, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    shutil.copy2(pristine.cache, tmp_path / "faces.npz")
    given = {"CACHE": tmp_path / "faces.npz", "OUT": tmp_path / "swap"}
    done = run_program(
        *(given.get(argument, argument) for argument in arguments), "--pack", "not_here", cwd=tmp_path
    )
    assert done.status == 2, done.err
    assert sentence in done.err
    assert "not_here" not in done.err
    assert not (tmp_path / "swap").exists()
