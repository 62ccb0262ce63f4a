"""Virtual KITTI 2, as data_converters/vkitti2.py writes it."""

from pandepth_mm.datasets.panoptic_depth_dataset import PanopticDepthDataset
from pandepth_mm.registry import DATASETS
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.structures.vkitti2_meta import CLASSES, STUFF_CLASSES, THING_CLASSES


@DATASETS.register_module()
class VKITTI2Dataset(PanopticDepthDataset):
    """Virtual KITTI 2: three things, eleven stuff classes.

    The palette is for pictures; the data set's own colors, which its files have, are
    ``vkitti2_meta.CLASS_COLORS``.

    Arguments are those of `PanopticDepthDataset`.
    """

    METAINFO = dict(
        classes=CLASSES,
        thing_classes=THING_CLASSES,
        stuff_classes=STUFF_CLASSES,
        palette=default_palette(CLASSES),
    )
