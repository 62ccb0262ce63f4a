"""Test a model: ``python tools/test.py CONFIG CKPT [flags]``."""
import argparse
import os

from mmengine.dist import is_main_process

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.table import format_class_table, format_table
from pandepth_mm.utils import cli_main
from pandepth_mm.utils.launch import (add_common_arguments, apply_test_flags,
                                      build_runner, load_config)
from pandepth_mm.utils.metrics_file import write_metrics


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test a model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out', metavar='FILE', help='write the metrics to a JSON file')
    parser.add_argument(
        '--show-dir', metavar='D', help='write one picture a frame there')
    add_common_arguments(parser)
    return parser.parse_args()


@cli_main
def main() -> None:
    """Test, print the table, write the metrics."""
    args = parse_args()
    if args.out and os.path.isdir(args.out):
        raise InputError('--out', f'{args.out}, a folder', 'a file name')
    cfg = load_config(args)
    apply_test_flags(cfg, args)
    metrics = build_runner(cfg, args.trust_checkpoint).test()
    if is_main_process():
        print(format_table(metrics))
        by_class = format_class_table(metrics)  # '' where nothing asks for it
        if by_class:
            print(f'\n{by_class}')
        if args.out:
            write_metrics(args.out, metrics)
            print(f'metrics: {args.out}')
        if args.show_dir:
            print(f'pictures: {args.show_dir}')


if __name__ == '__main__':
    main()
