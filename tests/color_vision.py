"""Distances of colors, as readers with each kind of color vision see them."""

import numpy as np

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", IEEE TVCG 2009, severity 1.0; for linear RGB.
VISION = dict(
    normal=np.eye(3),
    protanopia=[
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    deuteranopia=[
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    tritanopia=[
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
)
# Linear sRGB to XYZ, D65 (IEC 61966-2-1).
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def to_lab(rgb, vision='normal'):
    """CIELAB (n, 3) of sRGB colors (n, 3), 0 to 255, as a reader sees."""
    c = np.asarray(rgb, dtype=float) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    t = linear @ TO_XYZ.T / TO_XYZ.sum(1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def smallest_distance(colors, vision='normal', beside=()):
    """Smallest CIE76 distance of a color to any other or to ``beside``."""
    lab, other = to_lab(colors, vision), to_lab([*colors, *beside], vision)
    distance = np.linalg.norm(lab[:, None] - other[None], axis=-1)
    distance[np.diag_indices(len(lab))] = np.inf
    return distance.min()
