"""tools/analysis_tools/benchmark.py on both families."""

import json
import sys
from pathlib import Path

import pytest
from tiny_dataset import make_tiny_dataset
from torch import nn

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'benchmark.py'
FRAME = ROOT / 'demo' / 'frame'
TRAINED = 'pandepth_lite0_minivkitti_long'
FAITHFUL = 'pandepth_effb0_minivkitti'  # has no weights: it gets random ones
BRANCHES = [
    'data_preprocessor',
    'backbone',
    'neck',
    'semantic_head',
    'rpn_head',
    'roi_head',
    'depth_head',
    'joint_head',
    'panoptic_fusion',
]


@pytest.fixture(scope='module')
def benchmark():
    sys.path.insert(0, str(TOOL.parent))
    try:
        import benchmark
    finally:
        sys.path.pop(0)
    return benchmark


@pytest.fixture
def run(benchmark, monkeypatch, capsys, tmp_path):
    """Run the tool with a small yardstick; gives what it prints and writes."""
    monkeypatch.setitem(benchmark.YARDSTICK, 'size', (10, 10))

    def run(*args):
        out_file = tmp_path / 'out.json'
        argv = [*map(str, args), '--device', 'cpu', '--repeats', '2', '--out', str(out_file)]
        benchmark.main(argv)
        return capsys.readouterr().out, json.loads(out_file.read_text())

    return run


def by_branch(model):
    return {row['branch']: row for row in model['rows']}


def macs_by_hooks(model, run):
    """Multiply-adds of the convolutions and linear layers in each child."""
    counts = dict.fromkeys((name for name, _ in model.named_children()), 0)

    def hook(name):
        def count(module, inputs, output):
            # a transposed convolution spreads each input, the others gather each output
            spreads = isinstance(module, nn.ConvTranspose2d)
            counts[name] += (inputs[0] if spreads else output).numel() * module.weight[0].numel()

        return count

    handles = [
        module.register_forward_hook(hook(name))
        for name, child in model.named_children()
        for module in child.modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
    ]
    run()
    for handle in handles:
        handle.remove()
    return counts


def test_prediction(benchmark, run):
    args = (FAITHFUL, '--input', '64x96', '--points', '300', '--batch', '2')
    out, written = run(*args, '--against', FAITHFUL, '--no-optimize')
    first, second = map(by_branch, written['models'])
    assert list(first) == [*BRANCHES, 'rest', 'whole']
    options = benchmark.parse_args([*args, '--device', 'cpu'])
    subject = benchmark.make_subject(FAITHFUL, options, optimize=False)
    expected = macs_by_hooks(subject.model, lambda: subject.run(None))
    for name in ('backbone', 'neck', 'semantic_head', 'depth_head', 'joint_head'):
        assert expected[name] > 0
        assert second[name]['macs'] == expected[name], name
        # an optimized backbone multiplies by the zeros in its kernels, too
        least, most = expected[name], expected[name] * (1.02 if name == 'backbone' else 1)
        assert least <= first[name]['macs'] <= most, name
    # and the products of RoIAlign
    assert expected['roi_head'] < first['roi_head']['macs'] < 1.1 * expected['roi_head']
    parts = [*BRANCHES, 'rest']
    assert first['whole']['macs'] == sum(first[name]['macs'] for name in parts)
    assert second['whole']['parameters'] == sum(p.numel() for p in subject.model.parameters())
    for turn in range(2):
        seconds = [first[name]['seconds']['rounds'][turn] for name in parts]
        assert first['whole']['seconds']['rounds'][turn] == pytest.approx(sum(seconds))
        assert min(seconds) > 0
    peaks = [first[name]['peak_bytes'] or 0 for name in BRANCHES]
    assert first['whole']['peak_bytes'] >= max(peaks) > 2 * 64 * 96 * 14 * 4  # the logits at least
    ratios = {row['branch']: row for row in written['ratios']}
    # norms are folded: one bias is left of two weights
    assert ratios['whole']['parameters'] < 1
    assert ratios['whole']['macs'] == pytest.approx(1, rel=0.01)  # a box more or less
    rounds = [model['whole']['seconds']['rounds'] for model in (first, second)]
    quotients = [a / b for a, b in zip(*rounds, strict=True)]
    assert ratios['whole']['seconds'] == pytest.approx(sum(quotients) / 2)
    assert f'{FAITHFUL} (weights: random): prediction, 2 x 64x96, 300 points' in out
    line = next(line for line in out.splitlines() if line.startswith('depth_head'))
    assert line.split()[1] == f'{first["depth_head"]["parameters"]:,}'
    assert len(written['yardstick_seconds']) == 2


def test_frame_in_memory(run):
    files = ('--points-file', FRAME / 'points.bin', '--calib', FRAME / 'calib.txt')
    out, written = run(TRAINED, '--frame', FRAME / 'image.jpg', *files)
    work = 'frame of 1242 x 375, 14551 points, to a result in memory'
    assert written['models'][0]['work'] == work and work in out
    assert f'{TRAINED} (weights: {TRAINED}.pth)' in out
    assert by_branch(written['models'][0])['depth_head']['macs'] > 0


def small_config(tmp_path, root):
    """The demo's config, without weights, on another data set."""
    path = tmp_path / 'small.py'
    base = ROOT / 'configs' / 'pandepth' / f'{FAITHFUL}.py'
    path.write_text(
        f'_base_ = {str(base)!r}\n'
        f'dataset = dict(data_root={str(root) + "/"!r})\n'
        'train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dataset)\n'
    )
    return path


def test_training_step(run, tmp_path):
    root = make_tiny_dataset(tmp_path / 'data', num_frames=3, splits=('train',))
    args = ('--train', '--input', '64x96', '--points', '300', '--batch', '2')
    out, written = run(small_config(tmp_path, root), *args)
    rows = by_branch(written['models'][0])
    fusion = 'panoptic_fusion'
    names = [name for name in BRANCHES if name != fusion]
    assert list(rows) == ['data', *names, 'backward and optimizer', 'rest', 'whole', 'load']
    for turn in range(2):
        seconds = {name: row['seconds']['rounds'][turn] for name, row in rows.items()}
        parts = sum(t for name, t in seconds.items() if name not in ('whole', 'load'))
        assert seconds['whole'] == pytest.approx(parts)
        # without worker processes the step waits until the batch is loaded
        assert seconds['data'] > 0 and seconds['load'] > 0
    assert 'small.py (weights: random): training step, 2 x 64x96, data: 0 workers' in out
    # forward alone
    assert rows['whole']['macs'] == sum(rows[name]['macs'] for name in names)

    out, written = run(small_config(tmp_path, tmp_path / 'nowhere'), *args)
    assert 'training step, 2 x 64x96, data: one random batch' in out
    assert 'load' not in by_branch(written['models'][0])


@pytest.mark.parametrize(
    'args, message',
    [
        (('nope',), 'nope: found no such file'),
        ((TRAINED, '--repeats', '0'), '--repeats: found 0'),
        ((TRAINED, '--input', 'big'), "--input: found 'big'; expected HxW"),
        ((TRAINED, '--input', '40x40', '--points', '2000'), '--points: found 2000; expected at mo'),
        ((TRAINED, '--train', '--frame'), '--train, --frame: found both'),
        ((TRAINED, '--frame', 'a.png'), 'found 1 files; expected all three'),
        ((TRAINED, '--dtype', 'fp16', '--device', 'cpu'), "precision: found 'fp16' on a CPU"),
    ],
)
def test_bad_arguments(benchmark, capsys, args, message):
    with pytest.raises(SystemExit) as exit_:
        benchmark.main(list(args))
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
