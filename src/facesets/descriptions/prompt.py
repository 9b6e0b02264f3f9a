"""The prompt: a file of the user's, written where it is missing."""

from pathlib import Path

from facesets.errors import WrongUsage
from facesets.files import atomic_write, printable, read_regular_file

NAME = "describe-prompt.txt"
_MOST_BYTES = 20_000
_PROMPT = """\
Describe this photo from a private photo library, so that its owner finds it again by words.

Say what is to be seen, in plain words: who does what, where, with what. Two to four sentences.
Be specific (a golden retriever, not an animal) and do not guess beyond what the photo and the notes
below show. Where notes name people, use their names; otherwise do not guess who anybody is.
Read out all text that can be read. Tags are single words in lower case.
"""


def read_prompt(folder: Path, *, write: bool = True) -> str:
    """The user's prompt; the usual one, which is written there, where the user has none yet.

    Raises
    ------
    WrongUsage
        It cannot be read, or is empty or too long.
    CannotWrite
        It is not there and cannot be written.
    """
    path = folder / NAME
    try:
        text = read_regular_file(path, max_bytes=_MOST_BYTES).decode("utf-8")
    except FileNotFoundError:
        if write:
            with atomic_write(path) as file:
                file.write(_PROMPT.encode())
        return _PROMPT
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(
            f"The prompt in {printable(path)} cannot be read ({error}). Repair it, or delete it for the "
            "usual one."
        ) from error
    if not text.strip():
        raise WrongUsage(
            f"The prompt in {printable(path)} is empty. Write one, or delete it for the usual one."
        )
    return text
