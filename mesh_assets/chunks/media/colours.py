"""Colours by the words that people have for them.

The words are the eleven basic colour terms (Berlin and Kay, Basic Color Terms, 1969) and two more that people look for;
which colour is which is the nearest of some examples of each in CIELAB, where distance is what the eye sees (CIE 1976,
white D65).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

# Examples of each word as sRGB: its middle, and darker, lighter or duller ones that still are called so.
_EXAMPLES: dict[str, tuple[int, ...]] = {
    "black": (0x000000, 0x1A1A1A, 0x101820),
    "white": (0xFFFFFF, 0xF2F2F2, 0xF7F4EC),
    "grey": (0x808080, 0x505050, 0xB4B4B4, 0x6A7078, 0x3A3A3A, 0xD0D0D0),
    "red": (0xE01010, 0xB01818, 0x801010, 0xF04040),
    "orange": (0xFF8000, 0xE87020, 0xFFA040),
    "yellow": (0xFFE000, 0xF0E040, 0xFFF080, 0xD8C010),
    "green": (0x20A020, 0x106010, 0x60D060, 0x6B7B30, 0x90B050, 0x304A20, 0xB0E0A0),
    "turquoise": (0x20C0C0, 0x108080, 0x80E0E0),
    "blue": (0x2040D0, 0x102060, 0x4080E0, 0x90C0F0, 0x406080, 0x203048, 0x6080A8),
    "purple": (0x8020A0, 0x501860, 0xB060D0, 0xC8A0E0),
    "pink": (0xFF80B0, 0xF0B0C8, 0xE04090, 0xFFD0DC),
    "brown": (0x804818, 0x502C10, 0xA06838, 0x604830, 0x3C2818, 0x7A6A50),
    "beige": (0xE0C8A0, 0xC8A880, 0xF0E0C0, 0xB09878, 0xE8C0A0),
}
WORDS = tuple(_EXAMPLES)
# A colour is named where it takes this share of a picture, at most so many of them.
NAMED_SHARE = 0.12
_MOST = 3


def lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """CIELAB of sRGB of shape (..., 3): lightness 0 to 100, then green to red and blue to yellow."""
    linear = _linear()[rgb]
    xyz = linear @ _TO_XYZ
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


# From linear sRGB to CIE XYZ (IEC 61966-2-1), divided by the white of D65.
_TO_XYZ = (
    np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    / np.array([[0.9505], [1.0], [1.089]])
).T


@cache
def _linear() -> NDArray[np.float64]:
    """The light of each value of sRGB."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@cache
def _word_of_cube() -> NDArray[np.uint8]:
    """The index of the word of each colour, of 32 steps each of red, green and blue."""
    steps = (np.arange(32, dtype=np.uint8) * 8 + 4).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    owners = np.array([at for at, word in enumerate(WORDS) for _ in _EXAMPLES[word]], np.uint8)
    codes = np.array([code for word in WORDS for code in _EXAMPLES[word]])
    examples = lab(np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8))
    # |a - b|^2 without the array of all differences.
    colours = lab(cube)
    distances = (examples**2).sum(-1) - 2 * colours @ examples.T
    return owners[np.argmin(distances, axis=1)]


def colour_shares(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The share of each of `WORDS` among the pixels of an array (..., 3)."""
    steps = (rgb.reshape(-1, 3) >> 3).astype(np.int32)
    words = _word_of_cube()[steps[:, 0] << 10 | steps[:, 1] << 5 | steps[:, 2]]
    return np.bincount(words, minlength=len(WORDS)) / max(len(words), 1)


def colour_words(shares: NDArray[np.float64]) -> str:
    """`mostly blue and white`: the words of the largest shares, largest first."""
    order: list[int] = np.argsort(-shares, kind="stable")[:_MOST].tolist()
    named = [WORDS[at] for at in order if shares[at] >= NAMED_SHARE] or [WORDS[order[0]]]
    if shares[order[0]] > 1 - NAMED_SHARE:
        return f"nearly all {named[0]}"
    return "mostly " + (" and ".join((", ".join(named[:-1]), named[-1])) if len(named) > 1 else named[0])
