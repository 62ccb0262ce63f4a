"""The panoptic cloud as a PLY file."""

from collections.abc import Sequence

import numpy as np
from plyfile import PlyData, PlyElement

from pandepth_mm.fileio import PathLike, atomic_path
from pandepth_mm.structures.panoptic_cloud import VOID_NAME, PanopticCloud, check_labels

_VERTEX = [
    ('x', '<f4'),
    ('y', '<f4'),
    ('z', '<f4'),
    ('red', 'u1'),
    ('green', 'u1'),
    ('blue', 'u1'),
    ('class', '<i4'),
    ('instance', '<i4'),
]


def write_ply(path: PathLike, cloud: PanopticCloud, classes: Sequence[str]) -> None:
    """Write a cloud as binary little-endian PLY, atomically.

    One vertex per point: ``x y z`` float, meters, camera frame (x right, y down, z forward); ``red
    green blue`` uchar; ``class`` and ``instance`` int, as in `PanopticCloud`; and float
    ``depth_uncertainty``, meters, where the cloud has it. Comments in the header name the classes,
    one per line: ``class 1 Car``; the last is void. The cloud may be empty.

    Args:
        path: The file.
        cloud: What to write.
        classes: Class names in label order.

    Raises:
        InputError: A label without a name, or a path that cannot be written.
    """
    check_labels(cloud, classes)
    uncertain = cloud.depth_uncertainty is not None
    extra = [('depth_uncertainty', '<f4')] if uncertain else []
    vertices = np.empty(len(cloud.xyz), dtype=_VERTEX + extra)
    for i in range(3):
        vertices['xyz'[i]] = cloud.xyz[:, i]
        vertices[('red', 'green', 'blue')[i]] = cloud.rgb[:, i]
    vertices['class'] = cloud.labels
    vertices['instance'] = cloud.instances
    if uncertain:
        vertices['depth_uncertainty'] = cloud.depth_uncertainty
    names = [*classes, VOID_NAME]
    comments = ['meters, camera frame: x right, y down, z forward']
    # a PLY header is ASCII, a comment one line
    comments += [f'class {i} {ascii(name)[1:-1]}' for i, name in enumerate(names)]
    data = PlyData([PlyElement.describe(vertices, 'vertex')], byte_order='<', comments=comments)
    with atomic_path(path) as tmp:
        data.write(tmp)
