"""Convert a toy data set: pictures, label PNGs and dense depth as arrays.

    pandepth-convert toy_converter DATA_ROOT --out OUT

DATA_ROOT holds ``image/NAME.png``, ``label/NAME.png`` (8 bit: 0 void, 1 floor, 10 and more a ball
each) and ``depth/NAME.npy`` (metres, 0 = none).
"""

import argparse
import dataclasses
from pathlib import Path

import cv2
import numpy as np

from pandepth_mm.converters.core import Converter, Frame, write_maps
from pandepth_mm.errors import InputError, require_fraction, require_size
from pandepth_mm.fileio import read_label_png, read_npy
from pandepth_mm.geometry.sampling import draw_depth, frame_seed
from pandepth_mm.structures.annotations import FrameRecord, coco_categories, segments_of


@dataclasses.dataclass
class ToyConverter(Converter):
    """A converter is what differs from one data set to the next."""

    name = 'toy'
    description = 'pictures of balls on a floor'
    categories = coco_categories(['Ball'], ['Floor'], [(255, 0, 0), (90, 90, 90)])
    options = ('density',)

    density: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        require_fraction(self.density, '--density')

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('--density', type=float, help='fraction of the pixels (%(default)s)')

    def list_frames(self) -> dict[str, list[Frame]]:
        names = sorted(path.stem for path in self.root.glob('image/*.png'))
        kinds = dict(image='png', label='png', depth='npy')
        frames = [Frame(n, {k: f'{k}/{n}.{end}' for k, end in kinds.items()}) for n in names]
        return dict(train=frames[:-1], val=frames[-1:])

    def convert_frame(self, frame: Frame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        files = {kind: self.root / file for kind, file in frame.sources.items()}
        if (image := cv2.imread(str(files['image']))) is None:
            raise InputError(files['image'], 'a file that cannot be decoded', 'a picture')
        height, width = image.shape[:2]
        ids = read_label_png(files['label'], (height, width)).astype(np.int32)
        depth = read_npy(files['depth']).astype(np.float32)
        require_size(depth.shape, (height, width), files['depth'], 'the image')

        segments = segments_of(ids, lambda value: 1 if value >= 10 else 2, [1])
        sparse_depth = draw_depth(depth, self.density, frame_seed(0, frame.name))
        record = FrameRecord(
            file_name=frame.sources['image'],
            width=width,
            height=height,
            cam2img=[[100.0, 0.0, width / 2], [0.0, 100.0, height / 2], [0.0, 0.0, 1.0]],
            **write_maps(out, frame, ids, segments, sparse_depth, gt_depth_map=depth),
        )
        return record, dict(balls=len(segments) - 1)


main = ToyConverter.main
