"""Convert Virtual KITTI 2.0.3 to the annotations that pandepth_mm reads.

    pandepth-convert vkitti2 DATA_ROOT --out OUT [--workers N]
    python data_converters/vkitti2.py DATA_ROOT --out OUT [--workers N]

DATA_ROOT is the genuine data set, or what ``synthesize_vkitti2.py`` made: one merged tree, or one
folder per archive (``vkitti_2.0.3_rgb/SceneXX/...``), with ``classSegmentation`` in this or in
lower case. Nothing in it is changed or copied; OUT receives

    annotations/panoptic_{train,val,test}.json    COCO panoptic
    annotations/instances_{train,val,test}.json   COCO instances, things only
    panoptic/Scene01/clone/Camera_0/00000.png     id = R + 256 G + 65536 B
    sparse_depth/...png  gt_depth_map/...png      16 bit, 1/256 m, 0 = none
    .vkitti2/                                     for a restart; else unused

Segment ids: R is the category, G + 256 B is trackID + 1 (0 for stuff). Undefined pixels, and pixels
of a thing class without a track, are void.

The run can be stopped at any time. The same command goes on where it stopped and leaves the same
bytes, for any number of workers. The annotations are written last, so they exist only when all they
refer to does. Only one run at a time may write to an OUT, except for the parts of ``--num-shards``.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pandepth_mm.converters.core import (
    Converter,
    Summary,
    add_max_depth_argument,
    check_max_depth,
    write_maps,
)
from pandepth_mm.converters.vkitti2.labels import decode_classes, panoptic_ids
from pandepth_mm.converters.vkitti2.reader import DataRoot, Frame, inspect, select_frames
from pandepth_mm.errors import InputError, require_choice, require_fraction
from pandepth_mm.fileio import read_depth_png
from pandepth_mm.geometry.sampling import frame_seed, sample_depth, sample_nested
from pandepth_mm.structures.annotations import FrameRecord, coco_categories, segments_of
from pandepth_mm.structures.vkitti2_meta import (
    CLASS_COLORS,
    CLASSES,
    DEPTH_INVALID,
    DEPTH_SCALE,
    SPLIT_SCENES,
    STUFF_CLASSES,
    THING_CLASSES,
    VARIATIONS,
)

_CLASSLESS = ('error', 'ignore')


@dataclasses.dataclass
class VKITTI2Converter(Converter):
    """Virtual KITTI 2; see the module's text for what is written.

    Attributes:
        root: Folder of Virtual KITTI 2.
        train_scenes: Scenes of the split; None: the paper's, as far as they are there. Scenes given
            here must be there; an empty list leaves the split out.
        val_scenes: The same.
        test_scenes: The same.
        variations: These must be there; None: the six without a camera turn, as far as they are
            there.
        cameras: Camera numbers.
        max_depth: Meters; what is farther is no measurement.
        sparse_density: Fraction of the image's pixels in ``sparse_depth``.
        gt_density: Fraction of the image's pixels in ``gt_depth_map``.
        input_from_gt: Whether ``sparse_depth`` is a part of ``gt_depth_map``, as in the authors'
            code (:func:`sample_nested`); by default the two samples are independent of each other.
        seed: Seed of the sampling.
        classless: What an instance without a thing-class pixel means: 'error', or 'ignore' (its
            pixels stay what their class says). It is not among the ``options``, so that a run which
            such an instance stopped can go on with the other value.
    """

    name = 'vkitti2'
    description = 'Virtual KITTI 2, converted for pandepth_mm by data_converters/vkitti2.py'
    categories = coco_categories(
        THING_CLASSES, STUFF_CLASSES, [CLASS_COLORS[name] for name in CLASSES]
    )
    options = ('max_depth', 'seed', 'sparse_density', 'gt_density', 'input_from_gt')
    version = 2

    train_scenes: Sequence[str] | None = None
    val_scenes: Sequence[str] | None = None
    test_scenes: Sequence[str] | None = None
    variations: Sequence[str] | None = None
    cameras: Sequence[int] = (0,)
    max_depth: float = 80.0
    sparse_density: float = 0.05
    gt_density: float = 0.20
    input_from_gt: bool = False
    seed: int = 0
    classless: str = 'error'

    def __post_init__(self) -> None:
        super().__post_init__()
        check_max_depth(self.max_depth)
        require_fraction(self.sparse_density, '--sparse-density', zero=True)
        require_fraction(self.gt_density, '--gt-density', zero=True)
        if self.input_from_gt and self.sparse_density > self.gt_density:
            raise InputError(
                '--sparse-density',
                f'{self.sparse_density}',
                f'at most --gt-density, {self.gt_density}, since '
                'the input is sampled from the ground truth',
            )
        require_choice(self.classless, _CLASSLESS, '--classless-instances')

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        for split, scenes in SPLIT_SCENES.items():
            parser.add_argument(
                f'--{split}-scenes',
                nargs='*',
                type=_scene,
                metavar='SCENE',
                help=f'default: {" ".join(scenes)}, as far as they are there; '
                'none leaves the split out',
            )
        parser.add_argument(
            '--variations',
            nargs='+',
            metavar='NAME',
            help=f'default: {" ".join(VARIATIONS)}, as far as they are there',
        )
        parser.add_argument('--cameras', nargs='+', type=int, metavar='N', help='default: 0')
        add_max_depth_argument(parser)
        parser.add_argument(
            '--sparse-density',
            type=float,
            help='fraction of the pixels in sparse_depth (%(default)s)',
        )
        parser.add_argument(
            '--gt-density', type=float, help='fraction of the pixels in gt_depth_map (%(default)s)'
        )
        parser.add_argument(
            '--input-from-gt',
            action='store_true',
            help="make sparse_depth a part of gt_depth_map, as the authors' code "
            'does; by default they are sampled independently',
        )
        parser.add_argument('--seed', type=int, help='of the sampling (%(default)s)')
        parser.add_argument(
            '--classless-instances',
            dest='classless',
            choices=_CLASSLESS,
            help='an instance none of whose pixels '
            'is of a thing class: stop, or leave its pixels to their own class '
            '(%(default)s)',
        )

    def list_frames(self) -> dict[str, list[Frame]]:
        """The frames of each split, sorted by scene, variation, camera and number."""
        given = {split: getattr(self, f'{split}_scenes') for split in SPLIT_SCENES}
        splits, owner = {}, {}
        for split, scenes in SPLIT_SCENES.items():
            splits[split] = list(dict.fromkeys(scenes if given[split] is None else given[split]))
            for scene in splits[split]:
                if scene in owner:
                    raise InputError(
                        f'--{split}-scenes',
                        scene,
                        'a scene that no other split has',
                        f'also in --{owner[scene]}-scenes',
                    )
                owner[scene] = split
        return select_frames(
            DataRoot(self.root),
            splits,
            list(dict.fromkeys(self.variations or VARIATIONS)),
            sorted(set(self.cameras)),
            optional_splits=[split for split in splits if given[split] is None],
            optional_variations=self.variations is None,
        )

    def inspect_frame(self, frame: Frame) -> Frame:
        """Read the four headers of a frame."""
        return inspect(frame, self.root)

    def convert_frame(self, frame: Frame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Convert one frame; the counts are those of :func:`panoptic_ids`, and of pixels."""
        paths = {kind: self.root / file for kind, file in frame.sources.items()}
        # The image is only referred to, but a training should not be the first to find out that it
        # is cut off.
        _read_image(paths['rgb'], 'an RGB image')
        category = decode_classes(
            _read_image(paths['classes'], 'a class image'), str(paths['classes'])
        )
        instance = _read_image(paths['instances'], 'an instance image')
        ids, odd = panoptic_ids(category, instance, str(paths['instances']), self.classless)
        segments = segments_of(ids, lambda value: value & 255, range(1, len(THING_CLASSES) + 1))
        things = [segment for segment in segments if 'segmentation' in segment]
        for segment in things:
            segment['track_id'] = segment['id'] // 256 - 1

        sparse_depth, gt_depth_map = self._sample(frame, paths['depth'])
        record = FrameRecord(
            file_name=frame.sources['rgb'],
            width=frame.width,
            height=frame.height,
            cam2img=frame.cam2img,
            scene=frame.scene,
            variation=frame.variation,
            camera=frame.camera,
            frame=frame.number,
            dense_depth_file=frame.sources['depth'],
            dense_depth_scale=DEPTH_SCALE,
            **write_maps(out, frame, ids, segments, sparse_depth, gt_depth_map),
        )
        return record, dict(
            odd,
            without_things=int(not things),
            pixels=ids.size,
            sparse_pixels=int(np.count_nonzero(sparse_depth)),
            gt_pixels=int(np.count_nonzero(gt_depth_map)),
        )

    def _sample(self, frame: Frame, path: Path) -> Sequence[np.ndarray]:
        """Sample input and ground truth from the dense depth, float32 (H, W), meters."""
        depth = read_depth_png(path, DEPTH_SCALE, (frame.height, frame.width), DEPTH_INVALID)
        depth[depth > self.max_depth] = 0
        where = (self.seed, frame.scene, frame.variation, frame.camera, frame.number)
        if self.input_from_gt:
            seed = frame_seed(*where, 'nested')
            return sample_nested(depth, self.gt_density, self.sparse_density, seed)
        return [
            # 'depth_gt' is the ground truth's name in version 1: so the sampled pixels stay the
            # same
            sample_depth(depth, density, frame_seed(*where, name))
            for name, density in (
                ('sparse_depth', self.sparse_density),
                ('depth_gt', self.gt_density),
            )
        ]

    def is_valid(self, counts: dict[str, int]) -> bool:
        """Whether no instance was ignored that is now an error."""
        return self.classless == 'ignore' or not counts['classless_tracks']

    def info(self, split: str, frames: Sequence[Frame]) -> dict:
        """What the annotations of a split say about themselves."""
        return dict(
            depth_scale=DEPTH_SCALE,
            depth_invalid=DEPTH_INVALID,
            split=split,
            scenes=sorted({frame.scene for frame in frames}),
            variations=sorted({frame.variation for frame in frames}),
            cameras=sorted({frame.camera for frame in frames}),
            classless_instances=self.classless,
        )

    def describe(self, summary: Summary) -> str:
        """What to print after a run."""
        counts = summary.counts
        sparse, gt = (counts[f'{name}_pixels'] / counts['pixels'] for name in ('sparse', 'gt'))
        lines = [
            super().describe(summary),
            f'  without things  {counts["without_things"]}',
            f'made void         {counts["orphan_pixels"]} pixels of a thing class without a track',
            f'mean density      sparse_depth {sparse:.2%}, gt_depth_map {gt:.2%} of the pixels',
        ]
        if counts['mixed_tracks']:
            lines.append(
                f'mixed tracks      {counts["mixed_tracks"]} (got the '
                'thing class of most of their pixels)'
            )
        if counts['classless_tracks']:
            lines.append(f'without a class   {counts["classless_tracks"]} instances ignored')
        return '\n'.join(lines)


def _scene(name: str) -> str:
    """``1``, ``01`` and ``Scene01`` are the same scene."""
    return f'Scene{int(name):02d}' if name.isdigit() else name


def _read_image(path: Path, expected: str) -> np.ndarray:
    """Pixels as stored: palette images give their indices."""
    try:
        with Image.open(path) as image:
            return np.array(image)
    except (OSError, SyntaxError) as e:  # Pillow on broken PNG chunks
        raise InputError(path, f'a file that cannot be decoded ({e})', expected) from None


main = VKITTI2Converter.main
