"""The compact set is a set."""

from hypothesis import given
from hypothesis import strategies as st

from facesets.operations.immich.staged_paths import DigestSet


@given(st.lists(st.text(st.characters(exclude_categories=[])), max_size=50))
def test_it_holds_what_was_added_and_nothing_else(texts: list[str]) -> None:
    compact, plain = DigestSet(), set[str]()
    for text in texts:
        assert (text in compact) == (text in plain)
        assert compact.add(text) == (text not in plain)
        plain.add(text)
    assert len(compact) == len(plain)


def test_it_stays_a_set_while_it_grows() -> None:
    compact = DigestSet()
    assert all(compact.add(str(n)) for n in range(20_000))
    assert not any(compact.add(str(n)) for n in range(20_000))
    assert all(str(n) in compact for n in range(20_000))
    assert not any(str(n) in compact for n in range(20_000, 40_000))
