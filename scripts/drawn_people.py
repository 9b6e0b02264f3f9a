"""Drawn photos for pictures of the pages: people who never were, before hills and trees out of focus."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
WIDTH, HEIGHT = 720, 540
_EDGE = 360
"""Of the square that a person is drawn in."""
_FACE = (110, 90, 250, 250)
_FINE = 3
"""People are drawn this many times as large and then shrunk, which smooths their edges."""
_SCENES: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((142, 193, 232), (222, 238, 246), (118, 162, 92)),
    ((246, 190, 130), (252, 228, 190), (92, 104, 128)),
    ((228, 221, 208), (240, 235, 226), (172, 134, 98)),
    ((120, 158, 190), (206, 222, 232), (214, 196, 150)),
    ((92, 110, 132), (150, 164, 178), (70, 78, 88)),
    ((196, 214, 196), (228, 236, 220), (88, 128, 96)),
)
"""The top of the sky, its lower end, and the hills."""
_CLOTHES: tuple[Colour, ...] = (
    *((58, 92, 138), (176, 72, 62), (74, 120, 92), (222, 184, 84)),
    *((96, 84, 120), (230, 226, 218), (60, 64, 70), (196, 120, 140)),
)
_WHITE, _EYE, _MOUTH, _FRAME = (250, 248, 244), (66, 50, 40), (140, 54, 54), (50, 50, 56)


@dataclass(frozen=True)
class Looks:
    """How a person is drawn."""

    skin: Colour
    hair: Colour
    cut: Literal["short", "long", "bun", "curly", "bald"]
    has_beard: bool = False
    has_glasses: bool = False


class _Pen:
    """Draws on an empty square."""

    def __init__(self) -> None:
        self.square = Image.new("RGBA", (_EDGE * _FINE,) * 2)
        self._draw = ImageDraw.Draw(self.square)

    def oval(self, box: Box, fill: Colour) -> None:
        self._draw.ellipse(_fine(box), fill=fill)

    def slab(self, box: Box, fill: Colour, radius: int) -> None:
        self._draw.rounded_rectangle(_fine(box), radius * _FINE, fill=fill)

    def part(self, box: Box, begin: int, end: int, fill: Colour) -> None:
        self._draw.chord(_fine(box), begin, end, fill=fill)

    def bow(self, box: Box, begin: int, end: int, fill: Colour, width: int = 5) -> None:
        self._draw.arc(_fine(box), begin, end, fill=fill, width=width * _FINE)


def _fine(box: Box) -> list[float]:
    return [edge * _FINE for edge in box]


def _darker(colour: Colour, share: float) -> Colour:
    red, green, blue = (int(part * share) for part in colour)
    return red, green, blue


def draw_photo(people: list[Looks], rng: np.random.Generator) -> tuple[Image.Image, list[Box]]:
    """Return a photo of people side by side, and the boxes of their faces."""
    picture = _scene(rng)
    boxes: list[Box] = []
    for place, looks in enumerate(people):
        size = int(rng.uniform(0.9, 1.1) * _EDGE * 1.3 / (0.7 + 0.3 * len(people)))
        left = int(WIDTH * (place + 1) / (len(people) + 1) + rng.uniform(-25, 25) - size / 2)
        top = HEIGHT - size + 20
        person = _person(looks, rng).rotate(rng.uniform(-7, 7), Image.Resampling.BICUBIC)
        person = person.resize((size, size), Image.Resampling.LANCZOS)
        picture.paste(person, (left, top), person)
        x1, y1, x2, y2 = (edge * size / _EDGE for edge in _FACE)
        boxes.append((left + x1, top + y1, left + x2, top + y2))
    return picture, boxes


def _scene(rng: np.random.Generator) -> Image.Image:
    above, horizon, below = _SCENES[rng.integers(len(_SCENES))]
    share = np.linspace(0, 1, HEIGHT)[:, None, None]
    rows = np.array(above) * (1 - share) + np.array(horizon) * share
    picture = Image.fromarray(np.broadcast_to(rows, (HEIGHT, WIDTH, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    level = rng.uniform(0.5, 0.75) * HEIGHT
    hills = [(x, level + rng.uniform(-30, 30)) for x in range(-60, WIDTH + 121, 90)]
    draw.polygon([(-60, HEIGHT), *hills, (WIDTH + 120, HEIGHT)], fill=below)
    for _ in range(7):
        x, y, radius = rng.uniform(0, WIDTH), level + rng.uniform(-60, 30), rng.uniform(20, 70)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), _darker(below, rng.uniform(0.75, 1.1)))
    return picture.filter(ImageFilter.GaussianBlur(9))


def _person(looks: Looks, rng: np.random.Generator) -> Image.Image:
    """Head and shoulders, with nothing behind them."""
    pen, hair, shade = _Pen(), looks.hair, _darker(looks.skin, 0.86)
    if looks.cut == "long":
        pen.slab((98, 70, 262, 300), _darker(hair, 0.85), 70)
    if looks.cut == "bun":
        pen.oval((145, 22, 215, 92), hair)
    if looks.cut == "curly":
        for angle in np.linspace(np.pi * 0.85, np.pi * 2.15, 11):
            x, y = 180 + 78 * np.cos(angle), 142 + 78 * np.sin(angle)
            pen.oval((x - 33, y - 33, x + 33, y + 33), hair)
    pen.slab((60, 282, 300, 420), _CLOTHES[rng.integers(len(_CLOTHES))], 70)
    pen.slab((153, 220, 207, 306), shade, 26)
    pen.oval((148, 274, 212, 318), shade)
    for ear in (103, 239):
        pen.oval((ear, 158, ear + 18, 196), shade)
    if looks.cut != "bald":
        pen.oval((104, 66, 256, 214), hair)
    pen.oval((110, 82, 250, 256), looks.skin)
    if looks.cut in {"short", "long", "bun"}:
        pen.part((107, 70, 253, 200), 180, 360, hair)
        parting = 112 if looks.cut == "short" else 148
        pen.oval((parting + 14, 104, parting + 88, 170), looks.skin)
        pen.oval((122, 116, 238, 190), looks.skin)
    if looks.has_beard:
        pen.part((110, 82, 250, 260), 10, 170, hair)
        pen.oval((122, 150, 238, 216), looks.skin)
    _features(pen, looks, shade, rng)
    return pen.square


def _features(pen: _Pen, looks: Looks, shade: Colour, rng: np.random.Generator) -> None:
    glance, frown = rng.uniform(-3, 3), rng.uniform(-2, 2)
    for eye in (150, 210):
        pen.oval((eye - 13, 154, eye + 13, 174), _WHITE)
        pen.oval((eye - 8 + glance, 155, eye + 8 + glance, 173), _EYE)
        pen.bow((eye - 20, 136 + frown, eye + 20, 170), 215, 325, _darker(looks.hair, 0.6))
        if looks.has_glasses:
            pen.bow((eye - 25, 141, eye + 25, 189), 0, 360, _FRAME, 4)
    if looks.has_glasses:
        pen.bow((172, 154, 188, 170), 190, 350, _FRAME, 4)
    pen.bow((168, 176, 192, 204), 20, 160, shade)
    if rng.random() < 0.5:
        pen.oval((154, 208, 206, 236), _MOUTH)
        pen.oval((158, 204, 202, 219), _WHITE)
    else:
        width = rng.uniform(24, 30)
        pen.bow((180 - width, 190, 180 + width, 232), 15, 165, _MOUTH, 6)
