"""The instance panel: masks, boxes, classes and scores on a dimmed image."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from pandepth_mm.visualization.frame.colors import instance_shades
from pandepth_mm.visualization.frame.panels import get_font, text_width

Box = tuple[int, int, int, int]
MASK_ALPHA = 0.7
DIM = 0.5  # what is left of the image's brightness


def dim_image(image: np.ndarray) -> np.ndarray:
    """Darken an image and take its color, so that masks stand out.

    Args:
        image: uint8 (H, W, 3), RGB.

    Returns:
        uint8 (H, W, 3), gray.
    """
    gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    gray = np.rint(gray * DIM).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def contrast_color(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever reads better on ``color`` (RGB)."""
    red, green, blue = color
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (0, 0, 0) if luma > 140 else (255, 255, 255)


def draw_instances(
    image: np.ndarray,
    bboxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray | None,
    masks: np.ndarray | None,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    score_thr: float = 0.3,
) -> np.ndarray:
    """Draw instances on the dimmed image.

    Args:
        image: uint8 (H, W, 3), RGB.
        bboxes: float (n, 4), x1 y1 x2 y2 in pixels of ``image``.
        labels: int (n,), 0..num_classes-1.
        scores: float (n,) or None (ground truth: all are drawn, no number).
        masks: bool (n, h, w) or None; another size than the image's is resized (nearest).
        classes: Class names.
        palette: RGB of each class.
        score_thr: Instances with a lower score are left out.

    Returns:
        uint8 (H, W, 3), RGB. The best scored instances lie on top and get their text first; a text
        that finds no free place is left out.
    """
    height, width = image.shape[:2]
    canvas = dim_image(image)
    order = np.arange(len(labels))
    if scores is not None:
        order = np.argsort(-np.asarray(scores), kind='stable')
        order = order[np.asarray(scores)[order] >= score_thr]
    shades = instance_shades([labels[i] for i in order], palette)
    corners = [_clip_box(bboxes[i], width, height) for i in order]

    if masks is not None:
        for rank in reversed(range(len(order))):
            _blend_mask(canvas, masks[order[rank]], shades[rank])
    line = max(1, round(width / 700))
    for rank in reversed(range(len(order))):
        cv2.rectangle(canvas, corners[rank][:2], corners[rank][2:], shades[rank].tolist(), line)

    font = get_font(max(11, round(width / 75)))
    pad = max(1, font.size // 6)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    taken: list[Box] = []
    for rank, i in enumerate(order):
        text = classes[int(labels[i])]
        if scores is not None:
            text += f' {float(scores[i]):.2f}'
        size = (text_width(text, font) + 2 * pad, font.size + 2 * pad)
        place = _free_place(corners[rank], size, (width, height), taken)
        if place is None:
            continue
        taken.append(place)
        color = tuple(shades[rank].tolist())
        draw.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=color)
        middle = (place[1] + place[3]) / 2
        draw.text((place[0] + pad, middle), text, contrast_color(color), font, 'lm')
    return np.array(picture)


def _blend_mask(canvas: np.ndarray, mask: np.ndarray, color) -> None:
    """Mix one mask's color into the canvas, in place."""
    mask = np.asarray(mask).astype(bool)
    if mask.shape != canvas.shape[:2]:
        mask = cv2.resize(
            mask.astype(np.uint8), canvas.shape[1::-1], interpolation=cv2.INTER_NEAREST
        ).astype(bool)
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return
    window = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    inside, part = mask[window], canvas[window]
    part[inside] = np.rint((1 - MASK_ALPHA) * part[inside] + MASK_ALPHA * color.astype(np.float32))


def _clip_box(box: np.ndarray, width: int, height: int) -> Box:
    """Corners as pixels inside the image."""
    corners = np.rint(np.asarray(box, dtype=np.float64)).astype(int)
    return tuple(np.clip(corners, 0, [width - 1, height - 1] * 2).tolist())


def _free_place(
    corner: Box, size: tuple[int, int], canvas: tuple[int, int], taken: Sequence[Box]
) -> Box | None:
    """Find room for a text above, below or inside a box.

    Returns:
        x1, y1, x2, y2 (exclusive) inside the canvas, clear of ``taken``.
    """
    x1, y1, x2, y2 = corner
    wide, high = size
    for x, y in ((x1, y1 - high), (x1, y2 + 1), (x1, y1), (x2 - wide, y1 - high)):
        x = min(max(x, 0), canvas[0] - wide)
        place = (x, y, x + wide, y + high)
        if x < 0 or y < 0 or y + high > canvas[1]:
            continue
        if all(
            place[2] <= t[0] or t[2] <= place[0] or place[3] <= t[1] or t[3] <= place[1]
            for t in taken
        ):
            return place
    return None
