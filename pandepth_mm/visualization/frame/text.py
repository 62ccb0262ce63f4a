"""Text on pictures: the font that matplotlib brings, drawn by Pillow."""

import functools
import os

import matplotlib
from PIL import ImageDraw, ImageFont


@functools.lru_cache(maxsize=64)
def get_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans from matplotlib's own files, ``size`` in pixels."""
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), 'fonts', 'ttf', name), size)


def text_width(text: str, font: ImageFont.FreeTypeFont) -> int:
    """Width of a line of text, pixels."""
    return int(round(font.getlength(text)))


def draw_text(
    draw: ImageDraw.ImageDraw,
    xy: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont,
    fill: tuple[int, int, int] = (20, 20, 20),
    anchor: str = 'lm',
) -> None:
    """Draw a line of text; ``anchor`` as Pillow has it (lm: left middle)."""
    draw.text(xy, text, font=font, fill=fill, anchor=anchor)


def contrast_color(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever reads better on ``color`` (RGB)."""
    red, green, blue = (int(c) for c in color)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (0, 0, 0) if luma > 140 else (255, 255, 255)
