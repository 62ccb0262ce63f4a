"""What a model costs, as rows of a table; the measuring itself is ``branch_probe``'s."""

import resource
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from pandepth_mm.engine.branch_probe import MacCounter, Meter, peak_memory, watch_branches

# rows beside those of the branches
DATA, UPDATE, REST, WHOLE, LOAD = 'data', 'backward and optimizer', 'rest', 'whole', 'load'
MIB = 1 << 20


def count_macs(model: nn.Module, run: Callable[[Meter], object]) -> dict[str, int]:
    """Multiply-adds of each branch of a model, of the rest, and of the whole.

    Those of a training step are the forward pass's: what ``run`` books as ``UPDATE`` is left out.
    """
    with MacCounter() as counter:
        meter = Meter(lambda: counter.macs)
        with watch_branches(model, meter.span), meter.span(REST):
            run(meter)
    macs = {name: int(count) for name, count in meter.spent.items() if name != UPDATE}
    return {**macs, WHOLE: sum(macs.values())}


def peak_of_process() -> int:
    """Most memory that this process had so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def costs(
    model: nn.Module,
    run: Callable[[Meter | None], object],
    times: dict[str, list[float]],
    device: torch.device,
) -> list[dict]:
    """Put the rows of a model's table together.

    Args:
        model: The model.
        run: Runs it once, to count multiply-adds, and once more, for the memory; what it does
            beside the branches it books on the meter, if it gets one.
        times: Seconds of every round by row.
        device: Of the model.

    Returns:
        A dict per child of the model that has parameters or took time, for what lies beside them
        and for the whole: ``branch``, ``parameters``, ``macs``, ``seconds`` (``median``, the
        quartiles ``lower`` and ``upper``, ``rounds``) and ``peak_bytes``; None where there is none.
    """
    macs = count_macs(model, run)
    memory = peak_memory(model, lambda: run(None), device)
    memory[WHOLE] = memory.pop('', 0)
    children = dict(model.named_children())
    rows = []
    for name in (DATA, *children, UPDATE, REST, WHOLE, LOAD):
        module = model if name == WHOLE else children.get(name)
        parameters = None if module is None else sum(p.numel() for p in module.parameters())
        if name not in times and not parameters:
            continue
        seconds = dict.fromkeys(('median', 'lower', 'upper', 'rounds'))
        if name in times:
            quartiles = np.quantile(times[name], (0.5, 0.25, 0.75)).tolist()
            seconds = dict(zip(seconds, (*quartiles, times[name]), strict=True))
        rows.append(
            dict(
                branch=name,
                parameters=parameters,
                macs=macs.get(name),
                seconds=seconds,
                peak_bytes=memory.get(name),
            )
        )
    return rows


def show(rows: list[dict]) -> str:
    """A model's table, for people."""
    whole = next(row for row in rows if row['branch'] == WHOLE)['seconds']['median']
    lines = [
        f'{"":24}{"parameters":>12}{"GMAC":>10}{"ms":>10}{"quartiles":>20}{"share":>7}{"MiB":>8}'
    ]
    for row in rows:
        seconds = row['seconds']
        cells = [
            '-' if row['parameters'] is None else f'{row["parameters"]:,}',
            '-' if row['macs'] is None else f'{row["macs"] / 1e9:.3f}',
            *('-',) * 3,
            '-' if row['peak_bytes'] is None else f'{row["peak_bytes"] / MIB:.1f}',
        ]
        if seconds['median'] is not None:
            low, high = (1e3 * seconds[key] for key in ('lower', 'upper'))
            share = f'{100 * seconds["median"] / whole:.1f}%'
            cells[2:5] = f'{1e3 * seconds["median"]:.2f}', f'{low:.2f} - {high:.2f}', share
        widths = (12, 10, 10, 20, 7, 8)
        lines.append(
            f'{row["branch"]:24}'
            + ''.join(f'{cell:>{width}}' for cell, width in zip(cells, widths, strict=True))
        )
    return '\n'.join(lines)


def compare(first: list[dict], second: list[dict]) -> list[dict]:
    """Divide the rows that two models share.

    Args:
        first: Rows of :func:`costs`.
        second: Those of the other model, whose rounds took turns with the first's.

    Returns:
        A dict per branch of ``parameters``, ``macs``, ``seconds`` (median of the ratios of the
        rounds) and ``peak_bytes``; None where either is missing or 0.
    """
    others = {row['branch']: row for row in second}
    ratios = []
    for row in first:
        other = others.get(row['branch'])
        if other is None:
            continue
        rounds = [r['seconds']['rounds'] for r in (row, other)]
        seconds = None if None in rounds else float(np.median(np.divide(*rounds)))
        ratio = dict(branch=row['branch'], seconds=seconds)
        for key in ('parameters', 'macs', 'peak_bytes'):
            ratio[key] = row[key] / other[key] if row[key] and other[key] else None
        ratios.append(ratio)
    return ratios


def show_ratios(ratios: list[dict]) -> str:
    """The table of a comparison, for people."""
    keys = ('parameters', 'macs', 'seconds', 'peak_bytes')
    lines = [f'{"":24}{"parameters":>12}{"GMAC":>10}{"time":>10}{"memory":>10}']
    for ratio in ratios:
        cells = ['-' if ratio[key] is None else f'{ratio[key]:.4f}' for key in keys]
        lines.append(
            f'{ratio["branch"]:24}{cells[0]:>12}' + ''.join(f'{cell:>10}' for cell in cells[1:])
        )
    return '\n'.join(lines)
