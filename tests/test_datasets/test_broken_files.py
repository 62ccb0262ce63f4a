"""Files that turn out broken in the middle of a training: one message that names the file."""

import cv2
import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from prediction_run import PIPELINE
from tiny_dataset import make_tiny_dataset, tiny_config
from torch.utils.data import DataLoader

from pandepth_mm.errors import InputError
from pandepth_mm.registry import DATASETS, TRANSFORMS

FILES = dict(
    image='source/rgb/train_00002.jpg',
    panoptic='panoptic/train_00002.png',
    sparse='sparse_depth/train_00002.png',
    gt='gt_depth_map/train_00002.png',
    dense='source/depth/train_00002.png',
)


def empty(path):
    path.write_bytes(b'')


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def dangling(path):
    path.unlink()
    path.symlink_to('nowhere')


def folder(path):
    path.unlink()
    path.mkdir()


def other_size(path):
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:-1])


def deep(path):
    """A PNG of 16 bits; its name does not matter."""
    image = cv2.imread(str(path)).astype(np.uint16) * 256
    path.write_bytes(cv2.imencode('.png', image)[1].tobytes())


def other_kind(path):
    cv2.imwrite(str(path), np.zeros((48, 96), np.uint8))


def other_ids(path):
    cv2.imwrite(str(path), cv2.imread(str(path)) + 1)


EVERYWHERE = (empty, truncated, dangling, folder, other_size)
BROKEN = [(name, spoil) for name in FILES for spoil in EVERYWHERE]
BROKEN += [(name, other_kind) for name in FILES if name != 'image'] + [('panoptic', other_ids)]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_tiny_dataset(tmp_path_factory.mktemp('tiny'), 4, splits=('train',))


@pytest.fixture
def spoiled(root):
    """Spoil a file of the data set when it is loaded; mend it afterwards."""
    kept = {}

    def spoil(name, how):
        path = root / FILES[name]
        kept[path] = path.read_bytes()
        how(path)
        return path

    yield spoil
    for path, content in kept.items():
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('name, how', BROKEN)
def test_the_file_is_named(root, spoiled, name, how, test_mode):
    dataset = DATASETS.build(tiny_config(root, pipeline=PIPELINE, test_mode=test_mode))
    path = spoiled(name, how)
    with pytest.raises(InputError) as error:
        for i in range(len(dataset)):
            dataset[i]
    assert str(error.value).startswith(f'{path}: found ')


@pytest.mark.parametrize('workers', [0, 2])
def test_the_file_is_named_by_a_worker(root, spoiled, workers):
    dataset = DATASETS.build(tiny_config(root, pipeline=PIPELINE))
    path = spoiled('image', truncated)
    loader = DataLoader(dataset, num_workers=workers, collate_fn=pseudo_collate)
    with pytest.raises(InputError) as error:
        list(loader)
    assert str(error.value) == f'{path}: found a JPEG that breaks off; expected a complete image'


def test_dangling_links_are_found_at_once(root, spoiled):
    spoiled('gt', dangling)
    with pytest.raises(InputError, match=r'1 of 20 listed files missing.*train_00002.png'):
        DATASETS.build(tiny_config(root))


def test_the_image_has_the_size_of_its_record(root):
    load = TRANSFORMS.build(dict(type='LoadImageFromFile'))
    path = str(root / FILES['image'])
    image = load(dict(img_path=path))['img']
    np.testing.assert_array_equal(image, cv2.imread(path))
    assert load(dict(img_path=path, height=48, width=96))['ori_shape'] == (48, 96)
    with pytest.raises(InputError, match='as its record has it'):
        load(dict(img_path=path, height=96, width=48))


def test_images_have_8_bits(root, spoiled):
    """As in inference: cut to 8 bits, they would be trained as something else."""
    path = spoiled('image', deep)
    dataset = DATASETS.build(tiny_config(root, pipeline=PIPELINE))
    with pytest.raises(InputError) as error:
        for i in range(len(dataset)):
            dataset[i]
    assert str(error.value) == (
        f'{path}: found an image of more than 8 bits a channel; expected 8 bits: convert it'
    )
