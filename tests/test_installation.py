"""Libraries that pip left broken, and the command that adds or repairs something in this installation."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from facesets import installation
from facesets.errors import BrokenLibrary, MissingExtra
from facesets.installation import adding, installed, is_whole, module_at_fault, page, preferred, repairing
from tests.fixtures.parsing import commands
from tests.fixtures.program import REPOSITORY, environment

REASON = "libGL.so.1: cannot open shared object file: No such file or directory"
REPAIR = f"{sys.executable} -m pip install --force-reinstall --no-deps opencv-python-headless=="

EVERY_COMMAND = """
import contextlib, functools, io, json, sys
import typer.main
from facesets.__main__ import main

typer.main.get_command = functools.cache(typer.main.get_command)

ended = {}
for words in json.load(sys.stdin):
    said = io.StringIO()
    sys.argv = ["facesets", *words]
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            ended[" ".join(words)] = (end.code or 0, said.getvalue())
json.dump(ended, sys.stdout)
"""
"""Runs one command after the other; errors other than `SystemExit` end it with a traceback."""


@pytest.fixture
def without_libgl(tmp_path: Path) -> dict[str, str]:
    """An environment with an OpenCV that needs a missing library of the desktop."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cv2.py").write_text(f"raise ImportError({REASON!r})\n")
    env = environment({"FACESETS_DATA": str(tmp_path / "data"), "HOME": str(tmp_path)})
    return env | {"PYTHONPATH": os.pathsep.join((str(tmp_path / "broken"), env["PYTHONPATH"]))}


def ended(lines: list[list[str]], env: dict[str, str], cwd: Path) -> dict[str, tuple[int, str]]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EVERY_COMMAND],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {line: (status, reported) for line, (status, reported) in json.loads(done.stdout).items()}


def test_without_libgl_every_command_has_its_help(without_libgl: dict[str, str], tmp_path: Path) -> None:
    lines = [[*path.split(), "--help"] for path in commands()]
    assert set(ended(lines, without_libgl, tmp_path).values()) == {(0, "")}


def test_without_libgl_a_command_ends_with_the_one_that_repairs_it(
    without_libgl: dict[str, str], tmp_path: Path
) -> None:
    elsewhere = ["--database", "postgresql://127.0.0.1:9/none"]
    lines = [["embed", str(tmp_path), "faces.npz"], ["stats", *elsewhere], ["sheet", "out"]]
    for status, reported in ended(lines, without_libgl, tmp_path).values():
        assert status == 2
        assert reported.startswith(f"facesets: Cannot load cv2 ({REASON}). Repair it: `{REPAIR}")
        assert reported.count("\n") == 1


def test_without_libgl_migrate_comes_to_its_end(
    without_libgl: dict[str, str], tmp_path: Path, empty_url: str
) -> None:
    line = ["migrate", "--database", empty_url]
    assert ended([line], without_libgl, tmp_path) == {" ".join(line): (0, "")}


def test_doctor_names_the_command_that_repairs_a_broken_library(
    without_libgl: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "facesets", "doctor", "--json"],
        capture_output=True,
        text=True,
        env=without_libgl,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    findings = {each["subject"]: each for each in json.loads(done.stdout)["findings"]}
    for subject in ("cv2", "inference"):
        assert REASON in findings[subject]["state"]
        assert findings[subject]["repair"].startswith(REPAIR)
    assert findings["onnxruntime"]["level"] == "ok"


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import onnxruntime.no_such_part", "onnxruntime"),
        ("from onnxruntime.capi import no_such_name", "onnxruntime"),
        ("import onnxruntime; onnxruntime.no_such_name", "onnxruntime"),
        ("import no_such_library", ""),
        ("from json import no_such_name", ""),
        ("None.no_such_name", ""),
    ],
)
def test_only_a_library_that_two_packages_bring_is_at_fault(code: str, module: str) -> None:
    try:
        exec(code, {"__name__": "facesets.somewhere"})
    except (ImportError, AttributeError) as error:
        assert module_at_fault(error) == module
    else:
        pytest.fail("it was loaded")


class Site:
    """Packages below a folder, as pip would leave them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def install(self, name: str, version: str, files: dict[str, str], requires: tuple[str, ...] = ()) -> Path:
        """Overwrite what is installed, and return the place of its metadata."""
        about = self.root / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir()
        fields = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires)]
        (about / "METADATA").write_text("\n".join(fields) + "\n")
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        lines = [f"{path},sha256=x,{len(text)}" for path, text in files.items()]
        (about / "RECORD").write_text("\n".join([*lines, f"{about.name}/RECORD,,"]) + "\n")
        return about


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with only the packages that a test installs."""
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    installation._own.cache_clear()
    return Site(tmp_path / "site")


@pytest.fixture(autouse=True)
def _forget_installed() -> Iterator[None]:
    yield
    installation._own.cache_clear()


def test_the_gpu_runtime_of_two_remains_and_is_complete_after_the_repair(site: Site) -> None:
    gpu = {"onnxruntime/__init__.py": "", "onnxruntime/capi/state.so": "with CUDA"}
    cpu = {"onnxruntime/__init__.py": "", "onnxruntime/capi/state.so": "plain"}
    about = site.install("onnxruntime-gpu", "1.31.1", gpu)
    assert is_whole("onnxruntime-gpu")
    site.install("onnxruntime", "1.32.0", cpu)
    assert installed("onnxruntime") == ["onnxruntime-gpu", "onnxruntime"]
    assert not is_whole("onnxruntime-gpu")
    assert repairing("onnxruntime")[-1] == "onnxruntime-gpu==1.31.1"

    shutil.rmtree(about)
    site.install("onnxruntime-gpu", "1.31.1", gpu)
    assert is_whole(preferred("onnxruntime"))


def test_missing_requirements_are_installed_with_this_programs_bounds(site: Site) -> None:
    assert repairing("cv2")[-1] == "opencv-python-headless"
    site.install("facesets", "1.0", {}, ("opencv-python-headless>=4.11", "onnxruntime>=1.21"))
    installation._own.cache_clear()
    site.install("opencv-python", "5.0", {})
    assert repairing("cv2")[-1] == "opencv-python-headless>=4.11"
    assert repairing("onnxruntime")[-1] == "onnxruntime>=1.21"


EXTRAS = (
    'fastapi>=0.115.3; extra == "serve"',
    "uvicorn>=0.30; extra == 'serve'",
    "torch>=2.4; extra == 'train'",
    "onnxruntime-directml>=1.21; sys_platform == 'win32' and extra == 'directml'",
)


def test_a_wheel_names_the_requirements_of_an_extra_instead_of_itself(site: Site) -> None:
    site.install("facesets", "1.0", {}, EXTRAS)
    pip = (sys.executable, "-m", "pip", "install")
    assert adding("serve") == (*pip, "fastapi>=0.115.3", "uvicorn>=0.30")
    assert adding("train") == (*pip, "torch>=2.4")
    assert adding("directml") == (*pip, "--force-reinstall", "--no-deps", "onnxruntime-directml>=1.21")
    line = shlex.join(adding("serve"))
    assert str(MissingExtra("serve")) == f"This requires the extra serve. Install it: `{line}`."


def test_a_checkout_made_by_scripts_install_gets_the_flag_of_that(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (REPOSITORY / "scripts" / "install").read_text()
    checkout = tmp_path / "my checkout"
    about = site.install("facesets", "1.0", {}, EXTRAS)
    origin = {"dir_info": {"editable": True}, "url": checkout.as_uri()}
    (about / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    assert adding("train")[-1] == "torch>=2.4"  # pip made it

    (checkout / ".venv").mkdir(parents=True)
    (checkout / ".venv" / "provider").write_text("cpu\n")
    for extra in ("train", "scale", "describe"):
        assert f"        --{extra}) " in script
        assert adding(extra) == (str(checkout / "scripts" / "install"), f"--{extra}")
    assert adding("cuda") == (str(checkout / "scripts" / "install"), "cuda")
    assert adding("serve")[-1] == "uvicorn>=0.30"

    monkeypatch.setattr(sys, "prefix", str(tmp_path / "another"))
    assert adding("train")[-1] == "torch>=2.4"


def test_pages_are_named_where_they_lie(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(page("packs.md")) == REPOSITORY / "docs" / "packs.md"
    monkeypatch.setattr(installation, "__file__", str(site.root / "facesets" / "installation.py"))
    site.install("facesets", "1.0", {"share/doc/facesets/packs.md": "# Packs"})
    assert Path(page("packs.md")) == site.root / "share" / "doc" / "facesets" / "packs.md"


def test_an_error_names_the_command_that_repairs_the_library() -> None:
    version = distribution("opencv-python-headless").version
    assert str(BrokenLibrary("cv2", REASON)).endswith(f"Repair it: `{REPAIR}{version}`.")


def test_every_page_that_is_named_exists() -> None:
    named = re.compile(r"docs/([\w-]+\.md)|page\([\"'](.+?)[\"']\)")
    for path in (REPOSITORY / "src").rglob("*.py"):
        for in_help, in_error in named.findall(path.read_text("utf-8")):
            assert (REPOSITORY / "docs" / (in_help or in_error)).is_file(), path
