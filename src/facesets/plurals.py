"""Words that go with a number."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun in the right form: `1 face`, `2 faces`; `many` where an s is not enough."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def people(count: int) -> str:
    """So many persons."""
    return counted(count, "person", "people")
