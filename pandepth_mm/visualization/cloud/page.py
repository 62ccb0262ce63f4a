"""The panoptic cloud as an HTML page that needs no network."""

import base64
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from pandepth_mm.errors import require_count
from pandepth_mm.fileio import PathLike, atomic_path
from pandepth_mm.structures.palette import VOID_COLORS
from pandepth_mm.structures.panoptic_cloud import VOID_NAME, PanopticCloud, check_labels
from pandepth_mm.visualization.frame.colors import (
    DEPTH_CMAP,
    as_palette,
    depth_lut,
    depth_range,
    instance_shades,
    percent_of_depth,
)
from pandepth_mm.visualization.frame.panels import ColorBar, tick_labels, uncertainty_bar

# A template of string.Template: $NAME is a place to fill.
_PAGE = Path(__file__).with_name('page.html')
BACKGROUND = '#14171b'
MODES = (
    ('rgb', 'RGB'),
    ('class', 'Class'),
    ('instance', 'Instance'),
    ('depth', 'Depth'),
    ('uncertainty', 'Uncertainty'),
)
POINT_SIZE = 2  # pixels
# What is no instance stays visible as a dim gray picture behind them.
_GRAYS = np.repeat(np.linspace(40, 140, 32).astype(np.uint8)[:, None], 3, 1)

# One color per index: codes (N,) and colors (n, 3) of a cloud.
Coded = tuple[np.ndarray, np.ndarray]


def write_cloud_page(
    path: PathLike,
    cloud: PanopticCloud,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    title: str = 'Panoptic cloud',
    max_points: int = 150_000,
) -> None:
    """Write a page to turn a cloud, color it and hide classes, atomically.

    The page holds all it needs, plotly.js too (5 MB), and makes no request. It shows the scene with
    z up from a little behind and above the camera, colored by the image, class, instance, depth or,
    where the cloud has it, the uncertainty of the depth. The cloud may be empty.

    Args:
        path: The file.
        cloud: What to show.
        classes: Class names in label order.
        palette: RGB of each class.
        title: Heading of the page.
        max_points: Of a larger cloud only this many are shown, sampled evenly over the image; the
            page says so.

    Raises:
        InputError: A label without a name, a palette of another length, ``max_points`` < 1, or a
            path that cannot be written.
    """
    check_labels(cloud, classes)
    palette = as_palette(palette, classes)
    require_count(max_points, 'max_points')
    # before the sampling, so that it changes no color
    codes = dict(rgb=_image_codes(cloud), instance=_instance_codes(cloud, palette))
    ticks = {}
    if cloud.depth_uncertainty is not None:
        codes['uncertainty'], uncertainty_scale = _uncertainty_codes(cloud)
        ticks['uncertainty'] = _ticks(uncertainty_scale)
    sampled = _sample(cloud.pixels, max_points)
    shown = cloud.select(sampled)
    present = np.unique(shown.labels).tolist()
    members = [np.flatnonzero(shown.labels == label) for label in present]

    xyz = shown.xyz[:, [0, 2, 1]] * np.float32([1, 1, -1])
    colors = np.concatenate([palette, [VOID_COLORS[1]]])
    depth = cloud.xyz[:, 2]
    vmin, vmax = depth_range([depth])
    bar = ColorBar(vmin, vmax, DEPTH_CMAP, bool((depth > vmax).any()))
    ticks['depth'] = _ticks(bar)
    modes = {
        'class': dict(colors=[_css(colors[label]) for label in present]),
        'depth': dict(axis='y', scale=_scale(depth_lut(bar.cmap)), max=vmax),
    }
    for mode, (code, table) in codes.items():
        modes[mode] = dict(
            colors=[_packed(code[sampled][m]) for m in members],
            scale=_scale(table),
            max=len(table) - 1,
        )
    bounds = _bounds(xyz)
    camera = _camera(xyz, bounds)
    figure = go.Figure(layout=_layout(bounds, camera))
    names = [*classes, VOID_NAME]
    for label, m in zip(present, members, strict=True):
        figure.add_trace(
            _trace(
                names[label],
                xyz[m],
                shown.instances[m],
                modes['rgb'],
                code=codes['rgb'][0][sampled][m],
            )
        )

    data = dict(modes=modes, camera=camera, ticks=ticks)
    page = Template(_PAGE.read_text(encoding='utf-8')).substitute(
        TITLE=html.escape(title),
        BACKGROUND=BACKGROUND,
        POINTS=_count_text(len(sampled), len(cloud.xyz)),
        MODE_BUTTONS=''.join(
            f'<button data-mode="{mode}" aria-pressed='
            f'"{str(mode == "rgb").lower()}">{text}</button>'
            for mode, text in MODES
            if mode in modes
        ),
        DATA=_json(data),
    )
    # The script must wait for the plot. So plotly gets it, and puts it behind the plot, which takes
    # its place.
    before, script, after = re.split('</?script>', page)
    plot = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id='cloud',
        default_height='100%',
        config=dict(displayModeBar=False, responsive=True, scrollZoom=True),
        post_script=script,
    )
    with atomic_path(path) as tmp:
        with open(tmp, 'w', encoding='utf-8') as f:
            f.writelines((before, plot, after))


def _sample(pixels: np.ndarray, max_points: int) -> np.ndarray:
    """Indices of the points to show, ascending, spread evenly."""
    if len(pixels) <= max_points:
        return np.arange(len(pixels))
    # The lattice of Roberts' R2 sequence: any part of it is even, while every k-th pixel would show
    # stripes and random ones holes.
    order = pixels @ np.array([0.5698402909980532, 0.7548776662466927]) % 1
    return np.sort(np.argsort(order, kind='stable')[:max_points])


def _count_text(shown: int, total: int) -> str:
    """Say how many points there are and are shown."""
    if shown < total:
        return f'{shown:,} of {total:,} points shown'
    return f'{total:,} points' if total else 'no points'


def _image_codes(cloud: PanopticCloud) -> Coded:
    """The cloud's own colors, reduced to 256."""
    if len(cloud.rgb) == 0:
        return np.zeros(0, dtype=np.uint8), np.zeros((2, 3), dtype=np.uint8)
    image = Image.fromarray(cloud.rgb[None]).quantize(256, kmeans=1)
    table = np.array(image.getpalette(), dtype=np.uint8).reshape(-1, 3)
    if len(table) == 1:  # a color scale has two colors at least
        table = table.repeat(2, axis=0)
    return np.asarray(image).ravel(), table


def _instance_codes(cloud: PanopticCloud, palette: np.ndarray) -> Coded:
    """Instances in shades of their class, the rest in grays of the image."""
    brightness = cloud.rgb @ np.array([0.299, 0.587, 0.114])
    code = (brightness / 256 * len(_GRAYS)).astype(np.uint16)
    has = cloud.instances > 0
    keys, first, inverse = np.unique(cloud.instances[has], return_index=True, return_inverse=True)
    shades = instance_shades(cloud.labels[has][first], palette)
    code[has] = len(_GRAYS) + inverse
    small = len(_GRAYS) + len(keys) <= 256
    return (code.astype(np.uint8 if small else np.uint16), np.concatenate([_GRAYS, shades]))


def _uncertainty_codes(cloud: PanopticCloud) -> tuple[Coded, ColorBar]:
    """The uncertainty in percent of the depth, as 256 colors, and their scale."""
    percent = percent_of_depth(cloud.depth_uncertainty, cloud.xyz[:, 2])
    bar = uncertainty_bar(percent)
    share = np.where(percent < bar.vmax, percent / bar.vmax, 1)  # also where it is not known
    return (np.rint(255 * share).astype(np.uint8), depth_lut(bar.cmap)), bar


def _ticks(bar: ColorBar) -> list[tuple[float, str]]:
    """Ticks of a scale that begins at 0: share of its length, and text."""
    return [(tick / bar.vmax, text) for tick, text in tick_labels(bar)]


def _bounds(xyz: np.ndarray) -> np.ndarray:
    """Box of the points with some margin: float (2, 3), meters."""
    if len(xyz) == 0:
        return np.array([[-1.0, -1, -1], [1, 1, 1]])
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    middle = (low + high) / 2.0
    half = np.maximum(0.51 * (high - low), 0.5).astype(np.float64)
    return np.stack([middle - half, middle + half])


def _camera(xyz: np.ndarray, bounds: np.ndarray) -> dict[str, Any]:
    """First view: from behind and above the camera, looking ahead.

    plotly counts in units of the box: its middle is 0, and its sides have a geometric mean of 1.
    """
    ahead = float(np.median(xyz[:, 1])) if len(xyz) else 1.0
    eye = np.array([0, -0.35, 0.22]) * ahead
    center = np.array([0, 1.0, 0.04]) * ahead
    scale = np.prod(bounds[1] - bounds[0]) ** (-1 / 3)
    middle = bounds.mean(axis=0)
    view = dict(
        eye=(eye - middle) * scale, center=(center - middle) * scale, up=np.array([0.0, 0, 1])
    )
    return {name: dict(zip('xyz', vector.tolist(), strict=True)) for name, vector in view.items()}


def _layout(bounds: np.ndarray, camera: dict[str, Any]) -> dict[str, Any]:
    """An empty dark scene of true proportions."""
    axes = {
        f'{name}axis': dict(visible=False, showspikes=False, range=bounds[:, i].tolist())
        for i, name in enumerate('xyz')
    }
    return dict(
        autosize=True,
        margin=dict(l=0, r=0, t=0, b=0),
        showlegend=False,
        paper_bgcolor=BACKGROUND,
        plot_bgcolor=BACKGROUND,
        # what plotly shows of an empty cloud
        xaxis=dict(visible=False),
        yaxis=dict(visible=False),
        hoverlabel=dict(bgcolor='#2a2f37', font=dict(color='#e8eaed')),
        scene=dict(
            aspectmode='data', camera=camera, dragmode='turntable', bgcolor=BACKGROUND, **axes
        ),
    )


def _trace(
    name: str, xyz: np.ndarray, instances: np.ndarray, mode: dict[str, Any], code: np.ndarray
) -> go.Scatter3d:
    """The points of one class, in the colors of the image."""
    number = ' %{customdata}' if instances.any() else ''
    return go.Scatter3d(
        x=xyz[:, 0],
        y=xyz[:, 1],
        z=xyz[:, 2],
        mode='markers',
        name=name,
        customdata=instances if number else None,
        hovertemplate='<b>%{fullData.name}' + number + '</b><br>depth %{y:.1f} m<extra></extra>',
        marker=dict(
            size=POINT_SIZE,
            line=dict(width=0),
            opacity=1,
            color=code,
            cmin=0,
            cmax=mode['max'],
            colorscale=mode['scale'],
        ),
    )


def _css(color: Sequence[int]) -> str:
    """An RGB triple as CSS has it."""
    return 'rgb({},{},{})'.format(*color)


def _scale(table: np.ndarray) -> list[tuple[float, str]]:
    """A table of two or more colors as a color scale of plotly's."""
    return [(i / (len(table) - 1), _css(c)) for i, c in enumerate(table)]


def _packed(array: np.ndarray) -> dict[str, str]:
    """An array of uint8 or uint16 as plotly.js reads it."""
    return dict(dtype=f'u{array.itemsize}', bdata=base64.b64encode(array.tobytes()).decode())


def _json(data: dict[str, Any]) -> str:
    """JSON that cannot end the script that it stands in."""
    return json.dumps(data).replace('<', '\\u003c')
