"""The pinned libraries are installed without resolving: what each needs must be among them."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.fixtures.program import REPOSITORY

# Left out on purpose: the headless one takes its place.
_REPLACED = {canonicalize_name("opencv-python")}


@pytest.mark.parametrize(
    "system",
    [
        pytest.param({}, id="here"),
        pytest.param({"os_name": "nt", "platform_system": "Windows", "sys_platform": "win32"}, id="Windows"),
    ],
)
def test_what_a_pinned_library_needs_is_pinned(system: dict[str, str]) -> None:
    text = (REPOSITORY / "scripts" / "constraints.txt").read_text()
    pinned = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    assert _needed(pinned, system) - pinned == _REPLACED


def test_the_embedded_server_is_of_the_major_version_that_opens_the_libraries_there_are() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = next(each for each in map(Requirement, project["dependencies"]) if "postgres" in each.name)
    major = int(version(wanted.name).split(".")[0])
    assert wanted.specifier.contains(f"{major}.99")
    assert not wanted.specifier.contains(f"{major + 1}.0")


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
