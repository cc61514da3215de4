"""Chunker of pictures: a sentence that tells what a person would look for, then the texts in and beside the picture.

A picture is one chunk; of a file with pages, each page is one. How a picture looks belongs to `looks`, what its file
says beside it to `camera`, drawings of lines (SVG) to `drawings`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, cast

from mesh_assets.chunks.media import looks
from mesh_assets.chunks.media.camera import DAMAGED, Origin, degrees, origin_of
from mesh_assets.chunks.media.facts import HASH, picture_line
from mesh_assets.chunks.media.printed import printed_text
from mesh_assets.chunks.media.reading import Reading
from mesh_assets.chunks.media.words import caption
from mesh_assets.chunks.protocol import Attached, Part, Source
from mesh_assets.errors import FormatError, ModelError
from mesh_assets.schemas.rejects import Reject

if TYPE_CHECKING:
    from PIL.Image import Image

# What Pillow may try for each of our formats: never another one, whatever the file claims to be behind its first bytes.
_READERS = {
    **{name: name.upper() for name in ("png", "jpeg", "gif", "tiff", "webp", "bmp", "ico", "psd", "avif")},
    "jpeg2000": "JPEG2000",
    "heic": "HEIF",
}
FORMATS = (*_READERS, "jpegxl", "cr3")
# Pages of one file, and frames of an animation that are counted.
_MAX_PAGES, _MAX_FRAMES = 10_000, 100_000
# Of larger pictures it is enough to know the looks; JPEG gives them at an eighth of the work.
_DRAFT_PIXELS = 1024
_INSTALL_HEIF = "`pip install pillow-heif` into the mesh's .venv, then `mesh backfill` with --force. Or:"
_CONVERT = "Convert it to PNG or JPEG and drop that."


class ImageChunker:
    """Chunks pictures of all formats that Pillow reads."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """A piece a picture or page, longer texts cut as prose, each with its preview.

        FormatError where there is no picture that can be decoded; a page that cannot be is a reject of that page.
        """
        reading = Reading.of(source.path, chunk_tokens)
        with source.open() as stream, _opened(source, stream) as image:
            pages = _pages(source, image)
            for page in range(pages):
                try:
                    image.seek(page)
                    parts = list(_picture(source, image, reading, page, pages))
                except DAMAGED as error:
                    if not page:
                        raise _broken(source, error) from error
                    yield _page_reject(source, page, error)
                    return
                yield from parts


@contextmanager
def _opened(source: Source, stream: BinaryIO) -> Generator[Image]:
    """The picture, its head read. Pillow's warnings are about what we tell in our own words."""
    from PIL import Image as Images

    reader = _READERS.get(source.format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if reader is None or (reader == "HEIF" and not _can_heif()):
            raise FormatError(
                f"no reader for {source.format}",
                f"{source.path} is a picture of a format that is not read here.",
                remedy=_CONVERT if reader is None else f"{_INSTALL_HEIF} {_CONVERT}",
            )
        try:
            image = Images.open(stream, formats=[reader, "MPO"] if reader == "JPEG" else [reader])
        except (Images.DecompressionBombError, *DAMAGED) as error:
            raise _broken(source, error) from error
        try:
            with image:
                yield image
        except Images.DecompressionBombError as error:  # of a later page
            raise _broken(source, error) from error


def _can_heif() -> bool:
    try:
        from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    except ImportError:
        return False
    register_heif_opener()
    return True


def _broken(source: Source, error: Exception) -> FormatError:
    from PIL import Image as Images

    if isinstance(error, Images.DecompressionBombError):
        return FormatError(
            "too large a picture",
            f"{source.path} would take more than {2 * (Images.MAX_IMAGE_PIXELS or 0):,} pixels of memory.",
            remedy="If you know what it is, cut it into tiles or reduce it, and drop those.",
        )
    return FormatError(
        f"broken {source.format}",
        f"{source.path} cannot be decoded: {_told(error)}.",
        remedy="Open it with a program that shows it and save it anew, or leave it out.",
    )


def _told(error: Exception) -> str:
    """What `error` says, without the objects of the decoder in it: their addresses differ in each run."""
    return re.sub(r" ?<[^<>]* at 0x[0-9a-f]+>", "", str(error)) or type(error).__name__


def _page_reject(source: Source, page: int, error: Exception) -> Reject:
    return Reject(
        source.path,
        f"broken page of {source.format}",
        "The pages before it were read. Save the file anew with a program that shows the page.",
        f"page {page + 1}: {_told(error)}",
        byte_start=0,
        byte_stop=source.stop - source.start,
    )


def _pages(source: Source, image: Image) -> int:
    """The pages of a TIFF as far as they can be counted; else the file is one picture."""
    if source.format != "tiff":
        return 1
    count = 1
    try:
        while count < _MAX_PAGES:
            image.seek(count)
            count += 1
    except DAMAGED:
        pass
    return count


def _picture(source: Source, image: Image, reading: Reading, page: int, pages: int) -> Iterator[Part]:
    """The piece of the picture or page that `image` is at, its preview, and a reject where a model failed."""
    width, height, mode = image.width, image.height, image.mode
    if image.format == "JPEG" and not _reads_text(image):
        image.draft("RGB" if mode != "L" else "L", (_DRAFT_PIXELS, _DRAFT_PIXELS))
    # Before anything is asked of it: what lies behind broken pixels is asked for without a word of them.
    image.load()
    whole, origin = looks.flattened(image), origin_of(image)
    if origin.is_turned:
        width, height = height, width
    place = f"page {page + 1}" if pages > 1 else None
    pixels = looks.judged(whole)
    sort = "Photo" if origin.exposed else looks.sort_of(pixels, max(width, height))
    said: list[str] = []
    fault: Reject | None = None
    if source.models.caption:
        try:
            said.append(f"Caption: {caption(source.models.caption, whole)}")
        except ModelError as error:
            fault = model_reject(source, "no caption", error)
    label = picture_line(
        sort if place is None else f"Page {page + 1} of {pages}, {sort.lower()}",
        form=source.format,
        size=(width, height),
        mode=mode,
        taken=origin.written,
        place=degrees(origin.place) if origin.place else "",
        camera=origin.camera,
        colours=looks.colours_of(pixels),
    )
    lines = [label, *_frames_line(image, source.format), *said]
    if not page:
        lines += [f"{name}: {text}" for name, text in origin.texts.items()]
    lines.append(f"{HASH}{looks.perceptual_hash(whole)}")
    if printed := printed_text(whole):
        lines.append(f"Text in the picture:\n{printed}")
    pieces = reading.write("\n".join(lines), place=place, times=_times(origin))
    yield next(pieces)
    yield preview(whole, kind="image", place=place, label=label)
    yield from pieces
    if fault is not None:
        yield fault


def _reads_text(image: Image) -> bool:
    """Whether every pixel is wanted: for print, and of small pictures anyway."""
    from mesh_assets.chunks.media.printed import program

    return program() is not None or max(image.size) < 2 * _DRAFT_PIXELS


def _times(origin: Origin) -> tuple[datetime, datetime] | None:
    return (origin.taken, origin.taken) if origin.taken else None


def _frames_line(image: Image, form: str) -> list[str]:
    """How many frames an animation has and how long it goes; counting decodes none of a GIF."""
    if form not in ("gif", "webp", "png", "avif") or not getattr(image, "is_animated", False):
        return []
    frames = min(cast(int, getattr(image, "n_frames", 1)), _MAX_FRAMES)
    step = image.info.get("duration")
    each = f", {step:g} ms each" if isinstance(step, int | float) and 0 < step < 1e7 else ""
    return [f"Animation: {frames:,} frames{each}"]


def preview(image: Image, *, kind: str, place: str | None, label: str) -> Attached:
    """The row of `PREVIEWS` of an RGB image, for the piece that came before it."""
    content, width, height = looks.thumbnail(image)
    row: dict[str, object] = {"kind": kind, "place": place, "label": label, "media_type": "image/jpeg"}
    return Attached("previews", {**row, "width": width, "height": height, "image": content})


def model_reject(source: Source, reason: str, error: ModelError) -> Reject:
    """The reject of what a model should have said of a file; the rest of the file is read."""
    return Reject(source.path, reason, error.remedy, error.message, byte_start=0, byte_stop=source.stop - source.start)
