"""What data costs: throughput of converter and loader per worker, and a loader's memory.

    python tools/analysis_tools/benchmark_data.py CONFIG [--raw DATA_ROOT] [--out data.json]

* With --raw, the converter of Virtual KITTI 2 reads up to --samples frames of DATA_ROOT, with each
  number of --workers. The first quarter of them, in which the processes start, is not counted.
* The loader of the config's training, its pipeline on its data, gives --samples samples, with each
  number of --workers, after three batches from every worker.
* Two workers of that loader have annotations of each number of --frames: the config's, repeated
  under other ids and names, which lead to the same files. Each worker reads every record and loads
  two batches; then its memory is read. Private is what it shares with no other process (USS); PSS
  is that and its part of what it shares. The records are one array of bytes in the data set, which
  the processes share as long as none writes to it, so that the private memory must not grow with
  the records; the tool fails if it grows by more than they do, and --tolerance.

CPU is the workers' time on a core for one frame or sample, the conversion alone with --raw. The
yardstick, decoding a PNG of 16 bits and 1242 x 375 pixels, is timed between the others: it compares
machines, and its share of a core says whether others were at work here. Needs Linux.
"""

import argparse
import copy
import dataclasses
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.converters.core.jobs import available_cores
from pandepth_mm.converters.vkitti2 import VKITTI2Converter
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.fileio import check_writable, read_json, write_json
from pandepth_mm.structures.annotation_rules import DEPTH_KINDS
from pandepth_mm.structures.annotations import FrameRecord, write_annotations

MEMORY_WORKERS = 2  # the least that can share
YARDSTICK_SIZE, YARDSTICK_REPEATS = (375, 1242), 20
MIB = 1 << 20
ROLLUP = '/proc/{}/smaps_rollup'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    from pandepth_mm.engine.options import add_cfg_options

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('config', help='config file, or the name of a shipped one; its data must be there')
    add('--raw', metavar='DATA_ROOT', help='Virtual KITTI 2, for the converter')
    add('--workers', type=int, nargs='+', default=[1, 2, 4], metavar='N', help='(1 2 4)')
    add('--samples', type=int, default=200, metavar='N', help='that are timed (%(default)s)')
    add('--frames', type=int, nargs='+', default=[1000, 21260], metavar='N', help='(1000 21260)')
    add('--tolerance', type=float, default=16, metavar='MIB', help='of memory (%(default)s)')
    add('--out', metavar='JSON', help='all numbers')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot be measured."""
    require_count(args.samples, '--samples')
    for flag in ('workers', 'frames'):
        for number in getattr(args, flag):
            require_count(number, f'--{flag}')
    if args.out:
        check_writable(args.out, '--out')
    if not os.path.exists(ROLLUP.format('self')):
        raise InputError(ROLLUP.format('self'), 'no such file', 'Linux')


class Yardstick:
    """Decodes a PNG in turn with what is measured.

    Attributes:
        wall: Seconds of each decoding.
        cpu: Of these, seconds on a core.
    """

    def __init__(self) -> None:
        rows, cols = np.mgrid[: YARDSTICK_SIZE[0], : YARDSTICK_SIZE[1]]
        noise = np.random.default_rng(0).integers(0, 30, YARDSTICK_SIZE)
        self._png = cv2.imencode('.png', (50 * rows + cols + noise).astype(np.uint16))[1]
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def measure(self) -> None:
        """Decode it some times."""
        for _ in range(YARDSTICK_REPEATS):
            wall, cpu = time.perf_counter(), time.process_time()
            cv2.imdecode(self._png, cv2.IMREAD_UNCHANGED)
            self.wall.append(time.perf_counter() - wall)
            self.cpu.append(time.process_time() - cpu)

    def row(self) -> dict[str, float]:
        """Median in milliseconds, and the share of a core that this process got."""
        return dict(ms=1e3 * float(np.median(self.wall)), core=sum(self.cpu) / sum(self.wall))


# ---- the converter


@dataclasses.dataclass
class FirstFrames(VKITTI2Converter):
    """The converter, on the first frames alone.

    Attributes:
        count: Number of frames.
    """

    count: int = 0

    def list_frames(self) -> dict[str, list]:
        """So many frames, in the order of the splits."""
        splits, left = super().list_frames(), self.count
        for split, frames in splits.items():
            splits[split] = frames[:left]
            left -= len(splits[split])
        return splits

    def convert_frame(self, frame: Any, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Convert a frame, and count its time on a core."""
        start = time.process_time()
        record, counts = super().convert_frame(frame, out)
        return record, dict(counts, cpu_us=round(1e6 * (time.process_time() - start)))


def time_converter(raw: str, workers: int, count: int) -> dict[str, float]:
    """Convert frames into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as out:
        summary = FirstFrames(raw, count=count).run(out, workers, progress=False)
        # the ground truth is the last file of a frame
        files = (Path(out) / 'gt_depth_map').rglob('*.png')
        ends = sorted(path.stat().st_mtime_ns / 1e9 for path in files)
    first = max(len(ends) // 4, workers) - 1
    if first > len(ends) - 2:
        raise InputError(raw, f'{len(ends)} frames for {workers} workers', 'more of them', '--raw')
    rate = (len(ends) - 1 - first) / (ends[-1] - ends[first])
    return rates(workers, rate, summary.counts['cpu_us'] / 1e3 / len(ends))


def rates(workers: int, rate: float, cpu_ms: float) -> dict[str, float]:
    """A row of a table."""
    return dict(workers=workers, per_second=rate, per_worker=rate / workers, cpu_ms=cpu_ms)


# ---- the loader; torch and the like are imported where they are used, since each process of the
# converter imports this file


def read_settings(args: argparse.Namespace) -> dict:
    """The settings of the loader of a config's training."""
    from pandepth_mm.engine.model_zoo import read_config
    from pandepth_mm.engine.options import merge_options

    cfg, _ = read_config(args.config)
    merge_options(cfg, args.cfg_options or {})
    settings = cfg.get('train_dataloader') or {}
    if 'ann_file' not in settings.get('dataset', {}):
        raise InputError(
            args.config, 'no ann_file', 'one data set of annotations', 'train_dataloader.dataset'
        )
    return settings


def build_dataset(settings: dict, **options: Any) -> Any:
    """A PanopticDepthDataset of a config's settings."""
    from pandepth_mm.registry import DATASETS, set_default_scope

    set_default_scope()
    return DATASETS.build(dict(settings, **options))


def build_loader(settings: dict, dataset: Any, workers: int) -> Any:
    """The loader of a training with so many workers."""
    from mmengine.runner import Runner

    settings = copy.deepcopy(settings)
    settings.update(dataset=dataset, num_workers=workers, persistent_workers=True)
    return Runner.build_dataloader(settings, seed=0)


def endless(loader: Any) -> Generator[int, None, None]:
    """Sizes of batches, without end."""
    while True:
        for batch in loader:
            yield len(batch['inputs'])


def start(loader: Any, batches: int) -> tuple[Generator[int, None, None], list[int]]:
    """Load some batches; gives the sizes of more, and the ids of the worker processes."""
    others = {process.pid for process in multiprocessing.active_children()}
    sizes = endless(loader)
    for _ in range(batches):
        next(sizes)
    pids = [process.pid for process in multiprocessing.active_children()]
    return sizes, [pid for pid in pids if pid not in others]


def cpu_seconds(pids: list[int]) -> float:
    """Time on a core that processes had so far."""
    ticks = 0
    for pid in pids:
        stat = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf('SC_CLK_TCK')


def time_loader(settings: dict, dataset: Any, workers: int, samples: int) -> dict[str, float]:
    """Load samples, and do nothing with them."""
    sizes, pids = start(build_loader(settings, dataset, workers), 3 * workers)
    found, wall, cpu = 0, time.perf_counter(), cpu_seconds(pids)
    while found < samples:
        found += next(sizes)
    wall, cpu = time.perf_counter() - wall, cpu_seconds(pids) - cpu
    return rates(workers, found / wall, 1e3 * cpu / found)


# ---- memory


def repeat_frames(settings: dict, frames: int, folder: Path) -> dict:
    """Annotations of many frames, whose files are those of a few.

    Args:
        settings: Of a data set.
        frames: Number of frames.
        folder: An empty one, for the annotations and links to the folders of the files.

    Returns:
        The settings of the data set of these annotations.
    """
    dataset = build_dataset(settings, lazy_init=True)
    content = dataset.read_annotations()
    some = content.frames[:frames]
    source = dataset.parse_frames(content)[0]['img_path'].removesuffix(some[0].file_name)
    roots = dict(source=source, data=dataset.data_root, seg=dataset.data_prefix['seg'])
    records = []
    for number in range(-(-frames // len(some))):
        copy_folder = folder / f'{number:05d}'
        copy_folder.mkdir()
        for name, root in roots.items():
            (copy_folder / name).symlink_to(os.path.abspath(root))
        records += [renamed(frame, copy_folder.name) for frame in some]
    categories = read_json(dataset.ann_file)['categories']
    write_annotations(folder, 'train', records[:frames], categories, {})
    settings = copy.deepcopy(settings)
    for key in ('indices', 'filter_cfg'):
        settings.pop(key, None)
    settings.update(
        data_root=str(folder),
        source_root=str(folder),
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(seg=''),
    )
    return settings


def renamed(frame: FrameRecord, folder: str) -> FrameRecord:
    """The frame with its files below a folder of links."""
    kinds = dict.fromkeys((f'{kind}_file' for kind in DEPTH_KINDS), 'data')
    kinds |= dict(file_name='source', dense_depth_file='source', panoptic_file='seg')
    files = {key: getattr(frame, key) for key in kinds}
    return dataclasses.replace(
        frame, **{k: f'{folder}/{kinds[k]}/{file}' for k, file in files.items() if file}
    )


def read_records(worker: int) -> None:
    """Read every record of the data set, in a worker."""
    from torch.utils.data import get_worker_info

    dataset = get_worker_info().dataset
    for index in range(len(dataset)):
        dataset.get_data_info(index)


def memory_of(pid: int) -> tuple[int, int]:
    """Private memory and PSS of a process, bytes."""
    lines = Path(ROLLUP.format(pid)).read_text().splitlines()[1:]
    kib = {name: int(rest.split()[0]) for name, rest in (line.split(':') for line in lines)}
    return 1024 * (kib['Private_Clean'] + kib['Private_Dirty']), 1024 * kib['Pss']


def measure_memory(settings: dict, frames: int) -> dict[str, float]:
    """Memory of the workers of a loader."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = build_dataset(repeat_frames(settings['dataset'], frames, Path(folder)))
        loader = build_loader(settings, dataset, MEMORY_WORKERS)
        loader.worker_init_fn = read_records
        _, pids = start(loader, 2 * MEMORY_WORKERS)
        private, pss = np.mean([memory_of(pid) for pid in pids], axis=0).tolist()
        main_pss = memory_of(os.getpid())[1]
    records = 0
    if dataset.serialize_data:
        records = dataset.data_bytes.nbytes + dataset.data_address.nbytes
    return dict(frames=frames, records=records, private=private, pss=pss, main_pss=main_pss)


# ---- what is told


def show_rates(title: str, unit: str, rows: list[dict]) -> None:
    """Print a table of throughputs."""
    print(f'\n{title}\n{"workers":>8}{unit + "/s":>12}{"per worker":>12}{"CPU ms":>9}')
    for row in rows:
        print(
            f'{row["workers"]:8}{row["per_second"]:12.1f}{row["per_worker"]:12.1f}'
            f'{row["cpu_ms"]:9.1f}',
            flush=True,
        )


def show_memory(rows: list[dict]) -> None:
    """Print the table of memory."""
    titles = dict(records='records', private='private', pss='PSS', main_pss='main PSS')
    print(f'\nmemory of a worker, one of {MEMORY_WORKERS}, and of the main process, MiB')
    print('  frames' + ''.join(f'{title:>10}' for title in titles.values()))
    for row in rows:
        print(f'{row["frames"]:8}' + ''.join(f'{row[key] / MIB:10.1f}' for key in titles))


def growth(rows: list[dict]) -> tuple[float, float]:
    """By how much the private memory grew from the least to the most frames, and the records."""
    least, most = (pick(rows, key=lambda row: row['frames']) for pick in (min, max))
    return most['private'] - least['private'], most['records'] - least['records']


@cli_main
def main(argv: list[str] | None = None) -> None:
    """Measure, and print tables."""
    args = parse_args(argv)
    check_args(args)
    settings = read_settings(args)
    cv2.setNumThreads(1)  # the processes are the parallelism
    warnings.filterwarnings('ignore', message='This DataLoader will create')  # as it was told to
    yardstick = Yardstick()
    machine = dict(cores=available_cores(), python=platform.python_version(), system=sys.platform)
    print(f'{machine["cores"]} cores', flush=True)
    tables: dict[str, list[dict]] = dict(converter=[], loader=[], memory=[])
    if args.raw:
        for workers in args.workers:
            yardstick.measure()
            tables['converter'].append(time_converter(args.raw, workers, args.samples))
        show_rates('converter of Virtual KITTI 2', 'frames', tables['converter'])
    dataset = build_dataset(settings['dataset'])
    for workers in args.workers:
        yardstick.measure()
        tables['loader'].append(time_loader(settings, dataset, workers, args.samples))
    size = ' x '.join(map(str, dataset.img_scale or ()))
    show_rates(
        f'loader of a training, batches of {settings["batch_size"]}, {size}',
        'samples',
        tables['loader'],
    )
    yardstick.measure()
    tables['memory'] = [measure_memory(settings, frames) for frames in args.frames]
    show_memory(tables['memory'])
    private, records = growth(tables['memory'])
    print(f'private memory grows by {private / MIB:.1f} MiB, the records by {records / MIB:.1f}')
    unit = yardstick.row()
    print(
        f'\nyardstick, a PNG of 16 bits, 1242 x 375: {unit["ms"]:.1f} ms, '
        f'{unit["core"]:.0%} of a core'
    )
    if args.out:
        write_json(args.out, dict(settings=vars(args), machine=machine, yardstick=unit, **tables))
    if private > records + args.tolerance * MIB:
        raise SystemExit(1)


if __name__ == '__main__':
    main()
