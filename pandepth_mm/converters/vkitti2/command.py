"""Convert Virtual KITTI 2.0.3 to the annotations that pandepth_mm reads.

    python data_converters/vkitti2.py DATA_ROOT --out OUT [--workers N]

DATA_ROOT is the genuine data set, or what ``synthesize_vkitti2.py`` made: one
merged tree, or one folder an archive (``vkitti_2.0.3_rgb/SceneXX/...``), with
``classSegmentation`` in this or in lower case. Nothing in it is changed or
copied; OUT receives

    annotations/panoptic_{train,val,test}.json    COCO panoptic
    annotations/instances_{train,val,test}.json   COCO instances, things only
    panoptic/Scene01/clone/Camera_0/00000.png     id = R + 256 G + 65536 B
    sparse_depth/...png  depth_gt/...png          16 bit, 1/256 m, 0 = none
    .vkitti2/                                     for a restart; else unused

Segment ids: R is the category, G + 256 B is trackID + 1 (0 for stuff).
Undefined pixels, and pixels of a thing class without a track, are void.

The run can be stopped at any time. The same command goes on where it stopped
and leaves the same bytes, for any number of workers. The annotations are
written last, so they exist only when all they refer to does. One run at a
time into one OUT.
"""

import argparse
import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tqdm import tqdm

from pandepth_mm.converters.vkitti2 import annotations
from pandepth_mm.converters.vkitti2.frame import FrameOptions
from pandepth_mm.converters.vkitti2.layout import (
    DataRoot,
    Frame,
    camera_matrices,
    inspect,
    select_frames,
)
from pandepth_mm.converters.vkitti2.run import (
    ANNOTATION_KINDS,
    annotation_files,
    check_out,
    convert_all,
    finished,
    prepare_out,
    stored_options,
)
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import DEPTH_PNG_MAX, KITTI_DEPTH_SCALE, write_json
from pandepth_mm.structures.vkitti2_meta import DEPTH_INVALID, DEPTH_SCALE, SPLIT_SCENES, VARIATIONS


@dataclasses.dataclass
class Summary:
    """What a run did.

    Attributes:
        frames: Split -> number of frames.
        reused: Frames whose files an earlier run had finished.
        without_things: Frames without a single thing segment.
        orphan_pixels: Pixels of a thing class without a track, now void.
        mixed_tracks: Tracks (counted a frame) of several thing classes.
        classless_tracks: Instances without a class, left to their pixels'
            own classes (``--classless-instances ignore``).
        densities: Mean fraction of pixels in sparse_depth and depth_gt.
    """

    frames: dict[str, int]
    reused: int
    without_things: int
    orphan_pixels: int
    mixed_tracks: int
    classless_tracks: int
    densities: list[float]

    def __str__(self) -> str:
        splits = ', '.join(f'{k} {n}' for k, n in self.frames.items())
        lines = [
            f'frames            {splits} ({self.reused} done before)',
            f'  without things  {self.without_things}',
            f'made void         {self.orphan_pixels} pixels of a thing class without a track',
            'mean density      sparse_depth {:.2%}, depth_gt {:.2%} of the pixels'.format(
                *self.densities
            ),
        ]
        if self.mixed_tracks:
            lines.append(
                f'mixed tracks      {self.mixed_tracks} (got the '
                'thing class of most of their pixels)'
            )
        if self.classless_tracks:
            lines.append(f'without a class   {self.classless_tracks} instances ignored')
        return '\n'.join(lines)


def _check_options(options: FrameOptions, workers: int, splits: dict[str, Sequence[str]]) -> None:
    """Refuse values that make no sense."""
    limit = DEPTH_PNG_MAX / KITTI_DEPTH_SCALE
    if not 0 < options.max_depth <= limit:
        raise InputError(
            '--max-depth',
            f'{options.max_depth}',
            f'above 0 and at most {limit:.1f} m, the range of the depth files',
        )
    for flag in ('sparse_density', 'gt_density'):
        value = getattr(options, flag)
        if not 0 <= value <= 1:
            raise InputError(f'--{flag.replace("_", "-")}', f'{value}', 'a fraction from 0 to 1')
    if options.input_from_gt and options.sparse_density > options.gt_density:
        raise InputError(
            '--sparse-density',
            f'{options.sparse_density}',
            f'at most --gt-density, {options.gt_density}, since '
            'the input is drawn from the ground truth',
        )
    if options.classless not in ('error', 'ignore'):
        raise InputError('--classless-instances', options.classless, 'error or ignore')
    if workers < 1:
        raise InputError('--workers', f'{workers}', 'at least 1')
    owner = {}
    for split, scenes in splits.items():
        for scene in scenes:
            if scene in owner:
                raise InputError(
                    f'--{split}-scenes',
                    scene,
                    'a scene that no other split has',
                    f'also in --{owner[scene]}-scenes',
                )
            owner[scene] = split


def _bar(**kwargs) -> tqdm:
    """A progress bar; in a log file a line every 10 s at most."""
    return tqdm(unit='frame', mininterval=0.2 if sys.stderr.isatty() else 10, **kwargs)


def _summarize(frames: dict[str, list[Frame]], results: dict[str, dict], reused: int) -> Summary:
    totals = dict(orphan_pixels=0, mixed_tracks=0, classless_tracks=0)
    without_things, densities = 0, [0.0, 0.0]
    everything = [f for split in frames.values() for f in split]
    for frame in everything:
        result = results[frame.name]
        without_things += not result['rles']
        for key in totals:
            totals[key] += result['odd'][key]
        for i, drawn in enumerate(result['drawn']):
            densities[i] += drawn / (frame.height * frame.width * len(everything))
    return Summary(
        {k: len(v) for k, v in frames.items()},
        reused,
        without_things,
        densities=densities,
        **totals,
    )


def convert(
    data_root,
    out,
    splits: dict[str, Sequence[str] | None] | None = None,
    variations: Sequence[str] | None = None,
    cameras: Sequence[int] = (0,),
    options: FrameOptions | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: bool = True,
) -> Summary:
    """Convert a data root; see the module's text for what is written.

    Args:
        data_root: Folder of Virtual KITTI 2.
        out: Output folder.
        splits: ``train``, ``val``, ``test`` -> scenes. Without a split, or
            with None for it, the paper's scenes as far as they are there;
            scenes given here must be there; an empty list leaves the split
            out.
        variations: The six without a camera turn, as far as they are there,
            or those given here, which must be there.
        cameras: Camera numbers.
        options: Depth range, seed, densities.
        workers: Processes.
        overwrite: Throw away results of other options in ``out``.
        progress: Show bars.

    Returns:
        The counts of the run.

    Raises:
        InputError: Wrong values, missing or wrong files, or an output folder
            made with other options. All that names and headers tell is
            raised before anything is written.
    """
    root, out = Path(data_root), Path(out)
    options = options or FrameOptions()
    options = dataclasses.replace(options, max_depth=float(options.max_depth))
    given = {k: v for k, v in (splits or {}).items() if v is not None}
    for split in given:
        if split not in SPLIT_SCENES:
            raise InputError('splits', split, ', '.join(SPLIT_SCENES))
    splits = {
        split: list(dict.fromkeys(given.get(split, scenes)))
        for split, scenes in SPLIT_SCENES.items()
    }
    _check_options(options, workers, splits)
    if not overwrite:
        check_out(out, options)

    data = DataRoot(root)
    frames = select_frames(
        data,
        splits,
        list(dict.fromkeys(variations or VARIATIONS)),
        sorted(set(cameras)),
        optional_splits=[s for s in splits if s not in given],
        optional_variations=variations is None,
    )
    total = sum(map(len, frames.values()))
    with _bar(total=total, desc='check', delay=2, disable=not progress) as bar:
        for split in frames:
            for i, frame in enumerate(frames[split]):
                frames[split][i] = inspect(frame, root)
                bar.update()
    everything = [f for split in frames.values() for f in split]
    matrices = camera_matrices(data, everything)

    prepare_out(out, options, overwrite)
    results = {f.name: finished(f, out, options) for f in everything}
    todo = [f for f in everything if results[f.name] is None]
    for split in frames:
        if any(results[f.name] is None for f in frames[split]):
            for path in annotation_files(out, split):
                path.unlink(missing_ok=True)
    with _bar(total=total, initial=total - len(todo), desc='convert', disable=not progress) as bar:
        results.update(convert_all(todo, root, out, options, workers, bar))

    first_id = 1
    for split, members in frames.items():
        images = [
            annotations.image_entry(f, image_id, matrices[f.name])
            for image_id, f in enumerate(members, start=first_id)
        ]
        first_id += len(members)
        if not members:
            continue
        info = dict(
            description='Virtual KITTI 2, converted for pandepth_mm by data_converters/vkitti2.py',
            data_root=os.path.abspath(root),
            depth_scale=DEPTH_SCALE,
            depth_invalid=DEPTH_INVALID,
            split=split,
            scenes=sorted({f.scene for f in members}),
            variations=sorted({f.variation for f in members}),
            cameras=sorted({f.camera for f in members}),
            classless_instances=options.classless,
            **stored_options(options),
        )
        ordered = [results[f.name] for f in members]
        contents = dict(
            panoptic=annotations.panoptic_annotations(info, images, members, ordered),
            instances=annotations.instance_annotations(info, images, ordered),
        )
        for kind, path in zip(ANNOTATION_KINDS, annotation_files(out, split), strict=True):
            write_json(path, contents[kind])
    return _summarize(frames, results, total - len(todo))


def _scene(name: str) -> str:
    """``1``, ``01`` and ``Scene01`` are the same scene."""
    return f'Scene{int(name):02d}' if name.isdigit() else name


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        available = os.cpu_count() or 1
    defaults = FrameOptions()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data_root', help='folder of Virtual KITTI 2')
    parser.add_argument('--out', required=True, help='output folder')
    parser.add_argument(
        '--workers',
        type=int,
        default=available,
        help='processes (default: the cores, here %(default)s)',
    )
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
    parser.add_argument(
        '--cameras', nargs='+', type=int, default=[0], metavar='N', help='default: 0'
    )
    parser.add_argument(
        '--max-depth',
        type=float,
        default=defaults.max_depth,
        help='metres; beyond it there is no measurement (%(default)s)',
    )
    parser.add_argument(
        '--sparse-density',
        type=float,
        default=defaults.sparse_density,
        help='fraction of the pixels in sparse_depth (%(default)s)',
    )
    parser.add_argument(
        '--gt-density',
        type=float,
        default=defaults.gt_density,
        help='fraction of the pixels in depth_gt (%(default)s)',
    )
    parser.add_argument(
        '--input-from-gt',
        action='store_true',
        help="make sparse_depth a part of depth_gt, as the authors' code "
        'does; by default they are drawn apart',
    )
    parser.add_argument(
        '--seed', type=int, default=defaults.seed, help='of the draws (%(default)s)'
    )
    parser.add_argument(
        '--classless-instances',
        choices=('error', 'ignore'),
        default=defaults.classless,
        help='an instance none of whose pixels '
        'is of a thing class: stop, or leave its pixels to their own class '
        '(%(default)s)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='throw away results of other options in OUT'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (2 = bad input)."""
    args = parse_args(argv)
    logging.basicConfig(format='%(levelname)s: %(message)s')
    try:
        summary = convert(
            args.data_root,
            args.out,
            splits=dict(train=args.train_scenes, val=args.val_scenes, test=args.test_scenes),
            variations=args.variations,
            cameras=args.cameras,
            options=FrameOptions(
                args.max_depth,
                args.seed,
                args.sparse_density,
                args.gt_density,
                args.classless_instances,
                args.input_from_gt,
            ),
            workers=args.workers,
            overwrite=args.overwrite,
        )
    except InputError as e:
        print(f'error: {e}', file=sys.stderr)
        return 2
    except BrokenProcessPool:
        print(
            'error: a worker process died (out of memory?); the same '
            'command, perhaps with fewer --workers, goes on from here',
            file=sys.stderr,
        )
        return 1
    except OSError as e:  # disk full, no permission
        print(f'error: {e}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('stopped; the same command goes on from here', file=sys.stderr)
        return 130
    print(summary)
    print(f'annotations in {os.path.join(args.out, "annotations")}')
    return 0
