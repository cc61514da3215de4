"""Tells pictures, sound and video by their first bytes. What is in them is not read here, and names do not count.

Sources of the marks: the specification of each format; for MPEG audio frames ISO 11172-3 and 13818-3.
"""

from __future__ import annotations

import re

# A kind and a format.
Media = tuple[str, str]

# Bytes at the start by which a format is told; a dot stands for any byte.
_MARKS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "image", "png"),
    (rb"\xff\xd8\xff", "image", "jpeg"),
    (rb"GIF8[79]a", "image", "gif"),
    (rb"II[*+]\0|MM\0[*+]", "image", "tiff"),
    (rb"RIFF.{4}WEBP", "image", "webp"),
    (rb"BM.{4}\0{4}", "image", "bmp"),
    (rb"\0\0\x01\0[^\0]\0", "image", "ico"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "image", "jpeg2000"),
    (rb"\0\0\0\x0cJXL \r\n\x87\n", "image", "jpegxl"),
    (rb"8BPS\0\x01", "image", "psd"),
    (rb"(?:RIFF|RF64).{4}WAVE", "audio", "wav"),
    (rb"RIFF.{4}AVI ", "video", "avi"),
    (rb"fLaC", "audio", "flac"),
    (rb"FORM.{4}AIF[FC]", "audio", "aiff"),
    (rb"\.snd\0", "audio", "au"),
    (rb"#!AMR", "audio", "amr"),
    (rb"MThd\0\0", "audio", "midi"),
    (rb"FLV\x01", "video", "flv"),
    (rb"\0\0\x01\xba", "video", "mpeg"),
    (rb"G(?:.{187}G){3}", "video", "mpegts"),
    # QuickTime before it named its brand: the size of a box, then its name.
    (rb"\0.{3}(?:moov|mdat|wide|skip|free)", "video", "mov"),
)
_FORM = re.compile(b"|".join(b"(%s)" % mark for mark, _, _ in _MARKS), re.DOTALL)

# The brands of ISO base media files, and what they are of; others are films.
_BRANDS: dict[bytes, Media] = {
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A "), ("audio", "m4a")),
    **dict.fromkeys((b"avif", b"avis"), ("image", "avif")),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"hevc", b"hevx"), ("image", "heic")),
    b"crx ": ("image", "cr3"),
    b"qt  ": ("video", "mov"),
}
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
# How far the heads of containers reach that say what is in them.
_HEAD = 4096

# Kilobits a second of MPEG audio frames by their index: MPEG 1, layers I to III; MPEG 2, layer I, and II or III.
_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLES_A_SECOND = (44100, 48000, 32000)


def media_kind(sample: bytes) -> Media | None:
    """Kind and format of the picture, sound or video that begins with `sample`; None where it is none."""
    form = _FORM.match(sample)
    if form is not None:
        return _MARKS[(form.lastindex or 0) - 1][1:]
    if sample[4:8] == b"ftyp":
        return _iso(sample)
    if sample[:4] == b"OggS":
        return _ogg(sample[:_HEAD])
    if sample[:4] == b"\x1aE\xdf\xa3":
        return _matroska(sample)
    if sample[:16] == _ASF:
        return ("video", "wmv") if _ASF_VIDEO in sample else ("audio", "wma")
    if sample[:3] == b"ID3" and len(sample) > 10 and sample[3] < 0xFF and max(sample[6:10]) < 0x80:
        return _tagged(sample)
    return _frames(sample)


def _iso(sample: bytes) -> Media:
    size = int.from_bytes(sample[:4], "big")
    brands = [sample[8:12], *(sample[at : at + 4] for at in range(16, min(size, 256), 4))]
    if sample[8:10] == b"3g":
        return "video", "3gp"
    found = _BRANDS.get(brands[0])
    # `mif1` says only that there is a picture; the others say how it is written.
    if found == ("image", "heic") and (b"avif" in brands or b"avis" in brands):
        return "image", "avif"
    return found or ("video", "mp4")


def _ogg(head: bytes) -> Media:
    if any(mark in head for mark in (b"\x80theora", b"BBCD\0", b"OVP80", b"\x01video")):
        return "video", "ogg"
    return "audio", "opus" if b"OpusHead" in head else "ogg"


def _matroska(sample: bytes) -> Media:
    is_sound = b"V_" not in sample and re.search(rb"A_(?:OPUS|VORBIS|AAC|FLAC|MPEG|PCM|AC3|EAC3|DTS)", sample)
    form = "webm" if b"webm" in sample[:_HEAD] else "matroska"
    return ("audio" if is_sound else "video"), form


def _tagged(sample: bytes) -> Media:
    """What follows an ID3 tag, where the sample reaches that far: MP3 nearly always."""
    size = 0
    for byte in sample[6:10]:
        size = size << 7 | byte
    rest = sample[10 + size :]
    if rest[:4] == b"fLaC":
        return "audio", "flac"
    return _frames(rest) or ("audio", "mp3")


def _frames(sample: bytes) -> Media | None:
    """MPEG or AAC audio without any tag: a frame, and another exactly where the first one says that it ends."""
    if len(sample) < 8 or sample[0] != 0xFF:
        return None
    for size_of, found in ((_mpeg_frame, ("audio", "mp3")), (_adts_frame, ("audio", "aac"))):
        first = size_of(sample)
        if first and size_of(sample[first : first + 8]):
            return found
    return None


def _mpeg_frame(head: bytes) -> int:
    """Bytes of the MPEG audio frame that begins here, 0 where none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version = {3: 1, 2: 2, 0: 2.5}.get(head[1] >> 3 & 3)
    layer = 4 - (head[1] >> 1 & 3)
    rate, speed = head[2] >> 4, head[2] >> 2 & 3
    if version is None or layer == 4 or rate in (0, 15) or speed == 3:
        return 0
    kilobits = _RATES[1 if version == 1 else 2, layer if version == 1 or layer == 1 else 2][rate - 1]
    samples_a_second = _SAMPLES_A_SECOND[speed] // {1: 1, 2: 2, 2.5: 4}[version]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12_000 * kilobits // samples_a_second + padding) * 4
    samples = 576 if layer == 3 and version != 1 else 1152
    return samples * 125 * kilobits // samples_a_second + padding


def _adts_frame(head: bytes) -> int:
    """Bytes of the AAC frame that begins here, 0 where none does."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 else 0
