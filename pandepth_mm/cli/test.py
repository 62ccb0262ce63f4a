"""Test a model: ``python tools/test.py CONFIG CKPT [flags]``."""

import argparse
import os
from collections.abc import Sequence

from mmengine.dist import is_main_process

from pandepth_mm.cli.shared import add_speed_arguments, cli_main
from pandepth_mm.engine.config_mistakes import config_mistakes
from pandepth_mm.engine.launch import (
    add_common_arguments,
    apply_format_only,
    apply_heuristic_fusion,
    apply_test_flags,
    build_runner,
    check_output,
    load_config,
)
from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.metrics_file import collect_details, write_metrics
from pandepth_mm.evaluation.table import format_table


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test a model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='FILE', help='write the metrics to a JSON file')
    parser.add_argument('--show-dir', metavar='D', help='write one picture per frame there')
    parser.add_argument(
        '--figures', metavar='D', help='draw confusion matrices and depth errors there'
    )
    parser.add_argument(
        '--heuristic-fusion',
        action='store_true',
        help="evaluate mmdet's heuristic fusion of the same heads too",
    )
    parser.add_argument(
        '--format-only',
        metavar='D',
        help='evaluate nothing, write the predictions there, for tools/eval_files.py and others',
    )
    add_speed_arguments(parser)
    add_common_arguments(parser)
    return parser.parse_args(argv)


def draw_figures(details: dict, folder: str) -> None:
    """Draw what the details of the metrics hold."""
    # matplotlib is loaded only where it is used
    from pandepth_mm.visualization.figures.confusion import draw_confusion

    for prefix in details:
        if 'confusion' in details[prefix]:
            draw_confusion(
                details[prefix]['confusion'], os.path.join(folder, f'{prefix}_confusion.png')
            )
    if 'breakdown' in details.get('depth', {}):
        from pandepth_mm.visualization.figures.depth_errors import draw_depth_errors

        draw_depth_errors(details['depth'], os.path.join(folder, 'depth_errors.png'))


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Test, print the table, write the metrics."""
    args = parse_args(argv)
    check_output(args.out, '--out')
    check_output(args.figures, '--figures', folder=True)
    check_output(args.format_only, '--format-only', folder=True)
    if args.format_only and (args.out or args.figures):
        raise InputError(
            '--format-only', 'it with --out or --figures', 'one of them: nothing is evaluated'
        )
    cfg = load_config(args)
    apply_test_flags(cfg, args)
    if args.heuristic_fusion:
        apply_heuristic_fusion(cfg)
    if args.format_only:
        apply_format_only(cfg, args.format_only)
    runner = build_runner(cfg, args.trust_checkpoint)
    with config_mistakes(cfg, args.config):
        metrics = runner.test()
    if is_main_process() and args.format_only:
        print(f'predictions: {args.format_only}')
    elif is_main_process():
        evaluated = runner.test_loop.evaluator.metrics
        print(format_table(metrics, evaluated))
        details = collect_details(evaluated)
        if args.out:
            write_metrics(args.out, metrics, details)
            print(f'metrics: {args.out}')
        if args.figures:
            draw_figures(details, args.figures)
            print(f'figures: {args.figures}')
    if is_main_process() and args.show_dir:
        print(f'pictures: {args.show_dir}')
