"""A picture is found by what it shows, when, where and by what it was taken; a broken one is a reject."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mesh_assets.chunks.media import printed
from mesh_assets.chunks.media.facts import picture_facts
from mesh_assets.chunks.media.looks import THUMBNAIL_BYTES, perceptual_hash, sort_of
from mesh_assets.errors import FormatError, SourceError
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.media.made import (
    drawing,
    page,
    parts_of,
    photo,
    pieces_of,
    previews_of,
    reading_of,
    written,
)

DEGREES = (48.0, 51.0, 30.0), (2.0, 17.0, 40.0)


def camera_exif(**more: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 80D"
    taken = exif.get_ifd(0x8769)
    taken[0x829A], taken[0x9003] = 0.01, "2019:05:04 10:22:00"
    taken.update({int(key[1:], 16): value for key, value in more.items() if key.startswith("x")})
    gps = exif.get_ifd(0x8825)
    gps.update({1: "N", 2: DEGREES[0], 3: more.get("east", "E"), 4: DEGREES[1]})
    return exif


def test_a_photo_says_when_where_and_by_what_it_was_taken() -> None:
    parts = parts_of(written(photo(), "JPEG", exif=camera_exif(x9011="+02:00")), "holiday/paris.jpg")
    (piece,) = pieces_of(parts)
    assert piece.text.startswith(
        "Photo, JPEG, 160 x 120, RGB, taken 2019-05-04 10:22:00 +02:00 at 48.85833 N 2.29444 E with Canon EOS 80D, "
    )
    assert piece.time_start == piece.time_stop == datetime(2019, 5, 4, 8, 22, tzinfo=UTC)
    assert piece.context == "holiday/paris.jpg"
    facts = picture_facts(piece.text)
    assert facts is not None
    assert (facts.taken, facts.place, facts.camera) == (
        "2019-05-04 10:22:00",
        "48.85833 N 2.29444 E",
        "Canon EOS 80D",
    )
    assert "blue" in facts.colours
    assert (
        facts.hash == int(perceptual_hash(photo()), 16)
        or (facts.hash ^ int(perceptual_hash(photo()), 16)).bit_count() < 7
    )


def test_west_is_negative_and_a_camera_that_does_not_know_its_place_has_none() -> None:
    assert " 2.29444 W " in reading_of(parts_of(written(photo(), "JPEG", exif=camera_exif(east="W"))))
    exif = camera_exif()
    exif.get_ifd(0x8825).update({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)})
    assert " at " not in reading_of(parts_of(written(photo(), "JPEG", exif=exif)))


def test_damaged_exif_costs_only_what_it_said() -> None:
    data = bytearray(written(photo(), "JPEG", exif=camera_exif()))
    at = data.index(b"2019:05:04")
    data[at : at + 10] = b"\xff" * 10
    text = reading_of(parts_of(bytes(data)))
    assert text.startswith("Photo, JPEG, 160 x 120, RGB, at 48.85833 N 2.29444 E with Canon EOS 80D, mostly")


@pytest.mark.parametrize(("image", "sort"), [(photo(), "Photo"), (drawing(), "Drawing"), (page(), "Scan")])
def test_photos_drawings_and_scans_are_told_apart(image: Image.Image, sort: str) -> None:
    assert reading_of(parts_of(written(image, "PNG"))).startswith(f"{sort}, PNG, ")
    assert reading_of(parts_of(written(image, "JPEG", quality=80))).startswith(f"{sort}, JPEG, ")


def test_colours_have_the_words_that_people_use() -> None:
    assert ", mostly white, red and blue." in reading_of(parts_of(written(drawing(), "PNG")))
    assert ", nearly all green." in reading_of(parts_of(written(Image.new("RGB", (9, 9), (20, 150, 30)), "BMP")))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_is_seen(mode: str) -> None:
    image = photo().convert("L" if mode in ("I;16", "F") else "RGB")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image, np.uint16) * 256)
    image = image.convert(mode) if mode != "I;16" else image
    (preview,) = previews_of(parts_of(written(image, "TIFF")))
    with Image.open(io.BytesIO(preview["image"])) as seen:
        assert seen.size == (preview["width"], preview["height"]) == (160, 120)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "ICO", "JPEG2000", "AVIF"])
def test_every_format_is_read(form: str) -> None:
    image = photo(64, 64)
    assert ", 64 x 64, " in reading_of(parts_of(written(image.quantize(64) if form == "GIF" else image, form)))


def test_a_preview_is_small_and_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    grain = Image.fromarray(np.random.default_rng(1).integers(0, 256, (700, 1400, 3), np.uint8))
    parts = parts_of(written(grain, "JPEG", exif=exif, quality=95))
    (preview,) = previews_of(parts)
    assert (preview["width"], preview["height"]) == (160, 320)
    assert len(preview["image"]) <= THUMBNAIL_BYTES
    assert ", JPEG, 700 x 1400, " in reading_of(parts)


def test_a_large_photo_is_read_at_a_reduced_size_and_says_its_own() -> None:
    large = drawing().resize((2600, 2100))
    assert reading_of(parts_of(written(large, "JPEG"))).startswith("Drawing, JPEG, 2600 x 2100, RGB, mostly white, ")


def test_an_animation_says_how_many_frames_it_has() -> None:
    frames = [photo(32, 32, seed).quantize(16) for seed in range(5)]
    data = written(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    parts = parts_of(data)
    assert "Animation: 5 frames, 80 ms each\n" in reading_of(parts)
    assert len(pieces_of(parts)) == 1


def test_each_page_of_a_tiff_is_a_chunk() -> None:
    data = written(page(), "TIFF", save_all=True, append_images=[drawing(), photo()], compression="tiff_lzw")
    parts = parts_of(data)
    assert [piece.place for piece in pieces_of(parts)] == ["page 1", "page 2", "page 3"]
    assert [preview["place"] for preview in previews_of(parts)] == ["page 1", "page 2", "page 3"]
    assert "\nPage 2 of 3, drawing, TIFF, 200 x 120, RGB, mostly white, red and blue.\n" in reading_of(parts)


def test_why_a_picture_is_broken_is_told_alike_in_each_run() -> None:
    with pytest.raises(FormatError, match=r"cannot be decoded: cannot identify image file\. Open"):
        parts_of(b"\x89PNG\r\n\x1a\n")


def test_a_broken_page_leaves_the_pages_before_it() -> None:
    data = bytearray(written(photo(), "TIFF", save_all=True, append_images=[photo(), photo()], compression="tiff_lzw"))
    data[-40:] = bytes(40)
    middle = len(data) // 2
    data[middle : middle + 2000] = b"\xff" * 2000
    parts = parts_of(bytes(data))
    assert [piece.place for piece in pieces_of(parts)][:1] == ["page 1"]
    (reject,) = [part for part in parts if isinstance(part, Reject)]
    assert reject.is_part
    assert "page" in reject.detail


def test_what_people_wrote_beside_a_picture_is_found() -> None:
    info = PngInfo()
    info.add_text("Title", "The harbour")
    info.add_itxt("Description", "Boats at dusk,\nwith gulls")
    text = reading_of(parts_of(written(drawing(), "PNG", pnginfo=info)))
    assert "\nTitle: The harbour\n" in text
    assert "\nDescription: Boats at dusk,\nwith gulls\n" in text
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>gulls</rdf:li>'
        b"<rdf:li>boats</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    assert "\nKeywords: gulls, boats\n" in reading_of(parts_of(written(drawing(), "JPEG", xmp=xmp)))


def test_long_texts_are_cut_and_the_reading_stays_the_same() -> None:
    info = PngInfo()
    info.add_text("Description", "A sentence about boats. " * 80)
    data = written(drawing(), "PNG", pnginfo=info)
    short, long = parts_of(data, tokens=64), parts_of(data, tokens=1000)
    assert reading_of(short) == reading_of(long)
    assert len(pieces_of(short)) > 4
    assert max(piece.tokens for piece in pieces_of(short)) <= 64
    assert len(previews_of(short)) == 1


def test_text_in_pictures_is_read_where_tesseract_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Text in the picture" not in reading_of(parts_of(written(page(), "PNG"))) or printed.program()
    fake = tmp_path / "tesseract"
    fake.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'tesseract v9.1' && exit\n"
        "[ \"$(head -c 4 | tail -c 3)\" = PNG ] && printf 'Quick  fox\\n\\n   \\nover dog\\n'\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(printed, "program", lambda: str(fake))
    assert reading_of(parts_of(written(page(), "PNG"))).endswith("\nText in the picture:\nQuick fox\nover dog\n")
    printed.version.cache_clear()
    assert printed.version() == "tesseract 9"
    printed.version.cache_clear()


def test_a_picture_that_unpacks_to_gigabytes_is_a_reject() -> None:
    head = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + crc32(head).to_bytes(4, "big")
    with pytest.raises(FormatError, match="pixels of memory") as error:
        parts_of(bomb + written(drawing(), "PNG")[33:])
    assert error.value.reason == "too large a picture"


def test_heic_says_what_to_install() -> None:
    with pytest.raises(FormatError, match="not read here") as error:
        parts_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert "pip install pillow-heif" in error.value.remedy


MAGICS = [
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"RIFF\0\0\0\0WEBPVP8 "),
    *(b"BM\0\0\0\0\0\0\0\0", b"\0\0\x01\0\x01\0", b"8BPS\0\x01", b"\0\0\0\x14ftypavif\0\0\0\0avif"),
    b"\0\0\0\x0cjP  \r\n\x87\n",
]


@given(st.sampled_from(MAGICS), st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_behind_a_magic_are_read_or_refused(magic: bytes, rest: bytes) -> None:
    refused(magic + rest)


WHOLE = [
    *(written(photo(48, 48), form) for form in ("PNG", "JPEG", "WEBP", "AVIF", "JPEG2000", "BMP")),
    *(written(photo(48, 48).quantize(32), "GIF"), written(photo(48, 48), "TIFF", compression="tiff_lzw")),
    written(photo(48, 48), "JPEG", exif=camera_exif()),
]


@given(st.integers(0, len(WHOLE) - 1), st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_pictures_are_read_or_refused(chosen: int, data: st.DataObject) -> None:
    whole = WHOLE[chosen]
    damaged = bytearray(whole[: data.draw(st.integers(20, len(whole)))])
    for at in data.draw(st.lists(st.integers(12, len(damaged) - 1), max_size=8)):
        damaged[at] = data.draw(st.integers(0, 255))
    refused(bytes(damaged))


def refused(data: bytes) -> None:
    """Parts that hang together, or a SourceError with words in it: anything else fails the test."""
    try:
        reading_of(parts_of(data))
    except SourceError as error:
        assert error.reason
        assert error.remedy


def test_an_unknown_sort_is_a_photo() -> None:
    assert sort_of(np.random.default_rng(2).integers(0, 256, (40, 40, 3), np.uint8), 40) == "Photo"
