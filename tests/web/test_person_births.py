"""When somebody was born, as their page shows it."""

from datetime import date

from facesets.operations.people.corrections.births import Birth, set_birth
from tests.fixtures.website import Website


def test_the_faces_say_when_somebody_was_born_until_a_human_does(website: Website) -> None:
    who = website.get("/persons")["items"][0]["id"]
    assert "<dt>Born</dt><dd>unknown</dd>" in website.page(f"/people/{who}/about")
    with website.site.library() as session:
        session.run(lambda c: c.execute("UPDATE images SET taken = '2001-02-03'"))
        session.run(lambda c: c.execute("UPDATE face_detections SET age = 31, male = 0.1, sex = 'F'"))
    html = website.page(f"/people/{who}/about")
    assert "<dt>Born</dt><dd>about 1970 " in html
    assert "<dt>Sex</dt><dd>female " in html
    with website.site.library() as session:
        set_birth(session, who, Birth(1971), by="anna@home", today=date(2024, 1, 1))
    assert "<dt>Born</dt><dd>1971</dd>" in website.page(f"/people/{who}/about")
