"""The flags of the converter."""

import argparse

from pandepth_mm.converters.semantic_instance.frames import SPLITS

SPARSE_DENSITY = 0.05  # of an input that is sampled from the ground truth


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the converter's fields."""
    add = parser.add_argument
    add('--classes', metavar='FILE', help='JSON, YAML or CSV: name, id, isthing, color')
    add('--images', metavar='PATTERN', help='the images')
    add('--semantic', metavar='PATTERN', help='PNGs of class ids')
    add('--instances', metavar='PATTERN', help='PNGs of instance numbers, 0 = none')
    add(
        '--instance-divisor',
        type=int,
        metavar='N',
        help='--instances hold class * N + number (Cityscapes: 1000); with it --semantic is '
        'not needed',
    )
    add(
        '--sparse-depth',
        metavar='PATTERN',
        help='depth maps of the input: 16-bit PNG, or .npy in meters',
    )
    add('--points', metavar='PATTERN', help='point clouds of the input, in place of it')
    add('--point-dims', type=int, metavar='N', help='columns of .bin clouds')
    add(
        '--gt-depth',
        metavar='PATTERN',
        help='depth maps of the ground truth; without, it is the whole input',
    )
    add('--depth-scale', type=float, metavar='N', help='units per meter of depth PNGs')
    add(
        '--depth-invalid',
        type=int,
        metavar='VALUE',
        help='value of depth PNGs that means no measurement, beside 0',
    )
    add('--max-depth', type=float, help='meters; beyond it there is no measurement (%(default).1f)')
    add(
        '--sparse-density',
        type=float,
        help='fraction of the pixels to sample for the input; by default all measurements, and '
        f'{SPARSE_DENSITY} where the input comes from --gt-depth',
    )
    add('--seed', type=int, help='of the sampling (%(default)s)')
    add('--calib', metavar='PATTERN', help='calibrations: one file, or one per scene or frame')
    add('--camera', type=int, metavar='N', help='where a calibration has several cameras')
    add(
        '--splits',
        nargs='+',
        metavar='NAME',
        help=f'default: {" ".join(SPLITS)}, as far as they are there',
    )
    add(
        '--lists',
        metavar='PATTERN',
        help='text files with one frame (scene/name, or name) per line, such as {split}.txt',
    )
