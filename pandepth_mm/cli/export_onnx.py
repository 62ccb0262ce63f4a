"""Write a model as ONNX, up to the fusion: ``export_onnx.py CONFIG CKPT --out F``.

Image, sparse depth and what is searched in it go in; logits, depth and, from a head without RoIs,
instances come out. docs/onnx.md describes inputs and outputs. The file is compared with PyTorch
under onnxruntime, and one that differs by more than --tolerance is not kept.
"""

import argparse
import os
import re
from collections.abc import Sequence

from mmengine.config import Config

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.checkpoint import TRUST_FLAG, fill_model, read_checkpoint
from pandepth_mm.engine.launch import load_config
from pandepth_mm.engine.options import add_cfg_options
from pandepth_mm.errors import InputError
from pandepth_mm.export.onnx_file import OPSETS, TOLERANCE, export_onnx
from pandepth_mm.fileio import check_writable
from pandepth_mm.models.build import build_pandepth

UNITS = dict(depth=' m', depth_uncertainty=' m', boxes=' px')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Write a model, up to the fusion, as an ONNX file')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', required=True, metavar='FILE', help='the .onnx file to write')
    parser.add_argument(
        '--points',
        type=int,
        metavar='N',
        help='rows of points it takes, if any (a tenth of the pixels)',
    )
    parser.add_argument(
        '--size', metavar='WxH', help="of its input (the test data set's img_scale)"
    )
    parser.add_argument(
        '--opset',
        type=int,
        default=OPSETS[0],
        metavar='V',
        help=f'operators of ONNX, {OPSETS[0]} to {OPSETS[-1]} (%(default)s)',
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=TOLERANCE,
        metavar='D',
        help='largest difference to PyTorch, of a logit and of the depth in meters (%(default)s)',
    )
    add_cfg_options(parser)
    parser.add_argument(
        TRUST_FLAG, action='store_true', help='allow the checkpoint to run code while it is loaded'
    )
    # load_config reads these also
    parser.set_defaults(work_dir=None, launcher='none', local_rank=0)
    return parser.parse_args(argv)


def input_size(cfg: Config, size: str | None, source: str) -> tuple[int, int]:
    """(width, height) of ``--size``, or of the test data set.

    Raises:
        InputError: Neither says it.
    """
    if size is not None:
        match = re.fullmatch(r'(\d+)[xX](\d+)', size.strip())
        if not match:
            raise InputError('--size', repr(size), 'WxH, e.g. 416x128')
        return int(match[1]), int(match[2])
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    if dataset.get('img_scale') is None:
        raise InputError(
            source, 'no size', 'one, or --size WxH', 'test_dataloader.dataset.img_scale'
        )
    return tuple(dataset['img_scale'])


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Export."""
    args = parse_args(argv)
    if not args.out.endswith('.onnx'):
        raise InputError('--out', args.out, 'a file name that ends in .onnx')
    if not args.tolerance >= 0:
        raise InputError('--tolerance', str(args.tolerance), 'a number, 0 or more')
    check_writable(args.out, '--out')
    cfg = load_config(args)
    size = input_size(cfg, args.size, args.config)
    num_points = args.points
    if num_points is None:
        num_points = max(size[0] * size[1] // 10, 1)
    model = build_pandepth(cfg, args.config)
    checkpoint = read_checkpoint(args.checkpoint, args.trust_checkpoint)
    fill_model(model, checkpoint, args.checkpoint)
    meta = checkpoint.get('meta') or {}
    differences = export_onnx(
        model,
        args.out,
        size,
        num_points,
        opset=args.opset,
        classes=(meta.get('dataset_meta') or {}).get('classes'),
        tolerance=args.tolerance,
    )
    rows = f'{num_points} points, ' if hasattr(model.depth_head, 'k') else ''
    print(
        f'{args.out}: {os.path.getsize(args.out) / 1e6:.1f} MB, '
        f'{size[0]}x{size[1]}, {rows}opset {args.opset}'
    )
    for name, value in differences.items():
        print(f'largest difference to PyTorch: {name} {value:.1e}{UNITS.get(name, "")}')
