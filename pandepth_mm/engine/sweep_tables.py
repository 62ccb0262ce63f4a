"""Tables of a density sweep: one row per input."""

from pandepth_mm.evaluation.functional.depth_fill import FILLS
from pandepth_mm.structures.methods import METHODS
from pandepth_mm.visualization.figures.density import rmse_key

# key of a metric, title of its column, factor, digits
COLUMNS = (
    ('input/density', 'density %', 100, 2),
    ('depth/rmse', 'RMSE mm', 1, 1),
    ('depth/mae', 'MAE mm', 1, 1),
    ('depth/unseen_rmse', 'unseen RMSE', 1, 1),
    *((rmse_key(name), METHODS[name].replace('fill', 'RMSE'), 1, 1) for name in FILLS),
    ('semantic/mIoU', 'mIoU %', 100, 2),
    ('panoptic/PQ', 'PQ %', 100, 2),
)
# of the second table: the model's error divided by the best fill's, measure by measure
RATIOS = dict(rmse='RMSE', mae='MAE', irmse='iRMSE', imae='iMAE')


def format_sweep(results: dict[str, dict]) -> str:
    """One line per setting, for people; '-' where there is no value."""
    columns = [c for c in COLUMNS if any(c[0] in r['metrics'] for r in results.values())]
    head = 'input'.ljust(16) + ''.join(c[1].rjust(15) for c in columns)
    lines = [head, '-' * len(head)]
    for name, result in results.items():
        cells = [name.ljust(16)]
        for key, _, factor, digits in columns:
            value = result['metrics'].get(key)
            cells.append(('-' if value is None else f'{factor * value:.{digits}f}').rjust(15))
        lines.append(''.join(cells))
    return '\n'.join(lines)


def format_ratios(results: dict[str, dict]) -> str:
    """The model's errors against the best fill's in each measure; '-' where one is missing."""
    head = 'model / best fill'.ljust(20) + ''.join(title.rjust(10) for title in RATIOS.values())
    lines = [head, '-' * len(head)]
    for name, result in results.items():
        metrics = result['metrics']
        cells = [name.ljust(20)]
        for key in RATIOS:
            own = metrics.get(f'depth/{key}')
            fills = [metrics.get(f'depth/{fill}/{key}') for fill in FILLS]
            ratio = '-' if None in (own, *fills) else f'{own / min(fills):.2f}'
            cells.append(ratio.rjust(10))
        lines.append(''.join(cells))
    return '\n'.join(lines)
