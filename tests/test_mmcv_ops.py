"""NMS and RoIAlign in plain torch: against loops, finite differences and mmcv's compiled ops."""

import importlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.ops import nms as mmcv_nms
from mmcv.ops import roi_align as mmcv_roi_align

from pandepth_mm import mmcv_ops

FRAME = Path(__file__).parents[1] / 'demo' / 'frame'
needs_compiled = pytest.mark.skipif(
    isinstance(sys.modules['mmcv._ext'], mmcv_ops._Ops),
    reason='mmcv has no compiled ops here to compare with',
)


@pytest.fixture(params=[(0, True), (0, False), (2, True), (3, False)])
def options(request):
    ratio, aligned = request.param
    return dict(
        aligned_height=3,
        aligned_width=2,
        spatial_scale=0.25,
        sampling_ratio=ratio,
        pool_mode=1,
        aligned=aligned,
    )


@pytest.fixture
def case():
    """Maps of two images, and RoIs: usual, of a point, across the border, outside, tiny, huge."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 9, 13, generator=generator, dtype=torch.float64)
    rois = [
        [0, 4, 6, 30, 22],
        [1, 11, 5, 11, 5],
        [1, -9, -7, 12, 10],
        [0, 40, 28, 60, 50],
        [0, -60, -60, -30, -30],
        [1, 17.3, 9.1, 19.2, 9.8],
        [0, -20, -20, 90, 70],
    ]
    return maps, torch.tensor(rois, dtype=torch.float64)


def pooled(maps, rois, ops=mmcv_ops, **options):
    size = options['aligned_height'], options['aligned_width']
    out = maps.new_full((len(rois), maps.shape[1], *size), math.nan)
    ops.roi_align_forward(maps, rois, out, maps.new_zeros(0), maps.new_zeros(0), **options)
    return out


def bilinear(plane, y, x):
    """A sample of a map (H, W), by the definition."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    total = 0.0
    for row, weight_y in ((top, 1 - (y - top)), (min(top + 1, height - 1), y - top)):
        for col, weight_x in ((left, 1 - (x - left)), (min(left + 1, width - 1), x - left)):
            total += weight_y * weight_x * float(plane[row, col])
    return total


def test_roi_align_equals_a_loop(case, options):
    maps, rois = case
    found = pooled(maps, rois, **options)
    bins = options['aligned_height'], options['aligned_width']
    for r, (image, *corners) in enumerate(rois.tolist()):
        shift = 0.5 if options['aligned'] else 0
        x1, y1, x2, y2 = (c * 0.25 - shift for c in corners)
        size = [y2 - y1, x2 - x1]
        if not options['aligned']:
            size = [max(s, 1) for s in size]
        step = [s / b for s, b in zip(size, bins, strict=True)]
        count = [options['sampling_ratio'] or math.ceil(s) for s in step]
        for c, plane in enumerate(maps[int(image)]):
            for i in range(bins[0]):
                for j in range(bins[1]):
                    samples = [
                        bilinear(
                            plane,
                            y1 + (i + (m + 0.5) / count[0]) * step[0],
                            x1 + (j + (n + 0.5) / count[1]) * step[1],
                        )
                        for m in range(count[0])
                        for n in range(count[1])
                    ]
                    expected = sum(samples) / max(len(samples), 1)
                    assert found[r, c, i, j].item() == pytest.approx(expected, abs=1e-12)


def test_gradient_equals_finite_differences(case, options, monkeypatch):
    maps, rois = case
    monkeypatch.setattr(sys.modules['mmcv.ops.roi_align'], 'ext_module', mmcv_ops)

    def run(maps):
        size = options['aligned_height'], options['aligned_width']
        return mmcv_roi_align(
            maps, rois, size, 0.25, options['sampling_ratio'], 'avg', options['aligned']
        )

    maps = maps[:, :2, :6, :7].clone().requires_grad_()
    assert torch.autograd.gradcheck(run, maps, eps=1e-6, atol=1e-8)


def test_no_roi(case, options):
    maps, rois = case
    assert pooled(maps, rois[:0], **options).shape == (0, 3, 3, 2)
    gradient = torch.full_like(maps, math.nan)
    grad_output = maps.new_zeros(0, 3, 3, 2)
    empty = maps.new_zeros(0)
    mmcv_ops.roi_align_backward(grad_output, rois[:0], empty, empty, gradient, **options)
    assert (gradient == 0).all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_is_rounded_at_the_end_alone(case, options, dtype):
    """Also under autocast, which would take the product to 16 bits."""
    maps, rois = (x.to(dtype) for x in case)
    exact = pooled(maps.double(), rois.double(), **options)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = pooled(maps, rois, **options)
    assert found.dtype == dtype
    limit = torch.finfo(dtype).eps * exact.abs().max() + 1e-6
    assert (found.double() - exact).abs().max() <= limit


def test_maximum_is_refused(case, options):
    with pytest.raises(NotImplementedError, match="maximum needs mmcv's compiled ops"):
        pooled(*case, **{**options, 'pool_mode': 0})


def random_boxes(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 60
    boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 40], dim=1)
    return boxes, torch.rand(count, generator=generator)


def greedy(boxes, scores, threshold, offset):
    """NMS by its definition, box by box."""
    kept = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        for j in kept:
            a, b = boxes[i].tolist(), boxes[j].tolist()
            sides = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) + offset for k in (0, 1)]
            inter = max(sides[0], 0) * max(sides[1], 0)
            areas = [(c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b)]
            if inter / (sum(areas) - inter) > threshold:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize('count', [0, 1, 2, 300, 700])  # 256 are compared at once
@pytest.mark.parametrize('threshold, offset', [(0.5, 0), (0.7, 1), (0.1, 0)])
def test_nms_equals_a_loop(count, threshold, offset):
    boxes, scores = random_boxes(count)
    scores[: count // 3] = 0.5  # equal ones stay in their order
    found = mmcv_ops.nms(boxes, scores, iou_threshold=threshold, offset=offset)
    assert found.dtype == torch.long
    assert found.tolist() == greedy(boxes, scores, threshold, offset)


@needs_compiled
def test_equal_to_the_compiled_ops(case, options):
    compiled = importlib.import_module('mmcv._ext')
    maps, rois = case
    torch.testing.assert_close(
        pooled(maps, rois, **options), pooled(maps, rois, compiled, **options), rtol=0, atol=1e-12
    )
    boxes, scores = random_boxes(2000)
    for threshold in (0.3, 0.7):
        kept = mmcv_nms(boxes, scores, threshold)[1]
        assert torch.equal(mmcv_ops.nms(boxes, scores, threshold, 0), kept)


PREDICT = """
import sys
if sys.argv[1] == 'plain':
    sys.modules['mmcv._ext'] = None  # as if mmcv had been installed without
import numpy as np
from pandepth_mm import PanDepthInferencer
from pandepth_mm.mmcv_ops import ops_in_use
assert ops_in_use() == ('plain torch' if sys.argv[1] == 'plain' else 'compiled')
frame = sys.argv[3]
result = PanDepthInferencer()(f'{frame}/image.jpg', points=f'{frame}/points.bin',
                              calib=f'{frame}/calib.txt')
np.savez(sys.argv[2], panoptic=result.panoptic, semantic=result.semantic, depth=result.depth,
         boxes=result.instances.bboxes)
import mmcv.ops, mmcv._ext
from mmengine.utils.dl_utils.misc import mmcv_full_available
mmcv_full_available()  # a training asks it
if sys.argv[1] == 'plain':
    try:
        mmcv._ext.deform_conv_forward()
    except NotImplementedError as e:
        print(e)
"""


def test_the_demo_frame_without_compiled_ops(tmp_path):
    """In a process of its own: everything imports, and the shipped weights predict the same."""
    results = {}
    kinds = ['plain'] if needs_compiled.args[0] else ['plain', 'compiled']
    for kind in kinds:
        done = subprocess.run(
            [sys.executable, '-c', PREDICT, kind, tmp_path / f'{kind}.npz', FRAME],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        results[kind] = np.load(tmp_path / f'{kind}.npz')
        if kind == 'plain':
            assert "deform_conv_forward needs mmcv's compiled ops" in done.stdout
    assert len(results['plain']['boxes']) > 0 and results['plain']['panoptic'].max() > 0
    if 'compiled' in results:
        for name in ('panoptic', 'semantic', 'depth'):
            np.testing.assert_array_equal(results['plain'][name], results['compiled'][name])
        boxes = [results[kind]['boxes'] for kind in kinds]
        np.testing.assert_allclose(*boxes, rtol=1e-6, atol=1e-4)
