"""Files of Virtual KITTI 2: the four images of a frame, the text tables."""

import colorsys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from pandepth_mm.converters.vkitti2.layout import HEADERS, IMAGES, image_path, text_path
from pandepth_mm.fileio import atomic_path
from pandepth_mm.structures.vkitti2_meta import (
    CLASS_COLORS,
    CLASSES,
    DEPTH_INVALID,
    DEPTH_SCALE,
    VOID_COLOR,
    VOID_NAME,
)
from scenes.camera import Intrinsics, Pose
from scenes.layout import Scene

_CLASS_TABLE = np.array([CLASS_COLORS[c] for c in CLASSES], np.uint8)


class FrameRows(NamedTuple):
    """Lines of the text tables that come with one frame."""

    info: list[str]  # of the scene, the same in every frame
    intrinsic: list[str]
    extrinsic: list[str]
    bbox: list[str]
    pose: list[str]


def _palette() -> list[int]:
    """Black and 255 colors that differ from their neighbors."""
    out = [0, 0, 0]
    for i in range(255):
        rgb = colorsys.hsv_to_rgb(i * 0.61803 % 1, 1 - 0.35 * (i % 3 == 1), 1 - 0.3 * (i % 4 == 2))
        out += [int(round(255 * x)) for x in rgb]
    return out


def _imwrite(path: Path, image: np.ndarray, options=()) -> None:
    with atomic_path(path) as tmp:
        if not cv2.imwrite(tmp, image, list(options)):
            raise OSError(f'cannot write {path}')


def encode_depth(depth: np.ndarray) -> np.ndarray:
    """Meters (inf: nothing) to Virtual KITTI's centimeters, uint16."""
    hit = np.isfinite(depth)
    cm = np.rint(np.where(hit, depth, 0) * DEPTH_SCALE)
    return np.where(hit, np.clip(cm, 1, DEPTH_INVALID - 1), DEPTH_INVALID).astype(np.uint16)


def write_labels(
    folder: Path, frame: int, depth: np.ndarray, label: np.ndarray, track: np.ndarray
) -> None:
    """Write depth, classes and instances of a frame.

    Args:
        folder: ``OUT/SceneXX/variation``.
        frame: Number of the frame.
        depth: Meters along z, (H, W); inf for sky.
        label: Index into CLASSES, (H, W).
        track: Track id, (H, W); -1 without. The PNG holds id + 1.
    """
    _imwrite(image_path(folder, 'depth', frame), encode_depth(depth))
    _imwrite(image_path(folder, 'classes', frame), _CLASS_TABLE[label][..., ::-1])
    image = Image.fromarray((track + 1).astype(np.uint8), mode='P')
    image.putpalette(_palette())
    with atomic_path(image_path(folder, 'instances', frame)) as tmp:
        image.save(tmp)


def write_rgb(folder: Path, frame: int, rgb: np.ndarray) -> None:
    """Write the picture, RGB uint8 (H, W, 3), as JPEG."""
    _imwrite(image_path(folder, 'rgb', frame), rgb[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 93))


def read_tracks(folder: Path, frame: int) -> np.ndarray:
    """Track ids of a frame written before, int (H, W), -1 without."""
    with Image.open(image_path(folder, 'instances', frame)) as image:
        return np.array(image).astype(int) - 1


def _numbers(values: Iterable[float]) -> str:
    return ' '.join(f'{v:.10g}' for v in values)


def _wrap(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _truncation(points: np.ndarray, k: Intrinsics) -> float:
    """Share of an object's projected box that is outside the image."""
    p = points[points[:, 2] > 0.1]
    if not len(p):
        return 1.0
    u = k.focal * p[:, 0] / p[:, 2] + k.cx
    v = k.focal * p[:, 1] / p[:, 2] + k.cy
    lo, hi = np.array([u.min(), v.min()]), np.array([u.max(), v.max()])
    size = np.array([k.width, k.height])
    inside = np.clip(np.minimum(hi, size - 0.5) - np.maximum(lo, -0.5), 0, None)
    return float(np.clip(1 - inside.prod() / max((hi - lo).prod(), 1e-9), 0, 1))


def frame_rows(
    scene: Scene, frame: int, camera_s: float, k: Intrinsics, pose: Pose, track: np.ndarray
) -> FrameRows:
    """Text rows of a frame; objects are those with a visible pixel.

    Boxes are tight about the visible pixels, both ends included. Positions are the middle of the
    vehicle's footprint; rotation_y is KITTI's, 0 along the camera's x axis.

    Args:
        scene: The scene.
        frame: Number of the frame.
        camera_s: Meters along the route.
        k: Intrinsics.
        pose: Camera pose.
        track: Track ids, int (H, W), -1 without.
    """
    rows = FrameRows(
        [f'{t.track} {t.vehicle.label} {t.vehicle.model} {t.vehicle.color}' for t in scene.tracks],
        [f'{frame} 0 ' + _numbers((k.focal, k.focal, k.cx, k.cy))],
        [f'{frame} 0 ' + _numbers(pose.file_extrinsic().ravel())],
        [],
        [],
    )
    for i in np.unique(track[track >= 0]):
        t = scene.tracks[i]
        v, u = np.nonzero(track == i)
        mesh = scene.placed(t, camera_s)
        left, right, top, bottom = u.min(), u.max(), v.min(), v.max()
        area = (right - left + 1) * (bottom - top + 1)
        cut = _truncation(pose.to_camera(mesh.v.reshape(-1, 3)), k)
        rows.bbox.append(
            f'{frame} 0 {i} {left} {right} {top} {bottom} {len(u)} '
            + _numbers((cut, len(u) / area))
            + f' {t.moving}'
        )
        at, yaw = scene.track_pose(t, camera_s)
        x, y, z = pose.to_camera(at)
        ahead = pose.rotation @ [np.cos(yaw), np.sin(yaw), 0.0]
        turn = np.arctan2(-ahead[2], ahead[0])
        alpha = _wrap(turn - np.arctan2(x, z))
        length, width, height = t.vehicle.size
        # the file world is (x, -z, y): a heading yaw turns to -yaw about y
        rows.pose.append(
            f'{frame} 0 {i} '
            + _numbers(
                (
                    alpha,
                    width,
                    height,
                    length,
                    at[0],
                    -at[2],
                    at[1],
                    _wrap(-yaw),
                    0,
                    0,
                    x,
                    y,
                    z,
                    turn,
                    0,
                    0,
                )
            )
        )
    return rows


def write_tables(folder: Path, frames: dict[int, FrameRows]) -> None:
    """Write the six text files of one variation.

    Args:
        folder: ``OUT/SceneXX/variation``.
        frames: Rows of every frame, by its number.
    """
    order = sorted(frames)
    lines: dict[str, list[str]] = dict(
        colors=[
            ' '.join(map(str, (name, *rgb)))
            for name, rgb in (*CLASS_COLORS.items(), (VOID_NAME, VOID_COLOR))
        ],
        info=frames[order[0]].info,
    )
    for name in FrameRows._fields[1:]:
        lines[name] = [x for f in order for x in getattr(frames[f], name)]
    for name, header in HEADERS.items():
        with atomic_path(text_path(folder, name)) as tmp:
            Path(tmp).write_text('\n'.join([header, *lines[name]]) + '\n', encoding='ascii')


def complete(folder: Path, frame: int) -> bool:
    """Whether all four images of a frame are there."""
    return all(image_path(folder, kind, frame).is_file() for kind in IMAGES)


def tables_complete(folder: Path) -> bool:
    """Whether all six text files are there."""
    return all(text_path(folder, name).is_file() for name in HEADERS)
