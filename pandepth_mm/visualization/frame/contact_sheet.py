"""Many frames on one HTML page that needs no network and no script."""

import base64
import html
import io
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from pandepth_mm.fileio import PathLike, atomic_path
from pandepth_mm.visualization.frame.colors import (
    color_depth,
    color_panoptic,
    depth_range,
    splat_depth,
)

WIDTH = 420  # of a picture, pixels
_OPACITY = 0.6  # of the classes over the image
_DIM = 0.35  # brightness of the image under the depth
_QUALITY = 85
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 24px; background: #fff; color: #141414;
  font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; }}
h1 {{ font-size: 20px; overflow-wrap: anywhere; }}
h2 {{ margin: 28px 0 8px; font-size: 14px; overflow-wrap: anywhere; }}
pre {{ padding: 12px; background: #f2f2f2; overflow-x: auto; }}
.frame {{ display: grid; gap: 8px; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); }}
figure {{ max-width: {width}px; margin: 0; }}
figure img {{ display: block; width: 100%; }}
figcaption {{ color: #505050; }}
.legend span {{ margin-right: 16px; white-space: nowrap; }}
.legend i {{ display: inline-block; width: 12px; height: 12px; margin-right: 5px; }}
.problem {{ margin: 4px 0; color: #a00000; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>{title}</h1>
<pre>{summary}</pre>
<p class="legend">{legend}</p>
{frames}
</body>
</html>
"""


class SheetFrame(NamedTuple):
    """A frame of the sheet.

    Attributes:
        title: Its heading.
        problems: Lines below that.
        pictures: Captions and uint8 (H, W, 3), RGB; none where the image cannot be read.
    """

    title: str
    problems: Sequence[str]
    pictures: Sequence[tuple[str, np.ndarray]]


def sheet_pictures(
    image: np.ndarray,
    panoptic: np.ndarray | None,
    depths: dict[str, np.ndarray],
    palette: Sequence[Sequence[int]],
) -> list[tuple[str, np.ndarray]]:
    """Draw a frame: the image, then each map over it, so that a shift is seen.

    Args:
        image: uint8 (H, W, 3), RGB.
        panoptic: int (H, W), ids of ``structures.panoptic_ids``, if there is one.
        depths: float (H, W) by caption, meters, 0 = no measurement; their colors are the same.
        palette: RGB of each class.

    Returns:
        Captions and uint8 pictures (h, w, 3), RGB, ``WIDTH`` wide at most.
    """
    scale = min(1.0, WIDTH / image.shape[1])
    size = [max(1, round(side * scale)) for side in image.shape[:2]]
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    pictures = [('image', small)]
    if panoptic is not None:
        ids = cv2.resize(
            panoptic.astype(np.int32).view(np.float32), size[::-1], interpolation=cv2.INTER_NEAREST
        )
        colors = color_panoptic(ids.view(np.int32), palette)
        mixed = _OPACITY * colors + (1 - _OPACITY) * small
        pictures.append(('panoptic', np.rint(mixed).astype(np.uint8)))
    vmin, vmax = depth_range(list(depths.values()))
    for caption, depth in depths.items():
        points = splat_depth(depth, tuple(size))
        colored = color_depth(points, vmin, vmax)
        below = np.rint(_DIM * small).astype(np.uint8)
        picture = np.where((points > 0)[..., None], colored, below)
        pictures.append((f'{caption}, {vmin:g} (bright) to {vmax:g} m', picture))
    return pictures


def write_contact_sheet(
    path: PathLike,
    title: str,
    summary: str,
    frames: Sequence[SheetFrame],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> None:
    """Write the page, atomically.

    Args:
        path: The file.
        title: Heading of the page.
        summary: Text above the frames, as a terminal shows it.
        frames: In order.
        classes: Names for the legend.
        palette: RGB of each class.

    Raises:
        InputError: A path that cannot be written.
    """
    legend = ''.join(
        f'<span><i style="background: rgb{tuple(map(int, color))}"></i>{html.escape(name)}</span>'
        for name, color in zip(classes, palette, strict=True)
    )
    page = _PAGE.format(
        title=html.escape(title),
        summary=html.escape(summary),
        legend=legend,
        frames='\n'.join(map(_frame, frames)),
        width=WIDTH,
    )
    with atomic_path(path) as tmp, open(tmp, 'w', encoding='utf-8') as f:
        f.write(page)


def _frame(frame: SheetFrame) -> str:
    """The part of the page that shows a frame."""
    problems = ''.join(f'<p class="problem">{html.escape(text)}</p>' for text in frame.problems)
    figures = ''.join(
        f'<figure><img src="{_data_uri(picture)}" alt="{html.escape(caption)}">'
        f'<figcaption>{html.escape(caption)}</figcaption></figure>'
        for caption, picture in frame.pictures
    )
    return f'<h2>{html.escape(frame.title)}</h2>{problems}<div class="frame">{figures}</div>'


def _data_uri(picture: np.ndarray) -> str:
    """A picture as JPEG inside the page."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, 'JPEG', quality=_QUALITY)
    return 'data:image/jpeg;base64,' + base64.b64encode(stream.getvalue()).decode('ascii')
