"""Where an erased person may still be found."""

from collections.abc import Sequence

from facesets.errors import Command, Field, Sentence
from facesets.files import printable
from facesets.operations.people.forgetting.finishing import Scrubbed
from facesets.plurals import counted
from facesets.results.forgetting import ResultForgotten


def out_of_reach(
    scrubbed: Scrubbed,
    results: Sequence[ResultForgotten],
    *,
    exports: bool,
    sidecars: int = 0,
    has_faces: bool = True,
) -> list[str]:
    """Return what may still hold an erased person, in words.

    Parameters
    ----------
    exports : bool
        Whether results were changed rather than only listed.
    sidecars : int
        Number of XMP sidecars that name the person.
    has_faces : bool
        Whether files were searched by the person's faces; otherwise only by name.
    """
    reported = [*scrubbed.out_of_reach, "backups and copies of the library, caches and results"]
    if results and not exports:
        folders = ", ".join(printable(result.folder) for result in results)
        reported.append(
            Sentence(
                f"{folders}: unchanged without {Field('exports')}. Delete these folders and create them again"
            )
        )
    reported += [
        f"{printable(result.folder)}: {printable(name)}" for result in results for name in result.left
    ]
    if not has_faces:
        # Without faces, only names can be found there.
        reported.append(
            "faces in caches and result folders. The library has no face of this person by which to find them"
        )
    if sidecars:
        name = counted(sidecars, "XMP sidecar names the person", "XMP sidecars name the person")
        reported.append(Sentence(f"{name}; {Command('export-xmp')} removes the name"))
    return reported
