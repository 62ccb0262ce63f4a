"""Panels with titles, color bars and a legend, composed to one picture."""

import functools
import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pandepth_mm.errors import InputError
from pandepth_mm.structures.panoptic_cloud import MAX_UNCERTAINTY
from pandepth_mm.visualization.frame.colors import (
    UNCERTAINTY_CMAP,
    depth_lut,
    depth_ticks,
    void_hatch,
)

BACKGROUND = (255, 255, 255)
TEXT_COLOR = (20, 20, 20)
FRAME_COLOR = (120, 120, 120)
MIN_WIDTH, MAX_WIDTH = 600, 1400  # of a panel's image, pixels
TARGET_ASPECT = 1.6  # width / height that the grid of panels comes near to


class ColorBar(NamedTuple):
    """The scale of depth, or of its uncertainty, of a panel.

    Attributes:
        vmin: Value of the first color.
        vmax: Value of the last color.
        cmap: Matplotlib's name of the colors.
        clipped: Some values lie beyond ``vmax``; the last tick says so.
        unit: Of the values.
    """

    vmin: float
    vmax: float
    cmap: str
    clipped: bool = False
    unit: str = 'm'


class Panel(NamedTuple):
    """One picture of the grid.

    Attributes:
        title: Short text above it.
        image: uint8 (H, W, 3), RGB.
        colorbar: Its scale, drawn in the title line, if any.
    """

    title: str
    image: np.ndarray
    colorbar: ColorBar | None = None


Grid = list[list[Panel | None]]
# A class and its RGB; None is the void hatch.
LegendEntry = tuple[str, tuple[int, int, int] | None]


@functools.lru_cache(maxsize=64)
def get_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans from matplotlib's own files, ``size`` in pixels."""
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), 'fonts', 'ttf', name), size)


def text_width(text: str, font: ImageFont.FreeTypeFont) -> int:
    """Width of a line of text, pixels."""
    return int(round(font.getlength(text)))


def panel_scale(width: int) -> float:
    """Factor from an image's width in pixels to that of a panel.

    Narrow images are enlarged by a whole number, so that pixels stay square and text is readable;
    wide ones are shrunk.
    """
    if width < MIN_WIDTH:
        return float(math.ceil(MIN_WIDTH / width))
    return min(1.0, MAX_WIDTH / width)


def arrange(panels: Sequence[Panel]) -> Grid:
    """Put panels into a grid whose aspect is near ``TARGET_ASPECT``."""
    height, width = panels[0].image.shape[:2]

    def misfit(cols: int) -> float:
        rows = math.ceil(len(panels) / cols)
        return abs(math.log(cols * width / (rows * height) / TARGET_ASPECT))

    cols = min(range(1, len(panels) + 1), key=misfit)
    grid = [list(panels[i : i + cols]) for i in range(0, len(panels), cols)]
    grid[-1] += [None] * (cols - len(grid[-1]))
    return grid


def arrange_pairs(pairs: Sequence[tuple[Panel, Panel | None]]) -> Grid:
    """Put pairs (prediction, ground truth) side by side, one pair per row.

    Images that are not wide get the pairs one above the other instead, one pair per column, where
    that comes nearer to ``TARGET_ASPECT``.
    """
    height, width = pairs[0][0].image.shape[:2]
    aspect = width / height
    upright = abs(math.log(2 * aspect / len(pairs) / TARGET_ASPECT))
    lying = abs(math.log(len(pairs) * aspect / 2 / TARGET_ASPECT))
    if upright <= lying:
        return [list(pair) for pair in pairs]
    return [list(row) for row in zip(*pairs, strict=True)]


def compose_panels(grid: Grid, legend: Sequence[LegendEntry] = ()) -> np.ndarray:
    """Compose panels to one picture.

    Args:
        grid: Rows of panels, all images of one size; None leaves a cell empty.
        legend: Classes to list below the panels.

    Returns:
        uint8 (H, W, 3), RGB, on white.

    Raises:
        InputError: No panel, or images of different sizes.
    """
    panels = [panel for row in grid for panel in row if panel is not None]
    shapes = sorted({panel.image.shape for panel in panels})
    if len(shapes) != 1:
        raise InputError(
            'panels', f'images of shapes {shapes}', 'at least one panel, all of one size'
        )
    height, width = shapes[0][:2]
    cols = max(len(row) for row in grid)
    # readable in a thumbnail, yet title and color bar fit a panel
    font_size = int(np.clip(round(min(0.0115 * cols * width, width / 24)), 12, 40))
    gap = max(4, round(0.5 * font_size))
    head = round(1.5 * font_size)
    total_width = cols * width + (cols + 1) * gap
    top = len(grid) * (head + height + gap) + gap
    lines = _wrap_legend(legend, total_width - 2 * gap, font_size)
    line_height = round(1.6 * font_size)

    picture = Image.new('RGB', (total_width, top + len(lines) * line_height + gap // 2), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for r, row in enumerate(grid):
        for c, panel in enumerate(row):
            if panel is None:
                continue
            x = gap + c * (width + gap)
            y = gap + r * (head + height + gap)
            font = get_font(font_size, bold=True)
            draw.text((x, y + head / 2), panel.title, TEXT_COLOR, font, 'lm')
            if panel.colorbar is not None:
                room = width - text_width(panel.title, font) - 2 * gap
                _draw_colorbar(picture, panel.colorbar, x + width, y, room, head, font_size)
            picture.paste(Image.fromarray(panel.image), (x, y + head))
    for i, line in enumerate(lines):
        _draw_legend_line(picture, line, gap, top + i * line_height, line_height, font_size)
    return np.array(picture)


def uncertainty_bar(percent: np.ndarray) -> ColorBar:
    """The scale of uncertainties: the same for all frames.

    It ends where a cloud leaves points out, at ``MAX_UNCERTAINTY``.

    Args:
        percent: Of `percent_of_depth`.
    """
    vmax = 100 * MAX_UNCERTAINTY
    return ColorBar(0, vmax, UNCERTAINTY_CMAP, bool((percent > vmax).any()), '% of depth')


def tick_labels(bar: ColorBar) -> list[tuple[float, str]]:
    """Ticks of a color bar.

    Returns:
        Value and its text; the last has the unit, and '>' where values lie beyond it.
    """
    ticks = depth_ticks(bar.vmin, bar.vmax)
    labels = [f'{tick:g}' for tick in ticks]
    at_end = bar.clipped and math.isclose(ticks[-1], bar.vmax)
    labels[-1] = ('>' if at_end else '') + labels[-1] + f' {bar.unit}'
    return list(zip(ticks, labels, strict=True))


def _draw_colorbar(
    picture: Image.Image, bar: ColorBar, right: int, top: int, room: int, head: int, font_size: int
) -> None:
    """Draw a color bar over its ticks into a title line, flush right.

    Args:
        picture: Drawn into.
        bar: The scale.
        right: End of the title line, pixels.
        top: Upper edge of the title line.
        room: Width that the title leaves.
        head: Height of the title line.
        font_size: Of the title.
    """
    small = get_font(max(10, round(0.72 * font_size)))
    ticks = tick_labels(bar)
    # half of the outer numbers sticks out
    right -= text_width(ticks[-1][1], small) // 2 + 1
    left = right - min(round(22 * font_size), room - 2 * small.size)
    bar_height = max(4, round(0.42 * font_size))
    y = top + round(0.12 * font_size)
    ramp = depth_lut(bar.cmap)[np.linspace(0, 255, max(2, right - left)).astype(int)]
    picture.paste(Image.fromarray(np.repeat(ramp[None], bar_height, axis=0)), (left, y))
    draw = ImageDraw.Draw(picture)
    middle = (y + bar_height + top + head) / 2
    # from the last, which has the unit; a number that would run into the one right of it is left
    # out
    free = math.inf
    for tick, text in reversed(ticks):
        share = (tick - bar.vmin) / (bar.vmax - bar.vmin)
        x = left + share * (right - 1 - left)
        draw.line((x, y + bar_height, x, y + bar_height + 2), TEXT_COLOR)
        half = text_width(text, small) / 2
        if x + half + 3 <= free:
            draw.text((x, middle), text, TEXT_COLOR, small, 'mm')
            free = x - half


def _wrap_legend(
    legend: Sequence[LegendEntry], width: int, font_size: int
) -> list[list[LegendEntry]]:
    """Break a legend into lines of at most ``width`` pixels."""
    lines: list[list[LegendEntry]] = []
    used = width
    for entry in legend:
        need = _entry_width(entry, font_size)
        if used + need > width:
            lines.append([])
            used = 0
        lines[-1].append(entry)
        used += need
    return lines


def _entry_width(entry: LegendEntry, font_size: int) -> int:
    """Swatch, name and the space after it, pixels."""
    return round(3.2 * font_size) + text_width(entry[0], get_font(font_size))


def _draw_legend_line(
    picture: Image.Image,
    line: Sequence[LegendEntry],
    left: int,
    top: int,
    height: int,
    font_size: int,
) -> None:
    """Draw swatches with names from the left."""
    draw = ImageDraw.Draw(picture)
    font = get_font(font_size)
    high, wide = font_size, round(1.5 * font_size)
    y = top + (height - high) // 2
    for name, color in line:
        if color is None:
            swatch = void_hatch(high, wide, max(2, font_size // 4))
        else:
            swatch = np.full((high, wide, 3), color, dtype=np.uint8)
        picture.paste(Image.fromarray(swatch), (left, y))
        draw.rectangle((left, y, left + wide - 1, y + high - 1), outline=FRAME_COLOR)
        draw.text((left + wide + 0.4 * font_size, y + high / 2), name, TEXT_COLOR, font, 'lm')
        left += _entry_width((name, color), font_size)
