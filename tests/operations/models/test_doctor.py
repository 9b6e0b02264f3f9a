"""`doctor` finds problems and names the command that repairs each."""

import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from facesets.installation import installed
from facesets.operations.models import doctor as libraries
from facesets.operations.models import doctor_inference
from facesets.operations.models.doctor import directory_finding, doctor, library_finding
from facesets.operations.models.finding import DoctorFinding
from facesets.operations.models.pull import can_be_fetched


def test_two_distributions_of_one_module_are_a_clash_unless_the_right_one_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = ["opencv-python-headless", "opencv-python"]
    monkeypatch.setattr(libraries, "installed", lambda module: both if module == "cv2" else ["onnxruntime"])

    def finding(*, whole: bool) -> DoctorFinding:
        monkeypatch.setattr(libraries, "is_whole", lambda _name: whole)
        return library_finding("cv2")

    clash = finding(whole=False)
    assert (clash.level, clash.state) == (
        "problem",
        "opencv-python and opencv-python-headless overwrite each other's files",
    )
    assert clash.repair.startswith(
        f"{sys.executable} -m pip install --force-reinstall --no-deps opencv-python-headless=="
    )
    assert finding(whole=True).level == "ok"
    monkeypatch.setattr(libraries, "installed", lambda _module: [])
    missing = library_finding("cv2")
    assert (missing.level, missing.state) == ("problem", "not installed")


def test_this_environment_has_one_of_each_despite_an_interrupted_uninstall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed("cv2") == ["opencv-python-headless"]
    assert [library_finding(module).level for module in ("cv2", "onnxruntime")] == ["ok", "ok"]


@pytest.mark.slow
def test_a_missing_pack_is_a_problem_and_its_download_is_named_only_if_it_works(
    pack_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def findings(*fetchable: str) -> dict[str, DoctorFinding]:
        monkeypatch.setattr(doctor_inference, "can_be_fetched", lambda name: name in fetchable)
        found = {each.subject: each for each in doctor([tmp_path], [])}
        assert [each for each in found if each.startswith("model pack")] == [missing]
        assert found["CLIP pack ViT-B-32__openai"].repair == ""
        return found

    missing = "model pack buffalo_l"
    pack = findings("buffalo_l", "open")[missing]
    assert (pack.level, pack.repair) == ("problem", "facesets models pull buffalo_l")
    pack = findings("open")[missing]
    assert (pack.level, pack.repair) == ("problem", "facesets models pull open")
    assert "cannot be downloaded from here. The open pack can" in pack.state
    pack = findings()[missing]
    assert (pack.repair, "by hand" in pack.state) == ("", True)
    # Beside a pack of one's own it is a note.
    shutil.copytree(pack_dir, tmp_path / "models" / "mine")
    found = findings("buffalo_l")
    assert (found[missing].level, found[missing].repair) == ("note", "facesets models pull buffalo_l")
    assert found["provider cpu"].level == "ok"


def test_a_download_is_possible_if_its_publisher_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert [can_be_fetched(name) for name in ("buffalo_l", "ViT-B-32__openai", "open")] == [False] * 3


def test_a_directory_that_cannot_be_written_is_a_problem() -> None:
    # No user may create files in procfs, not even root: no command repairs that.
    finding = directory_finding(Path("/proc/x/y"))
    assert finding.level == "problem"
    assert finding.state.endswith("choose another folder")
    assert finding.repair == ""


def test_only_ones_own_folder_is_opened_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    (folder := tmp_path / "my photos").mkdir()
    assert directory_finding(folder).repair == f"chmod u+rwx '{folder}'"
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert directory_finding(folder).repair == ""


@pytest.mark.parametrize("broken", [None, "hollow"])
def test_a_broken_runtime_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str | None
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "onnxruntime" or name.startswith(
            ("facesets.inference", "facesets.operations.models.doc")
        ):
            monkeypatch.delitem(sys.modules, name)
    if broken is None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    else:
        (tmp_path / "onnxruntime").mkdir()
        monkeypatch.syspath_prepend(str(tmp_path))
        (tmp_path / "onnxruntime" / "__init__.py").touch()
    findings = {finding.subject: finding for finding in doctor([tmp_path], [])}
    assert findings["inference"].level == "problem"
    assert "force-reinstall" in findings["inference"].repair
