"""What media there are, when and where they were taken, which pictures are nearly the same: each with a citation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mesh_assets.chunks.media.facts import HASH, picture_line, scene_line, segment_line
from mesh_assets.insights.media import NEAR_BITS, near_groups
from mesh_assets_tests.insights.chunk_rows import rows, slice_rows

LOGO = 0x8F0FA57E31C2D4B6


def picture(path: str, digits: int, **known: str) -> list[dict[str, object]]:
    more = {"colours": "mostly blue and white", "taken": "", "place": "", "camera": "", **known}
    line = picture_line("Photo", form="jpeg", size=(1024, 768), mode="RGB", **more)
    return rows(path, f"{line}\n{HASH}{digits:016x}\n", kind="image", format="jpeg")


def media(made: list[dict[str, object]]) -> dict[str, dict[str, Any]]:
    found = {row["title"]: row for row in slice_rows(made) if row["type"].startswith("media_")}
    return {title: {**row, "value": json.loads(row["value"])} for title, row in found.items()}


def test_pictures_are_counted_by_what_people_ask_for() -> None:
    made = [
        *picture("a.jpg", 1, taken="2019-05-04 10:22:00", place="48.85837 N 2.29448 E", camera="Canon EOS 80D"),
        *picture("b.jpg", 2, taken="2021-06-01 08:00:00 +02:00", camera="Canon EOS 80D"),
        *picture("c.jpg", 3, colours="nearly all green"),
    ]
    found = media(made)["Pictures"]
    assert found["statement"] == (
        "3 pictures: 3 photos; mostly blue and white. 2 say when: from 2019-05-04 to 2021-06-01. "
        "1 says where: most near 48.9 N 2.3 E."
    )
    assert found["value"]["cameras"] == {"Canon EOS 80D": 2}
    assert found["value"]["taken in"] == {"2019": 1, "2021": 1}
    assert found["value"]["colours"]["green"] == 1
    assert [cited["path"] for cited in found["evidence"]] == ["a.jpg", "b.jpg", "c.jpg"]
    assert (found["time_start"].year, found["time_stop"].year) == (2019, 2021)


def test_recordings_are_counted_by_length_and_by_what_is_heard() -> None:
    text = "Video, MP4, 768 x 432, 90.5 s long, 25 frames a second, h264; sound aac, 2 channels at 48,000 Hz.\n"
    text += (
        scene_line(1, 0, 60, "mostly red", "dark", "still")
        + "\n"
        + scene_line(2, 60, 90.5, "mostly blue", "dim", "still")
        + "\n"
    )
    text += segment_line(0, 70, "speech", -23, -3) + "\n" + segment_line(70, 90.5, "silence", -90, -80) + "\n"
    talk = "Sound, MP3, 3600.0 s long, mp3, 1 channel at 44,100 Hz.\n" + segment_line(0, 3600, "music", -20, -1) + "\n"
    made = [*rows("a.mp4", text, kind="video", format="mp4", size=1), *rows("b.mp3", talk, kind="audio", size=1)]
    found = media(made)
    assert found["Videos"]["statement"] == (
        "1 video of 1 min 30 s together, in 2 scenes; of their sound 1 min 10 s of speech, 20 s of silence."
    )
    assert found["Sound"]["statement"] == "1 recording of 1 h together; of their sound 1 h of music."
    assert found["Videos"]["evidence"][0]["path"] == "a.mp4"


def test_near_identical_pictures_are_found_once_for_each_group() -> None:
    made = [
        *picture("logo.png", LOGO),
        *picture("small/logo.jpg", LOGO ^ 0b11),
        *picture("other.jpg", LOGO ^ 0xFFFF),
        *picture("empty.png", 0),
        *picture("blank.png", 0),
    ]
    alike = [row for title, row in media(made).items() if row["type"] == "media_alike"]
    (found,) = alike
    assert found["title"] == "2 pictures like logo.png"
    assert found["value"] == {"copies": 2}
    assert [cited["path"] for cited in found["evidence"]] == ["logo.png", "small/logo.jpg"]


def test_a_slice_without_media_says_nothing_of_them() -> None:
    assert media(rows("a.txt", "Photo, JPEG, 10 x 10, mostly blue.\n")) == {}


@pytest.mark.parametrize("count", [0, 1, 700])
def test_groups_are_those_of_comparing_all_pairs(count: int) -> None:
    rng = np.random.default_rng(4)
    hashes = rng.integers(0, 1 << 63, count, np.uint64)
    for at in range(1, count, 7):
        hashes[at] = hashes[at // 2] ^ np.uint64(1 << int(rng.integers(0, 60)))
    expected = {
        (a, b)
        for a in range(count)
        for b in range(a + 1, count)
        if (int(hashes[a]) ^ int(hashes[b])).bit_count() <= NEAR_BITS
    }
    groups = near_groups(hashes)
    owner = {at: number for number, group in enumerate(groups) for at in group}
    assert all(owner[a] == owner[b] for a, b in expected)
    assert set(owner) == {at for pair in expected for at in pair}
