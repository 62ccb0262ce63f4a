"""Tables for people, laid out from what each metric declares.

Metrics are fractions from 0 to 1 everywhere; percentages only in tables.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Values = Mapping[str, float | None]


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        key: Name of the metric, without prefix.
        title: Head of the column.
        factor: What values are multiplied by, 100 for percent.
    """

    key: str
    title: str
    factor: float = 1


class Table(NamedTuple):
    """The table of a metric.

    Attributes:
        columns: The columns.
        rows: Title of each row by the pattern of its metrics' names, in which '{}' stands for the
            column's key, such as 'nearest_fill/{}'.
        digits: Digits after the point.
    """

    columns: Sequence[Column]
    rows: Mapping[str, str]
    digits: int = 2


def percent(keys: Iterable[str]) -> list[Column]:
    """Columns in percent, titled by their keys."""
    return [Column(key, f'{key} %', 100) for key in keys]


def is_known(value: float | None) -> bool:
    """Whether a value is a number: neither absent nor NaN."""
    return value is not None and not math.isnan(value)


def format_table(values: Values, metrics: Sequence[Any]) -> str:
    """Lay out the numbers of one test run.

    Args:
        values: Flat metrics as the evaluator returns them or as read from JSON. NaN or None prints
            as '-'.
        metrics: The evaluator's metrics, whose tables are laid out in this order. Those without a
            ``table`` are left out, and so are rows without any value.

    Returns:
        Lines of text: a block per metric, then what the metrics note, then ``format_class_table``.
    """
    blocks, notes = [], []
    for metric in metrics:
        start = f'{metric.prefix}/'
        own = {k.removeprefix(start): v for k, v in values.items() if k.startswith(start)}
        table = getattr(metric, 'table', None)
        if table:
            rows = {
                title: [pattern.format(column.key) for column in table.columns]
                for pattern, title in table.rows.items()
            }
            blocks.append(_block(metric.prefix, table.columns, rows, own, table.digits))
        if hasattr(metric, 'notes'):
            notes += metric.notes(own)
    texts = ['\n'.join(block) for block in [*blocks, notes]]
    return '\n\n'.join(text for text in [*texts, format_class_table(values, metrics)] if text)


def format_class_table(values: Values, metrics: Sequence[Any]) -> str:
    """Lay out per-class values, which metrics with ``classwise`` report.

    Args:
        values: As for ``format_table``.
        metrics: As for ``format_table``; each adds its ``class_columns``.

    Returns:
        One line per class; '' if there are no such values.
    """
    columns = [
        column._replace(key=f'{metric.prefix}/{column.key}/')
        for metric in metrics
        for column in getattr(metric, 'class_columns', ())
    ]
    columns = [column for column in columns if any(k.startswith(column.key) for k in values)]
    classes = dict.fromkeys(  # keeps the order
        k.removeprefix(column.key) for column in columns for k in values if k.startswith(column.key)
    )
    rows = {name: [column.key + name for column in columns] for name in classes}
    return '\n'.join(_block('class', columns, rows, values, digits=2))


def _block(
    title: str,
    columns: Sequence[Column],
    rows: Mapping[str, Sequence[str]],
    values: Values,
    digits: int,
) -> list[str]:
    """Lay out one block: a head line, a rule, and the rows.

    Args:
        title: Top left cell.
        columns: The columns.
        rows: Names of the values of each row by its title.
        values: The values; rows without any are left out.
        digits: Digits after the point.
    """
    rows = {name: keys for name, keys in rows.items() if not values.keys().isdisjoint(keys)}
    if not rows:
        return []
    first = max([16] + [len(name) + 2 for name in rows])
    lines = [title.ljust(first) + ''.join(column.title.rjust(12) for column in columns)]
    lines.append('-' * len(lines[0]))
    for name, keys in rows.items():
        cells = [
            f'{column.factor * values[key]:.{digits}f}' if is_known(values.get(key)) else '-'
            for column, key in zip(columns, keys, strict=True)
        ]
        lines.append(name.ljust(first) + ''.join(cell.rjust(12) for cell in cells))
    return lines
