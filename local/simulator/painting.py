"""The pictures: references repainted, or invented from the prompt. Pure Pillow, no clock, no network.

The same prompt, references and variant always give the same pixels. Effects work on a small copy and are scaled up,
which keeps large pictures cheap.
"""

from __future__ import annotations

import colorsys
import io
import math
import struct
from functools import lru_cache
from random import Random
from secrets import token_hex
from typing import TYPE_CHECKING
from zlib import crc32

from PIL import ExifTags, Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps, ImageStat

from local.simulator.pixels import Pixels, nearest_ratio, output_pixels
from local.simulator.references import UNREADABLE, UnusableReferenceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.simulator.rules import Order

GOLDEN = 0.381966  # a turn of the colour wheel by this much never meets an earlier one soon
CLEARLY = 25.0  # mean difference per channel, of 255, that a repainted area has at least
_DEEPER = [round(255 * (value / 255) ** 1.8) for value in range(256)]  # light stays, what is dark gets darker
BRUSH = 240  # pixels on the short side (about) of the small copy that effects work on

Colour = tuple[int, int, int]


def paint(order: Order, references: list[Path], mask: Path | None, folder: Path) -> list[Path]:
    """Paint `order.n` pictures into `folder` and return their paths. Takes CPU time: call it in a worker thread."""
    opened = [_open(path, f"reference image {number}") for number, path in enumerate(references, 1)]
    ratio = order.size if order.size != "auto" else nearest_ratio(opened[0].size) if opened else "1:1"
    pixels = output_pixels(ratio, order.resolution)
    window = _window(mask, references[0], pixels) if mask else None
    fitted = [ImageOps.fit(picture, pixels) for picture in opened]
    made = []
    for variant in range(order.n):
        picture = edit(fitted, window, order.prompt, variant) if fitted else invent(order.prompt, pixels, variant)
        path = folder / f"{variant}.{order.output_format}"
        _save(picture, path, order.output_compression)
        made.append(path)
    return made


def paint_copies(order: Order, _references: list[Path], _mask: Path | None, folder: Path) -> list[Path]:
    """In place of `paint`, for almost no CPU time: each picture is the same, with a comment that makes it unique.

    Nobody looks at the references any more: size "auto" is 1:1, and one that is cut off fails nothing.
    """
    content = _original(
        output_pixels("1:1" if order.size == "auto" else order.size, order.resolution), order.output_format
    )
    made = [folder / f"{variant}.{order.output_format}" for variant in range(order.n)]
    for path in made:
        path.write_bytes(_unique(content, path))
    return made


def edit(references: list[Image.Image], window: Image.Image | None, prompt: str, variant: int) -> Image.Image:
    """Repaint the blend of the references; with a window, only where it is 255, and elsewhere the first one stays."""
    blend = references[0]
    for number, other in enumerate(references[1:], 2):
        blend = Image.blend(blend, other, 1 / number)
    painted = _clearly_changed(_effect(blend, prompt, variant), references[0], window)
    return Image.composite(painted, references[0], window) if window else painted


@lru_cache
def _original(pixels: Pixels, file_format: str) -> bytes:
    """A picture file to copy."""
    buffer = io.BytesIO()
    invent("a copy", pixels, 0).save(buffer, file_format.upper())
    return buffer.getvalue()


def _unique(content: bytes, path: Path) -> bytes:
    """The picture with a random comment behind its first bytes: a tEXt chunk after a PNG's header, or a JPEG's COM."""
    note = b"Comment\0" + token_hex(16).encode()
    if path.suffix == ".jpeg":
        header = 4 + int.from_bytes(content[4:6])  # SOI and APP0
        comment = b"\xff\xfe" + struct.pack(">H", len(note) + 2) + note
    else:
        header = 8 + 25  # signature and IHDR
        chunk = b"tEXt" + note
        comment = struct.pack(">I", len(note)) + chunk + struct.pack(">I", crc32(chunk))
    return content[:header] + comment + content[header:]


def invent(prompt: str, pixels: Pixels, variant: int) -> Image.Image:
    """A landscape of gradient, discs and hills in colours drawn from the prompt, signed with the prompt."""
    dice, hue = _dice(prompt, variant)
    small = (pixels[0] // 2, pixels[1] // 2)
    width, height = small
    picture = ImageOps.colorize(
        Image.linear_gradient("L").resize(small), _colour(hue, 0.7, 0.25), _colour(hue + 0.12, 0.45, 1.0)
    )
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(12):
        x, y, radius = dice.random() * width, dice.random() * height * 0.8, (0.03 + 0.14 * dice.random()) * height
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), (*_colour(hue + 0.5 * dice.random(), 0.5, 1.0), 90)
        )
    for layer in range(4):
        base = height * (0.55 + 0.12 * layer)
        ridge = [(width * step / 8, base - dice.random() * height * 0.16) for step in range(9)]
        draw.polygon(
            [(0, height), *ridge, (width, height)], (*_colour(hue + 0.05 * layer, 0.6, 0.55 - 0.12 * layer), 230)
        )
    picture = picture.resize(pixels, Image.Resampling.BICUBIC)
    font = ImageFont.load_default(size=max(pixels[1] // 50, 12))
    ImageDraw.Draw(picture).text((pixels[0] // 40, pixels[1] * 19 // 20), prompt[:90].split("\n")[0], "white", font)
    return picture


def _effect(picture: Image.Image, prompt: str, variant: int) -> Image.Image:
    dice, hue = _dice(prompt, variant)
    style = STYLES[(dice.randrange(len(STYLES)) + variant) % len(STYLES)]
    toned = ImageOps.colorize(
        ImageOps.autocontrast(picture.convert("L")),
        black=_colour(hue, 0.85, 0.22),
        mid=_colour(hue + 0.08, 0.75, 0.8),
        white=_colour(hue + 0.2, 0.22, 1.0),
    )
    return Image.blend(style(picture), toned, 0.7)


def _brushed(picture: Image.Image) -> Image.Image:
    """Broad strokes: a median over a small copy, with the dark lines of the original laid on."""
    small = _small(picture).filter(ImageFilter.MedianFilter(5))
    return ImageChops.multiply(_scaled(small, picture), _lines(picture))


def _poster(picture: Image.Image) -> Image.Image:
    """Few flat colours."""
    return _scaled(ImageOps.posterize(_small(picture).filter(ImageFilter.MedianFilter(5)), 2), picture)


def _mosaic(picture: Image.Image) -> Image.Image:
    """Square tiles."""
    tiles = picture.reduce(max(min(picture.size) // 48, 1))
    return tiles.resize(picture.size, Image.Resampling.NEAREST)


def _pastel(picture: Image.Image) -> Image.Image:
    """Soft light colours under drawn lines."""
    soft = _small(picture).filter(ImageFilter.GaussianBlur(3)).point([96 + value * 5 // 8 for value in range(256)] * 3)
    return ImageChops.multiply(_scaled(soft, picture), _lines(picture))


STYLES: tuple[Callable[[Image.Image], Image.Image], ...] = (_brushed, _poster, _mosaic, _pastel)


def _small(picture: Image.Image) -> Image.Image:
    return picture.reduce(max(min(picture.size) // BRUSH, 1))


def _scaled(small: Image.Image, like: Image.Image) -> Image.Image:
    return small.resize(like.size, Image.Resampling.BILINEAR)


def _lines(picture: Image.Image) -> Image.Image:
    """White paper with the picture's edges in dark ink."""
    edges = _small(picture.convert("L")).filter(ImageFilter.FIND_EDGES)
    return _scaled(ImageOps.invert(ImageOps.autocontrast(edges, cutoff=(0, 2))), picture).convert("RGB")


def _clearly_changed(painted: Image.Image, original: Image.Image, window: Image.Image | None) -> Image.Image:
    """The painted picture; when it happens to look like the original inside the window, its shadows deepened.

    Where that is not enough, in flat light or dark colours, it is made half as bright or half as dark. None of this
    leaves an edge that was not there.
    """
    for attempt in (painted, painted.point(_DEEPER * 3)):
        if _distance(attempt, original, window) >= CLEARLY:
            return attempt
    brightness = sum(ImageStat.Stat(original, window).mean) / 3
    return Image.blend(painted, Image.new("RGB", painted.size, "black" if brightness > 127 else "white"), 0.5)


def _distance(one: Image.Image, other: Image.Image, window: Image.Image | None) -> float:
    """Mean difference per channel inside the window; that of an empty one is infinite."""
    difference = ImageStat.Stat(ImageChops.difference(one, other), window)
    return sum(difference.mean) / 3 if sum(difference.count) else math.inf


def _dice(prompt: str, variant: int) -> tuple[Random, float]:
    """Chance that depends on nothing but its arguments, and a hue (0 to 1) that differs from variant to variant."""
    hue = Random(prompt).random() + GOLDEN * variant
    return Random(f"{prompt}\n{variant}"), hue % 1


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _open(path: Path, name: str) -> Image.Image:
    """Decode a PNG or JPEG as it is meant to be seen: turned by its EXIF note, transparent parts on white."""
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            upright = ImageOps.exif_transpose(picture)
            if not upright.has_transparency_data:
                return upright.convert("RGB")
            layered = upright.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    except UNREADABLE as error:
        raise UnusableReferenceError(f"{name} is not a readable PNG or JPEG") from error


def _window(path: Path, reference: Path, pixels: Pixels) -> Image.Image:
    """255 where the mask's alpha is 0 and may be repainted, 0 elsewhere, turned and cut like its reference.

    ToAPIs image editing page (gpt-image-1.5-official), body.mask_url: alpha 0 is repainted.
    """
    try:
        with Image.open(reference) as first, Image.open(path) as mask:
            layer = mask.convert("RGBA")
            layer.getexif()[ExifTags.Base.Orientation] = first.getexif().get(ExifTags.Base.Orientation, 1)
            alpha = ImageOps.exif_transpose(layer).getchannel("A")
    except UNREADABLE as error:
        raise UnusableReferenceError("the mask is not a readable PNG") from error
    alpha = ImageOps.fit(alpha, pixels, Image.Resampling.NEAREST)
    return alpha.point([255, *([0] * 255)])


def _save(picture: Image.Image, path: Path, compression: int) -> None:
    """`compression` is the page's output_compression, 0 to 100; as upstream, more of it keeps more detail."""
    if path.suffix == ".jpeg":
        picture.save(path, "JPEG", quality=min(max(compression, 1), 95))
    else:
        picture.save(path, "PNG", compress_level=1)  # speed before size: the file lives for one run
