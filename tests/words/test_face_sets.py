"""Summaries of the commands on face sets."""

from facesets.result import Result
from facesets.words.face_sets import verify_bundle


def check(name: str, *problems: str) -> Result:
    return Result(
        file=name,
        format="fsz",
        pictures=9,
        faces=9,
        own_cosine_similarity=0.999,
        nearest_other="Ben",
        nearest_other_cosine_similarity=0.1,
        problems=list(problems),
    )


def test_problems_of_bundles_are_listed_among_many_good_ones() -> None:
    bad = check("bad.fsz", "0.png shows 2 faces", "it contains no picture")
    few = Result(bundles=[bad, *(check(f"{n}.fsz") for n in range(10))])
    many = Result(bundles=[bad, *(check(f"{n}.fsz") for n in range(100))])
    for done, verbose, listed in ((few, False, 11), (many, False, 1), (many, True, 101)):
        *lines, last, total = "\n".join(verify_bundle(done, verbose=verbose)).splitlines()
        assert len(lines) == listed
        assert last.endswith("0.png shows 2 faces; it contains no picture")
        assert total == f"{len(done.bundles)} files checked: {len(done.bundles) - 1} good, 1 with problems."
    (total,) = verify_bundle(Result(bundles=[check("good.fsz")] * 11), verbose=False)
    assert total == "11 files checked: 11 good, 0 with problems."
