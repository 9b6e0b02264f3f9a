"""Pinned libraries are installed without resolving, so their requirements must be among them."""

import re
import subprocess
import tomllib
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from facesets.installation import RUNTIMES
from tests.fixtures.program import REPOSITORY

# Left out on purpose: the headless one takes the place of the first, and only downloads need the other.
_LEFT_OUT = {canonicalize_name("opencv-python"), canonicalize_name("huggingface-hub")}


@pytest.mark.parametrize(
    "system",
    [
        pytest.param({}, id="here"),
        pytest.param({"os_name": "nt", "platform_system": "Windows", "sys_platform": "win32"}, id="Windows"),
    ],
)
def test_requirements_of_pinned_libraries_are_pinned(system: dict[str, str]) -> None:
    text = (REPOSITORY / "scripts" / "constraints.txt").read_text()
    pinned = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    assert _needed(pinned, system) - pinned == _LEFT_OUT


def test_the_embedded_server_is_of_the_major_version_that_opens_the_libraries_there_are() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = next(each for each in map(Requirement, project["dependencies"]) if "postgres" in each.name)
    major = int(version(wanted.name).split(".")[0])
    assert wanted.specifier.contains(f"{major}.99")
    assert not wanted.specifier.contains(f"{major + 1}.0")


@pytest.mark.parametrize("provider", ["cpu", "cuda", "directml"])
def test_a_provider_has_one_onnxruntime(provider: str) -> None:
    done = subprocess.run(
        ["bash", REPOSITORY / "scripts" / "pins", provider], capture_output=True, text=True, check=True
    )
    runtimes = re.findall(r"^(onnxruntime[\w-]*)==([\d.]+)$", done.stdout, re.MULTILINE)
    assert [name for name, _ in runtimes] == [RUNTIMES.get(provider, "onnxruntime")]


def test_no_two_lists_pin_the_same_library_differently() -> None:
    pinned = defaultdict(set)
    for path in (REPOSITORY / "scripts").glob("constraints*.txt"):
        for name, pin in re.findall(r"^([\w.-]+)==([^;\s]+)", path.read_text(), re.MULTILINE):
            pinned[canonicalize_name(name)].add(pin)
    assert {name: versions for name, versions in pinned.items() if len(versions) > 1} == {}


def test_the_source_archive_holds_all_that_the_wheel_and_the_tests_are_made_of() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    targets = project["tool"]["hatch"]["build"]["targets"]
    included = {line.strip("/") for line in targets["sdist"]["include"]}
    assert included >= {"src", "migrations", "tests", "scripts", "deploy", "docs", "README.md", "LICENSE"}
    assert all((REPOSITORY / name).exists() for name in included)
    for path in targets["wheel"]["shared-data"]:
        assert path.split("/")[0] in included


def _needed(names: set[NormalizedName], system: dict[str, str]) -> set[NormalizedName]:
    needed: set[NormalizedName] = set()
    for name in names:
        try:
            wanted = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:  # Another build of ONNX Runtime takes its place, such as that for a GPU.
            continue
        needed.update(
            canonicalize_name(each.name)
            for each in wanted
            if each.marker is None or each.marker.evaluate({"extra": "", **system})
        )
    return needed
