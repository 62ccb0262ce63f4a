"""Tables for people.

Metrics are fractions from 0 to 1 everywhere; percentages only here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pandepth_mm.evaluation.functional.depth import MIN_DEPTH

# below this share of tested pixels DPQ says little
_LOW_SHARE = 0.5
Row = tuple[str, list[float | None]]
_SIZES = (
    ('', 'mAP'),
    ('_50', 'AP50'),
    ('_75', 'AP75'),
    ('_s', 'small'),
    ('_m', 'medium'),
    ('_l', 'large'),
)
_DEPTH = (
    ('rmse', 'RMSE mm'),
    ('mae', 'MAE mm'),
    ('irmse', 'iRMSE 1/km'),
    ('imae', 'iMAE 1/km'),
    ('unseen_rmse', 'unseen RMSE'),
    ('delta1', 'delta1 %'),
)
_DEPTH_ROWS = (
    ('', 'model'),
    ('nearest_fill/', 'nearest fill'),
    ('classical_fill/', 'classical fill'),
)
_PANOPTIC_ROWS = (
    (('', ''), 'all'),
    (('', '_th'), 'things'),
    (('', '_st'), 'stuff'),
    (('heuristic_fusion/', ''), 'all, heuristic'),
    (('heuristic_fusion/', '_th'), 'things, heuristic'),
    (('heuristic_fusion/', '_st'), 'stuff, heuristic'),
)
_CLASS_COLUMNS = (
    ('panoptic/PQ/', 'PQ %'),
    ('panoptic/SQ/', 'SQ %'),
    ('panoptic/RQ/', 'RQ %'),
    ('panoptic/DPQ/', 'DPQ %'),
    ('semantic/IoU/', 'IoU %'),
    ('instance/bbox_mAP/', 'box mAP %'),
    ('instance/segm_mAP/', 'mask mAP %'),
)


def format_table(metrics: Mapping[str, float | None]) -> str:
    """Lay out the metrics of one test run; what is absent is left out.

    Args:
        metrics: Flat metrics as the evaluator returns them or as read from
            JSON, with the default prefixes. NaN or None prints as '-'.

    Returns:
        Lines of text. Panoptic, semantic and instance values in percent,
        depth errors in mm and 1/km ('unseen RMSE', over the pixels that
        were not given as input, in mm).
    """
    blocks = []
    names = ['PQ', 'SQ', 'RQ', *_depth_aware(metrics)]
    rows = _rows(
        metrics, _PANOPTIC_ROWS, lambda row: [f'panoptic/{row[0]}{n}{row[1]}' for n in names], 100
    )
    blocks.append(_block('panoptic', [f'{n} %' for n in names], rows, 2))

    names = ('mIoU', 'mAcc', 'aAcc')
    rows = _rows(
        metrics, [('', 'all classes')], lambda _: [f'semantic/{name}' for name in names], 100
    )
    blocks.append(_block('semantic', [f'{n} %' for n in names], rows, 2))

    rows = _rows(
        metrics,
        [('bbox', 'box'), ('segm', 'mask')],
        lambda kind: [f'instance/{kind}_mAP{suffix}' for suffix, _ in _SIZES],
        100,
    )
    blocks.append(_block('instance', [f'{title} %' for _, title in _SIZES], rows, 2))

    rows = _rows(metrics, _DEPTH_ROWS, lambda row: [f'depth/{row}{name}' for name, _ in _DEPTH], 1)
    for _, values in rows:
        values[-1] = None if values[-1] is None else 100 * values[-1]
    blocks.append(_block('depth', [title for _, title in _DEPTH], rows, 1))
    blocks.append(_notes(metrics))
    return '\n\n'.join('\n'.join(block) for block in blocks if block)


def format_class_table(metrics: Mapping[str, float | None]) -> str:
    """Lay out per-class values, which metrics with ``classwise`` report.

    Args:
        metrics: As for ``format_table``.

    Returns:
        One line per class, in percent; '' if there are no such values.
    """
    columns = [
        (prefix, title)
        for prefix, title in _CLASS_COLUMNS
        if any(key.startswith(prefix) for key in metrics)
    ]
    classes: dict[str, None] = {}  # keeps the order
    for prefix, _ in columns:
        for key in metrics:
            if key.startswith(prefix):
                classes.setdefault(key[len(prefix) :])
    rows = _rows(
        metrics,
        [(name, name) for name in classes],
        lambda name: [prefix + name for prefix, _ in columns],
        100,
    )
    return '\n'.join(_block('class', [title for _, title in columns], rows, 2))


def _depth_aware(metrics: Mapping[str, float | None]) -> list[str]:
    """Names of the DPQ columns: the mean first, then by lambda."""
    start = 'panoptic/DPQ@'
    limits = [key[len(start) :] for key in metrics if key.startswith(start)]
    limits = [limit for limit in limits if not set(limit) & set('/_')]
    names = [f'DPQ@{limit}' for limit in sorted(limits, key=float)]
    return ['DPQ', *names] if 'panoptic/DPQ' in metrics else []


def _rows(
    metrics: Mapping[str, float | None], heads: Sequence[tuple[Any, str]], keys, factor: float
) -> list[Row]:
    """Collect the rows of which at least one key exists."""
    rows = []
    for head, title in heads:
        names = keys(head)
        if any(name in metrics for name in names):
            values = [metrics.get(name) for name in names]
            rows.append(
                (title, [None if v is None or math.isnan(v) else factor * v for v in values])
            )
    return rows


def _block(title: str, columns: Sequence[str], rows: Sequence[Row], digits: int) -> list[str]:
    """Lay out one block: a head line, a rule, and the rows."""
    if not rows:
        return []
    first = max([16] + [len(name) + 2 for name, _ in rows])
    lines = [title.ljust(first) + ''.join(c.rjust(12) for c in columns)]
    lines.append('-' * len(lines[0]))
    for name, values in rows:
        cells = ['-' if v is None else f'{v:.{digits}f}' for v in values]
        lines.append(name.ljust(first) + ''.join(c.rjust(12) for c in cells))
    return lines


def _notes(metrics: Mapping[str, float | None]) -> list[str]:
    """Say what the rows do not show."""
    notes = []
    tested = metrics.get('panoptic/DPQ_tested')
    if tested is not None and not math.isnan(tested):
        notes.append(
            f'DPQ: {100 * tested:.1f} % of the pixels have depth '
            'truth; the others keep their prediction.'
        )
        if tested < _LOW_SHARE:
            notes.append('DPQ: with so few it can hardly fall below PQ.')
    for prefix, title in _DEPTH_ROWS:
        clamped = metrics.get(f'depth/{prefix}n_clamped')
        if clamped:
            notes.append(
                f'{title}: {clamped:.0f} depths were not finite or '
                f'below {MIN_DEPTH:.4f} m and counted as that.'
            )
    legacy = [
        (title, metrics.get(f'depth/{prefix}legacy/rmse_units')) for prefix, title in _DEPTH_ROWS
    ]
    if legacy[0][1] is not None:
        values = ', '.join(
            f'{title} {1e3 * value:.0f}'
            for title, value in legacy
            if value is not None and not math.isnan(value)
        )
        notes.append(
            f"RMSE by the authors' recipe, as in Table 1: {values}; "
            'not mm, see docs/paper_units.md.'
        )
    without = metrics.get('depth/n_images_without_gt')
    if without:
        notes.append(f'{without:.0f} images without depth ground truth are not in the depth rows.')
    return notes
