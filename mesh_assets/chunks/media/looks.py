"""How a picture looks, as words and numbers: what sort it is, its colours, its brightness, its hash, its thumbnail."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.media.colours import colour_shares, colour_words, lab

if TYPE_CHECKING:
    from PIL.Image import Image

# Thumbnails, and what pictures are judged by: of at most so many pixels on a side, and so many bytes.
THUMBNAIL_PIXELS = 320
THUMBNAIL_BYTES = 30_000
_QUALITIES = (80, 65, 50, 35, 20)
_JUDGED_PIXELS = 256

# What is a scan: a page is bright and without colour in most places, and has ink in some. Measured on 4 scanned pages
# and 9 other pictures, and on drawings that the tests make: none was taken for another. Too few for a rate of error; a
# screenshot of a text is called a scan.
_PAPER_LIGHTNESS, _PAPER_CHROMA = 80.0, 15.0
_PAPER_SHARE = (0.6, 0.96)
_COLOURED_CHROMA, _COLOURED_SHARE = 20.0, 0.05
_PAGE_PIXELS = 500
# What is a drawing: a dozen colours (in 16 steps of red, green, blue) are nearly all of it, or are most of it and lie
# in flat areas, where neighbours are equal but for the noise of JPEG. A clear sky is flat, but of many colours.
_FLAT_STEP, _FLAT_SHARE = 2, 0.55
_FEW_COLOURS, _FEW_SHARE, _FLAT_FEW_SHARE = 12, 0.9, 0.6


def flattened(image: Image) -> Image:
    """`image` as it is seen: turned as EXIF says, on white where it is transparent, in RGB."""
    from PIL import Image as Images
    from PIL import ImageOps

    turned = ImageOps.exif_transpose(image)
    if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
        turned = turned.convert("RGBA")
        ground = Images.new("RGBA", turned.size, "white")
        ground.alpha_composite(turned)
        turned = ground
    if turned.mode.startswith("I;16") or turned.mode in ("I", "F"):
        turned = _in_eight_bits(turned)
    return turned if turned.mode == "RGB" else turned.convert("RGB")


def _in_eight_bits(image: Image) -> Image:
    """More bits than eight, stretched over what occurs: which value is white depends on the device."""
    from PIL import Image as Images

    values = np.nan_to_num(np.asarray(image, np.float32))
    low, high = float(values.min()), float(values.max())
    return Images.fromarray(((values - low) * (255 / max(high - low, 1e-6))).astype(np.uint8))


def smaller(image: Image, pixels: int) -> Image:
    """A copy of at most so many pixels on its longer side, at least one on the other."""
    copy = image.copy()
    copy.thumbnail((pixels, pixels), reducing_gap=2.0)
    return copy


def judged(image: Image) -> NDArray[np.uint8]:
    """The pixels that an RGB image is judged by, of shape (height, width, 3)."""
    return np.asarray(smaller(image, _JUDGED_PIXELS), np.uint8)


def sort_of(pixels: NDArray[np.uint8], longest: int) -> str:
    """`Photo`, `Drawing` or `Scan`, by the rules above; `longest` is the longer side of the whole picture."""
    colours = lab(pixels)
    chroma = np.hypot(colours[..., 1], colours[..., 2])
    paper = float(((colours[..., 0] > _PAPER_LIGHTNESS) & (chroma < _PAPER_CHROMA)).mean())
    coloured = float((chroma > _COLOURED_CHROMA).mean())
    if longest >= _PAGE_PIXELS and _PAPER_SHARE[0] <= paper <= _PAPER_SHARE[1] and coloured < _COLOURED_SHARE:
        return "Scan"
    steps = (pixels.reshape(-1, 3) >> 4).astype(np.int32)
    counts = np.sort(np.bincount(steps[:, 0] << 8 | steps[:, 1] << 4 | steps[:, 2]))[::-1]
    few = float(counts[:_FEW_COLOURS].sum() / counts.sum())
    is_drawn = few >= _FEW_SHARE or (few >= _FLAT_FEW_SHARE and _flat_share(pixels) >= _FLAT_SHARE)
    return "Drawing" if is_drawn else "Photo"


def _flat_share(pixels: NDArray[np.uint8]) -> float:
    if pixels.shape[1] < 2:
        return 1.0
    return float((np.abs(np.diff(pixels.astype(np.int16), axis=1)).max(-1) <= _FLAT_STEP).mean())


def colours_of(pixels: NDArray[np.uint8]) -> str:
    """The colours of pixels as words: `mostly blue and white`."""
    return colour_words(colour_shares(pixels))


def brightness_word(lightness: float) -> str:
    """A word for a mean lightness (CIELAB, 0 to 100)."""
    return "dark" if lightness < 25 else "dim" if lightness < 40 else "bright" if lightness > 70 else "evenly lit"


def perceptual_hash(image: Image) -> str:
    """16 hex digits of which near-identical pictures differ in few bits (pHash of imagehash: DCT of 32 x 32 pixels)."""
    import imagehash

    return str(imagehash.phash(image))


def thumbnail(image: Image) -> tuple[bytes, int, int]:
    """An RGB image as a JPEG within the limits above, with its width and height in pixels."""
    small = smaller(image, THUMBNAIL_PIXELS)
    while True:
        for quality in _QUALITIES:
            written = io.BytesIO()
            small.save(written, "JPEG", quality=quality, optimize=True)
            if written.tell() <= THUMBNAIL_BYTES:
                return written.getvalue(), small.width, small.height
        small = smaller(small, max(small.size) // 2)
