"""To whom something is said while parts are put together."""

from typing import Protocol


class Notices(Protocol):
    """Hears one line at a time. Whoever hands it in decides who reads what, and whether."""

    def notice(self, line: str) -> None:
        """Hear what the user should know in any case."""
        ...

    def remark(self, line: str) -> None:
        """Hear what is good to know, and is no warning."""
        ...

    def remark_once(self, line: str, *, unasked: bool = False) -> None:
        """Hear such a remark once in a run, however many parts of it find it.

        Parameters
        ----------
        unasked : bool
            It is about a choice that nobody made, which logs should have as well.
        """
        ...

    def detail(self, line: str) -> None:
        """Hear what only those need who want to know exactly."""
        ...

    def says_again(self) -> bool:
        """Whether what was said in an earlier run is to be said again."""
        ...

    def is_stopping(self) -> bool:
        """Whether the user wants an end."""
        ...
