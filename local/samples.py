"""The repo's own sample pictures, drawn by code: the same pixels every time, and no picture files in the repo."""

from __future__ import annotations

import io
import math
from random import Random
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Colour = tuple[int, int, int]
Point = tuple[float, float]
_FINE = 2  # drawn this many times larger and scaled down, which makes edges smooth


def cat() -> bytes:
    """A cat asleep on a sofa below a window, as PNG, 1200 x 900."""
    return _saved(_drawn((1200, 900), _cat), "PNG")


def harbour() -> bytes:
    """A harbour at sunset, as JPEG, 1280 x 720."""
    return _saved(_drawn((1280, 720), _harbour), "JPEG")


def mountains() -> bytes:
    """Mountains and a lake in the morning, as JPEG, 1200 x 800."""
    return _saved(_drawn((1200, 800), _mountains), "JPEG")


class _Brush:
    """Draws in the picture's own pixels, whatever the scale of the canvas."""

    def __init__(self, canvas: Image.Image) -> None:
        self.canvas = canvas
        self._draw = ImageDraw.Draw(canvas)

    def box(self, corners: Sequence[float], colour: Colour, radius: float = 0) -> None:
        self._draw.rounded_rectangle([value * _FINE for value in corners], radius * _FINE, colour)

    def disc(self, centre: Point, radii: Point, colour: Colour) -> None:
        (x, y), (wide, high) = centre, radii
        self._draw.ellipse([value * _FINE for value in (x - wide, y - high, x + wide, y + high)], colour)

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        self._draw.polygon([(x * _FINE, y * _FINE) for x, y in points], colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line with round ends."""
        self._draw.line([(x * _FINE, y * _FINE) for x, y in points], colour, round(width * _FINE), joint="curve")
        for end in (points[0], points[-1]):
            self.disc(end, (width / 2, width / 2), colour)

    def arc(self, centre: Point, radii: Point, degrees: Point, colour: Colour, width: float) -> None:
        """Part of an ellipse with round ends; degrees run clockwise from three o'clock."""
        first, last = degrees
        for step in range(97):
            turn = math.radians(first + (last - first) * step / 96)
            x, y = centre[0] + radii[0] * math.cos(turn), centre[1] + radii[1] * math.sin(turn)
            self.disc((x, y), (width / 2, width / 2), colour)

    def fade(self, corners: Sequence[float], top: Colour, bottom: Colour) -> None:
        """A rectangle whose colour runs from top to bottom."""
        left, up, right, down = (round(value * _FINE) for value in corners)
        ramp = Image.linear_gradient("L").resize((right - left, down - up))
        bands = [
            ramp.point([round(a + (b - a) * value / 255) for value in range(256)])
            for a, b in zip(top, bottom, strict=True)
        ]
        self.canvas.paste(Image.merge("RGB", bands), (left, up))

    def glow(self, centre: Point, radius: float, colour: Colour) -> None:
        """Light that adds to what is there and fades with the distance."""
        size = round(2 * radius * _FINE)
        light = Image.radial_gradient("L").resize((size, size)).point([max(0, 180 - value) for value in range(256)])
        layer = Image.new("RGB", self.canvas.size)
        place = (round((centre[0] - radius) * _FINE), round((centre[1] - radius) * _FINE))
        layer.paste(Image.new("RGB", (size, size), colour), place, light)
        self.canvas.paste(ImageChops.screen(self.canvas, layer))


def _drawn(size: tuple[int, int], scene: Callable[[_Brush, int, int], None]) -> Image.Image:
    brush = _Brush(Image.new("RGB", (size[0] * _FINE, size[1] * _FINE)))
    scene(brush, *size)
    return brush.canvas.reduce(_FINE)


def _saved(picture: Image.Image, format_: str) -> bytes:
    content = io.BytesIO()
    picture.save(content, format_, quality=88)
    return content.getvalue()


# ---- The cat ------------------------------------------------------------------------------------------------------

_FUR, _STRIPE, _CREAM = (224, 146, 74), (186, 106, 46), (250, 226, 194)
_INK, _PINK = (70, 44, 38), (222, 130, 122)


def _cat(brush: _Brush, width: int, height: int) -> None:
    brush.fade((0, 0, width, height), (222, 214, 196), (196, 180, 158))
    _window(brush)
    _plant(brush)
    _sofa(brush)
    _sleeper(brush)
    brush.glow((560, 200), 700, (255, 206, 130))


def _window(brush: _Brush) -> None:
    brush.box((330, 50, 790, 430), (250, 246, 236), 10)
    brush.fade((350, 70, 770, 410), (118, 182, 226), (236, 232, 206))
    brush.disc((660, 150), (42, 42), (255, 238, 170))
    for x, y, wide in ((430, 150, 60), (480, 130, 55), (520, 158, 70), (640, 250, 58), (690, 240, 48)):
        brush.disc((x, y), (wide, 26), (248, 248, 244))
    brush.shape([(350, 410), (350, 340), (450, 300), (570, 350), (680, 310), (770, 345), (770, 410)], (122, 164, 104))
    brush.box((552, 60, 568, 420), (250, 246, 236))
    brush.box((340, 226, 780, 240), (250, 246, 236))
    brush.box((310, 420, 810, 442), (238, 230, 214), 6)


def _plant(brush: _Brush) -> None:
    for turn in range(-60, 61, 20):
        lean = math.radians(turn)
        tip = (1010 + 200 * math.sin(lean), 430 - 210 * math.cos(lean))
        middle = (1010 + 110 * math.sin(lean * 0.6), 430 - 110 * math.cos(lean * 0.6))
        brush.line([(1010, 440), middle, tip], (70, 124, 84), 10)
        brush.disc(middle, (24, 44), (88, 148, 98))
        brush.disc(tip, (30, 52), (104, 166, 108))
    brush.shape([(940, 430), (1080, 430), (1062, 560), (958, 560)], (198, 104, 78))
    brush.box((930, 418, 1090, 446), (214, 120, 92), 8)


def _sofa(brush: _Brush) -> None:
    brush.box((90, 470, 1110, 800), (46, 108, 118), 60)
    for left in (150, 465, 780):
        brush.box((left, 490, left + 290, 720), (60, 130, 140), 40)
        brush.box((left + 16, 504, left + 274, 560), (72, 144, 152), 28)
    brush.box((60, 690, 1140, 830), (52, 118, 128), 40)
    brush.box((60, 690, 1140, 730), (70, 142, 150), 20)
    for left in (30, 1020):
        brush.box((left, 560, left + 150, 840), (40, 98, 108), 56)
        brush.box((left + 16, 572, left + 134, 640), (58, 124, 134), 30)
    for left in (130, 1030):
        brush.box((left, 836, left + 40, 884), (112, 76, 54), 6)
    brush.shape([(800, 520), (960, 540), (945, 700), (790, 690)], (232, 186, 88))
    brush.shape([(815, 537), (943, 553), (931, 684), (805, 676)], (242, 204, 116))


def _sleeper(brush: _Brush) -> None:
    brush.disc((560, 716), (262, 22), (40, 96, 106))
    brush.disc((600, 640), (210, 92), _FUR)
    brush.disc((690, 650), (120, 82), _FUR)
    for x, tilt in ((520, 0), (580, 8), (640, 16), (700, 30)):
        brush.line([(x, 556 + tilt), (x + 14, 590 + tilt), (x + 10, 624 + tilt)], _STRIPE, 14)
    brush.disc((600, 706), (190, 24), _CREAM)
    brush.arc((650, 660), (180, 62), (-20, 150), _FUR, 40)
    brush.arc((650, 660), (180, 62), (120, 150), _CREAM, 40)
    for side in (-1, 1):
        brush.shape([(400 + 88 * side, 610), (400 + 84 * side, 508), (400 + 18 * side, 560)], _FUR)
        brush.shape([(400 + 76 * side, 590), (400 + 74 * side, 534), (400 + 34 * side, 566)], _PINK)
    brush.disc((400, 630), (100, 82), _FUR)
    for x in (372, 400, 428):
        brush.line([(x, 554), (x, 580)], _STRIPE, 10)
    brush.disc((372, 664), (42, 32), _CREAM)
    brush.disc((428, 664), (42, 32), _CREAM)
    brush.shape([(386, 642), (414, 642), (400, 658)], _PINK)
    for side in (-1, 1):
        brush.arc((400 + 46 * side, 616), (24, 16), (15, 165), _INK, 6)
        brush.arc((400 + 15 * side, 658), (15, 14), (10, 170), _INK, 5)
        for rise in (-8, 4, 16):
            brush.line([(400 + 66 * side, 660 + rise / 2), (400 + 142 * side, 650 + 2 * rise)], _CREAM, 3)
    for left in (330, 440):
        brush.disc((left + 20, 712), (44, 20), _CREAM)


# ---- The harbour --------------------------------------------------------------------------------------------------

_SHORE = 430


def _harbour(brush: _Brush, width: int, height: int) -> None:
    dice = Random(7)
    brush.fade((0, 0, width, 260), (58, 54, 110), (214, 100, 108))
    brush.fade((0, 260, width, _SHORE), (214, 100, 108), (255, 196, 120))
    for _ in range(40):
        brush.disc((dice.uniform(0, width), dice.uniform(0, 170)), (1.2, 1.2), (222, 214, 236))
    for y, x, wide in ((120, 260, 190), (150, 380, 150), (210, 900, 220), (240, 1040, 160), (300, 160, 210)):
        brush.disc((x, y), (wide, 9), (236, 140, 122))
    brush.glow((800, 400), 420, (255, 190, 110))
    brush.disc((800, 392), (62, 62), (255, 232, 170))
    brush.shape([(0, 430), (0, 352), (150, 318), (330, 366), (470, 344), (620, 430)], (116, 70, 110))
    brush.shape([(900, 430), (1040, 372), (1170, 340), (width, 366), (width, 430)], (128, 76, 112))
    _water(brush, width, height, dice)
    _houses(brush, dice)
    _lighthouse(brush)
    _boat(brush, (560, 560), 1.5, (196, 66, 62))
    _boat(brush, (330, 490), 0.8, (54, 92, 130))
    _boat(brush, (960, 500), 0.9, (240, 226, 196))


def _water(brush: _Brush, width: int, height: int, dice: Random) -> None:
    brush.fade((0, _SHORE, width, height), (236, 148, 112), (36, 46, 96))
    for _ in range(260):
        y = dice.uniform(_SHORE + 4, height)
        near = (y - _SHORE) / (height - _SHORE)
        x, long = dice.uniform(0, width), 12 + 70 * near
        colour = (255, 214, 146) if abs(x - 800) < 60 + 130 * near else (92, 78, 124)
        brush.line([(x - long / 2, y), (x + long / 2, y)], colour, 1.5 + 2.5 * near)


def _houses(brush: _Brush, dice: Random) -> None:
    brush.box((0, 418, 330, 446), (66, 48, 78))
    walls = ((206, 112, 92), (226, 178, 116), (116, 142, 160), (196, 150, 150), (160, 104, 110))
    for number, wall in enumerate(walls):
        left, top = 8 + 62 * number, dice.randint(322, 352)
        brush.box((left, top, left + 56, 420), wall)
        brush.shape([(left - 5, top), (left + 28, top - 34), (left + 61, top)], (92, 56, 72))
        for x in (left + 11, left + 33):
            for y in (top + 14, top + 44):
                brush.box((x, y, x + 13, y + 17), (255, 224, 150))


def _lighthouse(brush: _Brush) -> None:
    brush.shape([(1060, 452), (1110, 424), (1230, 420), (1280, 440), (1280, 470), (1080, 470)], (62, 46, 74))
    brush.shape([(1146, 424), (1156, 236), (1192, 236), (1202, 424)], (246, 232, 220))
    for top in (268, 336):
        lean = (top - 236) * 10 / 188
        low = lean + 34 * 10 / 188
        brush.shape(
            [(1156 - lean, top), (1192 + lean, top), (1192 + low, top + 34), (1156 - low, top + 34)], (206, 74, 70)
        )
    brush.box((1150, 226, 1198, 238), (62, 46, 74))
    brush.box((1160, 196, 1188, 228), (255, 240, 170))
    brush.shape([(1154, 198), (1174, 172), (1194, 198)], (206, 74, 70))
    brush.glow((1174, 212), 120, (255, 226, 140))


def _boat(brush: _Brush, place: Point, scale: float, hull: Colour) -> None:
    def at(*points: Point) -> list[Point]:
        return [(place[0] + x * scale, place[1] + y * scale) for x, y in points]

    brush.disc(at((0, 26))[0], (110 * scale, 9 * scale), (40, 40, 78))
    brush.line(at((0, 0), (0, -190)), (72, 50, 54), 5 * scale)
    brush.shape(at((8, -184), (8, -18), (104, -18)), (250, 238, 220))
    brush.shape(at((-8, -160), (-8, -18), (-76, -18)), (238, 214, 190))
    brush.shape(at((-110, -6), (112, -6), (78, 26), (-82, 26)), hull)
    brush.shape(at((-110, -6), (112, -6), (106, 2), (-102, 2)), (250, 240, 226))


# ---- The mountains ------------------------------------------------------------------------------------------------

_LAKE = 520


def _mountains(brush: _Brush, width: int, height: int) -> None:
    dice = Random(21)
    brush.fade((0, 0, width, _LAKE), (96, 156, 214), (250, 226, 204))
    brush.glow((260, 240), 360, (255, 226, 170))
    brush.disc((260, 240), (46, 46), (255, 246, 214))
    _range(brush, dice, (300, 110, 4), (156, 174, 206))
    _peak(brush, (420, 190), 330, (104, 122, 164))
    _peak(brush, (800, 110), 420, (86, 104, 150))
    _peak(brush, (1090, 230), 300, (98, 116, 158))
    _range(brush, dice, (440, 40, 9), (74, 112, 116))
    _firs(brush, dice, width)
    _mirror(brush, width, height)
    _meadow(brush, dice, height)


def _range(brush: _Brush, dice: Random, shape: tuple[int, int, int], colour: Colour) -> None:
    """A ridge: its height on the page, how far it rises, and in how many hills."""
    base, rise, hills = shape
    half = 1200 / (2 * hills)
    points = [(half * step, base - rise * dice.uniform(0.4, 1) * (step % 2)) for step in range(2 * hills + 1)]
    brush.shape([(0, _LAKE), *points, (1200, _LAKE)], colour)


def _peak(brush: _Brush, top: Point, half: float, colour: Colour) -> None:
    x, y = top
    foot = _LAKE
    slope = (foot - y) / half
    shade = (round(colour[0] * 0.78), round(colour[1] * 0.78), round(colour[2] * 0.82))
    brush.shape([(x - half, foot), top, (x + half, foot)], colour)
    brush.shape([top, (x + half, foot), (x + half * 0.12, foot), (x - 16, y + 150), (x + 18, y + 80)], shade)
    snow = 96.0
    rim = [(-1.0, 1.0), (-0.52, 0.8), (-0.3, 1.25), (0.0, 0.9), (0.3, 1.35), (0.55, 0.85), (1.0, 1.0)]
    brush.shape([top, *((x + across * snow / slope, y + down * snow) for across, down in rim)], (250, 250, 252))
    lee = [(x + across * snow / slope, y + down * snow) for across, down in rim[3:]]
    brush.shape([top, *lee], (206, 216, 236))


def _firs(brush: _Brush, dice: Random, width: int) -> None:
    for x in range(-10, width + 20, 17):
        tall = dice.uniform(34, 78) * (1.25 if abs(x - 600) > 380 else 0.75)
        green = (38 + dice.randint(0, 14), 82 + dice.randint(0, 20), 74)
        for part in (0.0, 0.28, 0.56):
            top, foot = _LAKE - tall * (1 - part), _LAKE - tall * max(0.0, 0.5 - part)
            wide = tall * (0.12 + 0.2 * part)
            brush.shape([(x, top), (x - wide, foot), (x + wide, foot)], green)


def _mirror(brush: _Brush, width: int, height: int) -> None:
    """The lake: the view above it upside down, softened and cooled."""
    scale = _FINE
    shore = _LAKE * scale
    view = brush.canvas.crop((0, shore - (height - _LAKE) * scale, width * scale, shore))
    flipped = view.transpose(Image.Transpose.FLIP_TOP_BOTTOM).filter(ImageFilter.BoxBlur(5))
    lake = Image.blend(flipped, Image.new("RGB", flipped.size, (62, 122, 156)), 0.42)
    brush.canvas.paste(lake, (0, shore))
    for number, y in enumerate(range(_LAKE + 14, height, 26)):
        x = (number * 397) % width
        brush.line([(x, y), (x + 120 + 10 * number, y)], (190, 216, 226), 1.6)
    brush.box((0, _LAKE - 2, width, _LAKE + 2), (214, 226, 220))


def _meadow(brush: _Brush, dice: Random, height: int) -> None:
    brush.shape([(0, 690), (170, 672), (380, 716), (640, 770), (900, 792), (960, height), (0, height)], (96, 146, 78))
    brush.shape([(0, 740), (220, 722), (470, 770), (560, height), (0, height)], (74, 122, 66))
    for _ in range(90):
        x = dice.uniform(0, 560)
        y = dice.uniform(716 + x * 0.12, height)
        colour = dice.choice(((250, 214, 96), (240, 240, 236), (214, 108, 132), (158, 130, 204)))
        brush.line([(x, y + 10), (x, y)], (58, 102, 56), 2)
        brush.disc((x, y), (4, 4), colour)
