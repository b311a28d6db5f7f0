"""Output pixels for each aspect ratio and resolution tier.

The thirteen ratios and three tiers stand on both model pages (body.size, body.resolution); the pixel figures are those
of the size table that ToAPIs prints for the gpt-image-2 family. Portrait ratios are their landscape partner turned.
"""

from __future__ import annotations

import math

Pixels = tuple[int, int]

TIERS = ("1k", "2k", "4k")

_LANDSCAPE: dict[str, tuple[Pixels, Pixels, Pixels]] = {
    "1:1": ((1024, 1024), (2048, 2048), (2880, 2880)),
    "3:2": ((1536, 1024), (2048, 1360), (3520, 2336)),
    "4:3": ((1024, 768), (2048, 1536), (3312, 2480)),
    "5:4": ((1280, 1024), (2560, 2048), (3216, 2576)),
    "16:9": ((1536, 864), (2048, 1152), (3840, 2160)),
    "2:1": ((2048, 1024), (2688, 1344), (3840, 1920)),
    "21:9": ((2016, 864), (2688, 1152), (3840, 1648)),
}


def _turned(ratio: str) -> str:
    return ":".join(reversed(ratio.split(":")))


_TABLE = {
    (name, tier): (pixels[::-1] if name != ratio else pixels)
    for ratio, row in _LANDSCAPE.items()
    for tier, pixels in zip(TIERS, row, strict=True)
    for name in (ratio, _turned(ratio))
}

RATIOS = tuple(dict.fromkeys(name for name, _ in _TABLE))


def output_pixels(ratio: str, tier: str) -> Pixels:
    """Width and height in pixels, e.g. ("9:16", "1k") -> (864, 1536)."""
    return _TABLE[ratio, tier]


def nearest_ratio(pixels: Pixels) -> str:
    """The ratio closest in shape to a picture; what size "auto" means for a reference of these pixels."""
    shape = math.log(pixels[0] / pixels[1])

    def distance(ratio: str) -> float:
        width, height = ratio.split(":")
        return abs(shape - math.log(int(width) / int(height)))

    return min(RATIOS, key=distance)
