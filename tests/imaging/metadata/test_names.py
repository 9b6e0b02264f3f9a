"""Capture times from names of files and folders."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.imaging.metadata.names import day_of_folder, time_in_name
from facesets.imaging.metadata.reader import year_in_name

LATEST = np.datetime64("2026-11-22T12:00:00")

NAMES = [
    # Android, and makers of phones.
    ("IMG_20190704_153000.jpg", "2019-07-04T15:30:00"),
    ("IMG_20190704_153000_HDR.jpg", "2019-07-04T15:30:00"),
    ("IMG_20190704_153000123.jpg", "2019-07-04T15:30:00.123"),
    ("IMG_20190704_153000_BURST001_COVER.jpg", "2019-07-04T15:30:00"),
    ("MVIMG_20190704_153000.jpg", "2019-07-04T15:30:00"),
    ("PANO_20190704_153000.vr.jpg", "2019-07-04T15:30:00"),
    ("P_20190704_153000.jpg", "2019-07-04T15:30:00"),
    ("20190704_153000.jpg", "2019-07-04T15:30:00"),
    ("20190704_153000(0).jpg", "2019-07-04T15:30:00"),
    ("20190704153000.jpg", "2019-07-04T15:30:00"),
    ("VID-20190704-WA0003.mp4", "2019-07-04"),
    ("00100dPORTRAIT_00100_BURST20190704153000123_COVER.jpg", "2019-07-04T15:30:00.123"),
    ("PXL_20210412_101112123.jpg", "2021-04-12T10:11:12.123"),
    ("PXL_20210412_101112123.PORTRAIT-01.COVER.jpg", "2021-04-12T10:11:12.123"),
    ("WP_20140704_15_30_00_Pro.jpg", "2014-07-04T15:30:00"),
    ("WIN_20190704_15_30_00_Pro.jpg", "2019-07-04T15:30:00"),
    ("C360_2014-07-04-15-30-00-123.jpg", "2014-07-04T15:30:00.123"),
    # Clouds.
    ("2019-07-04 15.30.00.jpg", "2019-07-04T15:30:00"),
    ("2019-07-04 15.30.00-1.jpg", "2019-07-04T15:30:00"),
    ("2019-07-04T15-30-00Z.jpg", "2019-07-04T15:30:00"),
    ("2019-07-04T153000.jpg", "2019-07-04T15:30:00"),
    # Messengers.
    ("IMG-20190704-WA0003.jpg", "2019-07-04"),
    ("WhatsApp Image 2019-07-04 at 15.30.00.jpeg", "2019-07-04T15:30:00"),
    ("WhatsApp Image 2019-07-04 at 3.30.00 PM (1).jpeg", "2019-07-04T15:30:00"),
    ("photo_2019-07-04_15-30-00.jpg", "2019-07-04T15:30:00"),
    ("photo_2019-07-04 15.30.00.jpeg", "2019-07-04T15:30:00"),
    ("signal-2019-07-04-153000.jpg", "2019-07-04T15:30:00"),
    ("signal-2019-07-04-15-30-00-123.jpg", "2019-07-04T15:30:00.123"),
    ("KakaoTalk_20190704_153000123.jpg", "2019-07-04T15:30:00.123"),
    # Screens.
    ("Screenshot_20190704-153000.png", "2019-07-04T15:30:00"),
    ("Screenshot_20190704-153000_Chrome.jpg", "2019-07-04T15:30:00"),
    ("Screenshot_2019-07-04-15-30-00.png", "2019-07-04T15:30:00"),
    ("Screenshot_2019-07-04-15-30-00-123_com.app.png", "2019-07-04T15:30:00.123"),
    ("Screenshot 2019-07-04 153000.png", "2019-07-04T15:30:00"),
    ("Screenshot 2019-07-04 at 15.30.00.png", "2019-07-04T15:30:00"),
    ("Screenshot 2019-07-04 at 3.30.00\u202fPM.png", "2019-07-04T15:30:00"),
    ("Screenshot 2019-07-04 at 12.05.00 AM.png", "2019-07-04T00:05:00"),
    ("Screen Shot 2019-07-04 at 15.30.00.png", "2019-07-04T15:30:00"),
    ("Bildschirmfoto 2019-07-04 um 15.30.00.png", "2019-07-04T15:30:00"),
    ("Screenshot from 2019-07-04 15-30-00.png", "2019-07-04T15:30:00"),
    # People.
    ("2019-07-04 Birthday.jpg", "2019-07-04"),
    ("2019_07_04.jpg", "2019-07-04"),
    ("Granny 12.04.1957.jpg", "1957-04-12"),
    ("04-25-1957.jpg", "1957-04-25"),
    # An impossible time leaves the day.
    ("20190704_256199.jpg", "2019-07-04"),
    ("2019-07-04 99.30.00.jpg", "2019-07-04"),
    # The first valid date.
    ("IMG_20191332_2019-07-04.jpg", "2019-07-04"),
]
NO_TIMES = [
    *("IMG_2019.jpg", "DSC_2048.jpg", "2019.jpg", "2019-07.jpg", "19201080.jpg", "wallpaper 1920x1080.jpg"),
    *("IMG_20191332_1.jpg", "IMG_20190230_120000.jpg", "20480412.jpg", "120190412.jpg", "1555077600000.jpg"),
    *("DSC20480.jpg", "201904121.jpg", "10203040_2019_n.jpg", "photoshop 2019.1.2.jpg"),
    *("IMG_00000000_000000.jpg", "IMG_19700101_000012.jpg", "1904-01-01 00.00.00.jpg", "0001-01-01.jpg"),
]


@pytest.mark.parametrize(("name", "time"), NAMES)
def test_a_file_name_with_a_date_gives_the_time(name: str, time: str) -> None:
    found = time_in_name(f"/photos/{name}", latest=LATEST)
    assert (str(found.time), found.source) == (str(np.datetime64(time, "us")), "file name")
    assert found.text == name


@pytest.mark.parametrize("name", NO_TIMES)
def test_other_file_names_give_no_time(name: str) -> None:
    assert np.isnat(time_in_name(f"/2019-07-04/{name}", latest=LATEST).time)


def test_only_phones_that_name_photos_by_the_time_of_greenwich_say_the_offset() -> None:
    assert time_in_name("PXL_20210412_101112123.jpg", latest=LATEST).utc_offset_min == 0
    assert time_in_name("IMG_20210412_101112123.jpg", latest=LATEST).utc_offset_min is None


@pytest.mark.parametrize(
    ("path", "day"),
    [
        ("/photos/2019-07-04 Beach/DSC_1.jpg", "2019-07-04"),
        ("/photos/20190704/DSC_1.jpg", "2019-07-04"),
        ("/photos/2019/07/04/DSC_1.jpg", "2019-07-04"),
        ("/photos/2019/07/04/originals/DSC_1.jpg", "2019-07-04"),
        ("2019/07/04/DSC_1.jpg", "2019-07-04"),
        (r"C:\photos\2019-07-04\DSC_1.jpg", "2019-07-04"),
        ("/photos/2019-07-04/2020-01-02 again/DSC_1.jpg", "2020-01-02"),
        ("/photos/2019/07/DSC_1.jpg", "NaT"),
        ("/photos/2019/DSC_1.jpg", "NaT"),
        ("/photos/2019/13/04/DSC_1.jpg", "NaT"),
        ("/2019-07-04/a/b/c/d/DSC_1.jpg", "NaT"),
        ("DSC_1.jpg", "NaT"),
    ],
)
def test_a_folder_name_gives_the_day(path: str, day: str) -> None:
    assert str(day_of_folder(path, latest=LATEST).time.astype("M8[D]")) == day


@pytest.mark.parametrize(
    ("path", "year"),
    [
        ("/photos/IMG_20190412_123456.jpg", 2019),
        ("/photos/Oma 12.04.1957.jpg", 1957),
        ("/photos/2026-12-30.jpg", 2026),
        ("/photos/2027-01-01.jpg", 0),
        ("/photos/2019-04-12 Ball/DSC_0001.jpg", 0),
        (r"C:\2019-04-12\DSC_0001.jpg", 0),
    ],
)
def test_a_year_is_that_of_a_whole_date_in_the_files_own_name(path: str, year: int) -> None:
    assert year_in_name(path, latest=2026) == year


_PARTS = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[0-9]{1,9}", fullmatch=True),
    st.sampled_from([*"/\\-_. :\0", "2019", "07", "04", " at ", " PM", "T", "PXL_", "\ud800", "٢٠١٩", "²"]),
)


@given(st.lists(_PARTS, max_size=12).map("".join))
def test_no_name_is_too_strange(path: str) -> None:
    for found in (time_in_name(path, latest=LATEST), day_of_folder(path, latest=LATEST)):
        assert np.isnat(found.time) or np.datetime64("1840") <= found.time < LATEST + np.timedelta64(2, "D")
    assert 0 <= year_in_name(path, latest=2026) <= 2026


@given(
    st.datetimes(
        min_value=np.datetime64("1981-01-01", "s").item(), max_value=np.datetime64("2026-11-01", "s").item()
    ),
    st.sampled_from(
        [
            "IMG_%Y%m%d_%H%M%S.jpg",
            "%Y-%m-%d %H.%M.%S.jpg",
            "Screenshot_%Y-%m-%d-%H-%M-%S.png",
            "x%Y%m%d%H%M%S.jpg",
        ]
    ),
)
def test_a_time_that_was_written_into_a_name_is_read_again(time: datetime, pattern: str) -> None:
    found = time_in_name(f"/2001-02-03/{time.strftime(pattern)}", latest=LATEST)
    assert found.time == np.datetime64(time.replace(microsecond=0))
