"""How this run of the program talks, which its console and the wording of its sentences go by."""

from dataclasses import dataclass, field


@dataclass
class ConsoleSession:
    """How this run of the program talks: set by the options that every command shares."""

    json: bool = False
    debug: bool = False
    quiet: bool = False
    verbose: bool = False
    only_result: bool = False
    queue: bool = False
    doing: str = ""
    database: str = ""
    began: float = 0.0
    stopped_by: int = 0
    summary: object = None
    reported: dict[str, None] = field(default_factory=dict)

    @property
    def terse(self) -> bool:
        """Whether progress and remarks are left out."""
        return not self.verbose and (self.quiet or self.only_result)


session = ConsoleSession()
