"""Look through a data set: ``pandepth check-dataset CONFIG|JSON``.

Opens every file that a training by the config would open (or all that an annotation JSON names),
counts what is there and says what is wrong. The exit code is 1 where a training would fail.
"""

import argparse
import copy
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from pandepth_mm.cli.dataset_sheet import write_sheet
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.converters.core.jobs import available_cores, progress_bar, run_jobs
from pandepth_mm.datasets import PanopticDepthDataset
from pandepth_mm.engine.config_mistakes import config_mistakes
from pandepth_mm.engine.launch import load_config
from pandepth_mm.engine.options import add_cfg_options
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.fileio import check_writable, read_json
from pandepth_mm.models.instance_heads.anchor_fit import count_unmatched
from pandepth_mm.registry import DATASETS, set_default_scope, type_name
from pandepth_mm.structures.annotation_rules import is_name
from pandepth_mm.structures.dataset_check.frame import KINDS, check_frame
from pandepth_mm.structures.dataset_check.report import SplitReport, find_problems, format_report

_LOADERS = ('train', 'val', 'test')
_OF_MAPS = ('PanopticMetric', 'SemanticMetric', 'InstanceMetric')
_OF_DEPTH = ('DepthMetric', 'DepthBreakdownMetric')


class Part(NamedTuple):
    """A data set that one or several loaders of a config read.

    Attributes:
        names: Of the loaders, 'train' and so on.
        configs: Of the data set, as each loader has it.
    """

    names: list[str]
    configs: list[dict]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Look through a data set: what is there, and what is wrong'
    )
    parser.add_argument('source', metavar='CONFIG|JSON', help='config, or one annotation JSON')
    parser.add_argument('--html', metavar='FILE', help='write a page with pictures of frames')
    parser.add_argument(
        '--workers', type=int, metavar='N', help='processes (default: one per core)'
    )
    parser.add_argument(
        '--data-root',
        metavar='D',
        help='with a JSON: what its paths are relative to (default: the folder above its own)',
    )
    parser.add_argument(
        '--source-root', metavar='D', help='with a JSON: folder of the images, if they have moved'
    )
    add_cfg_options(parser)
    parser.set_defaults(work_dir=None, launcher='none', local_rank=0)
    return parser.parse_args(argv)


def config_parts(cfg: Config) -> list[Part]:
    """The data sets of a config; one that several loaders read is listed once."""
    parts: dict[tuple, Part] = {}
    for loader in _LOADERS:
        dataset = (cfg.get(f'{loader}_dataloader') or {}).get('dataset')
        found = [] if dataset is None else list(_leaves(dataset))
        for number, leaf in enumerate(found, start=1):
            keys = ('ann_file', 'data_root', 'source_root', 'data_prefix')
            part = parts.setdefault(tuple(str(leaf.get(key)) for key in keys), Part([], []))
            part.names.append(loader if len(found) == 1 else f'{loader} {number}')
            part.configs.append(leaf)
    if not parts:
        raise InputError(cfg.filename, 'no data set', 'train_dataloader.dataset', 'config')
    return list(parts.values())


def _leaves(dataset: dict) -> Iterator[dict]:
    """The data sets inside of wrappers."""
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else [])
    if not inner:
        yield dataset
    for part in inner:
        yield from _leaves(part)


def json_part(args: argparse.Namespace) -> Part:
    """A data set of all that a JSON names; its classes are its categories."""
    path = Path(args.source).absolute()
    categories = read_json(path).get('categories')
    known = [
        c
        for c in (categories if isinstance(categories, list) else [])
        if isinstance(c, dict) and is_name(c.get('name'))
    ]
    things = [c['name'] for c in known if c.get('isthing')]
    stuff = [c['name'] for c in known if not c.get('isthing')]
    cfg = dict(
        type='PanopticDepthDataset',
        ann_file=str(path),
        data_root=args.data_root or str(path.parents[1]),
        source_root=args.source_root,
        metainfo=dict(thing_classes=things, stuff_classes=stuff or (() if things else ('none',))),
        pipeline=[],
    )
    return Part([path.stem], [cfg])


def check_part(part: Part, cfg: Config | None, workers: int) -> tuple[SplitReport, list[dict]]:
    """Open all files of a data set.

    Args:
        part: The data set.
        cfg: The config that it is from, if any.
        workers: Processes.

    Returns:
        tuple: what was found, and the frames as data_info.
    """
    report = SplitReport(', '.join(part.names), str(part.configs[0].get('ann_file')))
    try:
        datasets = [_build(config, cfg) for config in part.configs]
        content = datasets[0].read_annotations()
        infos = datasets[0].parse_frames(content)
    except InputError as e:
        report.fatal.append(('annotations', str(e)))
        return report, []
    meta = datasets[0].metainfo
    report.classes, report.num_things = meta['classes'], len(meta['thing_classes'])
    report.palette = meta['palette']
    report.paths = [info['img_path'] for info in infos]
    max_depth = cfg.model.get('max_depth') if cfg else None
    jobs = [
        (info, frame.segments, max_depth) for info, frame in zip(infos, content.frames, strict=True)
    ]
    found = {}
    with progress_bar(len(jobs), report.name, shown=True) as bar:

        def done(job: tuple, facts: Any) -> None:
            found[job[0]['img_id']] = facts
            bar.update()

        run_jobs(check_frame, jobs, workers, done)
    report.frames = [found[info['img_id']] for info in infos]
    if cfg is not None:
        _check_use(report, part, datasets, infos, cfg)
    return report, infos


def _build(config: dict, cfg: Config | None) -> PanopticDepthDataset:
    """Build a data set without reading its files."""
    with config_mistakes(cfg or Config(), cfg.filename if cfg else 'JSON'):
        dataset = DATASETS.build(dict(config, lazy_init=True))
    if not isinstance(dataset, PanopticDepthDataset):
        raise InputError('config', type(dataset).__name__, 'a PanopticDepthDataset', 'dataset.type')
    return dataset


def _check_use(
    report: SplitReport,
    part: Part,
    datasets: Sequence[PanopticDepthDataset],
    infos: Sequence[dict],
    cfg: Config,
) -> None:
    """Compare a data set with what the config does with it."""
    counts = dict(num_things=report.num_things)
    counts['num_stuff'] = len(report.classes) - report.num_things
    for key, count in counts.items():
        if cfg.model.get(key, count) != count:
            text = f'found {cfg.model[key]}; expected {count}, as the data set has'
            report.fatal.append(('config', f'model.{key}: {text}'))
    whole = [
        info
        for info, frame in zip(infos, report.frames, strict=True)
        if not any(KINDS[kind] for kind, _ in frame.problems)
    ]
    for name, dataset in zip(part.names, datasets, strict=True):
        loader = name.split()[0]
        if whole:
            try:
                dataset.pipeline(copy.deepcopy(whole[0]))
            except Exception as e:  # whatever a pipeline raises would end the training
                text = str(e) if isinstance(e, InputError) else f'{type(e).__name__}: {e}'
                report.fatal.append(('pipeline', f'{loader}_dataloader: {text}'))
        metrics = cfg.get(f'{loader}_evaluator') or []
        for metric in [metrics] if isinstance(metrics, dict) else metrics:
            for needed in _needs(metric):
                if f'{needed}_path' not in infos[0]:
                    text = f'{type_name(metric)} without {needed} in the data'
                    report.fatal.append(('evaluator', f'{loader}_evaluator: {text}'))
        if loader == 'train' and report.unmatched is None:
            sizes = [(info['width'], info['height']) for info in infos]
            counted = count_unmatched(cfg.model, dataset, report.frames, sizes)
            if counted is not None:
                report.unmatched, report.trained = counted


def _needs(metric: dict) -> list[str]:
    """The ground truth that a metric wants."""
    name = type_name(metric)
    by_class = {'class', 'instance'} & set(metric.get('parts', ('class',)))
    needs_map = name in _OF_MAPS or (name == 'DepthBreakdownMetric' and by_class)
    return ['seg_map'] * bool(needs_map) + ['gt_depth_map'] * (name in _OF_DEPTH)


@cli_main
def main(argv: Sequence[str] | None = None) -> int:
    """Check, print the report, write the page.

    Returns:
        0; 1 where a training would fail; 130 when stopped by the user.
    """
    args = parse_args(argv)
    if args.html is not None:
        if Path(args.html).suffix.lower() not in ('.html', '.htm'):  # not over the annotations
            raise InputError('--html', args.html, 'a name that ends in .html')
        check_writable(args.html, '--html')
    workers = available_cores() if args.workers is None else args.workers
    require_count(workers, '--workers')
    set_default_scope()
    if args.source.lower().endswith('.json'):
        cfg, parts = None, [json_part(args)]
    else:
        for flag, value in (('--data-root', args.data_root), ('--source-root', args.source_root)):
            if value is not None:
                raise InputError(flag, 'it with a config', 'it with a JSON, or --cfg-options')
        args.config = args.source
        cfg = load_config(args)
        parts = config_parts(cfg)
    try:
        checked = [check_part(part, cfg, workers) for part in parts]
        reports = [report for report, _ in checked]
        text = _text(reports)
        print(text)
        if args.html is not None:
            write_sheet(args.html, args.source, text, checked)
            print(f'page: {args.html}')
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        return 130
    except BrokenProcessPool:
        expected = 'worker processes that live: with less memory, fewer --workers'
        raise InputError('--workers', 'a process that died', expected) from None
    return int(bool(find_problems(reports)[0]))


def _text(reports: Sequence[SplitReport]) -> str:
    """The table and the problems."""
    fatal, notes = find_problems(reports)
    lines = [format_report(reports), '']
    lines += ['A training would fail on' if fatal else 'Nothing that a training would fail on']
    lines += [f'  {line}' for line in fatal]
    lines += ['Worth a look', *(f'  {line}' for line in notes)] if notes else []
    return '\n'.join(lines)
