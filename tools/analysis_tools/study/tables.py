"""Tables of the results, as Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.table import is_known
from pandepth_mm.fileio import atomic_path, read_json
from study.runs import SPLITS
from study.variants import GROUPS, VARIANTS

START, END = '<!-- tables: start -->', '<!-- tables: end -->'
NOT_RUN = 'Not run yet.'
_SCENES = dict(val='validation scene, by which to choose', test='test scene')
# key of a metric, title of its column, factor, digits
COLUMNS = (
    ('panoptic/PQ', 'PQ %', 100, 1),
    ('panoptic/PQ_th', 'PQ things %', 100, 1),
    ('panoptic/DPQ', 'DPQ %', 100, 1),
    ('semantic/mIoU', 'mIoU %', 100, 1),
    ('instance/bbox_mAP', 'box mAP %', 100, 1),
    ('instance/segm_mAP', 'mask mAP %', 100, 1),
    ('depth/rmse', 'RMSE mm', 1, 0),
    ('depth/mae', 'MAE mm', 1, 0),
    ('depth/irmse', 'iRMSE 1/km', 1, 1),
    ('depth/imae', 'iMAE 1/km', 1, 1),
)
Results = Mapping[str, Sequence[dict]]


def read_results(out: Path) -> dict[str, list[dict]]:
    """Results of a folder by variant, each by seed.

    Raises:
        InputError: A file of something else, or results of different settings.
    """
    results: dict[str, list[dict]] = {}
    common = None
    for path in sorted(out.glob('*.json')):
        data = read_json(path)
        if data.get('variant') not in VARIANTS or not {'seed', 'settings', *SPLITS} <= set(data):
            raise InputError(path, 'something else', 'results of a variant (or another --out)')
        settings = {k: v for k, v in data['settings'].items() if k != 'config'}
        if common not in (None, settings):
            raise InputError(path, f'{settings}', f'{common}, as in the others', 'settings')
        common = settings
        results.setdefault(data['variant'], []).append(data)
    for runs in results.values():
        runs.sort(key=lambda data: data['seed'])
    return results


def format_value(values: Sequence[float], factor: float, digits: int) -> str:
    """Mean over the seeds, and the standard deviation where there are several."""
    values = [factor * value for value in values]
    if not values:
        return '-'
    text = f'{statistics.fmean(values):.{digits}f}'
    if len(values) > 1:
        text += f' ± {statistics.stdev(values):.{digits}f}'
    return text


def format_group(results: Results, rows: Mapping[str, str], split: str) -> str:
    """A table: a row for each variant, columns without any value left out.

    Args:
        results: Of :func:`read_results`.
        rows: Titles by variant.
        split: 'val' or 'test'.
    """
    cells = {}
    for name in rows:
        metrics = [data[split] for data in results.get(name, ())]
        known = {key: [m[key] for m in metrics if is_known(m.get(key))] for key, *_ in COLUMNS}
        cells[name] = (len(metrics), known)
    columns = [c for c in COLUMNS if any(known[c[0]] for _, known in cells.values())]
    if not columns:
        return NOT_RUN
    lines = [['', 'seeds', *(title for _, title, _, _ in columns)]]
    lines.append(['---', *(['---:'] * (1 + len(columns)))])
    for name, title in rows.items():
        count, known = cells[name]
        values = [format_value(known[key], factor, digits) for key, _, factor, digits in columns]
        lines.append([title, str(count), *values])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def format_tables(results: Results) -> str:
    """All tables, and what they have in common."""
    parts = []
    if results:
        settings = next(iter(results.values()))[0]['settings']
        parts.append(
            f'{settings["steps"]} steps of {settings["batch_size"]} images by '
            f'{settings["processes"]} process(es); {settings["frames"]} frames of each scene. '
            'Mean and standard deviation over the seeds.'
        )
    for title, rows in GROUPS.values():
        parts.append(f'## {title}')
        if not set(rows) & set(results):
            parts.append(NOT_RUN)
            continue
        for split in reversed(SPLITS):
            scene = _SCENES[split]
            parts += [f'{scene[0].upper()}{scene[1:]}:', format_group(results, rows, split)]
    return '\n\n'.join(parts)


def write_page(page: Path, tables: str) -> None:
    """Put tables between the markers of a page.

    Raises:
        InputError: A page without markers.
    """
    text = page.read_text(encoding='utf-8')
    head, start, rest = text.partition(START)
    _, end, tail = rest.partition(END)
    if not start or not end:
        raise InputError(page, 'no such lines', f'the lines {START} and {END}')
    with atomic_path(page) as path:
        Path(path).write_text(f'{head}{START}\n\n{tables}\n\n{END}{tail}', encoding='utf-8')
