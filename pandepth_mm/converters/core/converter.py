"""The base of all converters: what they say, and how a run goes.

A converter is a dataclass that derives from :class:`Converter`. Its fields are what the command
line sets; its methods say which frames there are and how one is converted. A run leaves

    annotations/panoptic_{split}.json    COCO panoptic
    annotations/instances_{split}.json   COCO instances, things only
    panoptic/{frame}.png                 id = R + 256 G + 65536 B
    sparse_depth/{frame}.png             16 bit, 1/256 m, 0 = no measurement
    gt_depth_map/{frame}.png             the same
    report.json                          numbers of each frame, of converters that report them
    .{converter}/                        for a restart and a merge; else unused

The annotations are written last, so they exist only when all they refer to does. Data without
panoptic ground truth have no categories, no segments and no folder ``panoptic``.
"""

import abc
import argparse
import dataclasses
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pandepth_mm.converters.core.depth_pair import DepthPair
from pandepth_mm.converters.core.frame import Frame
from pandepth_mm.converters.core.jobs import available_cores, exit_code, progress_bar, run_jobs
from pandepth_mm.converters.core.out_folder import OutFolder
from pandepth_mm.errors import InputError, require_count, require_file
from pandepth_mm.fileio import write_json
from pandepth_mm.structures.annotations import FrameRecord, annotation_files, write_annotations


@dataclasses.dataclass
class Summary:
    """What a run did.

    Attributes:
        frames: Split -> number of frames.
        reused: Frames that an earlier run had finished.
        counts: What ``convert_frame`` counted, summed over the frames.
    """

    frames: dict[str, int]
    reused: int
    counts: Counter


@dataclasses.dataclass
class Converter(abc.ABC):
    """Base of all converters.

    The worker processes get a copy, so an instance must be small, and its class at the top level of
    a module.

    Attributes:
        root: Folder of the original data; nothing in it is changed or copied.
        name: Of the converter, and of its folder below OUT.
        description: Of the data, for the annotations.
        categories: COCO categories, from ``coco_categories``; empty without panoptic ground truth.
        options: Names of the fields that change the files of a frame. One OUT does not mix results
            of different values.
        needed: Counts of ``convert_frame`` that are not 0 over a run of good data -> what would be
            right.
        depth_pair: Input and ground truth, where the user gives both as depth maps.
        version: Raise it when a change of the code changes the files of a frame.
    """

    root: Path
    name: ClassVar[str]
    description: ClassVar[str]
    categories: ClassVar[list[dict]]
    options: ClassVar[tuple[str, ...]] = ()
    needed: ClassVar[dict[str, str]] = {}
    depth_pair: ClassVar[DepthPair | None] = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self.root = Path(self.root)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags of the fields; defaults are those of the fields."""
        return

    @abc.abstractmethod
    def list_frames(self) -> dict[str, list[Frame]]:
        """Find the frames, by file names only: split -> frames, in the order of the annotations.

        Raises:
            InputError: Files that are missing.
        """

    def inspect_frame(self, frame: Frame) -> Frame:
        """Check what can be told without decoding; may complete the frame.

        Raises:
            InputError: A file that is wrong.
        """
        return frame

    @abc.abstractmethod
    def convert_frame(self, frame: Frame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Convert one frame, in a worker process; ``write_maps`` writes its files.

        Returns:
            What the annotations say about it, and counts that the summary adds up.

        Raises:
            InputError: A file that cannot be decoded, or a content that is wrong.
        """

    def is_valid(self, counts: dict[str, int]) -> bool:
        """Whether a frame that an earlier run converted, with these counts, can stay."""
        return True

    def info(self, split: str, frames: Sequence[Frame]) -> dict:
        """What the annotations of a split say about themselves, beside the options."""
        return dict(split=split)

    def describe(self, summary: Summary) -> str:
        """What to print after a run."""
        splits = ', '.join(f'{split} {number}' for split, number in summary.frames.items())
        return f'frames            {splits} ({summary.reused} done before)'

    def report(self, counts: dict[str, dict[str, int]]) -> dict | None:
        """What to write to ``report.json``, from the counts of each frame; None: no such file."""
        return None

    def run(
        self,
        out: str | Path,
        workers: int = 1,
        overwrite: bool = False,
        num_shards: int = 1,
        shard_index: int = 0,
        merge: bool = False,
        progress: bool = True,
    ) -> Summary:
        """Convert all frames, and write the annotations.

        A run can be stopped at any time; the next one goes on where it stopped and leaves the same
        bytes, for any number of workers and shards. Shards may run at the same time, on machines
        that share OUT; otherwise one run at a time into one OUT.

        Args:
            out: Output folder.
            workers: Processes.
            overwrite: Throw away results of other options in ``out``.
            num_shards: Cut the list of frames into this many parts: part i has every
                ``num_shards``-th frame from frame i on.
            shard_index: With several parts: convert only this one, from 0. The annotations are left
                to ``merge``, or to a run without parts, which converts what is still missing.
            merge: Convert nothing, and write the annotations of parts that are all complete.
            progress: Show bars.

        Raises:
            InputError: Files that are missing or wrong, an output folder made with other options or
                over the data, parts that are not complete, no measurement at all, or an input and a
                ground truth that are exchanged. All that names and headers tell is raised before
                anything is written, the rest before the annotations are.
        """
        require_count(workers, '--workers')
        require_count(num_shards, '--num-shards')
        if shard_index not in range(num_shards):
            raise InputError('--shard-index', f'{shard_index}', f'0 to {num_shards - 1}')
        for flag, given in (('--num-shards', num_shards > 1), ('--merge', merge)):
            if overwrite and given:
                raise InputError('--overwrite', f'it with {flag}', 'one of them')
        options = dict(version=self.version, **{key: getattr(self, key) for key in self.options})
        folder = OutFolder(out, self.name, options)
        if not overwrite:
            folder.check()

        splits = self.list_frames()
        root = os.path.realpath(self.root)
        stamps = {}
        with progress_bar(sum(map(len, splits.values())), 'check', progress, delay=2) as bar:
            for frames in splits.values():
                for i, frame in enumerate(frames):
                    if frame.name in stamps:
                        raise InputError(self.root, f'two frames {frame.name}', 'one')
                    frames[i] = self.inspect_frame(frame)
                    stamps[frame.name] = self._stamp(frames[i])
                    for source in frame.sources.values():
                        folder.require_apart(os.path.join(root, source))
                    bar.update()
        if not stamps:
            raise InputError(self.root, 'no frames', self.description)

        part = [frame for frames in splits.values() for frame in frames]
        if merge:
            missing = [i for i, f in enumerate(part) if not folder.find(f.name, stamps[f.name])]
            _require_complete(missing, part, folder.path, num_shards)
            num_shards = 1
        folder.prepare(overwrite, alone=num_shards == 1)
        part = part[shard_index::num_shards]
        results, todo = {}, []
        for frame in part:
            result = folder.find(frame.name, stamps[frame.name])
            if result and self.is_valid(result['counts']):
                results[frame.name] = result
            else:
                todo.append((self, frame, folder, stamps[frame.name]))
        unfinished = {frame.name for _, frame, _, _ in todo}
        for split, frames in splits.items():
            if any(frame.name in unfinished for frame in frames):
                for path in annotation_files(folder.path, split):
                    path.unlink(missing_ok=True)
        reused = len(results)
        with progress_bar(len(part), 'convert', progress, initial=reused) as bar:

            def done(job: tuple, result: dict) -> None:
                results[job[1].name] = result
                bar.update()

            run_jobs(_convert, todo, workers, done)

        total = sum((Counter(result['counts']) for result in results.values()), Counter())
        for key, expected in self.needed.items():
            if results and not total[key]:
                raise InputError(self.root, f'0 in all {len(results)} frames', expected, key)
        if self.depth_pair:
            for split, frames in splits.items():
                per_frame = [results[f.name]['counts'] for f in frames if f.name in results]
                self.depth_pair.require_order(per_frame, self.root, split)
        if num_shards == 1:
            counts = {f.name: results[f.name]['counts'] for fs in splits.values() for f in fs}
            report = self.report(counts)
            if report is not None:
                write_json(folder.path / 'report.json', report)
            self._write_annotations(folder, splits, results)
        return Summary(
            {split: sum(f.name in results for f in frames) for split, frames in splits.items()},
            reused,
            total,
        )

    def _stamp(self, frame: Frame) -> str:
        """The frame, size and time of its files: an earlier result holds if this is the same."""
        files = []
        for kind, source in frame.sources.items():
            require_file(self.root / source, f'the {kind} of frame {frame.name}')
            stat = os.stat(self.root / source)
            files.append([stat.st_size, stat.st_mtime_ns])
        return json.dumps([dataclasses.asdict(frame), files])

    def _write_annotations(
        self, folder: OutFolder, splits: dict[str, list[Frame]], results: dict[str, dict]
    ) -> None:
        """Write the annotations of all splits that have frames."""
        first_id = 1
        for split, frames in splits.items():
            if frames:
                info = dict(
                    description=self.description,
                    data_root=os.path.abspath(self.root),
                    **self.info(split, frames),
                    **folder.options,
                )
                records = [FrameRecord(**results[frame.name]['record']) for frame in frames]
                write_annotations(folder.path, split, records, self.categories, info, first_id)
                first_id += len(frames)

    @classmethod
    def main(cls, argv: Sequence[str] | None = None) -> int:
        """Run the command line; its help is the docstring of the converter's module.

        Returns:
            The exit code.
        """
        parser = argparse.ArgumentParser(
            description=sys.modules[cls.__module__].__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument('root', metavar='DATA_ROOT', help='folder of the original data')
        parser.add_argument('--out', required=True, help='output folder')
        parser.add_argument(
            '--workers',
            type=int,
            default=available_cores(),
            help='processes (default: the cores, here %(default)s)',
        )
        cls.add_arguments(parser)
        parser.add_argument(
            '--overwrite', action='store_true', help='throw away results of other options in OUT'
        )
        parser.add_argument(
            '--num-shards',
            type=int,
            default=1,
            metavar='N',
            help='convert only one of N parts of the frames, into an OUT that all share or that is '
            'copied together afterwards; then --merge',
        )
        parser.add_argument(
            '--shard-index', type=int, default=0, metavar='I', help='which part, 0 to N - 1'
        )
        parser.add_argument(
            '--merge',
            action='store_true',
            help='convert nothing: check that all parts are complete and of the same options, and '
            'write the annotations that one run would have written',
        )
        fields = [field for field in dataclasses.fields(cls) if field.name != 'root']
        parser.set_defaults(
            **{f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
        )
        args = parser.parse_args(argv)
        logging.basicConfig(format='%(levelname)s: %(message)s')

        def command() -> None:
            if not args.out:  # which would be the current folder
                raise InputError('--out', 'an empty name', 'a folder')
            converter = cls(
                args.root, **{field.name: getattr(args, field.name) for field in fields}
            )
            summary = converter.run(
                args.out,
                args.workers,
                args.overwrite,
                args.num_shards,
                args.shard_index,
                args.merge,
            )
            print(converter.describe(summary))
            if args.merge or args.num_shards == 1:
                print(f'annotations in {os.path.join(args.out, "annotations")}')
            else:
                shard = f'shard {args.shard_index} of {args.num_shards}'
                print(f'no annotations    this is {shard}; when all are done, run --merge')

        return exit_code(command)


def _require_complete(
    missing: Sequence[int], frames: Sequence[Frame], out: Path, num_shards: int
) -> None:
    """Refuse to merge while frames are not converted, and say whose turn it is."""
    if missing:
        parts = ' '.join(str(i) for i in sorted({i % num_shards for i in missing}))
        which = f', in the shards {parts} of {num_shards}' if num_shards > 1 else ''
        raise InputError(
            out,
            f'{len(missing)} of {len(frames)} frames not converted with these options and '
            f'sources, the first is {frames[missing[0]].name}{which}',
            'all of them: run these shards first, then --merge',
            '--merge',
        )


def _convert(converter: Converter, frame: Frame, folder: OutFolder, stamp: str) -> dict:
    """Convert a frame and keep its result; runs in the worker processes."""
    record, counts = converter.convert_frame(frame, folder.path)
    return folder.keep(frame.name, stamp, record, counts)
