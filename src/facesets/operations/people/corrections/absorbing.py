"""People without names who turn out to be somebody else, merged as a run may."""

from uuid import UUID

from facesets.store.postgres.people.person_edits import faces_of_person, give_faces, set_status
from facesets.store.postgres.people.statements import are_kept_apart, hand_over, keep_person
from facesets.store.postgres.people.steps import Step


def absorb(step: Step, person: UUID, target: UUID) -> bool:
    """Merge somebody without a name into another; returns whether what was said allows it.

    Faces keep who assigned them: no human looked at them.
    """
    if are_kept_apart(step.connection, person, target):
        return False
    give_faces(step, faces_of_person(step.connection, person), target)
    if hand_over(step, person, target):
        # What is said of somebody outlives a reset beside their row only.
        keep_person(step, target)
    set_status(step, person, "merged", target)
    return True
