"""Compare variants of the model on the rendered data: equal steps, several seeds.

    python tools/analysis_tools/table1_study.py                    # everything, days on two cores
    python tools/analysis_tools/table1_study.py --only tasks       # one group
    python tools/analysis_tools/table1_study.py --only semantics --seeds 0     # one training
    python tools/analysis_tools/table1_study.py --tables           # the tables of what is there

The variants and their groups stand in study/variants.py. Each is trained and tested with each seed
by the package's own commands; their configs, logs and checkpoints lie in --work-dir. The metrics of
the validation scene and the test scene are written to --out, a JSON for each training. A study that
was stopped goes on: what has its JSON is skipped, a training that was cut off resumes from its last
checkpoint.

--tables makes the tables of all JSONs that are there; they are written between the markers of the
page beside --out (docs/study.md) where there is one. Choose by the validation scene.
"""

import argparse
import sys
from pathlib import Path

from mmengine.utils import ProgressBar

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError, require_choice, require_count
from pandepth_mm.fileio import check_writable, read_json
from study.runs import SPLITS, Places, Run, complete, is_complete
from study.tables import format_tables, read_results, write_page
from study.variants import GROUPS, VARIANTS, Settings


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Compare variants of the model')
    add = parser.add_argument
    add('--data-root', default='data/minivkitti', metavar='D', help='converted data (%(default)s)')
    add('--steps', type=int, default=400, metavar='N', help='training steps (%(default)s)')
    add('--batch-size', type=int, default=8, metavar='N', help='images a step (%(default)s)')
    add(
        '--seeds',
        type=int,
        nargs='+',
        default=[0, 100, 200],
        metavar='S',
        help='far apart: a worker adds its number (0 100 200)',
    )
    add('--frames', type=int, default=120, metavar='N', help='of each test scene (%(default)s)')
    add('--only', nargs='+', metavar='NAME', help=f'variants, or groups: {", ".join(GROUPS)}')
    add('--processes', type=int, default=1, choices=[1, 2], help='of each command (%(default)s)')
    add('--work-dir', default='work_dirs/study', metavar='D', help='checkpoints (%(default)s)')
    add('--out', default='docs/study', metavar='D', help='results (%(default)s)')
    add('--tables', action='store_true', help='train nothing, make the tables of what is there')
    return parser.parse_args()


def make_settings(args: argparse.Namespace) -> Settings:
    """Check the numbers.

    Raises:
        InputError: One that is not possible.
    """
    for name in ('steps', 'batch_size', 'frames'):
        require_count(getattr(args, name), f'--{name.replace("_", "-")}')
    for seed in args.seeds:
        require_count(seed, '--seeds', least=0)
    if args.batch_size % args.processes:
        raise InputError('--batch-size', str(args.batch_size), 'a multiple of --processes')
    return Settings(args.steps, args.batch_size, args.processes, args.frames)


def chosen_variants(only: list[str] | None) -> list[str]:
    """Variants by their names or groups, in the order of the study.

    Raises:
        InputError: No such name.
    """
    chosen = set()
    for name in only or GROUPS:
        require_choice(name, [*GROUPS, *VARIANTS], '--only')
        chosen |= set(GROUPS[name][1]) if name in GROUPS else {name}
    return [name for name in VARIANTS if name in chosen]


def check_data(data_root: Path, frames: int) -> None:
    """Refuse data without a split, or with too few frames.

    Raises:
        InputError: That.
    """
    for split in ('train', *SPLITS):
        path = data_root / f'annotations/panoptic_{split}.json'
        images = read_json(path).get('images')
        if not isinstance(images, list):
            raise InputError(path, 'no list', 'annotations of a split', 'images')
        if split in SPLITS and len(images) < frames:
            raise InputError('--frames', f'{frames}', f'at most the {len(images)} of {path}')


@cli_main
def main() -> None:
    """Run what is missing, print the tables."""
    args = parse_args()
    out = Path(args.out)
    if not args.tables:
        settings, variants = make_settings(args), chosen_variants(args.only)
        places = Places(Path(args.data_root), Path(args.work_dir), out)
        check_data(places.data_root, settings.frames)
        check_writable(places.work_dir, '--work-dir', folder=True)
        check_writable(out, '--out', folder=True)
        runs = [Run(name, seed) for seed in dict.fromkeys(args.seeds) for name in variants]
        missing = [run for run in runs if not is_complete(run, settings, out)]
        bar = ProgressBar(len(runs), file=sys.stderr)
        if len(missing) < len(runs):
            bar.update(len(runs) - len(missing))
        for run in missing:
            complete(run, settings, places)
            bar.update()
        bar.file.write('\n')
    tables = format_tables(read_results(out))
    print(tables)
    page = out.with_suffix('.md')
    if page.exists():
        write_page(page, tables)
        print(f'\npage: {page}')


if __name__ == '__main__':
    main()
