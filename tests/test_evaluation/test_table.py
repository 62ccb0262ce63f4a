"""The table for people and the JSON for programs."""

import json
from types import SimpleNamespace

from pandepth_mm import evaluation
from pandepth_mm.evaluation import (
    DepthLegacyMetric,
    DepthMetric,
    InstanceMetric,
    PanopticMetric,
    SemanticMetric,
)
from pandepth_mm.evaluation.metrics_file import write_metrics

METRICS = {
    'panoptic/PQ': 0.38449,
    'panoptic/SQ': 0.7,
    'panoptic/RQ': 0.5,
    'panoptic/PQ_th': 0.25,
    'panoptic/PQ_st': float('nan'),
    'panoptic/PQ/Car': 0.125,
    'panoptic/PQ/Road': 0.9,
    'semantic/mIoU': 0.6123,
    'semantic/IoU/Car': 0.5,
    'semantic/IoU/Road': None,
    'instance/bbox_mAP': 0.333,
    'instance/segm_mAP': 0.222,
    'instance/segm_mAP_s': float('nan'),
    'depth/rmse': 1234.56,
    'depth/mae': 400.0,
    'depth/irmse': 2.5,
    'depth/imae': 1.25,
    'depth/unseen_rmse': 1500.04,
    'depth/delta1': 0.98765,
    'depth/n_clamped': 7,
    'depth/nearest_fill/rmse': 2345.6,
    'depth/classical_fill/rmse': 3456.7,
    'depth/planar_fill/rmse': 4567.8,
}


def format_table(values, lambdas=()):
    """The table of all metrics that have one, in the order of the configs."""
    metrics = [
        PanopticMetric(depth_lambdas=lambdas, heuristic_fusion=True),
        SemanticMetric(),
        InstanceMetric(),
        DepthMetric(),
        DepthLegacyMetric(),
    ]
    return evaluation.format_table(values, metrics)


def cells(table):
    """Rows by the words that name them."""
    rows = {}
    for line in table.splitlines():
        name, *values = line.split('  ')
        rows[name] = ' '.join(values).split()
    return rows


def test_values_and_units():
    rows = cells(format_table(METRICS))
    assert rows['panoptic'] == 'PQ % SQ % RQ %'.split()
    assert rows['all'] == ['38.45', '70.00', '50.00']
    assert rows['things'] == ['25.00', '-', '-']
    assert rows['stuff'] == ['-', '-', '-']
    assert rows['all classes'][0] == '61.23'
    assert rows['box'][0] == '33.30'
    assert rows['mask'][:4] == ['22.20', '-', '-', '-']
    assert rows['depth'] == ('RMSE mm MAE mm iRMSE 1/km iMAE 1/km unseen RMSE delta1 %').split()
    assert rows['model'] == ['1234.6', '400.0', '2.5', '1.2', '1500.0', '98.8']
    assert rows['nearest fill'][0] == '2345.6'
    assert rows['classical fill'][0] == '3456.7'
    assert rows['planar fill'][0] == '4567.8'
    assert 'model: 7 depths' in format_table(METRICS)


def test_depth_aware_rows():
    metrics = {
        **METRICS,
        'panoptic/DPQ': 0.3,
        'panoptic/DPQ@0.1': 0.2,
        'panoptic/DPQ@0.25': 0.31,
        'panoptic/DPQ@0.1_th': 0.15,
        'panoptic/DPQ@0.1/Car': 0.11,
        'panoptic/DPQ_tested': 0.81,
        'panoptic/heuristic_fusion/PQ': 0.36,
        'panoptic/heuristic_fusion/DPQ_st': 0.35,
    }
    table = format_table(metrics, (0.25, 0.1))
    rows = cells(table)
    assert rows['panoptic'] == ('PQ % SQ % RQ % DPQ % DPQ@0.1 % DPQ@0.25 %').split()
    assert rows['all'][3:] == ['30.00', '20.00', '31.00']
    assert rows['things'][3:] == ['-', '15.00', '-']
    assert rows['all, heuristic'][0] == '36.00'
    assert rows['stuff, heuristic'][3] == '35.00'
    assert '81.0 % of the pixels' in table and 'hardly' not in table
    sparse = format_table({**metrics, 'panoptic/DPQ_tested': 0.2})
    assert '20.0 % of the pixels' in sparse and 'hardly fall' in sparse


def test_columns_line_up():
    *blocks, _, by_class = format_table(METRICS).split('\n\n')
    for block in [*blocks, by_class]:
        assert len({len(line) for line in block.splitlines()}) == 1


def test_authors_recipe_is_a_note():
    table = format_table(
        {
            **METRICS,
            'depth/legacy/rmse_units': 0.6534,
            'depth/nearest_fill/legacy/rmse_units': 0.648,
        }
    )
    assert 'recipe, as in Table 1: model 653, nearest fill 648; not' in table
    assert 'recipe' not in format_table(METRICS)


def test_only_what_exists():
    table = format_table({'depth/rmse': 1.0})
    assert 'depth' in table and 'model' in table
    for absent in ('panoptic', 'semantic', 'instance', 'fill', 'depths'):
        assert absent not in table
    assert format_table({}) == ''


def test_class_table():
    rows = cells(format_table(METRICS))
    assert rows['class'] == 'PQ % IoU %'.split()
    assert rows['Car'] == ['12.50', '50.00']
    assert rows['Road'] == ['90.00', '-']
    assert 'class ' not in format_table({'panoptic/PQ': 1.0})


def test_the_prefix_is_the_metrics_own():
    metrics = [SemanticMetric(prefix='night'), SemanticMetric()]
    table = evaluation.format_table({'night/mIoU': 0.25, 'night/IoU/Car': 0.5}, metrics)
    assert cells(table)['night'] == 'mIoU % mAcc % aAcc %'.split()
    assert cells(table)['all classes'] == ['25.00', '-', '-']
    assert cells(table)['Car'] == ['50.00'] and 'semantic' not in table


def test_metrics_of_others_print_nothing():
    assert evaluation.format_table({'coco/mAP': 0.5}, [SimpleNamespace(prefix='coco')]) == ''


def test_table_of_what_was_read_back(tmp_path):
    metrics = {**METRICS, 'semantic/IoU/Road': float('nan')}
    write_metrics(tmp_path / 'm.json', metrics)
    back = json.loads((tmp_path / 'm.json').read_text())
    assert back['panoptic/PQ_st'] is None
    assert back['panoptic/PQ'] == 0.38449  # neither rounded nor in percent
    assert back['semantic/IoU/Road'] is None
    assert format_table(back) == format_table(METRICS)
