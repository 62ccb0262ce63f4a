"""The files that a result can be written as: one function per kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pandepth_mm.errors import InputError, require_choice
from pandepth_mm.fileio import (
    KITTI_DEPTH_SCALE,
    PathLike,
    atomic_path,
    fit_depth_png,
    write_depth_png,
    write_json,
    write_label_png,
    write_panoptic_png,
)
from pandepth_mm.structures.coco_results import coco_results
from pandepth_mm.visualization.cloud.page import write_cloud_page
from pandepth_mm.visualization.cloud.ply import write_ply

if TYPE_CHECKING:
    from pandepth_mm.apis.result import PanDepthResult

SUMMARY = 'result.json'


def write_panels(result: PanDepthResult, path: Path) -> None:
    """All panels in one PNG."""
    with atomic_path(path) as tmp:
        Image.fromarray(result.picture()).save(tmp)


def write_panoptic(result: PanDepthResult, path: Path) -> None:
    """COCO panoptic PNG, ids R + 256 G + 65536 B, 0 = void."""
    write_panoptic_png(path, result.panoptic)


def write_semantic(result: PanDepthResult, path: Path) -> None:
    """8-bit PNG of labels."""
    write_label_png(path, result.semantic.astype(np.uint8))


def write_depth(result: PanDepthResult, path: Path) -> None:
    """16-bit PNG, 1/256 m, 0 = no depth."""
    write_depth_png(path, fit_depth_png(result.depth)[0])


def write_depth_uncertainty(result: PanDepthResult, path: Path) -> None:
    """16-bit PNG, 1/256 m, nowhere less than that: 0 = none."""
    least = np.maximum(result.depth_uncertainty, 1 / KITTI_DEPTH_SCALE)
    write_depth_png(path, fit_depth_png(least)[0])


def write_instances(result: PanDepthResult, path: Path) -> None:
    """COCO results: boxes and, where the model has them, masks."""
    boxes, masks = coco_results(
        result.name, range(len(result.classes)), **result.instances._asdict()
    )
    if masks:
        boxes = [{**box, **mask} for box, mask in zip(boxes, masks, strict=True)]
    write_json(path, boxes)


def write_cloud(result: PanDepthResult, path: Path) -> None:
    """Binary PLY of the panoptic cloud."""
    write_ply(path, result.points, result.classes)


def write_page(result: PanDepthResult, path: Path) -> None:
    """HTML page to turn the cloud in a browser."""
    write_cloud_page(path, result.points, result.classes, result.palette, title=result.name)


def write_summary(result: PanDepthResult, path: Path) -> None:
    """JSON of all that is not a map: segments, classes, colors, intrinsics."""
    height, width = result.image.shape[:2]
    summary = dict(
        name=result.name,
        height=height,
        width=width,
        classes=list(result.classes),
        palette=result.palette.tolist(),
        num_things=result.num_things,
        segments_info=result.segments_info,
        cam2img=None if result.cam2img is None else result.cam2img.tolist(),
        max_depth=result.max_depth,
        depth_scale=KITTI_DEPTH_SCALE,
        measured_pixels=int((result.sparse_depth > 0).sum()),
    )
    write_json(path, summary)


# File name and function of each kind, in the order in which they are written.
WRITERS: dict[str, tuple[str, Callable[[PanDepthResult, Path], None]]] = dict(
    panels=('panels.png', write_panels),
    panoptic=('panoptic.png', write_panoptic),
    semantic=('semantic.png', write_semantic),
    depth=('depth.png', write_depth),
    depth_uncertainty=('depth_uncertainty.png', write_depth_uncertainty),
    instances=('instances.json', write_instances),
    cloud=('cloud.ply', write_cloud),
    page=('cloud.html', write_page),
)
# Fields of a result that a kind is made from, unless it is the field of its name.
_CLOUD = ('cam2img', 'depth', 'semantic')
_MADE_OF = dict(panels=(), cloud=_CLOUD, page=_CLOUD)


def write_result(
    result: PanDepthResult, out_dir: PathLike, kinds: Sequence[str] | None = None
) -> dict[str, Path]:
    """Write a result as files, and last ``result.json``.

    Each file is written under a temporary name and renamed. ``result.json`` marks a complete
    result.

    Args:
        result: The result.
        out_dir: Folder, made where it is missing.
        kinds: Which of ``WRITERS``. By default all that the result can be written as.

    Returns:
        Path of each file by kind, and of ``result``.

    Raises:
        InputError: An unknown kind, one that the result cannot be written as, or a folder that is a
            file.
    """
    out_dir = Path(out_dir)
    if out_dir.exists() and not out_dir.is_dir():
        raise InputError(out_dir, 'a file', 'a folder')
    if kinds is None:
        kinds = possible_kinds(result)
    for kind in kinds:
        require_choice(kind, WRITERS, 'kinds')
        if kind not in possible_kinds(result):
            raise InputError(
                result.name,
                'no calibration or no such branch in the model',
                f'what {kind} is made of',
                f'kinds: {kind}',
            )
    # an earlier result is no longer complete
    (out_dir / SUMMARY).unlink(missing_ok=True)
    paths = {}
    for kind, (file_name, write) in WRITERS.items():
        if kind in kinds:
            paths[kind] = out_dir / file_name
            write(result, paths[kind])
    paths['result'] = out_dir / SUMMARY
    write_summary(result, paths['result'])
    return paths


def possible_kinds(result: PanDepthResult) -> list[str]:
    """The kinds of ``WRITERS`` that a result has all for, in their order."""
    return [
        kind
        for kind in WRITERS
        if all(getattr(result, field) is not None for field in _MADE_OF.get(kind, (kind,)))
    ]
