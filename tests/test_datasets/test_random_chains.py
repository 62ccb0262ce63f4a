"""After any random chain of transforms, all of a frame still fits together.

The oracle: before the chain the dense depth is replaced by the number of each pixel, and the image
by its coordinates. After it they tell which pixel of the original each one comes from.
"""

import mmcv
import numpy as np
import pytest
from tiny_dataset import make_tiny_dataset, tiny_config

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.camera import back_project, project
from pandepth_mm.registry import DATASETS, TRANSFORMS

SIZE = (375, 1242)
LOAD = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(type='LoadPanopticMap'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='LoadDepthMap', key='gt_depth_map', source='dense_depth', invalid=65535),
]


def make(type, **kwargs):
    return TRANSFORMS.build(dict(type=type, **kwargs))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_tiny_dataset(
        tmp_path_factory.mktemp('out'), num_frames=1, size=SIZE, splits=('train',),
        things_per_frame=6,
    )  # fmt: skip


@pytest.fixture
def frame(root):
    """A frame with numbered pixels, and the points of its sparse depth."""
    frame = DATASETS.build(tiny_config(root, pipeline=LOAD))[0]
    frame['gt_ignore_flags'] = np.arange(len(frame['gt_masks'])) % 2 == 1  # to tell them apart
    frame['points'] = back_project(frame['sparse_depth'], frame['cam2img'])
    frame['dense_depth'] = np.arange(1, 1 + SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
    rows, cols = np.indices(SIZE, dtype=np.float32)
    frame['img'] = np.stack([rows, cols, np.ones_like(rows)], axis=-1)
    return frame


def random_chain(rng):
    """At most two resizes, flips, and a crop of a random size at the end."""
    chain = [
        dict(type='FlipPanopticDepth', prob=0.5),
        dict(type='FlipPanopticDepth', prob=0.5),
        dict(type='RandomResizePanopticDepth', ratio_range=(0.4, 1.5), aspect_range=(0.8, 1.3)),
        dict(type='ResizePanopticDepth'),
        dict(type='RandomCropPanopticDepth', crop_size=tuple(rng.integers(150, 260, 2).tolist())),
    ]
    chain = [chain[i] for i in rng.permutation(5) if rng.random() < 0.7]
    last = (int(rng.integers(200, 420)), int(rng.integers(100, 1400)))  # never padding alone
    return [*chain, dict(type='RandomCropPanopticDepth', crop_size=last)]


def run(frame, chain):
    """Results, whether mirrored, and how far (x, y) nearest pixels may have moved, in pixels."""
    mirrored, moved = False, np.zeros(2)
    for config in chain:
        frame = make(**config)(frame)
        if 'Flip' in config['type']:
            mirrored ^= bool(frame['flip'])
        elif 'Resize' in config['type']:
            moved = (moved + 0.5) * frame['scale_factor']
    return frame, mirrored, moved


@pytest.mark.parametrize('seed', range(12))
def test_all_of_a_frame_stays_together(frame, seed):
    rng = np.random.default_rng(seed)
    frame['img_scale'] = ((1000, 200), (777, 333))[seed % 2]
    before = {key: frame[key].copy() for key in ('gt_panoptic_seg', 'gt_seg_map', 'gt_depth_map')}
    k, labels = frame['cam2img'].copy(), frame['gt_bboxes_labels'].copy()
    flags, masks = frame['gt_ignore_flags'].copy(), frame['gt_masks'].masks.copy()
    np.random.seed(seed)
    chain = random_chain(rng)
    after, mirrored, moved = run(frame, chain)

    size = chain[-1]['crop_size']
    number = after['dense_depth'].astype(np.int64)
    assert after['img'].shape == (*size, 3) and after['img_shape'] == number.shape == size
    # what is no padding is a rectangle, and each of its pixels comes from one
    seen = number > 0
    np.testing.assert_array_equal(seen, seen.any(axis=1)[:, None] & seen.any(axis=0))

    # maps: every pixel is that of the original
    source = np.where(seen, number - 1, 0)
    for key, void in dict(gt_panoptic_seg=14, gt_seg_map=255, gt_depth_map=0).items():
        expected = np.where(seen, before[key].ravel()[source], void)
        np.testing.assert_array_equal(after[key], expected)
        assert after[key].dtype == before[key].dtype

    # instances: masks, boxes, labels, flags; none without a pixel
    expected = masks.reshape(len(masks), -1)[:, source] & seen
    kept = expected.any(axis=(1, 2))
    np.testing.assert_array_equal(after['gt_masks'].masks, expected[kept])
    assert after['gt_bboxes_labels'].tolist() == labels[kept].tolist()
    assert after['gt_ignore_flags'].tolist() == flags[kept].tolist()
    boxes = [
        [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        for rows, cols in (np.nonzero(mask) for mask in expected[kept])
    ]
    assert after['gt_bboxes'].numpy().tolist() == boxes

    # the panoptic map: areas of the segments that are listed are those of masks and classes
    sample = make('PackPanopticDepthInputs')(dict(after))['data_samples']
    ids = sample.gt_panoptic_seg.sem_seg.numpy()[0]
    areas = {s['id']: (ids == s['id']).sum() for s in sample.segments_info}
    assert sum(areas.values()) == (ids != 14).sum() and all(areas.values())
    things = [s for s in sample.segments_info if s['isthing']]
    assert [areas[s['id']] for s in things] == after['gt_masks'].areas.tolist()
    assert [s['category'] for s in things] == after['gt_bboxes_labels'].tolist()

    # intrinsics: a pixel's ray is that of the original, up to what "nearest" moves it
    rows, cols = np.nonzero(seen)
    v, u = np.divmod(source[seen], SIZE[1])
    x, y = (u - k[0, 2]) / k[0, 0] * (-1 if mirrored else 1), (v - k[1, 2]) / k[1, 1]
    now = after['cam2img']
    at = np.stack([now[0, 0] * x + now[0, 2], now[1, 1] * y + now[1, 2]])
    gap = np.abs(at - [cols, rows]).max(axis=1)
    assert (gap <= moved + 1e-6).all()
    assert 'ori_cam2img' in after and after['ori_cam2img'][0, 0] == k[0, 0]
    # and so is its color
    per_pixel = np.array([now[0, 0] / k[0, 0], now[1, 1] / k[1, 1]])
    blur = (moved / per_pixel + 0.5 / per_pixel.clip(max=1)) + 0.5
    assert np.abs(after['img'][seen][:, 0] - v).max() <= blur[1]
    assert np.abs(after['img'][seen][:, 1] - u).max() <= blur[0]

    # points: those in the image and no others, on pixels that are seen
    uv, depth = project(after['points'], now)
    col, row = np.floor(uv + 0.5).astype(int).T
    assert seen[row, col].all() and after['points'].dtype == np.float32


@pytest.mark.parametrize('seed', range(6))
def test_points_land_on_their_own_depth_map(frame, seed):
    """With measurements that are rasterized: within half a pixel, at the same depth."""
    measured = frame['sparse_depth'] > 0
    frame['sparse_depth'][measured] = 5 + 1e-3 * np.arange(measured.sum())  # each another one
    frame['points'] = back_project(frame['sparse_depth'], frame['cam2img'])
    frame['img_scale'] = ((1000, 200), (777, 333))[seed % 2]
    np.random.seed(seed)
    chain = random_chain(np.random.default_rng(seed))
    for config in chain:
        if 'Resize' in config['type']:
            config['depth_resize'] = 'rasterize'
    after = run(frame, chain)[0]
    sparse, points = after['sparse_depth'], after['points']
    uv, depth = project(points, after['cam2img'])
    order = np.argsort(depth)
    rows, cols = np.nonzero(sparse)
    place = np.searchsorted(depth[order], sparse[rows, cols])
    gaps = [
        np.abs(uv[order[i.clip(0, len(order) - 1)]] - np.stack([cols, rows], axis=1)).max(axis=1)
        for i in (place - 1, place, place + 1)
    ]
    assert np.min(gaps, axis=0).max() <= 0.5 + 1e-3
    assert len(rows) > 100
    # the other way round: of several in a pixel the nearest is there
    col, row = np.floor(uv + 0.5).astype(int).T
    inner = np.abs(uv - np.floor(uv + 0.5)).max(axis=1) < 0.499
    assert (0 < sparse[row, col][inner]).all()
    assert (sparse[row, col][inner] <= depth[inner] + 1e-4).all()


@pytest.mark.parametrize('seed', range(4))
def test_simulated_points_land_on_their_own_depth_map(frame, seed):
    np.random.seed(seed)
    chain = random_chain(np.random.default_rng(seed))
    frame['img_scale'] = (1000, 200)
    kinds = dict(random_prob=float(seed % 2), lines_prob=float(not seed % 2))
    chain += [dict(type='SimulateLidar', **kinds), dict(type='FlipPanopticDepth', prob=0.5)]
    after = run(frame, chain)[0]
    uv, depth = project(after['points'], after['cam2img'])
    col, row = np.rint(uv).astype(int).T
    assert np.abs(uv - [*zip(col, row, strict=True)]).max() < 1e-3
    np.testing.assert_allclose(after['sparse_depth'][row, col], depth, rtol=1e-6)
    assert len(depth) == np.count_nonzero(after['sparse_depth']) > 50


def test_resize_stays_in_its_range(frame):
    resize = make('RandomResizePanopticDepth', ratio_range=(0.5, 2), aspect_range=(0.8, 1.25))
    frame = dict(img=np.zeros((100, 200, 3), np.uint8), img_scale=(7, 7))
    np.random.seed(0)
    sizes = np.array([resize(dict(frame))['img_shape'] for _ in range(200)])
    ratios, aspects = np.sqrt(sizes.prod(axis=1) / 20000), sizes[:, 1] / sizes[:, 0] / 2
    assert 0.49 < ratios.min() < 0.55 and 1.8 < ratios.max() < 2.01
    assert 0.78 < aspects.min() < 0.83 and 1.2 < aspects.max() < 1.27
    assert 80 < (ratios < 1).sum() < 120  # even in the logarithm
    assert resize(dict(frame))['img_scale'] == (7, 7)
    del frame['img_scale']
    assert 'img_scale' not in resize(frame)


def test_shrinking_averages():
    """Stripes become gray; bilinear interpolation would show some of them."""
    stripes = np.zeros((40, 60, 3), np.uint8)
    stripes[:, ::2] = 200
    resize = make('RandomResizePanopticDepth', ratio_range=(1 / 3, 1 / 3))
    assert set(np.unique(resize(dict(img=stripes))['img'])) <= set(range(66, 135))
    assert mmcv.imresize(stripes, (20, 13)).max() == 200


def test_crop_pads_with_the_mean_color(frame):
    frame['img'] = np.full((*SIZE, 3), (10, 20, 30), np.uint8)
    padded = make('RandomCropPanopticDepth', crop_size=(400, 1300))(frame)
    assert (padded['img'] == (10, 20, 30)).all() and padded['img'].dtype == np.uint8
    assert (padded['gt_seg_map'][375:] == 255).all() and (
        padded['gt_seg_map'][:, 1242:] == 255
    ).all()
    assert (
        len(padded['gt_masks']) == len(padded['gt_bboxes']) == len(padded['gt_bboxes_labels']) > 1
    )


def test_crops_reach_every_place(frame):
    """Each offset comes, the last one too."""
    crop = make('RandomCropPanopticDepth', crop_size=(3, 4))
    np.random.seed(0)
    corners = set()
    for _ in range(200):
        img = np.arange(30, dtype=np.uint8).reshape(5, 6, 1).repeat(3, axis=-1)
        corners.add(int(crop(dict(img=img))['img'][0, 0, 0]))
    assert corners == {6 * row + col for row in range(3) for col in range(3)}


def test_crop_without_instances(frame):
    frame['gt_masks'].masks[:] = 0
    cropped = make('RandomCropPanopticDepth', crop_size=(50, 60))(frame)
    assert cropped['gt_masks'].masks.shape == (0, 50, 60)
    assert cropped['gt_bboxes'].numpy().shape == (0, 4)
    sample = make('PackPanopticDepthInputs')(cropped)['data_samples']
    assert len(sample.gt_instances) == 0


@pytest.mark.parametrize(
    'name, wrong',
    [
        ('RandomResizePanopticDepth', dict(ratio_range=(0, 1))),
        ('RandomResizePanopticDepth', dict(ratio_range=(1.5, 0.5))),
        ('RandomResizePanopticDepth', dict(aspect_range='ab')),
        ('RandomCropPanopticDepth', dict(crop_size=128)),
        ('RandomCropPanopticDepth', dict(crop_size=(128, 0))),
        ('RandomCropPanopticDepth', dict(crop_size=(128, 41.6))),
    ],
)
def test_wrong_values(name, wrong):
    with pytest.raises(InputError, match=f'{name}: {list(wrong)[0]}'):
        make(name, **wrong)
