"""Where somebody who was erased may still be found."""

from collections.abc import Sequence

from facesets.errors import Command, Field, Sentence
from facesets.files import printable
from facesets.operations.people.forgetting.finishing import Scrubbed
from facesets.plurals import counted
from facesets.results.forgetting import ResultForgotten


def out_of_reach(
    scrubbed: Scrubbed, results: Sequence[ResultForgotten], *, exports: bool, sidecars: int = 0
) -> list[str]:
    """What may still hold a person who was erased, in words.

    Parameters
    ----------
    exports : bool
        Whether results were changed, not only listed.
    sidecars : int
        How many XMP sidecars name them.
    """
    reported = [*scrubbed.out_of_reach, "backups and copies of the library, of caches and of results"]
    if results and not exports:
        folders = ", ".join(printable(result.folder) for result in results)
        reported.append(
            Sentence(
                f"{folders}: not touched without {Field('exports')}. Remove these folders and make them again"
            )
        )
    reported += [
        f"{printable(result.folder)}: {printable(name)}" for result in results for name in result.left
    ]
    if sidecars:
        name = counted(sidecars, "XMP sidecar names them", "XMP sidecars name them")
        reported.append(Sentence(f"{name}: run {Command('export-xmp')}, which takes them out"))
    return reported
