"""What commands on the library's people did, in words."""

from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import how_to_undo


def assign(done: Result) -> list[str]:
    """Words of `assign`."""
    if not done.people and not done.stopped:
        return ["There is nobody yet to give faces to. `facesets cluster` makes people of the faces."]
    restored = f" {counted(done.restored, 'face')} given back to whom you said they are."
    line = (
        f"{counted(done.faces, 'face')} without a person: {done.assigned} given to "
        f"{people(done.assigned_people)}, {done.review} to be asked about, "
        f"{done.faces - done.assigned - done.review} like nobody of {people(done.people)}."
        + (restored if done.restored else "")
        + (" Nothing was stored." if done.dry_run or done.stopped else "")
    )
    measured = [f"Threshold {done.threshold:.2f}: {done.reason}."] if done.reason else []
    by_head = [f"Compared by the head {done.head} (`facesets train --list`)."] if done.head else []
    return [line + how_to_undo(done.step), *by_head, *measured]
