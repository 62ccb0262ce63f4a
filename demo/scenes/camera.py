"""Camera of Virtual KITTI 2: intrinsics, pose, rays."""

from typing import NamedTuple

import numpy as np

from pandepth_mm.structures.vkitti2_meta import FOCAL, IMAGE_SIZE
from scenes.layout import Scene
from scenes.road import ROUTE

# Our world (x east, y north, z up) to the one in the files (x, y down, z), a rotation; there the
# ground is the x-z plane, as in Virtual KITTI.
WORLD_TO_FILE = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
HEIGHT = 1.6  # meters above the road


class Intrinsics(NamedTuple):
    """Pinhole camera; integer coordinates are pixel centers."""

    width: int
    height: int
    focal: float
    cx: float
    cy: float


def intrinsics(width: int, height: int) -> Intrinsics:
    """Virtual KITTI's camera at another width (same horizontal view)."""
    return Intrinsics(
        width, height, FOCAL * width / IMAGE_SIZE[1], (width - 1) / 2, (height - 1) / 2
    )


class Pose(NamedTuple):
    """Rotation (3, 3) world to camera, and center (3,) in the world."""

    rotation: np.ndarray
    center: np.ndarray

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in the camera frame (x right, z ahead)."""
        return (points - self.center) @ self.rotation.T

    def file_extrinsic(self) -> np.ndarray:
        """4x4 matrix for extrinsic.txt: file world to camera."""
        out = np.eye(4)
        out[:3, :3] = self.rotation @ WORLD_TO_FILE.T
        out[:3, 3] = -self.rotation @ self.center
        return out


def camera_place(frame: int, frames: int) -> float:
    """Meters along the route at a frame."""
    return ROUTE * frame / frames


def camera_pose(scene: Scene, s: float) -> Pose:
    """Pose in the right lane, looking along the road."""
    half = scene.road.half
    lane = -half * (0.5 if half < 6 else 0.25)
    at = scene.road.world(s, lane)
    ahead = scene.road.world(s + 12, lane)
    d = ahead - at
    yaw = 0.5 * np.arctan2(d[1], d[0]) + 0.5 * float(scene.road.frame(s)[2])
    # the body pitches with the road, and a little of its own
    slope = float(scene.road.height(s + 4, lane) - scene.road.height(s - 4, lane)) / 8
    pitch = np.arctan(slope) + 0.006 * np.sin(s * 0.9) - 0.01
    roll = 0.006 * np.sin(s * 0.37 + 1)
    c, sn = np.cos(yaw), np.sin(yaw)
    f = np.array([c * np.cos(pitch), sn * np.cos(pitch), np.sin(pitch)])
    right = np.array([sn, -c, 0.0])
    down = np.cross(f, right)
    r = np.cos(roll) * right + np.sin(roll) * down
    down = np.cross(f, r)
    return Pose(np.stack([r, down, f]), at + [0, 0, HEIGHT])


def rays(k: Intrinsics, pose: Pose, u=None, v=None) -> np.ndarray:
    """World directions, float64 (N, 3), through pixels; z in camera is 1.

    Args:
        k: Intrinsics.
        pose: Pose.
        u: Columns (N,); every pixel center in raster order by default.
        v: Rows (N,).
    """
    if u is None:
        v, u = (x.ravel().astype(float) for x in np.indices((k.height, k.width)))
    d = np.stack([(u - k.cx) / k.focal, (v - k.cy) / k.focal, np.ones(len(u))], 1)
    return d @ pose.rotation
