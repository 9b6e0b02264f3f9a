"""Options as flags and commands as they are typed, wherever a sentence reaches the terminal."""

from facesets.errors import Command, Field, Sentence


def worded(sentence: str) -> str:
    """Return a sentence as the user of a terminal reads it; plain text as it is."""
    return "".join(map(_worded, Sentence(sentence).parts))


def _worded(part: str | Field | Command) -> str:
    if isinstance(part, Field):
        flag = f"--{part.name.replace('_', '-')}"
        return f"{flag} {part.value}" if part.value else flag
    if isinstance(part, Command):
        return f"`{' '.join(['facesets', part.name, *map(_worded, part.arguments)])}`"
    return part


def name_and_number(name: str, person: str) -> str:
    """What a person is called, with the number in brackets; the number alone of somebody without a name."""
    return person if name == person else f"{name} ({person})"
