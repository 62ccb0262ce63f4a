"""Results: the files that save() writes, read back by other libraries."""

import builtins
import dataclasses
import io
import json
import sys

import cv2
import numpy as np
import plyfile
import pytest
import trimesh
from PIL import Image
from pycocotools import mask as mask_utils

from pandepth_mm.apis.writers import WRITERS, possible_kinds
from pandepth_mm.errors import InputError
from pandepth_mm.structures.frame_maps import InstanceArrays
from pandepth_mm.structures.panoptic_cloud import flying_pixels


@pytest.fixture(scope='module')
def result(result):
    """The demo's result, and a made-up uncertainty of its depth: 2 %, and 20 % at the left."""
    share = np.full(result.depth.shape, 0.02, dtype=np.float32)
    share[:, :300] = 0.2
    return dataclasses.replace(result, depth_uncertainty=share * result.depth)


@pytest.fixture(scope='module')
def saved(result, tmp_path_factory):
    return result.save(tmp_path_factory.mktemp('saved') / 'a' / 'b')


def test_every_file_is_there_and_nothing_else(saved):
    assert set(saved) == {*WRITERS, 'result'}
    folder = saved['result'].parent
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [*(name for name, _ in WRITERS.values()), 'result.json']
    )


def test_maps_read_back(saved, result):
    panoptic = np.array(Image.open(saved['panoptic'])).astype(int)
    ids = panoptic @ [1, 256, 65536]
    assert np.array_equal(ids, result.panoptic)
    assert np.array_equal(np.array(Image.open(saved['semantic'])), result.semantic)
    depth = cv2.imread(str(saved['depth']), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    np.testing.assert_allclose(depth / 256, result.depth, atol=1 / 512 + 1e-6)
    uncertainty = cv2.imread(str(saved['depth_uncertainty']), cv2.IMREAD_UNCHANGED)
    assert uncertainty.dtype == np.uint16
    np.testing.assert_allclose(uncertainty / 256, result.depth_uncertainty, atol=1 / 512 + 1e-6)


def test_a_tiny_uncertainty_is_not_written_as_none(result, tmp_path):
    uncertainty = np.full_like(result.depth, 1.0)
    uncertainty[0, :4] = 1e-6, 300, np.nan, 0.005
    changed = dataclasses.replace(result, depth_uncertainty=uncertainty)
    path = changed.save(tmp_path, ['depth_uncertainty'])['depth_uncertainty']
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert raw[0, :5].tolist() == [1, 65535, 0, 1, 256]


def test_without_an_uncertainty_nothing_speaks_of_it(result, tmp_path):
    certain = dataclasses.replace(result, depth_uncertainty=None)
    kinds = [kind for kind in WRITERS if kind != 'depth_uncertainty']
    assert possible_kinds(certain) == kinds and possible_kinds(result) == list(WRITERS)
    path = certain.save(tmp_path, ['cloud'])['cloud']
    assert b'uncertain' not in path.read_bytes().split(b'end_header')[0]
    assert 'uncertain' not in repr(certain)
    assert certain.picture().shape != result.picture().shape  # a panel more
    with pytest.raises(InputError, match='kinds: depth_uncertainty'):
        certain.save(tmp_path, ['depth_uncertainty'])


def test_instances_read_back(saved, result):
    instances = json.loads(saved['instances'].read_text())
    assert len(instances) == len(result.instances.labels) > 0
    for i, instance in enumerate(instances):
        assert instance['category_id'] == result.instances.labels[i]
        assert instance['score'] == pytest.approx(result.instances.scores[i])
        x, y, w, h = instance['bbox']
        np.testing.assert_allclose([x, y, x + w, y + h], result.instances.bboxes[i], rtol=1e-5)
        mask = mask_utils.decode(instance['segmentation']).astype(bool)
        assert np.array_equal(mask, result.instances.masks[i])


def test_summary_reads_back(saved, result):
    summary = json.loads(saved['result'].read_text())
    assert summary['segments_info'] == result.segments_info
    assert tuple(summary['classes']) == result.classes
    np.testing.assert_array_equal(summary['cam2img'], result.cam2img)
    assert summary['measured_pixels'] == (result.sparse_depth > 0).sum()


def test_ply_lies_in_the_image_again(saved, result):
    """Re-read by another library, projected with the same camera."""
    xyz = np.asarray(trimesh.load(saved['cloud']).vertices)
    kept = ~flying_pixels(result.depth)
    kept &= result.depth <= 0.99 * 80
    sky = result.classes.index('Sky')
    kept[:, :300] = False  # uncertain
    labels = np.array([len(result.classes)] + [s['category_id'] for s in result.segments_info])[
        result.panoptic
    ]
    kept &= labels != sky
    row, col = np.nonzero(kept)
    assert len(xyz) == len(row) == len(result.points.xyz) > 100_000
    image = xyz @ result.cam2img.T
    error = np.abs(image[:, :2] / image[:, 2:] - np.c_[col, row])
    assert error.max() < 0.5  # pixels; a thousandth, in fact
    np.testing.assert_allclose(image[:, 2], result.depth[kept], rtol=1e-5)
    vertex = plyfile.PlyData.read(saved['cloud'])['vertex']
    colors = np.c_[vertex['red'], vertex['green'], vertex['blue']]
    assert np.array_equal(colors, result.image[kept])
    assert np.array_equal(vertex['class'], labels[kept])
    numbers = np.array([0] + [s['instance_id'] for s in result.segments_info])
    assert np.array_equal(vertex['instance'], numbers[result.panoptic][kept])
    assert np.array_equal(vertex['depth_uncertainty'], result.depth_uncertainty[kept])


def test_panels_hold_the_colors_of_the_classes(saved, result):
    picture = np.array(Image.open(saved['panels']).convert('RGB'))
    assert np.array_equal(picture, result.picture())
    colors = {tuple(c) for c in picture[::3, ::3].reshape(-1, 3).tolist()}
    for label in np.unique(result.semantic):
        assert tuple(result.palette[label].tolist()) in colors
    # the page has the same ones
    page = saved['page'].read_text()
    road = result.palette[result.classes.index('Road')]
    assert 'rgb({},{},{})'.format(*road) in page


def test_only_some_kinds(result, tmp_path):
    paths = result.save(tmp_path, ['depth', 'panels'])
    assert list(paths) == ['panels', 'depth', 'result']
    assert len(list(tmp_path.iterdir())) == 3


def test_kinds_that_cannot_be(result, tmp_path):
    blind = dataclasses.replace(result, cam2img=None)
    assert 'cloud' not in blind.save(tmp_path / 'a')
    with pytest.raises(InputError, match="no calibration.*'?cloud"):
        blind.save(tmp_path / 'b', ['depth', 'cloud'])
    with pytest.raises(InputError, match="kinds: found 'mesh'; expected one of"):
        result.save(tmp_path / 'b', ['mesh'])
    assert not (tmp_path / 'b').exists()
    with pytest.raises(InputError, match='image: points: found no calib'):
        _ = blind.points
    shallow = dataclasses.replace(result, depth=None)
    with pytest.raises(InputError, match='points: found a model without'):
        _ = shallow.points
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='file: found a file; expected a f'):
        result.save(tmp_path / 'file')


def test_a_result_that_was_not_finished_is_not_taken_for_one(result, tmp_path, monkeypatch):
    result.save(tmp_path, ['depth', 'semantic'])
    monkeypatch.setattr('pandepth_mm.apis.writers.write_depth_png', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.save(tmp_path, ['semantic', 'depth'])
    assert not (tmp_path / 'result.json').exists()
    assert {p.name for p in tmp_path.iterdir()} == {'depth.png', 'semantic.png'}


def test_a_result_is_small_to_print(result):
    assert repr(result) == (
        "PanDepthResult('image', 1242x375, "
        f'{len(result.segments_info)} segments, '
        f'{len(result.instances.labels)} instances, depth, depth uncertainty)'
    )


def test_no_instances_at_all(result, tmp_path):
    none = InstanceArrays(
        np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), np.zeros((0, 375, 1242), bool)
    )
    paths = dataclasses.replace(result, instances=none).save(tmp_path)
    assert json.loads(paths['instances'].read_text()) == []


def test_show_without_a_display(result, monkeypatch):
    import matplotlib

    matplotlib.use('Agg')
    with pytest.raises(InputError, match='show: found no display'):
        result.show()


def test_show_in_a_notebook(result, monkeypatch):
    import IPython
    import IPython.display

    shown = []
    kernel = type('ZMQInteractiveShell', (), {})()
    monkeypatch.setattr(IPython, 'get_ipython', lambda: kernel)
    monkeypatch.setattr(IPython.display, 'display', shown.append)
    result.show()
    height, width = result.picture().shape[:2]
    with Image.open(io.BytesIO(shown[0].data)) as picture:
        assert picture.size == (1200, round(1200 * height / width))


def test_show_needs_no_ipython(result, monkeypatch):
    real = builtins.__import__

    def no_ipython(name, *args, **kwargs):
        if name.startswith('IPython'):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.startswith('IPython')]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, '__import__', no_ipython)
    with pytest.raises(InputError, match='no display'):
        result.show()
