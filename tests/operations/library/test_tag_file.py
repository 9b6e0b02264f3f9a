"""Categories of tags as a file: the shipped one, the round trip, and named errors."""

from pathlib import Path

import pytest

from facesets.errors import WrongUsage
from facesets.library_records import TagCategory, TagWord
from facesets.operations.library.tag_file import as_toml, read_tag_file, shipped_categories

GOOD = """
[weather]
target = "scene"
mode = "single"
templates = ["a photo of {}"]
none = ["an indoor photo"]
words = ["rain", "snow"]
"""


def read(tmp_path: Path, text: str) -> list[TagCategory]:
    file = tmp_path / "tags.toml"
    file.write_text(text, "utf-8")
    return read_tag_file(file)


def test_shipped_are_the_documented_categories_each_with_a_guard() -> None:
    shipped = shipped_categories()
    assert {each.name for each in shipped if each.target == "scene"} == {
        *("mood", "setting", "activity", "time", "weather", "social"),
    }
    assert {each.name for each in shipped if each.target == "face"} == {"emotion", "expression", "gaze"}
    assert all(each.none_of_these for each in shipped)
    for each in shipped:
        prompts = [prompt for some in each.prompts() for prompt in some]
        assert len(set(prompts)) == len(prompts)


def test_categories_that_are_written_are_read_as_they_were(tmp_path: Path) -> None:
    odd = TagCategory(
        "odd-1", "face", "multi", 0.25, ('a "{}"', "ein {} \\ Bild"), (TagWord("Grün & süß", ("é \u007e",)),)
    )
    assert read(tmp_path, as_toml([*shipped_categories(), odd])) == [*shipped_categories(), odd]


def test_phrases_default_to_the_tag_and_prompts_to_a_photo(tmp_path: Path) -> None:
    (one,) = read(tmp_path, '[x]\ntarget = "scene"\nwords = ["beach", "old town"]\n')
    assert one.prompts() == [["a photo of beach"], ["a photo of old town"], ["none of these"]]
    (several,) = read(
        tmp_path,
        '[x]\ntarget = "scene"\nmode = "multi"\ntemplates = ["{}", "a {}"]\n'
        '[x.words]\nbeach = ["beach", "seaside"]\nfog = "mist"\n',
    )
    assert several.prompts() == [["beach", "seaside", "a beach", "a seaside"], ["mist", "a mist"]]


def test_fingerprints_change_with_their_category(tmp_path: Path) -> None:
    def made(old: str = "", new: str = "") -> TagCategory:
        return read(tmp_path, GOOD.replace(old, new) if old else GOOD)[0]

    base = made()
    other_prompt, other_least = (
        made("a photo of", "a picture of"),
        made("mode =", "min_confidence = 0.5\nmode ="),
    )
    assert made().fingerprint == base.fingerprint
    assert other_prompt.prompts_sha256 != base.prompts_sha256
    assert other_least.prompts_sha256 == base.prompts_sha256
    assert len({each.fingerprint for each in (base, other_prompt, other_least)}) == 3


@pytest.mark.parametrize(
    ("old", "new", "reported"),
    [
        ("[weather]", "[weather", "is not TOML"),
        (GOOD, "", "has no category"),
        ("[weather]", "[Weather]", r"\[Weather\] is not a valid category name"),
        ("[weather]", 'colour = "red"\n[weather]', "colour is outside"),
        ('"scene"', '"face-crop"', r"target is face-crop\. Give scene or face"),
        ('target = "scene"', "", r"target is missing\. Give scene or face"),
        ('"single"', '"best"', r"mode is best\. Give single or multi"),
        ("mode =", "min_confidence = 2\nmode =", "min_confidence is 2"),
        ("mode =", "min_confidence = nan\nmode =", "min_confidence is nan"),
        ("mode =", "min_confidence = true\nmode =", "min_confidence is True"),
        ("mode =", "prompt = 1\nmode =", "unknown key prompt"),
        ('"a photo of {}"', '"a photo"', r"must contain \{\} exactly once"),
        ('"a photo of {}"', '"{} and {}"', r"must contain \{\} exactly once"),
        ('["a photo of {}"]', '"a photo of {}"', "templates is not a list of texts"),
        ('["an indoor photo"]', "[]", "none is not a list of texts"),
        ('["rain", "snow"]', "[]", "words is not a list of texts"),
        ('words = ["rain", "snow"]', "", r"has no words\. Give its tags below \[weather.words\]"),
        ('"snow"', '"Rain"', "the tag Rain twice"),
        ('"snow"', '"big:snow"', "Remove the colon"),
        ('"snow"', '" "', "surrounding spaces"),
        ('"snow"', '"s\\nnow"', "printable"),
        ('"snow"', f'"{"s" * 201}"', "1 to 200"),
        ('["rain", "snow"]', "3", "has no words"),
        ('["rain", "snow"]', "{rain = 3}", "rain is not a list of texts"),
    ],
)
def test_errors_of_a_file_are_reported(tmp_path: Path, old: str, new: str, reported: str) -> None:
    assert old in GOOD
    with pytest.raises(WrongUsage, match=reported) as refused:
        read(tmp_path, GOOD.replace(old, new))
    assert str(refused.value).count("tags.toml") == 1
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "word", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\U0001f469\u200d\U0001f469\u200d\U0001f467"]
)
def test_a_tag_may_have_joiners_where_they_belong(tmp_path: Path, word: str) -> None:
    assert [each.name for each in read(tmp_path, GOOD.replace("snow", word))[0].words] == ["rain", word]
    with pytest.raises(WrongUsage, match="printable"):
        read(tmp_path, GOOD.replace("snow", f"{word}\u200d"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"nothing\.toml cannot be read: No such file"):
        read_tag_file(tmp_path / "nothing.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(WrongUsage, match="larger than 1 MB"):
        read_tag_file(tmp_path / "large.toml")
    (tmp_path / "latin.toml").write_bytes(b'x = "\xe9"')
    with pytest.raises(WrongUsage, match="is not TOML"):
        read_tag_file(tmp_path / "latin.toml")
