"""A tiny data set of the package's data contract, for tests.

A street seen by a camera 1.5 m above flat ground: sky, road, and upright rectangles as things at
known distances. Depth is exact, in meters along z.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pandepth_mm.fileio import write_depth_png, write_panoptic_png
from pandepth_mm.structures.annotations import (
    FrameRecord,
    coco_categories,
    segments_of,
    write_annotations,
)
from pandepth_mm.structures.vkitti2_meta import STUFF_CLASSES, THING_CLASSES

CAMERA_HEIGHT = 1.5
MAX_DEPTH = 60.0
SPARSE_FRACTION, GT_FRACTION = 0.05, 0.2


def make_tiny_dataset(
    root: str | Path,
    num_frames: int = 4,
    size: tuple[int, int] = (48, 96),
    splits: Sequence[str] = ('train', 'val'),
    things_per_frame: int = 3,
    empty_frames: Sequence[int] = (),
    thing_classes: Sequence[str] = THING_CLASSES,
    stuff_classes: Sequence[str] = STUFF_CLASSES,
    depth_scale: float = 256.0,
    write_scales: bool = True,
    panoptic: bool = True,
    seed: int = 0,
) -> Path:
    """Write a data set: annotations, pictures, depth, panoptic PNGs.

    The originals (RGB, dense depth in centimeters, 65535 = sky) lie in ``root/source``, which
    ``info.data_root`` names.

    Args:
        root: Where to write; what configs call data_root.
        num_frames: Frames per split.
        size: (height, width) in pixels.
        splits: Names of the splits.
        things_per_frame: Things drawn in each frame; nearer ones may cover others, wholly hidden
            ones are left out.
        empty_frames: Numbers of the frames that get no thing.
        thing_classes: Names.
        stuff_classes: At least two names; 'Sky' and 'Road' are drawn, or the first two where there
            are none of these.
        depth_scale: Units per meter of the sparse and ground truth depth PNGs.
        write_scales: Whether the records carry the scales of these two.
        panoptic: Whether there is panoptic ground truth; without it there are no categories either.
        seed: The same seed gives the same files.

    Returns:
        ``root``.
    """
    root = Path(root)
    classes = tuple(thing_classes) + tuple(stuff_classes)
    colors = np.random.default_rng(123).integers(40, 216, (len(classes), 3))
    categories = coco_categories(thing_classes, stuff_classes, colors.tolist()) if panoptic else []
    info = dict(
        description='tiny test data',
        data_root=str((root / 'source').resolve()),
        max_depth=MAX_DEPTH,
        seed=seed,
    )
    for s, split in enumerate(splits):
        records = []
        for frame in range(num_frames):
            rng = np.random.default_rng([seed, s, frame])
            num_things = 0 if frame in empty_frames else things_per_frame
            ids, labels, depth = _draw(rng, size, num_things, thing_classes, stuff_classes)
            files = _write_files(root, split, frame, rng, colors, depth_scale, ids, labels, depth)
            if write_scales:
                files.update(sparse_depth_scale=depth_scale, gt_depth_map_scale=depth_scale)
            if not panoptic:
                del files['panoptic_file']
            category_ids = {segment: label + 1 for segment, label in labels.items()}
            segments = segments_of(ids, category_ids.get, range(1, len(thing_classes) + 1))
            records.append(
                FrameRecord(
                    width=size[1],
                    height=size[0],
                    cam2img=_intrinsics(size).tolist(),
                    scene=f'Scene{split}',
                    variation='clone',
                    camera='Camera_0',
                    frame=frame,
                    segments=segments if panoptic else None,
                    **files,
                )
            )
        write_annotations(root, split, records, categories, info, first_id=1000 * s + 1)
    return root


def _intrinsics(size: tuple[int, int]) -> np.ndarray:
    """A camera that looks straight ahead, 80 degrees wide."""
    height, width = size
    focal = 0.6 * width
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def _draw(
    rng: np.random.Generator,
    size: tuple[int, int],
    num_things: int,
    thing_classes: Sequence[str],
    stuff_classes: Sequence[str],
) -> tuple[np.ndarray, dict[int, int], np.ndarray]:
    """Make a scene: segment ids, label of each id, dense depth (0 = sky)."""
    height, width = size
    k = _intrinsics(size)
    names = list(stuff_classes)
    sky, road = (
        names.index(name) if name in names else i for i, name in enumerate(('Sky', 'Road'))
    )
    below = np.arange(height) - k[1, 2]
    plane = np.where(below > 0, k[1, 1] * CAMERA_HEIGHT / below.clip(1e-3), 0)
    depth = np.repeat(plane[:, None], width, axis=1)
    depth[depth > MAX_DEPTH] = 0
    ids = np.where(depth > 0, 2, 1)  # 1 sky, 2 road
    labels = {1: len(thing_classes) + sky, 2: len(thing_classes) + road}
    distances = np.sort(rng.uniform(4, 20, num_things))[::-1]
    for i, z in enumerate(distances):  # far ones first, near ones cover them
        segment = 70000 + 300 * i  # needs all three channels of the PNG
        x = rng.uniform(-0.6, 0.6) * z
        top_left = k @ [x - rng.uniform(0.8, 1.6), -rng.uniform(0, 1.2), z]
        low_right = k @ [x + rng.uniform(0.8, 1.6), CAMERA_HEIGHT, z]
        left, top = np.rint(top_left[:2] / z).astype(int).clip(0)
        right, low = np.rint(low_right[:2] / z).astype(int).clip(0)
        ids[top : low + 1, left : right + 1] = segment
        depth[top : low + 1, left : right + 1] = z
        labels[segment] = int(rng.integers(len(thing_classes)))
    return ids, labels, depth.astype(np.float32)


def _write_files(
    root: Path,
    split: str,
    frame: int,
    rng: np.random.Generator,
    colors: np.ndarray,
    scale: float,
    ids: np.ndarray,
    labels: dict[int, int],
    depth: np.ndarray,
) -> dict:
    """Write the files of a frame; return what its record says about them."""
    stem = f'{split}_{frame:05d}'
    rgb = np.zeros((*ids.shape, 3))
    for segment, label in labels.items():
        shade = rng.uniform(0.85, 1.15) if segment >= 70000 else 1
        rgb[ids == segment] = shade * colors[label]
    rgb += rng.normal(0, 6, rgb.shape)
    for folder in ('rgb', 'depth'):
        (root / 'source' / folder).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / f'source/rgb/{stem}.jpg'), rgb[..., ::-1].clip(0, 255).astype(np.uint8))
    # 655.35 m is 65535 cm, the code of the sky
    write_depth_png(root / f'source/depth/{stem}.png', np.where(depth > 0, depth, 655.35), 100)
    for folder, fraction in (('sparse_depth', SPARSE_FRACTION), ('gt_depth_map', GT_FRACTION)):
        valid = np.flatnonzero(depth > 0)
        number = min(round(fraction * depth.size), len(valid))
        sampled = rng.choice(valid, number, replace=False)
        sparse = np.zeros_like(depth)
        sparse.flat[sampled] = depth.flat[sampled]
        write_depth_png(root / folder / f'{stem}.png', sparse, scale)
    write_panoptic_png(root / f'panoptic/{stem}.png', ids)  # read only where the record names it
    return dict(
        file_name=f'rgb/{stem}.jpg',
        sparse_depth_file=f'sparse_depth/{stem}.png',
        gt_depth_map_file=f'gt_depth_map/{stem}.png',
        dense_depth_file=f'depth/{stem}.png',
        dense_depth_scale=100.0,
        panoptic_file=f'{stem}.png',
    )


def tiny_config(
    root: str | Path, split: str = 'train', pipeline: list | None = None, **kwargs
) -> dict:
    """Config of a VKITTI2Dataset on the data of `make_tiny_dataset`."""
    return dict(
        type='VKITTI2Dataset',
        data_root=str(root),
        ann_file=f'annotations/panoptic_{split}.json',
        img_scale=kwargs.pop('img_scale', (96, 48)),
        pipeline=pipeline or [],
        **kwargs,
    )
