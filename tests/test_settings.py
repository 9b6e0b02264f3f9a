"""Flags win over the environment, which wins over `facesets.toml`."""

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from facesets.cli.app import app
from facesets.cli.settings_file import by_parameter
from facesets.errors import WrongUsage
from facesets.settings import load
from tests.fixtures.program import run


def written(folder: Path, text: str) -> Path:
    path = folder / "facesets.toml"
    path.write_text(text)
    return path


def test_flags_environment_file_and_defaults_in_this_order(tmp_path: Path) -> None:
    written(tmp_path, "[cluster]\nmethod = 'from-file'\n")
    flag = ["cluster", "c.npz", "out", "--method", "from-flag"]
    environment = {"FACESETS_CLUSTER_METHOD": "from-environment"}
    assert "from-flag" in run(*flag, cwd=tmp_path, env=environment).err
    assert "from-environment" in run(*flag[:3], cwd=tmp_path, env=environment).err
    assert "from-file" in run(*flag[:3], cwd=tmp_path).err
    (tmp_path / "facesets.toml").unlink()
    assert "Cache not found" in run(*flag[:3], cwd=tmp_path).err


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("[refine]\nmin-facess = 3\n", "min-facess"),
        ("[refin]\nmin-faces = 3\n", "[refin]"),
        ("models = ['/x']\n", "must be a string"),
        ("speed = 3\n", "speed"),
        ("[worker]\npaths = ['/x']\n", "Z:/photos"),
        ("[schedule]\ndaily = 3\n", "03:00"),
        ("targets = [1]\n", "facesets.toml is not a global setting. Remove it, or move it under"),
        (
            "[pipeline]\ntargets = [1]\n",
            '`targets` under [pipeline] in {file} must be a list of strings: targets = ["…"].',
        ),
        ("[index]\ntarget = 1\n", "`target` under [index] in {file} must be a list of strings"),
        ("[cluster]\nsheet = 1\n", "`sheet` under [cluster] in {file} must be true or false."),
        ("[index]\nbody_model = 1\n", '[index] in {file} must be a string: body-model = "…".'),
        ("[refine]\nmin-faces = [1]\n", "[refine] in {file} must be a single value: min-faces = …."),
        ("not toml", "Cannot read the settings"),
        (f"x = {'[' * 30_000}", "Cannot read the settings"),
    ],
)
def test_an_error_in_the_file_is_reported(tmp_path: Path, text: str, reported: str) -> None:
    reported = reported.replace("{file}", str(written(tmp_path, text)))
    result = run("doctor", cwd=tmp_path)
    assert result.status == 2
    assert reported in result.err


def test_a_typer_without_declared_flag_types_leaves_values_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program: Any = get_command(app)
    for param in program.commands["embed"].params:
        monkeypatch.delattr(param, "type_descriptor")
    file = written(tmp_path, "[embed]\nbatch-size = 3\ninclude = ['*.jpg']\nexclude = 'x'\n")
    found = by_parameter(program, load({"FACESETS_CONFIG": str(file)}))
    assert found == {"embed": {"batch_size": 3, "include": ["*.jpg"], "exclude": ["x"]}}


def test_model_packs_are_searched_in_the_given_folder_first(tmp_path: Path) -> None:
    written(tmp_path, "models = '/from/file'")
    assert load({"HOME": str(tmp_path)}, tmp_path).model_roots[0] == Path("/from/file")
    roots = load({"FACESETS_MODELS": "/a:/b", "HOME": str(tmp_path)}, tmp_path).model_roots
    assert roots[:2] == (Path("/a"), Path("/b"))


def test_the_file_is_found_by_name_then_here_then_at_home(tmp_path: Path) -> None:
    home, here = tmp_path / "config", tmp_path / "here"
    (home / "facesets").mkdir(parents=True)
    here.mkdir()
    written(home / "facesets", "models = '/home'")
    environment = {"XDG_CONFIG_HOME": str(home)}
    assert load(environment, here).model_roots[0] == Path("/home")
    written(here, "models = '/here'")
    assert load(environment, here).model_roots[0] == Path("/here")
    named = tmp_path / "named.toml"
    named.write_text("models = '/named'")
    assert load({**environment, "FACESETS_CONFIG": str(named)}, here).model_roots[0] == Path("/named")
    with pytest.raises(WrongUsage, match=r"FACESETS_CONFIG names \S+nowhere\.toml, which does not exist"):
        load({"FACESETS_CONFIG": str(tmp_path / "nowhere.toml")}, here)


def test_the_file_takes_flags_by_the_names_that_help_shows(tmp_path: Path) -> None:
    written(tmp_path, "[search]\nfrom = '2020-01-31'\nto = '2019-01-01'\n[split-eras]\nset = 'anna'\n")
    assert run("search", "--help", cwd=tmp_path).status == 0
    written(tmp_path, "[search]\nfrom = 'yesterday'\n")
    result = run("search", "--person", "anna", cwd=tmp_path)
    assert (result.status, "yesterday" in result.err) == (2, True)


def test_settings_of_workers_come_only_from_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path, "[worker]\nheartbeat = 5\npaths = {'/a' = '/b'}\n\n[schedule]\ndaily = '03:00'\n"
    )
    settings = load({"FACESETS_CONFIG": str(path)})
    assert (settings.worker_paths, settings.schedule) == ({"/a": "/b"}, {"daily": "03:00"})
    assert settings.flags == {"worker": {"heartbeat": 5}}
