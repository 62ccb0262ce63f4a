"""The sampling grid of the backbone in training and prediction."""

from types import SimpleNamespace

import pytest
import torch
from tiny_dataset import make_tiny_dataset, tiny_config
from torch.nn import functional as F
from torch.utils.data import ConcatDataset

from pandepth_mm.engine.hooks import CheckPaddingHook
from pandepth_mm.engine.hooks.check_padding_hook import network_sizes, same_padding_stride
from pandepth_mm.errors import InputError
from pandepth_mm.registry import DATASETS, MODELS


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sizes')
    return [
        make_tiny_dataset(folder / str(w), num_frames=2, size=(48, w), splits=('train',))
        for w in (96, 113)
    ]


@pytest.fixture(scope='module')
def backbone():
    torch.manual_seed(0)
    return MODELS.build(dict(type='pandepth_mm.EfficientNetPS', arch='b0', out_indices=(2, 5)))


def run(roots, keep_ratio, divisor, backbone):
    resize = [dict(type='ResizePanopticDepth', keep_ratio=keep_ratio)]
    parts = [
        DATASETS.build(tiny_config(root, pipeline=resize, img_scale=(96, 64))) for root in roots
    ]
    model = SimpleNamespace(
        backbone=backbone, data_preprocessor=SimpleNamespace(pad_size_divisor=divisor)
    )
    loader = SimpleNamespace(dataset=ConcatDataset(parts))
    CheckPaddingHook().before_train(SimpleNamespace(model=model, train_dataloader=loader))


@pytest.mark.parametrize('size', [(64, 96), (50, 77), (47, 65), (33, 100)])
def test_the_rule(backbone, size):
    """Padded to another remainder by 32 the grid moves, to the same one it does not."""
    backbone.eval()
    image = torch.rand(1, 3, *size)

    def first_cells(height, width):
        """Of the map of stride 4, what depends on the image alone."""
        padded = F.pad(image, (0, width - size[1], 0, height - size[0]))
        with torch.no_grad():
            return backbone(padded)[0][..., :4, :8]

    alone = first_cells(*size)
    same = first_cells(size[0] + 32, size[1] + 64)
    torch.testing.assert_close(same, alone, rtol=1e-4, atol=1e-5)
    assert (first_cells(size[0] + 1, size[1] + 31) - alone).abs().max() > 0.01


def test_stride(backbone):
    assert same_padding_stride(backbone) == 32
    assert same_padding_stride(MODELS.build(dict(type='ResNet', depth=18))) == 1
    assert same_padding_stride(None) == 1


def test_images_of_several_sizes_need_a_divisor(roots, backbone):
    with pytest.raises(InputError, match=r'pad_size_divisor: found 1, .* 2 sizes .*96 x 48'):
        run(roots, True, 1, backbone)
    with pytest.raises(InputError, match='a multiple of 32'):
        run(roots, True, 16, backbone)


def test_what_keeps_the_grid(roots, backbone):
    run(roots, True, 64, backbone)
    run(roots, False, 1, backbone)  # all are stretched to one size
    run(roots[:1], True, 1, backbone)
    run(roots, True, 1, None)


# ---- random sizes


def sizes(pipeline, root):
    return sorted(network_sizes(DATASETS.build(tiny_config(root, pipeline=pipeline))))


RESIZE = dict(type='ResizePanopticDepth', keep_ratio=False)
RANDOM = dict(type='RandomResizePanopticDepth', ratio_range=(0.5, 2.0))
CROP = dict(type='RandomCropPanopticDepth', crop_size=(32, 64))


@pytest.mark.parametrize(
    'pipeline, expected',
    [
        ([], []),
        ([RESIZE], [(96, 48)]),
        ([RANDOM], [(56, 24), (226, 96)]),
        ([dict(RANDOM, ratio_range=(1.0, 1.0), aspect_range=(1.0, 4.0))], [(113, 48), (226, 24)]),
        ([RANDOM, CROP], [(64, 32)]),
        ([CROP, RANDOM], [(32, 16), (128, 64)]),
        ([RANDOM, RESIZE], [(96, 48)]),
        ([CROP, RESIZE], [(96, 48)]),
        ([RESIZE, RANDOM], [(48, 24), (192, 96)]),
    ],
)
def test_sizes_of_a_pipeline(roots, pipeline, expected):
    """Of images 113 x 48; what comes last decides."""
    assert sizes(pipeline, roots[1]) == expected


def test_random_sizes_need_a_divisor_or_a_crop(roots, backbone):
    def check(pipeline, divisor):
        dataset = dict(
            type='ConcatDataset', datasets=[tiny_config(r, pipeline=pipeline) for r in roots]
        )
        model = SimpleNamespace(
            backbone=backbone, data_preprocessor=SimpleNamespace(pad_size_divisor=divisor)
        )
        loader = SimpleNamespace(dataset=DATASETS.build(dataset))
        CheckPaddingHook().before_train(SimpleNamespace(model=model, train_dataloader=loader))

    check([RANDOM], 32)
    check([RANDOM, CROP], 1)
    with pytest.raises(InputError, match='images of 4 sizes'):
        check([RANDOM], 1)
    with pytest.raises(InputError, match='images of 2 sizes'):
        check([CROP, RANDOM], 1)
