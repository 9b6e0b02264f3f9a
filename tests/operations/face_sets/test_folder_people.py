from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.made_faces import SETTINGS, made_faces
from tests.fixtures.program import REPOSITORY

from facesets.errors import WrongUsage
from facesets.operations.face_sets.folder_labels import SortedFolders, labelled, read_folder_list
from facesets.operations.face_sets.folder_people import Identity, find_identities
from facesets.operations.options.declaration import for_recognizer
from facesets.operations.options.results import ImportFoldersOptions
from facesets.records import Collection, Images

Photos = dict[str | tuple[str, ...], list[np.ndarray]]
KNOWN: dict[str, type[float]] = {"route_threshold": float, "top_n": int}
OPTIONS = for_recognizer(ImportFoldersOptions(), "r")


def person(number: int, count: int, distance: float = 0.2) -> list[np.ndarray]:
    """Faces of a person: at about this distance from her, each in a direction of its own."""
    rng = np.random.default_rng(number)
    own = np.zeros(512)
    own[number] = 1
    faces = []
    for _ in range(count):
        noise = rng.standard_normal(512)
        noise[number] = 0
        a = 1 - distance
        faces.append(a * own + np.sqrt(1 - a * a) * noise / np.linalg.norm(noise))
    return faces


def collection(photos: Photos) -> Collection:
    """A store of these photos, each with its faces."""
    paths = tuple(p if isinstance(p, tuple) else (p,) for p in photos)
    image = np.repeat(np.arange(len(photos)), [len(faces) for faces in photos.values()])
    rows = np.array([face for faces in photos.values() for face in faces], np.float32).reshape(-1, 512)
    faces = replace(made_faces(len(rows)), image=image, embedding=rows)
    size, taken = np.full(len(photos), 100, np.int64), np.full(len(photos), np.datetime64("NaT", "s"))
    digests = np.array([f"{i:064d}" for i in range(len(photos))], "S64")
    images = Images(digests, size, size, taken, np.zeros((len(photos), 32), np.uint8), paths)
    return Collection(images, faces, SETTINGS)


def people_of(found: list[Identity], whole: Collection) -> dict[str, list[int]]:
    """The person of each face of an identity, by its direction."""
    return {i.label: [int(whole.faces.embedding[row].argmax()) for row in i.rows] for i in found}


def test_bystanders_of_group_photos_fall_out() -> None:
    anna = person(1, 12)
    photos: Photos = {f"/p/anna/{i}.jpg": [face, *person(10 + i, 3)] for i, face in enumerate(anna)}
    whole = collection(photos)
    (found,), failures = find_identities(whole, SortedFolders(people=(("Anna", Path("/p/anna")),)), OPTIONS)
    assert people_of([found], whole) == {"Anna": [1] * 12}
    assert (found.photos, found.faces, found.doubtful, failures) == (12, 48, 0, [])


def test_a_photo_of_several_people_lands_in_each_of_their_sets() -> None:
    anna, ben = person(1, 9), person(2, 9)
    photos: Photos = {f"/p/anna/{i}.jpg": [anna[i]] for i in range(8)}
    photos |= {f"/p/ben/{i}.jpg": [ben[i]] for i in range(8)}
    photos["/p/party/both.jpg"] = [anna[8], ben[8], *person(3, 1)]
    photos["/p/party/far.jpg"] = person(1, 1, 0.75)
    photos["/elsewhere/anna.jpg"] = person(1, 1)
    whole = collection(photos)
    folders = SortedFolders(each_in=(Path("/p"),), mixed=(Path("/p/party"),))
    found, failures = find_identities(whole, folders, OPTIONS)
    assert people_of(found, whole) == {"anna": [1] * 9, "ben": [2] * 9}
    assert [len(i.routed) for i in found] == [1, 1]
    assert failures == []


def test_a_bystander_in_one_folder_is_found_for_another_if_the_folder_counts_as_mixed_too() -> None:
    anna, ben = person(1, 8), person(2, 9)
    photos: Photos = {f"/p/anna/{i}.jpg": [anna[i]] for i in range(8)}
    photos["/p/ben/x.jpg"] = [ben[8], *person(1, 1)]
    photos |= {f"/p/ben/{i}.jpg": [ben[i]] for i in range(8)}
    whole = collection(photos)
    apart = SortedFolders(each_in=(Path("/p"),))
    assert people_of(find_identities(whole, apart, OPTIONS)[0], whole)["anna"] == [1] * 8
    routed = SortedFolders(each_in=(Path("/p"),), mixed=(Path("/p"),))
    assert people_of(find_identities(whole, routed, OPTIONS)[0], whole) == {"anna": [1] * 9, "ben": [2] * 9}


def test_aliases_count_and_the_innermost_folder_decides() -> None:
    anna, ben = person(1, 6), person(2, 4)
    photos: Photos = {(f"/camera/{i}.jpg", f"/p/anna/{i}.jpg"): [anna[i]] for i in range(6)}
    photos |= {f"/p/anna/her friend/{i}.jpg": [ben[i]] for i in range(4)}
    whole = collection(photos)
    folders = SortedFolders(people=(("Anna", Path("/p/anna")), ("Ben", Path("/p/../p/anna/her friend"))))
    found, _ = find_identities(whole, folders, OPTIONS)
    assert people_of(found, whole) == {"Anna": [1] * 6, "Ben": [2] * 4}


def test_two_folders_of_one_label_are_one_person() -> None:
    photos: Photos = {
        f"/{year}/anna/{i}.jpg": person(1, 5)[i : i + 1] for year in (2001, 2002) for i in range(5)
    }
    whole = collection(photos)
    folders = SortedFolders(people=(("anna", Path("/2001/anna")), ("anna", Path("/2002/anna"))))
    (found,), _ = find_identities(whole, folders, OPTIONS)
    assert found.folders == ("/2001/anna", "/2002/anna")
    assert len(found.core) == 10


def test_a_folder_of_a_couple_is_reported_to_mix_two_people() -> None:
    pairs = zip(person(1, 10), person(2, 10), strict=True)
    whole = collection({f"/p/anna/{i}.jpg": list(pair) for i, pair in enumerate(pairs)})
    (found,), _ = find_identities(whole, SortedFolders(each_in=(Path("/p"),)), OPTIONS)
    assert found.doubtful >= 5
    assert "two people" in found.warning
    alone = collection({f"/p/anna/{i}.jpg": [face] for i, face in enumerate(person(1, 10))})
    assert find_identities(alone, SortedFolders(each_in=(Path("/p"),)), OPTIONS)[0][0].warning == ""


def test_a_folder_without_a_person_is_reported_with_the_reason() -> None:
    photos: Photos = {f"/p/crowd/{i}.jpg": person(20 + i, 1, 0.01) for i in range(9)}
    photos["/p/empty/1.jpg"] = []
    whole = collection(photos)
    folders = SortedFolders(each_in=(Path("/p"),), mixed=(Path("/nowhere"),))
    found, failures = find_identities(whole, folders, OPTIONS)
    assert found == []
    assert [(f.path, f.reason.partition(":")[0]) for f in failures] == [
        ("/p/crowd", "its 9 faces do not match each other"),
        ("/p/empty", "no face found in its 1 photo"),
        ("/nowhere", "none of its photos are embedded"),
    ]


def test_a_folder_has_its_own_name_or_the_given_one() -> None:
    assert labelled("/p/Anna Maria/") == ("Anna Maria", Path("/p/Anna Maria"))
    assert labelled("Anna=/p/2=3") == ("Anna", Path("/p/2=3"))
    for text in ("", "/", "=/p", "Anna="):
        with pytest.raises(WrongUsage, match="Give NAME=FOLDER"):
            labelled(text)


def test_a_list_of_folders_equals_flags(tmp_path: Path) -> None:
    path = tmp_path / "folders.toml"
    path.write_text(
        'mixed = ["2019", "/srv/parties"]\neach-in = "people"\n[people]\nAnna = ["anna", "old/anna"]\n'
        'Ben = "/b"\n[options]\nroute-threshold = 0.4\ntop-n = 50\n',
        "utf-8",
    )
    folders, values = read_folder_list(path, KNOWN)
    assert folders == SortedFolders(
        people=(("Anna", tmp_path / "anna"), ("Anna", tmp_path / "old/anna"), ("Ben", Path("/b"))),
        each_in=(tmp_path / "people",),
        mixed=(tmp_path / "2019", Path("/srv/parties")),
    )
    assert values == {"route_threshold": 0.4, "top_n": 50}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mixd = []", "unknown setting mixd"),
        ("[options]\nroute = 1", "unknown setting options.route"),
        ("[options]\ntop-n = [1]", "must be a whole number"),
        ("[options]\ntop-n = 1.5", "must be a whole number"),
        ("[options]\nroute-threshold = true", "must be a number"),
        ("[options]\nroute_threshold = 0.4", "unknown setting options.route_threshold"),
        ("people = 3", r"must be a table"),
        ("[people]\nAnna = 3", "people.Anna in .* must be a folder or a list of folders"),
        ("[people]\nAnna = [3]", "must be a folder or a list"),
        ("mixed = [''", "Cannot read"),
        ("mixed = ['']", "must be a folder"),
        ("[people]\n' ' = '/x'", "has no name"),
        ("\xff", "Cannot read"),
    ],
)
def test_invalid_settings_in_a_list_of_folders_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "folders.toml"
    path.write_text(text, "latin-1")
    with pytest.raises(WrongUsage, match=message):
        read_folder_list(path, KNOWN)


def test_a_missing_list_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="No such file"):
        read_folder_list(tmp_path / "none.toml", KNOWN)
    (tmp_path / "deep.toml").write_text(f"x = {'[' * 30_000}")
    with pytest.raises(WrongUsage, match="Cannot read"):
        read_folder_list(tmp_path / "deep.toml", KNOWN)


def test_the_documented_list_can_be_read(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "face-sets.md").read_text("utf-8")
    lines = text.partition("--folders folders.toml\n")[2].partition("\n`[options]`")[0].splitlines()
    path = tmp_path / "folders.toml"
    path.write_text("\n".join(line.removeprefix("    ") for line in lines), "utf-8")
    folders, values = read_folder_list(path, KNOWN)
    assert len(folders.people) == 3
    assert values == {"route_threshold": 0.42, "top_n": 50}
