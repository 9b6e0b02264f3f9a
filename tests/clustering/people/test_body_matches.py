"""Bodies without a face are suggested for people by clothes, or by place a moment before."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering.people.body_matches import DayBodies, match_bodies


@st.composite
def days(draw: st.DrawFn) -> DayBodies:
    """Make a day of few photos, few people and few kinds of clothes."""
    count = draw(st.integers(1, 14))
    numbers = [draw(st.lists(st.integers(*span), min_size=count, max_size=count)) for span in _SPANS]
    photo, clothes, person, place = (np.array(each, np.int64) for each in numbers)
    corner = np.stack([place * 0.2, place * 0.1], axis=1)
    return DayBodies(
        photo=photo,
        taken=photo * 7,
        box=np.hstack([corner, corner + np.array([0.25, 0.5])]),
        colours=np.vstack([np.eye(4), np.zeros((1, 4))])[clothes],
        person=person,
        open=person < 0,
        present=frozenset((int(a), int(b)) for a, b in zip(photo, person, strict=True) if b >= 0),
    )


_SPANS = ((0, 5), (0, 4), (-1, 2), (0, 3))


@given(days())
def test_a_body_without_a_face_is_suggested_for_a_person_of_another_photo_with_a_true_reason(
    day: DayBodies,
) -> None:
    matches = match_bodies(day)
    for match in matches:
        assert day.open[match.body]
        assert not day.open[match.like]
        assert day.person[match.like] == match.person
        assert day.photo[match.body] != day.photo[match.like]
        assert (int(day.photo[match.body]), match.person) not in day.present
        similar = day.colours[match.body] @ day.colours[match.like]
        apart = abs(day.taken[match.body] - day.taken[match.like])
        assert similar >= 0.94 if match.why == "colours" else apart <= 10
    on_photo = [(int(day.photo[match.body]), match.person) for match in matches]
    assert len(set(on_photo)) == len(on_photo) == len({match.body for match in matches})


@given(days())
def test_a_photo_has_the_same_result_alone_and_among_others(day: DayBodies) -> None:
    together = match_bodies(day)
    alone = [
        match
        for photo in np.unique(day.photo)
        for match in match_bodies(replace(day, open=day.open & (day.photo == photo)))
    ]
    as_said = [{(each.body, each.person, each.why) for each in them} for them in (together, alone)]
    assert as_said[0] == as_said[1]


def test_a_day_of_many_photos_is_worked_through_in_parts() -> None:
    count = 1000
    photo = np.arange(count) // 2
    day = DayBodies(
        photo=photo,
        taken=photo * 60,
        box=np.tile([0.1, 0.1, 0.4, 0.9], (count, 1)),
        colours=np.eye(2)[np.arange(count) % 2],
        person=np.where(np.arange(count) < 2, np.arange(count), -1),
        open=np.arange(count) >= 2,
    )
    matches = match_bodies(day)
    assert [match.body for match in matches] == list(range(2, count))
    assert [match.person for match in matches] == [row % 2 for row in range(2, count)]
