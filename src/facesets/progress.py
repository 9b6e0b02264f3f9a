"""Progress for callers without a screen."""


class SilentProgress:
    """Says nothing: for scripts and for use as a library."""

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        """Ignore the start of a stage."""

    def advance(self, count: int = 1) -> None:
        """Ignore progress."""

    def say(self, line: str) -> None:
        """Ignore a notice."""

    def end(self) -> None:
        """Ignore the end of a stage."""
