"""Staging from a normal server, and from one with arbitrary photos."""

import hashlib
import json
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.fixtures.immich_people import PeopleServer
from tests.fixtures.immich_server import (
    STAGING_PERMISSIONS,
    Answer,
    Face,
    Request,
    error,
    photo,
    photo_id,
    running,
    serving,
)
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.staging import access, aliases, queue, stage, staged_photos, tree
from tests.fixtures.waiting import PATIENCE_S

from facesets.errors import AlreadyRunning, DamagedFile, NewerFormat, WrongUsage
from facesets.files import FileLock, sha256_of

LARGE = Face(box=(100, 100, 400, 400))
# 30 pixels of a preview that is 1440 wide are 83 of an original that is 4000 wide.
SMALL = Face(box=(100, 100, 130, 130))


def test_photos_with_a_large_face_are_staged_under_their_own_paths(tmp_path: Path) -> None:
    photos = [photo(1), photo(2, faces=[]), photo(3, faces=[SMALL]), photo(4, faces=[SMALL, LARGE])]
    summary = stage(photos, tmp_path)
    assert (summary.listed, summary.staged, summary.no_face, summary.small_faces) == (4, 2, 1, 1)
    folder = tmp_path / "ana" / "data/library/ana/2024"
    assert (folder / "IMG_00001.jpg").read_bytes() == photos[0].content
    assert (folder / "IMG_00004.jpg").read_bytes() == photos[3].content
    assert sorted(queue(tmp_path)) == staged_photos(tmp_path)
    lists = [path for path in (tmp_path / "ana").iterdir() if path.is_file()]
    assert os.name == "nt" or {path.stat().st_mode & 0o077 for path in (tmp_path / "ana", *lists)} == {0}


def test_a_queue_names_each_file_with_its_digests_its_asset_and_its_faces(tmp_path: Path) -> None:
    stage([photo(1, faces=[Face(person="Bo"), SMALL])], tmp_path)
    [(path, row)] = queue(tmp_path).items()
    assert row["asset_id"] == photo_id(1)
    assert row["sha256"] == sha256_of(tmp_path / "ana" / path)
    assert row["original_path"] == "/data/library/ana/2024/IMG_00001.jpg"
    assert [face["person"] for face in row["faces"]] == ["Bo", ""]
    assert row["faces"][0]["box"] == [277.8, 277.8, 1111.1, 1111.1]


def test_boxes_are_scaled_to_the_upright_original(tmp_path: Path) -> None:
    upright = Face(box=(0, 0, 54, 72), preview=(1080, 1440))
    unknown = photo(2, faces=[SMALL], width=None, height=None)
    summary = stage([photo(1, faces=[upright], width=4000, height=3000), unknown], tmp_path)
    assert (summary.staged, summary.size_unknown) == (2, 1)
    of_one, of_unknown_size = queue(tmp_path).values()
    assert of_one["faces"][0]["box"] == [0.0, 0.0, 150.0, 200.0]
    assert of_unknown_size["faces"] == []


@pytest.mark.parametrize("version", [(2, 2, 0), (3, 0, 0)])
def test_the_minimum_size_of_a_face_is_in_original_pixels(
    version: tuple[int, int, int], tmp_path: Path
) -> None:
    with serving([photo(1, faces=[SMALL])], version=version) as server:
        summary = stage(server, tmp_path, min_face_short=84.0)
        assert (summary.staged, summary.small_faces, summary.size_unknown) == (0, 1, 0)
        assert stage(server, tmp_path, min_face_short=83.0).staged == 1


def test_a_second_run_requests_only_the_list(tmp_path: Path) -> None:
    with serving([photo(n, faces=[LARGE] * (n % 2)) for n in range(1, 11)]) as server:
        stage(server, tmp_path)
        before = tree(tmp_path)
        server.requests.clear()
        summary = stage(server, tmp_path)
        assert {request.path for request in server.requests} == {
            "/api/server/version",
            "/api/api-keys/me",
            "/api/users/me",
            "/api/search/statistics",
            "/api/search/metadata",
        }
    assert (summary.settled_before, summary.staged, summary.no_face) == (10, 0, 0)
    assert tree(tmp_path) == before


def test_photos_that_arrive_during_a_run_are_staged_by_it_and_later_ones_by_the_next(tmp_path: Path) -> None:
    def upload(request: Request, _: Answer) -> None:
        if request.path.endswith("/original") and len(server.photos) == 2:
            server.photos.append(photo(3))

    with serving([photo(1), photo(2)]) as server:
        server.rules.append(upload)
        assert stage(server, tmp_path).staged == 3
        server.photos.append(photo(4))
        assert stage(server, tmp_path).staged == 1
        assert sorted(server.downloads) == [photo_id(n) for n in range(1, 5)]
    assert len(queue(tmp_path)) == 4


def test_a_list_of_many_pages_is_read_to_its_end(tmp_path: Path) -> None:
    with serving([photo(n) for n in range(1, 24)], page_size=5) as server:
        assert stage(server, tmp_path).staged == 23
        pages = [r.body["page"] for r in server.to("/search/metadata") if r.body["visibility"] == "timeline"]
    assert pages == [1, 2, 3, 4, 5] * 2  # the second reading finds nothing new


def test_a_photo_that_slips_to_an_earlier_page_while_the_list_is_read_is_staged(tmp_path: Path) -> None:
    def delete_the_first(request: Request, _: Answer) -> None:
        # Between two pages: the fifth photo moves to the page that was read already.
        if (request.body or {}).get("page") == 1 and len(server.photos) == 8:
            server.photos = server.photos[1:]

    with serving([photo(n) for n in range(1, 9)], page_size=4) as server:
        server.rules.append(delete_the_first)
        stage(server, tmp_path, workers=1)
    assert "data/library/ana/2024/IMG_00005.jpg" in queue(tmp_path)


def test_the_first_of_assets_with_equal_bytes_is_staged_and_others_are_aliases(tmp_path: Path) -> None:
    same = b"the same bytes" * 100
    photos = [photo(n, content=same) for n in range(1, 6)]
    with serving(photos) as server:
        summary = stage(server, tmp_path, workers=8)
        assert server.downloads == [photo_id(1)]
        server.photos.append(photo(6, content=same))
        assert stage(server, tmp_path).aliases == 1
        assert server.downloads == [photo_id(1)]
    assert (summary.staged, summary.aliases) == (1, 4)
    [path] = queue(tmp_path)
    assert [(row["asset_id"], row["path"]) for row in aliases(tmp_path)] == [
        (photo_id(n), path) for n in range(2, 7)
    ]


def test_content_that_is_in_a_given_cache_is_not_staged_and_never_fetched_again(tmp_path: Path) -> None:
    photos = [photo(1), photo(2)]
    known_elsewhere = tmp_path / "known.jpg"
    known_elsewhere.write_bytes(photos[0].content)
    digest = sha256_of(known_elsewhere)
    with serving(photos) as server:
        summary = stage(server, tmp_path / "out", known=[lambda sha256: sha256 == digest])
        stage(server, tmp_path / "out")
        assert sorted(server.downloads) == [photo_id(1), photo_id(2)]
    assert (summary.staged, summary.known) == (1, 1)
    assert staged_photos(tmp_path / "out") == ["data/library/ana/2024/IMG_00002.jpg"]
    [alias] = aliases(tmp_path / "out")
    assert (alias["asset_id"], alias["sha256"], alias["path"]) == (photo_id(1), digest, None)


def test_files_that_lie_in_place_are_taken_over_when_the_record_is_lost(tmp_path: Path) -> None:
    with serving([photo(1), photo(2)]) as server:
        stage(server, tmp_path)
        before = tree(tmp_path)
        (tmp_path / "ana" / "state.json").unlink()
        summary = stage(server, tmp_path)
        assert len(server.downloads) == 2
    assert (summary.staged, summary.adopted, summary.megabytes) == (2, 2, 0.0)
    assert tree(tmp_path) == before


def test_a_lower_limit_checks_only_photos_again_that_it_may_admit(tmp_path: Path) -> None:
    with serving([photo(1, faces=[SMALL]), photo(2, faces=[Face(box=(0, 0, 10, 10))]), photo(3)]) as server:
        stage(server, tmp_path)
        server.requests.clear()
        assert stage(server, tmp_path, min_face_short=60).staged == 1
        assert [request.asset for request in server.to("/faces")] == [photo_id(1)]


def test_photos_without_a_face_are_checked_again_or_staged_on_request(tmp_path: Path) -> None:
    with serving([photo(1, faces=[]), photo(2), photo(3, faces=[])]) as server:
        assert stage(server, tmp_path).no_face == 2
        server.change(photo(1))
        assert stage(server, tmp_path).staged == 0
        assert stage(server, tmp_path, recheck=True).staged == 1
        assert len(server.downloads) == 2
        summary = stage(server, tmp_path, faceless=True)
        assert (summary.staged, summary.no_face, summary.size_unknown) == (1, 0, 0)
        assert stage(server, tmp_path).settled_before == 3
    assert queue(tmp_path)[photo(3).path[1:]]["faces"] == []


def test_a_photo_replaced_on_the_server_is_staged_again(tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        stage(server, tmp_path)
        server.change(photo(1, content=b"retouched" * 50))
        assert stage(server, tmp_path).staged == 1
    [row] = queue(tmp_path).values()
    assert (tmp_path / "ana" / row["path"]).read_bytes() == b"retouched" * 50


def test_photos_of_an_external_library_with_checksums_of_paths_are_staged(tmp_path: Path) -> None:
    photos = [photo(n, f"/mnt/photos/{n}.jpg", is_external=True) for n in (1, 2)]
    # Found by its old path when its checksum was made.
    moved = photo(9, "/mnt/elsewhere/3.jpg", is_external=True).checksum
    photos.append(photo(3, "/mnt/photos/3.jpg", library=photo_id(77), stale_checksum=moved))
    with serving(photos) as server:
        assert stage(server, tmp_path).staged == 3
        assert stage(server, tmp_path).settled_before == 3
        assert len(server.downloads) == 3
    assert queue(tmp_path)["mnt/photos/1.jpg"]["sha1"] == hashlib.sha1(photos[0].content).hexdigest()


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (3, 2, 1)])
def test_the_copy_with_the_first_path_stays_in_an_external_library(
    order: tuple[int, ...], workers: int, tmp_path: Path
) -> None:
    photos = [photo(n, f"/mnt/{n}.jpg", content=b"same" * 99, is_external=True) for n in order]
    summary = stage(photos, tmp_path, workers=workers)
    assert (summary.staged, summary.aliases) == (1, 2)
    assert list(queue(tmp_path)) == staged_photos(tmp_path) == ["mnt/1.jpg"]
    assert [row["asset_id"] for row in aliases(tmp_path)] == [photo_id(2), photo_id(3)]
    assert {row["path"] for row in aliases(tmp_path)} == {"mnt/1.jpg"}


KINDS = {
    "thumbnail": photo(11, "/data/thumbs/ana/ab/cd/4f-preview.jpeg"),
    "trashed": photo(12, is_trashed=True),
    "hidden": photo(13, visibility="hidden"),
    "archived": photo(14, visibility="archive"),
    "edited": photo(15, is_edited=True),
    "offline": photo(16, is_offline=True),
    "not a photo": photo(17, "/data/library/ana/IMG_1.MOV", type="VIDEO", visibility="hidden"),
    "format not supported": photo(18, "/data/library/ana/IMG_1.dng"),
}


def test_unusual_assets_are_skipped_unless_requested(tmp_path: Path) -> None:
    with serving([photo(1), *KINDS.values()]) as server:
        first = stage(server, tmp_path / "a")
        assert first.staged == 3  # the ordinary, the archived, the edited
        assert first.skipped == {"thumbnail": 1, "offline": 1, "format not supported": 1}
        everything = stage(server, tmp_path / "b", thumbnails=True, trashed=True, hidden=True)
        assert everything.staged == 6
        nothing = stage(server, tmp_path / "c", archived=False, edited=False)
        assert nothing.staged == 1
    assert queue(tmp_path / "a")[KINDS["edited"].path[1:]]["edited"] is True


def test_photos_outside_of_a_filter_are_skipped_even_if_listed(tmp_path: Path) -> None:
    with serving([photo(1), *KINDS.values()]) as server:
        server.rules.append(
            lambda request, _: (
                server.answer_with(list(server.photos)) if request.path.endswith("/search/metadata") else None
            )
        )
        summary = stage(server, tmp_path)
    assert summary.staged == 3
    assert summary.skipped == dict.fromkeys(KINDS.keys() - {"archived", "edited"}, 1)


def test_locked_photos_are_requested_on_demand_and_a_refusal_is_reported(tmp_path: Path) -> None:
    heard = RecordingProgress()
    with serving([photo(1)]) as server:
        server.rules.append(
            lambda request, _: error(401) if (request.body or {}).get("visibility") == "locked" else None
        )
        assert stage(server, tmp_path, locked=True, progress=heard).staged == 1
    assert any("does not show locked photos to an API key" in line for line in heard.lines)


HOSTILE = [
    "/etc/passwd.jpg",
    "../../../../escape.jpg",
    "a/../../b.jpg",
    "..\\..\\windows.jpg",
    "C:\\photos\\x.jpg",
    "//server/share/y.jpg",
    "CON.jpg",
    "aux/nul.jpg",
    "com1.tar.jpg",
    "dots.../trailing /z .jpg",
    "a/IMG.jpg",
    "A/img.JPG",
    "a/IMG.jpg/inner.jpg",
    "queue.json/x.jpg",
    "stage.partial/x.jpg",
    ".hidden/.jpg.jpg",
    "new\nline\x1b[31m\x00.jpg",
    "\ud800lone.jpg",
    "\N{LATIN SMALL LETTER E WITH ACUTE}tude.jpg",
    "e\u0301tude.jpg",
    "right\u202eto-left.jpg",
    "long/" + "d" * 300 + "/" + "\u00fc" * 300 + ".jpg",
    "/".join(["deep"] * 80) + "/x.jpg",
    '?*<>|".jpg',
    "/",
    ".",
]


def test_no_path_of_the_server_leads_out_of_the_folder_or_onto_another_file(tmp_path: Path) -> None:
    photos = [photo(n, path) for n, path in enumerate([*HOSTILE, *HOSTILE[10:13]], start=1)]
    readable = [each for each in photos if each.path.lower().endswith(".jpg")]
    summary = stage(photos, tmp_path / "out")
    assert summary.staged == len(readable)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ana"]
    rows = queue(tmp_path / "out")
    by_asset = {row["asset_id"]: tmp_path / "out" / "ana" / path for path, row in rows.items()}
    assert all(by_asset[each.id].read_bytes() == each.content for each in readable)
    assert len({path.casefold() for path in rows}) == len(readable)


def test_names_depend_on_the_list_and_not_on_the_order_of_downloads(tmp_path: Path) -> None:
    photos = [photo(n, f"/data/{'IMG' if n % 2 else 'img'}.jpg") for n in range(1, 9)]
    with serving(photos) as server:
        stage(server, tmp_path / "a", workers=8)
        stage(server, tmp_path / "b", workers=1)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_the_label_names_a_folder_and_the_account_is_reported(tmp_path: Path) -> None:
    heard = RecordingProgress()
    stage([photo(1)], tmp_path, user="../bob", progress=heard)
    assert any("The API key belongs to Ana" in line for line in heard.lines)
    assert [path.name for path in tmp_path.iterdir()] == [".._bob"]


def test_two_runs_on_one_folder_exclude_each_other(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "ana" / "stage.lock", what="it")
    with serving([photo(1)]) as server, lock, pytest.raises(AlreadyRunning):
        stage(server, tmp_path)


def test_a_dry_run_reads_the_server_and_writes_nothing(tmp_path: Path) -> None:
    with serving([photo(1), photo(2, faces=[])]) as server:
        summary = stage(server, tmp_path / "out", dry_run=True)
        assert server.downloads == []
    assert (summary.staged, summary.no_face) == (1, 1)
    assert list(tmp_path.iterdir()) == []


def test_the_servers_own_count_is_given_as_an_estimate_only(tmp_path: Path) -> None:
    heard = RecordingProgress()
    summary = stage([photo(1), photo(2, is_trashed=True)], tmp_path, trashed=True, progress=heard)
    assert heard.stages == [("Staging, about 1 by the server's count", 1)]
    assert (summary.estimated, summary.listed) == (1, 2)


def test_a_folder_with_an_unusable_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        stage(server, tmp_path)
        state = tmp_path / "ana" / "state.json"
        whole = state.read_text()
        for content, error, message in (
            (whole.replace("0000000a", "0000000b"), WrongUsage, "another account"),
            (whole.replace('"version": 1', '"version": 2'), NewerFormat, "newer facesets"),
            ("", DamagedFile, "not downloaded again"),
            ("{", DamagedFile, "not downloaded again"),
            ("[]", DamagedFile, "not downloaded again"),
            ('{"format": "other", "version": 1, "assets": [\n]}\n', DamagedFile, "not downloaded again"),
        ):
            state.write_text(content)
            with pytest.raises(error, match=message):
                stage(server, tmp_path)
            assert state.read_text() == content


def test_three_json_files_beside_the_photos_have_a_format_and_a_version(tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        stage(server, tmp_path, reach=access(server.url + "/api/"))
    names = ["aliases", "queue", "state"]
    assert sorted(path.name for path in (tmp_path / "ana").iterdir()) == sorted(
        ["data", *(f"{name}.json" for name in names)]
    )
    for name in names:
        heading = json.loads((tmp_path / "ana" / f"{name}.json").read_bytes())
        assert (heading["format"], heading["version"]) == (f"facesets/immich-{name}", 1)


def test_photos_staged_for_another_account_are_not_downloaded_again(tmp_path: Path) -> None:
    shared = photo(1)
    digest = hashlib.sha256(shared.content).hexdigest()
    with serving([shared]) as server:
        stage(server, tmp_path / "out", user="ana")
        server.photos = [replace(shared, id=photo(7).id), photo(8)]
        server.requests.clear()
        summary = stage(server, tmp_path / "out", user="ben", known=[lambda sha256: sha256 == digest])
        assert server.downloads == [photo(8).id]
    assert (summary.known, summary.staged) == (1, 1)
    (known,) = aliases(tmp_path / "out", "ben")
    assert (known["sha256"], known["path"]) == (digest, None)


def test_photos_of_other_accounts_are_skipped_unless_requested(tmp_path: Path) -> None:
    photos = [photo(1), photo(2, owner=photo_id(50))]
    with serving(photos) as server:
        summary = stage(server, tmp_path)
        assert (summary.staged, summary.of_others) == (1, 0)
        assert summary.skipped == {"of another account": 1}
        assert server.downloads == [photo_id(1)]
        wanted = stage(server, tmp_path, partners=True)
        assert (wanted.staged, wanted.of_others) == (1, 1)


@pytest.mark.parametrize("first", [photo_id(1), photo_id(2)])
def test_equal_bytes_of_an_upload_and_an_external_library_are_staged_once(first: str, tmp_path: Path) -> None:
    both = threading.Barrier(2)

    def together(request: Request, answer: Answer) -> Answer | None:
        if not request.path.endswith("/original"):
            return None
        both.wait(PATIENCE_S)
        return answer if request.asset == first else replace(answer, delay_s=0.2)

    same = b"the same" * 50
    upload = photo(1, "/data/upload/2024/1.jpg", content=same)
    external = photo(2, "/mnt/photos/2.jpg", content=same, is_external=True)
    with serving([upload, external]) as server:
        server.rules.append(together)
        summary = stage(server, tmp_path)
        server.rules.clear()
        assert stage(server, tmp_path).settled_before == 2
    assert (summary.staged, summary.aliases) == (1, 1)
    assert list(queue(tmp_path)) == staged_photos(tmp_path)
    folders = {path.name for path in (tmp_path / "ana").iterdir() if path.is_dir()}
    assert len(folders) == 1


def test_photos_of_an_album_a_person_or_a_time_alone_are_staged(tmp_path: Path) -> None:
    photos = [
        photo(1, albums=["Été", "Trip"], taken="2023-05-01T10:00:00.000Z"),
        photo(2, albums=["Trip"], taken="2023-06-01T10:00:00.000Z"),
        photo(3, taken="2023-07-01T10:00:00.000Z"),
        photo(4, albums=["Other"]),
    ]
    permissions = [*STAGING_PERMISSIONS, "album.read"]
    with running(PeopleServer(photos, permissions=permissions)) as server:
        anna = server.add_person("Anna Veneman")
        for each in photos:
            server.add_face(each.id, (100, 100, 400, 400), anna if each.id != photo_id(2) else None)
        assert stage(server, tmp_path / "a", albums=("e\u0301te\u0301",)).staged == 1
        assert stage(server, tmp_path / "b", albums=("Été", "trip")).staged == 2
        assert stage(server, tmp_path / "c", people=("ANNA  veneman",), albums=("Trip",)).staged == 1
        assert stage(server, tmp_path / "d", people=(anna,)).staged == 3
        june = datetime(2023, 6, 1, tzinfo=UTC)
        assert stage(server, tmp_path / "e", since=june, until=june + timedelta(days=30)).staged == 1
        # The rest follows in the same folder.
        assert stage(server, tmp_path / "a").staged == 3
        with pytest.raises(WrongUsage, match=r"Album not found on .*: Nowhere\. Albums: Other, Trip"):
            stage(server, tmp_path / "f", albums=("Nowhere",))
        with pytest.raises(WrongUsage, match=r"Person not found on .*: Bea"):
            stage(server, tmp_path / "f", people=("Bea",))
        server.permissions.remove("album.read")
        with pytest.raises(WrongUsage, match=r"lacks album\.read"):
            stage(server, tmp_path / "f", albums=("Trip",))
