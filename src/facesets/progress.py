"""Progress for callers without a screen: one that says nothing, one that remembers."""

from dataclasses import dataclass, field


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


@dataclass
class RecordingProgress:
    """Remembers what was reported to it, for tests and for callers that show progress their own way."""

    stages: list[tuple[str, int | None]] = field(default_factory=list)
    done: int = 0
    lines: list[str] = field(default_factory=list)

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:  # noqa: ARG002
        """Note a stage and its size."""
        self.stages.append((what, total))

    def advance(self, count: int = 1) -> None:
        """Count the work done over all stages."""
        self.done += count

    def say(self, line: str) -> None:
        """Keep a notice."""
        self.lines.append(line)

    def end(self) -> None:
        """Nothing is kept open."""
