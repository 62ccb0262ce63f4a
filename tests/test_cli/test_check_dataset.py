"""tools/check_dataset.py: whole data, broken data, configs that do not fit."""

import json
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import launch_browser, open_file
from mmengine.config import Config
from tiny_dataset import make_tiny_dataset

from pandepth_mm.cli import check_dataset
from pandepth_mm.cli.dataset_sheet import choose_frames
from pandepth_mm.fileio import read_panoptic_png
from pandepth_mm.structures.dataset_check.frame import FrameFacts

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
FRAMES = 3
NOTHING = 'Nothing that a training would fail on'


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp('whole')
    return make_tiny_dataset(root, num_frames=FRAMES, splits=('train', 'val'), empty_frames=(1,))


@pytest.fixture
def data(whole, tmp_path):
    """A copy to break; the images lie where its JSON files say."""
    root = shutil.copytree(whole, tmp_path / 'data')
    for split in ('train', 'val'):
        with edited(root, split) as content:
            content['info']['data_root'] = str(root / 'source')
    return root


class edited:  # noqa: N801
    """The content of a JSON, written back at the end."""

    def __init__(self, root, split='train'):
        self.path = root / f'annotations/panoptic_{split}.json'

    def __enter__(self):
        self.content = json.loads(self.path.read_text())
        return self.content

    def __exit__(self, *_):
        self.path.write_text(json.dumps(self.content))


def check(run_tool, source, *flags):
    """Exit code, and the lines of the two lists of problems."""
    code, out, err = run_tool('check_dataset', source, '--workers', 1, *flags)
    fatal, _, notes = out.partition('Worth a look')
    fatal = fatal.partition('A training would fail on')[2]
    return code, fatal.strip(), notes.strip(), out, err


# ---- whole data


def test_numbers_of_a_whole_data_set(run_tool, whole):
    code, fatal, notes, out, _ = check(run_tool, whole / 'annotations/panoptic_train.json')
    assert (code, fatal, notes) == (0, '', '')
    assert NOTHING in out
    rows = dict(re.split(r'\s{2,}', line, maxsplit=1) for line in out.splitlines() if '  ' in line)
    assert rows['frames'] == '3' and rows['frames without things'] == '1'
    assert rows['images (width x height)'] == '96 x 48'

    content = json.loads((whole / 'annotations/panoptic_train.json').read_text())
    total = {}
    for annotation in content['annotations']:
        for segment in annotation['segments_info']:
            key = segment['category_id']
            area, count = total.get(key, (0, 0))
            total[key] = area + segment['area'], count + 1
    names = {c['id']: c['name'] for c in content['categories']}
    pixels = FRAMES * 48 * 96
    for key, (area, count) in total.items():
        share = f'{100 * area / pixels:.2f}'
        assert rows[f'{names[key]}, %'] == (f'{share} ({count})' if key <= 3 else share)
    depth = [
        cv2.imread(str(whole / 'sparse_depth' / f'train_{i:05d}.png'), -1) for i in range(FRAMES)
    ]
    counts = [(d > 0).sum() for d in depth]
    assert rows['sparse depth: points'].startswith(f'{np.mean(counts):,.0f}')
    most, least = max(d.max() for d in depth) / 256, min(d[d > 0].min() for d in depth) / 256
    assert rows['sparse depth: meters'].endswith(f'({least:.1f} to {most:.1f})')


def test_two_workers_give_the_same(run_tool, whole):
    source = whole / 'annotations/panoptic_train.json'
    one = run_tool('check_dataset', source, '--workers', 1)
    two = run_tool('check_dataset', source, '--workers', 2)
    assert one[:2] == two[:2]
    assert 'frame' in two[2]  # the bar


# ---- broken data


def first(root, folder, suffix='png'):
    return root / folder / f'train_00000.{suffix}'


def image_of(root):
    return first(root, 'source/rgb', 'jpg')


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_png(path, array):
    assert cv2.imwrite(str(path), array)


def link_to_nothing(path):
    path.unlink()
    path.symlink_to(path.with_name('gone.png'))


def folder_instead(path):
    path.unlink()
    path.mkdir()


def wide_image(root):
    write_png(image_of(root), np.zeros((48, 100, 3), np.uint8))


def other_ids(root):
    ids = np.full((48, 96, 3), 7, np.uint8)
    write_png(first(root, 'panoptic'), ids)


def extra_segment(root):
    with edited(root) as content:
        content['annotations'][0]['segments_info'].append(dict(id=99, category_id=4))


def wrong_area(root):
    with edited(root) as content:
        content['annotations'][0]['segments_info'][0]['area'] += 1


def wrong_box(root, shift=2):
    with edited(root) as content:
        content['annotations'][0]['segments_info'][0]['bbox'][0] += shift


def scale(kind, factor):
    def change(root):
        with edited(root) as content:
            for image in content['images']:
                image[f'{kind}_scale'] *= factor

    return change


def saturate(root):
    for i in range(FRAMES):
        path = root / 'gt_depth_map' / f'train_{i:05d}.png'
        depth = cv2.imread(str(path), -1)
        depth[:5] = 65535
        write_png(path, depth)


def scaled_intrinsics(root):
    with edited(root) as content:
        content['images'][1]['cam2img'][0][2] *= 3


def same_image_twice(root):
    shutil.copy(image_of(root), root / 'source/rgb/train_00002.jpg')


def unknown_category(root):
    with edited(root) as content:
        content['annotations'][0]['segments_info'][0]['category_id'] = 77


def half_of_the_gt(root):
    with edited(root) as content:
        del content['images'][0]['gt_depth_map_file']


def moved_images(root):
    with edited(root) as content:
        content['info']['data_root'] = '/gone/away'


def break_json(root):
    cut(root / 'annotations/panoptic_train.json')


FATAL = [
    (lambda r: image_of(r).unlink(), 'missing', 'train_00000.jpg: no such file'),
    (lambda r: shutil.rmtree(r / 'panoptic'), 'missing', '3, the first'),
    (lambda r: folder_instead(first(r, 'gt_depth_map')), 'missing', 'no such file'),
    (lambda r: link_to_nothing(first(r, 'sparse_depth')), 'dangling', 'a link to nothing'),
    (lambda r: cut(first(r, 'gt_depth_map')), 'truncated', 'it breaks off'),
    (lambda r: cut(first(r, 'panoptic')), 'truncated', 'it breaks off'),
    (lambda r: cut(image_of(r)), 'truncated', 'a JPEG that breaks off'),
    (lambda r: image_of(r).write_text('no image'), 'broken', 'cannot be decoded'),
    (lambda r: first(r, 'panoptic').write_text('no image'), 'broken', 'cannot be decoded'),
    (
        lambda r: write_png(first(r, 'sparse_depth'), np.ones((48, 96), np.uint8)),
        'broken',
        'expected 1 channel of uint16',
    ),
    (
        lambda r: write_png(first(r, 'panoptic'), np.ones((48, 96), np.uint8)),
        'broken',
        'expected 8-bit RGB',
    ),
    (
        lambda r: write_png(first(r, 'gt_depth_map'), np.ones((48, 90), np.uint16)),
        'size',
        'the size of the image',
    ),
    (
        lambda r: image_of(r).write_bytes(cv2.imencode('.png', np.ones((48, 96), 'u2'))[1]),
        'broken',
        'more than 8 bits',
    ),
    (wide_image, 'size', 'as its record has it'),
    (other_ids, 'segments', 'that are not among'),
    (extra_segment, 'segments', 'no pixel of the segment ids [99]'),
    (unknown_category, 'annotations', 'segments_info[0].category_id: found 77'),
    (half_of_the_gt, 'annotations', 'gt_depth_map_file in 2 of 3'),
    (moved_images, 'annotations', 'no folder /gone/away'),
]
NOTES = [
    (wrong_area, 'area', 'the map has'),
    (wrong_box, 'box', 'the map has'),
    (scale('sparse_depth', 2.56), 'units', 'ground truth is 2.56 times the input'),
    (scale('dense_depth', 0.1), 'units', 'dense depth is 10 times the input'),
    (scale('gt_depth_map', 1000), 'units', 'median of the depth ground truth is 0.0'),
    (saturate, 'units', 'of the depth ground truth are 65535'),
    (scaled_intrinsics, 'intrinsics', 'of an image 96 x 48'),
    (
        lambda r: write_png(first(r, 'sparse_depth'), np.zeros((48, 96), np.uint16)),
        'empty',
        'no measurement',
    ),
    (same_image_twice, 'duplicates', '1 images twice'),
]


@pytest.mark.parametrize('change, kind, text', FATAL, ids=range(len(FATAL)))
def test_what_a_training_fails_on(run_tool, data, change, kind, text):
    change(data)
    code, fatal, _, out, _ = check(run_tool, data / 'annotations/panoptic_train.json')
    assert code == 1 and NOTHING not in out
    (line,) = fatal.splitlines()
    assert line.startswith(f'panoptic_train: {kind}: ')
    assert text in line


@pytest.mark.parametrize('change, kind, text', NOTES, ids=range(len(NOTES)))
def test_what_deserves_a_look(run_tool, data, change, kind, text):
    change(data)
    code, _, notes, out, _ = check(run_tool, data / 'annotations/panoptic_train.json')
    assert code == 0 and NOTHING in out
    lines = [line.strip() for line in notes.splitlines()]
    assert all(line.startswith(f'panoptic_train: {kind}: ') for line in lines)
    assert any(text in line for line in lines), lines


def test_box_may_count_the_last_pixel(run_tool, data):
    wrong_box(data, shift=1)
    assert check(run_tool, data / 'annotations/panoptic_train.json')[2] == ''


def test_bad_command_lines(run_tool, data):
    break_json(data)
    broken = data / 'annotations/panoptic_train.json'
    for args, text in (
        ((broken,), 'broken JSON'),
        ((data / 'gone.json',), 'no such file'),
        (('no_such_config',), 'no_such_config'),
        ((CONFIG, '--data-root', data), '--data-root: found it with a config'),
        ((data / 'annotations/panoptic_val.json', '--workers', 0), '--workers: found 0'),
        ((data / 'annotations/panoptic_val.json', '--html', data), '--html: found'),
        ((broken, '--html', data / 'annotations/panoptic_val.json'), 'a name that ends in .html'),
    ):
        code, _, err = run_tool('check_dataset', *args)
        assert code == 2, args
        assert text in err and err.count('error:') == 1


def test_no_access(run_tool, data, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda path, mode: not str(path).endswith('00000.png'))
    code, fatal, _, _, _ = check(run_tool, data / 'annotations/panoptic_train.json')
    assert code == 1
    assert re.search(r'^panoptic_train: broken: 4, .*00000.png: no permission to read it$', fatal)


def test_interrupt(run_tool, whole, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(check_dataset, 'run_jobs', interrupted)
    code, out, err = run_tool('check_dataset', whole / 'annotations/panoptic_val.json')
    assert (code, out) == (130, '')
    assert err.splitlines()[-1] == 'stopped'


def test_page(run_tool, data, tmp_path):
    """All that can be shown of the frames, in a real browser."""
    image_of(data).unlink()
    first(data, 'panoptic').write_text('no image')
    cut(data / 'gt_depth_map/train_00001.png')
    path = tmp_path / 'sheet.html'
    code, _, _, out, _ = check(run_tool, data / 'annotations/panoptic_train.json', '--html', path)
    assert code == 1 and out.splitlines()[-1] == f'page: {path}'
    with launch_browser() as browser, open_file(browser, path) as page:
        titles = page.locator('h2').all_text_contents()
        assert [title[-9:-4] for title in titles] == ['00000', '00001', '00002']
        problems = [text.split(':')[0] for text in page.locator('.problem').all_text_contents()]
        assert problems == ['missing', 'broken', 'truncated']
        captions = [text.split(',')[0] for text in page.locator('figcaption').all_text_contents()]
        rest = ['image', 'panoptic', 'input', 'ground truth', 'dense depth']
        assert captions == [*rest[:3], rest[4], *rest]
        widths = page.evaluate('[...document.images].map((image) => image.naturalWidth)')
        assert widths == [96] * 9
        assert page.inner_text('pre') in out


def test_frames_of_the_page():
    bad, good = FrameFacts((4, 2), problems=[('empty', '')]), FrameFacts((4, 2))
    assert choose_frames([good] * 5) == [0, 1, 2, 3, 4]
    assert choose_frames([bad] * 20) == list(range(12))
    assert choose_frames([good] * 12 + [bad] * 12, 4) == [0, 11, 12, 13]
    assert choose_frames([bad] * 5 + [good], 4) == [0, 1, 2, 5]
    assert choose_frames([]) == []


# ---- configs


def small_config(root, path, **changes):
    """The demo's config on tiny data; val and test are one data set."""
    cfg = Config.fromfile(CONFIG)
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.update(data_root=str(root), img_scale=(96, 48))
        if split == 'test':
            dataset.ann_file = cfg.val_dataloader.dataset.ann_file
    cfg.merge_from_dict(changes)
    cfg.dump(path)
    return path


def without_maps(root):
    for split in ('train', 'val'):
        with edited(root, split) as content:
            content['annotations'] = []


def test_config_that_fits(run_tool, data, tmp_path):
    path = small_config(data, tmp_path / 'config.py')
    code, fatal, notes, out, _ = check(run_tool, path)
    assert (code, fatal) == (0, '')
    assert out.splitlines()[0].split() == ['train', 'val,', 'test']
    assert re.search(rf'things without an anchor +\d+ of {len(things_of(data))}\n', out)
    assert notes == ''


def things_of(root):
    content = json.loads((root / 'annotations/panoptic_train.json').read_text())
    return [s for a in content['annotations'] for s in a['segments_info'] if s['category_id'] <= 3]


@pytest.mark.parametrize(
    'changes, kind, text',
    [
        ({'model.num_things': 2}, 'config', 'model.num_things: found 2; expected 3'),
        ({'train_dataloader.dataset.img_scale': None}, 'pipeline', 'img_scale'),
        ({'train_dataloader.dataset.filter_cfg': dict(size=3)}, 'annotations', 'filter_cfg'),
        ({'train_dataloader.dataset.ann': 3}, 'annotations', 'VKITTI2Dataset does not take'),
    ],
)
def test_config_that_does_not_fit(run_tool, data, tmp_path, changes, kind, text):
    path = small_config(data, tmp_path / 'config.py', **changes)
    code, fatal, _, _, _ = check(run_tool, path)
    lines = [line.strip() for line in fatal.splitlines()]
    assert code == 1
    assert lines[0].startswith(f'train: {kind}: ') and text in lines[0]


def test_data_without_what_the_config_wants(run_tool, data, tmp_path):
    without_maps(data)
    code, fatal, _, _, _ = check(run_tool, small_config(data, tmp_path / 'config.py'))
    assert code == 1
    assert 'train: pipeline: train_dataloader: annotations: found no panoptic' in fatal
    assert 'evaluator: val_evaluator: PanopticMetric without seg_map in the data' in fatal
    assert 'DepthBreakdownMetric without seg_map' in fatal
    assert 'DepthMetric without' not in fatal and 'test_evaluator' in fatal


def test_images_in_two_splits(run_tool, data, tmp_path):
    shutil.copy(image_of(data), data / 'source/rgb/val_00001.jpg')
    code, _, notes, _, _ = check(run_tool, small_config(data, tmp_path / 'config.py'))
    assert code == 0
    assert 'val, test: duplicates: 1 images that train has too' in notes
    assert 'val_00001.jpg = ' in notes and notes.endswith('train_00000.jpg')


def test_anchors_that_do_not_fit(run_tool, data, tmp_path):
    scales = {'model.rpn_head.anchor_generator.scales': [64]}
    _, _, notes, out, _ = check(run_tool, small_config(data, tmp_path / 'config.py', **scales))
    count = len(things_of(data))
    assert f'anchors: none fits {count} of {count} instances' in notes
    head = {'model.rpn_head': None, 'model.roi_head': None, 'model.panoptic_fusion': None}
    _, _, notes, out, _ = check(run_tool, small_config(data, tmp_path / 'none.py', **head))
    assert 'anchor' not in out


def test_mixed_data_sets(run_tool, data, tmp_path):
    part = Config.fromfile(small_config(data, tmp_path / 'a.py')).train_dataloader.dataset
    cfg = Config.fromfile(tmp_path / 'a.py')
    other = dict(part, ann_file='annotations/panoptic_val.json')
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, other])
    cfg.dump(tmp_path / 'b.py')
    code, _, _, out, _ = check(run_tool, tmp_path / 'b.py')
    assert code == 0
    assert re.split(r'\s{2,}', out.splitlines()[0].strip()) == ['train 1', 'train 2, val, test']


def test_depth_alone(run_tool, tmp_path):
    root = make_tiny_dataset(tmp_path / 'd', num_frames=2, splits=('train',), panoptic=False)
    code, fatal, notes, out, _ = check(run_tool, root / 'annotations/panoptic_train.json')
    assert (code, fatal, notes) == (0, '', '')
    assert 'things' not in out and 'Sky' not in out and 'depth ground truth' in out


def test_ids_are_read_as_training_reads_them(whole):
    """The oracle of the map's areas: segments_info of the tiny data set is exact."""
    content = json.loads((whole / 'annotations/panoptic_train.json').read_text())
    for annotation in content['annotations']:
        ids = read_panoptic_png(whole / 'panoptic' / annotation['file_name'])
        for segment in annotation['segments_info']:
            assert (ids == segment['id']).sum() == segment['area']
