"""tools/analysis_tools/benchmark_inference.py on the demo's model."""

import pytest

NAME = 'analysis_tools/benchmark_inference'


def test_table_has_a_row_a_setting(run_tool):
    code, out, err = run_tool(
        NAME,
        '--size',
        '96x48',
        '--repeats',
        '1',
        '--precisions',
        'fp32',
        '--batch-sizes',
        '1',
        '2',
        '--device',
        'cpu',
    )
    assert code == 0, err
    rows = [line.split() for line in out.splitlines()[-2:]]
    assert [row[:2] for row in rows] == [['fp32', '1'], ['fp32', '2']]
    assert float(rows[0][3]) == 1
    for row in rows:
        seconds, _, peak, before = map(float, row[2:])
        assert seconds > 0 and peak >= before > 100  # MiB


@pytest.mark.parametrize(
    'args, message',
    [
        (('--size', 'big'), "--size: found 'big'; expected WxH"),
        (('--config', 'nope'), 'nope: found no such file'),
        (('--repeats', '0'), '--repeats: found 0'),
        (
            ('--precisions', 'fp16', '--device', 'cpu'),
            "fp16, batch 1: found error: precision: found 'fp16' on a CPU",
        ),
    ],
)
def test_bad_arguments(run_tool, args, message):
    code, _, err = run_tool(NAME, *args)
    assert code == 2
    assert message in err and 'Traceback' not in err
