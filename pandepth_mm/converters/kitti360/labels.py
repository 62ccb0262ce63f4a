"""KITTI-360's class ids, as the 19 classes of Cityscapes."""

import numpy as np

from pandepth_mm.structures.annotations import coco_categories
from pandepth_mm.structures.cityscapes_meta import CLASS_COLORS, CLASSES, THING_CLASSES

STUFF_CLASSES = tuple(name for name in CLASSES if name not in THING_CLASSES)
_NAMES = (*THING_CLASSES, *STUFF_CLASSES)
CATEGORIES = coco_categories(THING_CLASSES, STUFF_CLASSES, [CLASS_COLORS[name] for name in _NAMES])
INSTANCE_DIVISOR = 1000
# Ids of the data set's label table; those without a class there (parking, caravan, lamp, box, ...)
# are void.
_IDS = {
    'road': (7,),
    'sidewalk': (8,),
    'building': (11, 34),  # garage
    'wall': (12,),
    'fence': (13, 35),  # gate
    'pole': (17, 37),  # small pole
    'traffic light': (19,),
    'traffic sign': (20,),
    'vegetation': (21,),
    'terrain': (22,),
    'sky': (23,),
    'person': (24,),
    'rider': (25,),
    'car': (26,),
    'truck': (27,),
    'bus': (28,),
    'train': (31,),
    'motorcycle': (32,),
    'bicycle': (33,),
}
SKY = _NAMES.index('sky') + 1  # category id


def category_table() -> np.ndarray:
    """Class id, 0 to 255 -> category id, int32 (256,); 0 = void."""
    table = np.zeros(256, np.int32)
    for category, name in enumerate(_NAMES, start=1):
        table[list(_IDS[name])] = category
    return table


def instance_numbers(semantic: np.ndarray, instance: np.ndarray) -> tuple[np.ndarray, int]:
    """Instances of the pixels.

    Args:
        semantic: int (H, W), class ids.
        instance: int (H, W), class id * 1000 + number; number 0 is no instance.

    Returns:
        tuple: int (H, W), ``instance`` where it is one and of the pixel's class, else 0; and how
        many pixels have an instance of another class.
    """
    numbered = instance % INSTANCE_DIVISOR > 0
    agrees = instance // INSTANCE_DIVISOR == semantic
    return np.where(numbered & agrees, instance, 0), int((numbered & ~agrees).sum())
