"""The colors that classes have in pictures, the same in every picture.

Free of heavy imports.
"""

from collections.abc import Sequence

import numpy as np

RGB = tuple[int, int, int]

VOID_COLORS = ((0, 0, 0), (96, 96, 96))  # the two stripes of the hatch
BOUNDARY_COLOR = (255, 255, 255)  # of an instance
# The classes of Virtual KITTI 2. Its official colors (vkitti2_meta.py) are for its files: readers
# with protanopia, deuteranopia or tritanopia cannot tell many of them apart. These were searched
# for the largest smallest distance of any two under those and under normal vision, also from the
# white boundaries and the stripes of void; tests/test_structures/test_palette.py measures it.
DRAW_COLORS = dict(
    Truck=(92, 14, 0),
    Car=(232, 0, 56),
    Van=(186, 96, 162),
    Terrain=(180, 150, 124),
    Sky=(138, 195, 253),
    Tree=(0, 124, 48),
    Vegetation=(125, 187, 1),
    Building=(188, 188, 197),
    Road=(62, 39, 63),
    GuardRail=(28, 9, 131),
    TrafficSign=(254, 231, 23),
    TrafficLight=(18, 255, 176),
    Pole=(78, 6, 238),
    Misc=(2, 118, 251),
)


def default_palette(classes: Sequence[str]) -> list[RGB]:
    """Give each class a color.

    A class of Virtual KITTI 2 has its color of ``DRAW_COLORS``. Other classes take those that are
    left over, so that up to 14 classes can be told apart by color-blind readers; then come
    generated ones, distinct for up to 255 classes. The same names always have the same colors.

    Args:
        classes: Class names in label order.

    Returns:
        One RGB tuple per class, 0 to 255.
    """
    others = [name for name in classes if name not in DRAW_COLORS]
    spare = [c for name, c in DRAW_COLORS.items() if name not in classes]
    spare += _more_colors(len(others) - len(spare))
    colors = {**DRAW_COLORS, **dict(zip(others, spare, strict=False))}
    return [colors[name] for name in classes]


def _more_colors(count: int) -> list[RGB]:
    """Colors beside those of ``DRAW_COLORS``, each far from all before.

    Distances are of lightness, blue and red: lightness counts most, red, which many color-blind
    readers lack, least.
    """
    levels = np.rint(np.linspace(0, 255, 8)).astype(int)
    lattice = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 3)
    taken = [*DRAW_COLORS.values(), *VOID_COLORS, BOUNDARY_COLOR]

    def coordinates(rgb) -> np.ndarray:
        red, green, blue = np.asarray(rgb, dtype=np.float64).T
        light = 0.299 * red + 0.587 * green + 0.114 * blue
        return np.stack([1.5 * light, blue - light, 0.5 * (red - light)], -1)

    points = coordinates(lattice)
    nearest = np.min([np.linalg.norm(points - coordinates(rgb), axis=-1) for rgb in taken], axis=0)
    colors = []
    for _ in range(count):
        best = int(nearest.argmax())
        colors.append(tuple(lattice[best].tolist()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[best], axis=-1))
    return colors
