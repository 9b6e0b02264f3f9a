"""Words that go with a number."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 face`, `2 faces`; `many` where an s is not enough."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def people(count: int) -> str:
    """Return a number of people in words."""
    return counted(count, "person", "people")
