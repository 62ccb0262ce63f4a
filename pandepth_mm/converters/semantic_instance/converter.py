"""Convert images of class and instance ids: your own data, Cityscapes and the like.

    pandepth-convert semantic_instance DATA_ROOT --out OUT --classes FILE
        --images PATTERN --semantic PATTERN --instances PATTERN
        --gt-depth PATTERN --depth-scale N --calib PATTERN
    python data_converters/semantic_instance.py DATA_ROOT --out OUT ...

A PATTERN is a path below DATA_ROOT with placeholders, such as
``images/{split}/{scene}/{name}.png``: {split} and {scene} are one folder (or a part of its name),
{name} is the rest of the path. The frames are the files that --semantic finds (--instances without
it), and the other files of a frame are those of the same values. docs/convert_semantic_instance.md
goes through it step by step.

Nothing in DATA_ROOT is changed or copied; OUT receives

    annotations/panoptic_{split}.json     COCO panoptic
    annotations/instances_{split}.json    COCO instances, things only
    panoptic/{split}/{scene}/{name}.png   id = R + 256 G + 65536 B
    sparse_depth/...png  gt_depth_map/...png      16 bit, 1/256 m, 0 = none
    .semantic_instance/                   for a restart; else unused

Ids that CLASSES does not list are void. Pixels of a thing class without an instance are a crowd.
The run can be stopped at any time; the same command goes on where it stopped.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pandepth_mm.converters.core import Converter, DepthPair, Summary, write_maps
from pandepth_mm.converters.core.frame import MAX_DEPTH
from pandepth_mm.converters.core.id_images import (
    check_decodes,
    number_instances,
    read_id_image,
    require_instances,
    segments_with_crowds,
)
from pandepth_mm.converters.semantic_instance.class_file import read_classes
from pandepth_mm.converters.semantic_instance.flags import SPARSE_DENSITY, add_flags
from pandepth_mm.converters.semantic_instance.frames import KINDS, Frame, find_frames, inspect
from pandepth_mm.converters.semantic_instance.patterns import Pattern
from pandepth_mm.errors import InputError, require_count, require_fraction, require_positive
from pandepth_mm.fileio import DEPTH_PNG_MAX, read_depth_map, read_depth_png
from pandepth_mm.geometry.camera import points_to_depth, transform_points
from pandepth_mm.geometry.point_files import read_points
from pandepth_mm.geometry.sampling import frame_seed, sample_depth
from pandepth_mm.structures.annotations import FrameRecord


@dataclasses.dataclass
class SemanticInstanceConverter(Converter):
    """Images of class and instance ids; see the module's text for the patterns.

    Attributes:
        root: Folder of the data.
        classes: The file of classes, see
            :func:`pandepth_mm.converters.semantic_instance.class_file.read_classes`.
        images: Pattern of the images.
        semantic: Pattern of PNGs of class ids. Without, ``instances`` hold the class too.
        instances: Pattern of PNGs of instance numbers, 0 = none; may be left out where all classes
            are stuff.
        instance_divisor: N where ``instances`` hold class * N + number. A value below N is a class
            without an instance.
        sparse_depth: Pattern of depth maps for the input: 16-bit PNG, or .npy in meters.
        points: Pattern of point clouds for the input, in place of ``sparse_depth``.
        point_dims: Columns of ``.bin`` clouds, if they cannot be told.
        gt_depth: Pattern of depth maps for the ground truth; without, it is the whole input.
        depth_scale: Units per meter of depth PNGs.
        depth_invalid: Value of depth PNGs that means no measurement, beside 0.
        max_depth: Meters; what is farther is no measurement.
        sparse_density: Fraction of the image's pixels to sample for the input; None: all
            measurements, and 5 % where the input comes from ``gt_depth``.
        seed: Seed of the sampling.
        calib: Pattern of calibrations, of one file for all frames or of one per scene or frame.
        camera: Number of the camera, where a calibration has several.
        splits: Names of the splits; None: of train, val and test those that are there.
        lists: Pattern of text files with one frame (``scene/name`` or ``name``) per line; without,
            {split} is a folder.
    """

    name = 'semantic_instance'
    description = 'converted for pandepth_mm by data_converters/semantic_instance.py'
    options = (
        'class_digest',
        'instance_divisor',
        'depth_scale',
        'depth_invalid',
        'max_depth',
        'sparse_density',
        'seed',
        'point_dims',
    )
    needed = dict.fromkeys(
        ('sparse_pixels', 'gt_pixels'),
        'depths up to --max-depth in meters: --depth-scale is the units per meter, and the '
        'calibration of --points leads to the camera',
    )

    classes: str | Path | None = None
    images: str | None = None
    semantic: str | None = None
    instances: str | None = None
    instance_divisor: int | None = None
    sparse_depth: str | None = None
    points: str | None = None
    point_dims: int | None = None
    gt_depth: str | None = None
    depth_scale: float | None = None
    depth_invalid: int | None = None
    max_depth: float = MAX_DEPTH
    sparse_density: float | None = None
    seed: int = 0
    calib: str | None = None
    camera: int | None = None
    splits: Sequence[str] | None = None
    lists: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ('classes', 'images', 'calib'):
            if not getattr(self, key):
                raise InputError(f'--{key}', 'nothing', f'{key}, which every data set needs')
        self._patterns = {
            kind: Pattern(getattr(self, kind), f'--{kind.replace("_", "-")}')
            for kind in (*KINDS, 'lists')
            if getattr(self, kind) is not None
        }
        self._classes = read_classes(self.classes)
        self.categories = self._classes.categories
        self.class_digest = self._classes.digest
        self._num_things = sum(c['isthing'] for c in self.categories)
        self._check_labels()
        self._check_depth()

    def _check_labels(self) -> None:
        """Refuse flags of classes, instances and splits that do not fit together."""
        if self.semantic is None and (self.instances is None or self.instance_divisor is None):
            raise InputError(
                '--semantic',
                'nothing',
                'PNGs of class ids (or --instances with --instance-divisor)',
            )
        if self.instance_divisor is not None:
            require_count(self.instance_divisor, '--instance-divisor', least=2)
        if self._num_things and self.instances is None:
            names = ', '.join(self._classes.names[0])
            raise InputError('--instances', 'nothing', f'PNGs of instances, for {names}')
        if self.semantic is None and 1 <= self._classes.table[0] <= self._num_things:
            raise InputError(
                self.classes,
                'a thing with the id 0, which class * N + number cannot tell from no class',
                '--semantic beside --instances',
            )
        labels = self._patterns.get('semantic') or self._patterns['instances']
        if 'name' not in labels.fields:
            raise InputError(labels.flag, labels.text, 'a path with {name}')
        for pattern in self._patterns.values():
            known = {'split'} if pattern.flag == '--lists' else labels.fields | {'split'}
            if not pattern.fields <= known:
                raise InputError(
                    pattern.flag,
                    pattern.text,
                    'no placeholder but '
                    + ', '.join(f'{{{name}}}' for name in sorted(known))
                    + f', which {labels.flag} has',
                )
        if self.lists is None and 'split' not in labels.fields and len(self.splits or ()) != 1:
            raise InputError(
                labels.flag, f'{labels.text}, without {{split}}', '{split} in it, --lists, or one '
                'name for --splits'
            )  # fmt: skip
        self._labels = labels

    def _check_depth(self) -> None:
        """Refuse flags of depth that do not fit together."""
        if self.points is not None and self.sparse_depth is not None:
            raise InputError('--points', 'it beside --sparse-depth', 'one of them')
        if self.points is None and self.sparse_depth is None and self.gt_depth is None:
            raise InputError('--gt-depth', 'nothing', 'it, --sparse-depth or --points')
        for kind in ('sparse_depth', 'gt_depth'):
            if kind in self._patterns and self._patterns[kind].text.lower().endswith('.png'):
                if self.depth_scale is None:
                    raise InputError(
                        '--depth-scale', 'nothing', 'units per meter: 1000 millimeters, 256 KITTI'
                    )
        if self.depth_scale is not None:
            require_positive(self.depth_scale, '--depth-scale', unit='(units per meter)')
        if self.depth_invalid is not None and not 0 <= self.depth_invalid <= DEPTH_PNG_MAX:
            expected = f'0 to {DEPTH_PNG_MAX}, as 16-bit PNGs hold'
            raise InputError('--depth-invalid', f'{self.depth_invalid}', expected)
        if not 0 < self.max_depth <= MAX_DEPTH:
            raise InputError('--max-depth', f'{self.max_depth}', f'above 0, at most {MAX_DEPTH} m')
        if self.sparse_density is not None:
            require_fraction(self.sparse_density, '--sparse-density')
        if self.sparse_depth is not None and self.gt_depth is not None:
            self.depth_pair = DepthPair(
                '--sparse-depth', '--gt-depth', 'measured_pixels', 'gt_pixels'
            )

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        add_flags(parser)

    def list_frames(self) -> dict[str, list[Frame]]:
        """The frames of each split, sorted by path, or in the order of their lists."""
        return find_frames(self.root, self._patterns, self._labels, self.splits)

    def inspect_frame(self, frame: Frame) -> Frame:
        """Read the headers of a frame and its calibration."""
        rgb = self.instance_divisor is None
        return inspect(frame, self.root, self.camera, self.point_dims, rgb)

    def convert_frame(self, frame: Frame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Convert one frame; the counts are of pixels and of instances."""
        paths = {kind: self.root / file for kind, file in frame.sources.items()}
        check_decodes(paths['images'])
        ids, counts = self._panoptic(paths)
        segments = segments_with_crowds(ids, self._num_things)
        sparse_depth, gt_depth_map, depth_counts = self._depth(frame, paths)
        record = FrameRecord(
            file_name=frame.sources['images'],
            width=frame.width,
            height=frame.height,
            cam2img=frame.cam2img,
            scene=frame.scene,
            frame=frame.stem,
            **write_maps(out, frame, ids, segments, sparse_depth, gt_depth_map),
        )
        for segment in segments:
            name = self.categories[segment['category_id'] - 1]['name']
            counts[f'class {name}'] = counts.get(f'class {name}', 0) + segment['area']
        crowds = [segment['area'] for segment in segments if segment['iscrowd']]
        things = sum('segmentation' in segment for segment in segments) - len(crowds)
        return record, dict(
            counts,
            **depth_counts,
            things=things,
            without_things=int(not things),
            crowd_pixels=sum(crowds),
            pixels=ids.size,
            void_pixels=int((ids == 0).sum()),
        )

    def _panoptic(self, paths: dict[str, Path]) -> tuple[np.ndarray, dict[str, int]]:
        """Segment ids of a frame, int32 (H, W); and the pixels of ids that no class has."""
        divisor = self.instance_divisor
        instance = None
        if 'instances' in paths:
            instance = read_id_image(paths['instances'])
            require_instances(instance, paths['instances'])
        if 'semantic' in paths:
            semantic, source = read_id_image(paths['semantic']), paths['semantic']
        else:
            semantic = np.where(instance < divisor, instance, instance // divisor)
            source = paths['instances']
        if instance is None:
            instance = np.zeros_like(semantic)
        elif divisor is not None:
            instance = np.where(instance < divisor, 0, instance)
        category = self._classes.categories_of(semantic)
        values, areas = np.unique(semantic[category == 0], return_counts=True)
        if divisor is not None and 'semantic' in paths:
            numbered = values[(values >= divisor) & self._is_thing(values // divisor)]
            if len(numbered):
                raise InputError(
                    source,
                    f'the ids {numbered.tolist()[:10]}, class * {divisor} + number',
                    'ids of CLASSES; the images of --instances hold class and number',
                )
        if not category.any():
            raise InputError(
                source, f'the ids {values.tolist()[:10]}, none of them of a class', 'ids of CLASSES'
            )
        ids, _ = number_instances(category, instance, self._num_things, source)
        unlisted = {f'id {v}': a for v, a in zip(values.tolist(), areas.tolist(), strict=True)}
        return ids, unlisted

    def _is_thing(self, ids: np.ndarray) -> np.ndarray:
        """Which ids of images are those of thing classes, bool of the same shape."""
        category = self._classes.categories_of(ids)
        return (category > 0) & (category <= self._num_things)

    def _depth(
        self, frame: Frame, paths: dict[str, Path]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
        """Input and ground truth, float32 (H, W), meters; and counts of pixels.

        They are those that were too far, and the measured ones: of the input before it is sampled,
        and of both maps.
        """
        shape, maps, far = (frame.height, frame.width), {}, 0
        for kind in ('gt_depth', 'sparse_depth'):
            if kind in paths:
                maps[kind] = self._read_depth(paths[kind], shape)
        if 'points' in paths:
            points = read_points(paths['points'], self.point_dims)
            points = transform_points(points, np.array(frame.lidar2cam))
            maps['sparse_depth'] = points_to_depth(points, np.array(frame.cam2img), shape)
        for depth in maps.values():
            beyond = depth > self.max_depth
            far += int(beyond.sum())
            depth[beyond] = 0
        measured = maps.get('sparse_depth', maps.get('gt_depth'))
        density = self.sparse_density
        if density is None and 'sparse_depth' not in maps:
            density = SPARSE_DENSITY
        sparse_depth, gt_depth_map = measured, maps.get('gt_depth', measured)
        if density is not None:
            sparse_depth = sample_depth(measured, density, frame_seed(self.seed, frame.name))
        counted = dict(measured=measured, sparse=sparse_depth, gt=gt_depth_map)
        counts = {f'{name}_pixels': int(np.count_nonzero(m)) for name, m in counted.items()}
        return sparse_depth, gt_depth_map, dict(far_pixels=far, **counts)

    def _read_depth(self, path: Path, shape: tuple[int, int]) -> np.ndarray:
        """A depth map, float32 (H, W), meters."""
        if path.suffix.lower() == '.png':
            return read_depth_png(path, self.depth_scale, shape, self.depth_invalid)
        return read_depth_map(path, 1.0, shape)

    def info(self, split: str, frames: Sequence[Frame]) -> dict:
        """What the annotations of a split say about themselves."""
        patterns = {pattern.flag[2:]: pattern.text for pattern in self._patterns.values()}
        return dict(split=split, patterns=patterns)

    def describe(self, summary: Summary) -> str:
        """What to print after a run: what was odd, and the lines that a config needs."""
        counts = summary.counts
        pixels = counts['pixels'] or 1

        def share(key):
            return f'{counts[key] / pixels:.2%}'

        lines = [
            super().describe(summary),
            f'things            {counts["things"]} (no thing in {counts["without_things"]} frames)',
            f'mean density      sparse_depth {share("sparse_pixels")}, gt_depth_map '
            f'{share("gt_pixels")} of the pixels',
        ]
        if counts['crowd_pixels']:
            lines.append(
                f'crowds            {share("crowd_pixels")} of the pixels: things without an '
                'instance, ignored'
            )
        if counts['void_pixels']:
            unlisted = sorted(
                (key for key in counts if key.startswith('id ')), key=lambda key: int(key[3:])
            )
            named = ', '.join(f'{key[3:]} ({share(key)})' for key in unlisted)
            lines.append(
                f'void              {share("void_pixels")} of the pixels, of the ids {named}'
            )
        unseen = [c['name'] for c in self.categories if not counts[f'class {c["name"]}']]
        if unseen:
            lines.append(f'in no frame       {", ".join(unseen)}')
        if counts['far_pixels']:
            lines.append(f'too far           {counts["far_pixels"]} pixels of depth left out')
        if self.gt_depth is None and self.sparse_density is None:
            lines.append(
                'note              gt_depth_map is sparse_depth itself; --sparse-density below its '
                'density holds some of it out'
            )
        things, stuff = (tuple(names) for names in self._classes.names)
        lines += [
            'for the config:',
            f'    metainfo=dict(thing_classes={things!r}, stuff_classes={stuff!r})',
            f'    model = dict(num_things={len(things)}, num_stuff={len(stuff)})',
        ]
        return '\n'.join(lines)


main = SemanticInstanceConverter.main
