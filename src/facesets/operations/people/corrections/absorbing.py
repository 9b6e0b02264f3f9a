"""Merging: the portrait is preserved; and how runs merge unnamed people."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from facesets.store.postgres.people.corrections import (
    are_confirmed_different,
    hand_over,
    pin_only,
    store_person_correction,
)
from facesets.store.postgres.people.people_list import cards_of
from facesets.store.postgres.people.persons import (
    PersonState,
    faces_of_person,
    give_faces,
    persons_of_faces,
    set_status,
)
from facesets.store.postgres.people.steps import Step


@contextmanager
def preserving_portrait(
    step: Step, person: PersonState, others: Sequence[PersonState] = ()
) -> Iterator[None]:
    """Keep the portrait of the named person when people are merged."""
    named = next((state for state in (person, *others) if state.names), person)
    face = next((card.face for card in cards_of(step.connection, [named.id])), None)
    yield
    if face is not None and persons_of_faces(step.connection, [face])[face] == person.id:
        pin_only(step, face, person.id)


def absorb(step: Step, person: UUID, target: UUID) -> bool:
    """Merge an unnamed person into another, unless corrections forbid it; return whether that was done.

    Faces keep how they were assigned, because no user looked at them.
    """
    if are_confirmed_different(step.connection, person, target):
        return False
    give_faces(step, faces_of_person(step.connection, person), target)
    if hand_over(step, person, target):
        # A person's corrections survive a reset only if stored separately from the row.
        store_person_correction(step, target)
    set_status(step, person, "merged", target)
    return True
