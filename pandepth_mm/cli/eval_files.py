"""Evaluate predictions in files: ``python tools/eval_files.py GT PRED``.

PRED is what ``tools/test.py --format-only PRED`` wrote, GT the annotation JSON of the split. The
metrics, their options and the pipeline that loads the ground truth and the input are those of that
test run; they are printed. So are the numbers, except that a file holds depth in steps of 1/256 m.

COCO panoptic predictions of other tools will do as well, a folder with ``panoptic.json`` and
``panoptic/*.png``, or the JSON. They give PQ.
"""

import argparse
import os
from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import Evaluator

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.datasets import PanopticDepthDataset
from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.metrics_file import collect_details, write_metrics
from pandepth_mm.evaluation.prediction_files import (
    DATASET_KEYS,
    INFO,
    METRICS,
    TRANSFORMS,
    PredictionFiles,
)
from pandepth_mm.evaluation.table import format_table
from pandepth_mm.fileio import check_writable
from pandepth_mm.registry import set_default_scope


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Evaluate predictions in files')
    parser.add_argument('gt', help='annotation JSON of the split')
    parser.add_argument(
        'pred', help='folder that tools/test.py --format-only wrote, or COCO panoptic predictions'
    )
    parser.add_argument('--out', metavar='FILE', help='write the metrics to a JSON file')
    parser.add_argument(
        '--data-root',
        metavar='D',
        help='what the paths in GT are relative to (default: the folder above the one of GT)',
    )
    parser.add_argument(
        '--source-root', metavar='D', help='folder of the original images, if they have moved'
    )
    return parser.parse_args(argv)


def checked(files: PredictionFiles, key: str, cfgs: Any, names: Sequence[str]) -> list:
    """Return configs, if their types are among ``names``."""
    path = files.folder / INFO
    if not isinstance(cfgs, list) or not cfgs:
        raise InputError(path, repr(cfgs), 'a list', f'settings.{key}')
    for cfg in cfgs:
        if not isinstance(cfg, dict) or cfg.get('type') not in names:
            raise InputError(path, str(cfg), f'types out of {names}', f'settings.{key}')
    return cfgs


def load_dataset(args: argparse.Namespace, files: PredictionFiles) -> PanopticDepthDataset:
    """Build the data set of the test run on the annotations given."""
    settings = files.info['settings']
    options = settings.get('dataset')
    if not isinstance(options, dict) or set(options) - set(DATASET_KEYS):
        raise InputError(
            files.folder / INFO, str(options), f'keys out of {DATASET_KEYS}', 'settings.dataset'
        )
    ann_file = os.path.abspath(args.gt)
    return PanopticDepthDataset(
        ann_file=ann_file,
        data_root=args.data_root or os.path.dirname(os.path.dirname(ann_file)),
        source_root=args.source_root,
        metainfo=dict(thing_classes=files.thing_classes, stuff_classes=files.stuff_classes),
        pipeline=checked(files, 'pipeline', settings.get('pipeline'), TRANSFORMS),
        test_mode=True,
        **options,
    )


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate, print the table, write the metrics."""
    args = parse_args(argv)
    if args.out is not None:
        check_writable(args.out, '--out')
    set_default_scope()
    files = PredictionFiles(args.pred, args.gt)
    cfgs = checked(files, 'metrics', files.info['settings'].get('metrics'), METRICS)
    try:
        dataset = load_dataset(args, files)
        evaluator = Evaluator(cfgs)
    except TypeError as e:  # an argument that nothing takes
        raise InputError(
            files.folder / INFO, str(e), 'settings that this version knows', 'settings'
        ) from e
    evaluator.dataset_meta = dataset.metainfo
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples']
        files.add_to(sample)
        evaluator.process([sample])
    metrics = evaluator.evaluate(len(dataset))

    print('settings of the test run:' if 'stack' in files.info else 'settings:')
    for cfg in cfgs:
        options = (f'{k}={v!r}' for k, v in cfg.items() if k != 'type')
        print(f'  {cfg["type"]}({", ".join(options)})')
    print(f'\n{format_table(metrics, evaluator.metrics)}')
    if args.out:
        write_metrics(args.out, metrics, collect_details(evaluator.metrics))
        print(f'metrics: {args.out}')
