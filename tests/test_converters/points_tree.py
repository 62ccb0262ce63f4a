"""Images and point clouds, for the tests of the converter `points_to_depth`."""

import json

import cv2
import numpy as np

HEIGHT, WIDTH = 60, 80
CAM2IMG = np.array([[50.0, 0, 39.5], [0, 50.0, 29.5], [0, 0, 1]])
# a LiDAR 0.3 m above the camera: x forward, y left, z up
LIDAR2CAM = np.array([[0, -1, 0, 0], [0, 0, -1, -0.3], [1, 0, 0, 0], [0, 0, 0, 1.0]])


def from_camera(points):
    """Points of the camera's frame in the LiDAR's."""
    return ((points - LIDAR2CAM[:3, 3]) @ LIDAR2CAM[:3, :3]).astype('<f4')


def cloud(seed=0, count=400):
    """Random points in front of the camera, some outside of the image."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(2, 60, count)
    return np.stack([rng.uniform(-1, 1, count) * z, rng.uniform(-0.8, 0.8, count) * z, z], axis=1)


def make_tree(root, frames=3):
    """Images, clouds and a calibration for all."""
    for kind in ('images/day', 'points/day'):
        (root / kind).mkdir(parents=True, exist_ok=True)
    for i in range(frames):
        path = root / f'images/day/{i:04d}.png'
        cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        np.save(root / f'points/day/{i:04d}.npy', from_camera(cloud(i)))
    calibration = dict(
        cam2img=CAM2IMG.tolist(), lidar2cam=LIDAR2CAM.tolist(), image_size=[WIDTH, HEIGHT]
    )
    (root / 'calib.json').write_text(json.dumps(calibration))
    return root
