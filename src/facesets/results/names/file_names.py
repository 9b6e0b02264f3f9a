"""Names for photos in result folders: the absolute source path, flattened into one file name.

Such a name depends on the path alone, so it stays the same whatever root a command was given. Two
different paths never get the same name, not even on file systems that ignore case or normalize
Unicode, and every name is valid on Linux, macOS and Windows.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

MAX_NAME_BYTES = 200
"""Well under the 255 that file systems allow, so that other programs can add a suffix."""

MAX_FOLDER_NAME_BYTES = 120

_SEPARATOR = "+"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_RESERVED_CHARACTERS = frozenset('+%~<>:"|?*\\/')
_RESERVED_NAMES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
)
_LONGEST_EXTENSION = 12


def flatten(path: str) -> str:
    r"""Turn an absolute path into one file name.

    `/a/b c.jpg` becomes `a+b c.jpg`; `C:\a\b.jpg` becomes `C++a+b.jpg`. Whatever a name may not hold
    anywhere becomes `%XX`, one for each byte. A name beyond `MAX_NAME_BYTES` is cut and gets the
    path's hash.

    Parameters
    ----------
    path : str
        Absolute, POSIX or Windows; bytes that are not UTF-8 as surrogates (`os.fsdecode`).

    Raises
    ------
    ValueError
        The path is not absolute.
    """
    name = _SEPARATOR.join(_escaped(part) for part in _components(path))
    name = _safe_ends(name)
    if is_reserved(name):
        name = _percent(name[0]) + name[1:]
    if len(name.encode()) > MAX_NAME_BYTES:
        return _hashed(name, path)
    return name


def may_be_called(name: str, path: str) -> bool:
    """Whether a file of this name, in a folder of ours, may be called after that path."""
    flat = flatten(path)
    return name in (flat, _hashed(flat, path))


def flatten_all(paths: Iterable[str]) -> dict[str, str]:
    """Name several paths that will lie in one folder.

    Paths whose names differ only by case or by Unicode normalization all get their hash, so that they
    do not overwrite each other on a file system that treats such names as equal.

    Returns
    -------
    dict
        The name of each distinct path.
    """
    names = {path: flatten(path) for path in paths}
    uses = Counter(folded(name) for name in names.values())
    return {
        path: _hashed(name, path) if uses[folded(name)] > 1 and "~" not in name else name
        for path, name in names.items()
    }


def folder_name(label: str) -> str:
    """Turn a label, such as the name of a person's folder, into a name for one of ours.

    What a name may not hold becomes `%XX`. A leading `_` does so too: such folders of ours have a meaning.
    The name leaves room for the endings of the files with names made from it.

    Raises
    ------
    ValueError
        The label is empty.
    """
    if not label:
        raise ValueError("an empty label names nothing")
    name = _safe_ends("".join(_percent(c) if _must_escape(c) and c != _SEPARATOR else c for c in label))
    if name.startswith("_") or is_reserved(name):
        name = _percent(name[0]) + name[1:]
    if len(name.encode()) > MAX_FOLDER_NAME_BYTES:
        return _hashed(name, label, MAX_FOLDER_NAME_BYTES)
    return name


def label_of_folder(name: str) -> str:
    """Return the label that `folder_name` made a name of; the name itself if that cannot be restored."""
    try:
        label = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    return label if label and folder_name(label) == name else name


def folded(name: str) -> str:
    """Return a form of a name that is equal for names that some file system treats as one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _components(path: str) -> Sequence[str]:
    """Cut a path where it has separators, so that different paths give different parts.

    A drive is followed by an empty part and a share preceded by two, which no POSIX path has: there
    a repeated separator is kept as a character of the part after it.
    """
    if _DRIVE.match(path):
        return [path[0], "", *re.split(r"[\\/]", path[3:])]
    if path.startswith("\\\\"):
        return ["", "", *re.split(r"[\\/]", path[2:])]
    if not path.startswith("/"):
        raise ValueError(f"not an absolute path: {path!r}")
    return re.split(r"(?<!/)/", path[1:]) if path != "/" else [path]


def _escaped(part: str) -> str:
    return "".join(_percent(c) if _must_escape(c) else c for c in part)


def is_reserved(name: str) -> bool:
    """Whether Windows takes a name for a device, whatever its ending."""
    return name.partition(".")[0].rstrip().casefold() in _RESERVED_NAMES


def _must_escape(character: str) -> bool:
    return character in _RESERVED_CHARACTERS or unicodedata.category(character) in ("Cc", "Cs")


def _percent(character: str) -> str:
    """Escape one character as its bytes; a byte that is not UTF-8 comes back as itself."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"%{code - 0xDC00:02X}"
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", errors="surrogatepass"))


def _safe_ends(name: str) -> str:
    """Escape what systems treat specially at the ends: hidden files, and ends that Windows strips."""
    if name.startswith((".", " ")):
        name = _percent(name[0]) + name[1:]
    if name.endswith((".", " ")):
        name = name[:-1] + _percent(name[-1])
    return name


def _hashed(name: str, path: str, max_bytes: int = MAX_NAME_BYTES) -> str:
    stem, dot, extension = name.rpartition(".")
    if not dot or not re.fullmatch(rf"[A-Za-z0-9]{{1,{_LONGEST_EXTENSION}}}", extension):
        stem, extension = name, ""
    digest = hashlib.sha256(path.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]
    tail = f"~{digest}{dot if extension else ''}{extension}"
    shortened = stem.encode()[: max_bytes - len(tail)].decode(errors="ignore")
    return re.sub(r"%[0-9A-F]?$", "", shortened) + tail
