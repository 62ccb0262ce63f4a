"""The converter of class and instance images."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import street
from mmengine.config import Config
from mmengine.runner import Runner
from street import depth_mm, labels, make_street, write_classes
from vkitti2_frames import load, tree

from pandepth_mm.converters import semantic_instance
from pandepth_mm.converters.core.id_images import MAX_INSTANCES, number_instances
from pandepth_mm.converters.semantic_instance.class_file import read_classes
from pandepth_mm.converters.semantic_instance.patterns import Pattern
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, read_panoptic_png

ROOT = Path(__file__).parents[2]
# by hand: things are person 1, rider 2, car 3, ..., stuff is road 9, ..., sky 19
EXPECTED = [
    dict(id=3, category_id=3, area=2, bbox=[6, 2, 2, 1], iscrowd=1),  # the group of cars
    dict(id=9, category_id=9, area=13, bbox=[0, 4, 8, 2], iscrowd=0),
    dict(id=19, category_id=19, area=19, bbox=[0, 0, 8, 4], iscrowd=0),
    dict(id=256 + 1, category_id=1, area=2, bbox=[2, 2, 1, 2], iscrowd=0),
    dict(id=512 + 1, category_id=1, area=1, bbox=[5, 3, 1, 1], iscrowd=0),
    dict(id=768 + 3, category_id=3, area=4, bbox=[0, 2, 2, 2], iscrowd=0),
    dict(id=1024 + 3, category_id=3, area=4, bbox=[3, 2, 2, 2], iscrowd=0),
]


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Run the page's command in a folder of its own, with flags changed; returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def convert(*more, code=0, without=(), **changes):
        words = street.command() + ['--workers', '1']
        for flag in without:
            at = words.index(flag)
            del words[at : at + 2]
        for flag, value in changes.items():
            words[words.index(f'--{flag}') + 1] = str(value)
        assert semantic_instance.main([*words, *map(str, more)]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return convert


@pytest.fixture
def folder(tmp_path):
    """The page's folder and classes."""
    write_classes(tmp_path / 'street_classes.yaml')
    return make_street(tmp_path / 'street')


def test_the_page_leads_to_a_training(tmp_path, convert):
    """What a new user does: the page's listings as they are, on another folder."""
    make_street(tmp_path / 'street', frames=2, scale=12)
    Path('street_classes.yaml').write_text(street.listing('yaml'))
    printed = convert()
    base = ROOT / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
    code = street.listing('python')
    Path('my_street.py').write_text(code.replace('./pandepth_effb0_minivkitti.py', str(base)))
    cfg = Config.fromfile('my_street.py')
    # the names in the order that the converter printed
    names = cfg.train_dataloader.dataset.metainfo
    assert f'thing_classes={tuple(names.thing_classes)!r}' in printed
    assert f'stuff_classes={tuple(names.stuff_classes)!r}' in printed
    assert f'num_things={cfg.model.num_things}, num_stuff={cfg.model.num_stuff}' in printed

    cfg.work_dir = 'work'
    cfg.train_cfg.max_iters = 1
    cfg.default_hooks.checkpoint.interval = 1
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.img_scale = (96, 64)
    cfg.train_dataloader.batch_size = 2
    runner = Runner.from_cfg(cfg)
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    runner.train()
    assert sum(not v.equal(before[k]) for k, v in runner.model.named_parameters()) > 100
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert np.isfinite(losses).all() and (losses > 0).all()
    assert len(runner.train_dataloader.dataset) == 4 and len(runner.val_dataloader.dataset) == 2
    sample = runner.val_dataloader.dataset[0]['data_samples']
    truth = sample.gt_depth_map.data.numpy().squeeze()
    assert np.allclose(truth, depth_mm(0, 12) / 1000, atol=0.003)
    metrics = runner.test()
    assert metrics['depth/rmse'] > 0 and 0 <= metrics['panoptic/PQ'] <= 1
    assert len(sample.gt_instances) == 4 and len(sample.ignored_instances) == 1


def test_frame_by_hand(folder, convert):
    printed = convert()
    data = load('data/street')
    assert [image['file_name'] for image in data['images']] == [
        f'leftImg8bit/train/{city}/{city}_000000_000000_leftImg8bit.png'
        for city in ('aachen', 'bochum')
    ]
    image = data['images'][0]
    assert image['cam2img'] == street.K and (image['height'], image['width']) == street.SIZE
    assert (image['scene'], image['frame']) == ('aachen', 'aachen_000000_000000')
    assert data['annotations'][0]['segments_info'] == EXPECTED
    categories = data['categories']
    assert categories[2] == dict(id=3, name='car', isthing=1, color=[0, 0, 142])
    assert [c['isthing'] for c in categories] == [1] * 8 + [0] * 11

    ids = read_panoptic_png(f'data/street/panoptic/{data["annotations"][0]["file_name"]}')
    assert (ids[street.labels(0) < 7] == 0).all()  # unlabeled and ego vehicle
    assert {s['id']: int((ids == s['id']).sum()) for s in EXPECTED} == {
        s['id']: s['area'] for s in EXPECTED
    }
    instances = load('data/street', kind='instances')['annotations']
    assert [(a['category_id'], a['iscrowd']) for a in instances[:5]] == [
        (3, 1), (1, 0), (1, 0), (3, 0), (3, 0),
    ]  # fmt: skip

    truth = read_depth_png('data/street/' + image['gt_depth_map_file'], 256)
    assert np.abs(truth - depth_mm(0) / 1000).max() <= 0.5 / 256
    sparse = read_depth_png('data/street/' + image['sparse_depth_file'], 256)
    assert np.count_nonzero(sparse) == round(0.05 * sparse.size)
    assert (sparse[sparse > 0] == truth[sparse > 0]).all()

    assert 'train 2, val 1' in printed and 'things            12' in printed
    assert 'void              6.25% of the pixels, of the ids 0 (2.08%), 1 (4.17%)' in printed
    assert 'in no frame       rider, truck, bus, train,' in printed
    assert 'crowds            4.17%' in printed


def test_one_png_of_class_and_number(folder, convert):
    """Without class ids the result is the same."""
    convert()
    convert(without=['--semantic'], out='data/one')
    for part in ('panoptic', 'sparse_depth', 'gt_depth_map'):
        assert tree(f'data/one/{part}') == tree(f'data/street/{part}')
    assert load('data/one')['annotations'] == load('data/street')['annotations']


def test_instances_of_their_own_numbers(folder, convert):
    """Numbers that begin anew in each class, and colors: the same segments."""
    values = np.select(
        [labels(1) == v for v in (26000, 26001, 24000, 24001)], [1, 2, 1, 2], default=0
    )
    colors = np.array([[0, 0, 0], [5, 200, 7], [5, 201, 7]], np.uint8)
    for name, pixels in (('gray', values.astype(np.uint8)), ('rgb', colors[values])):
        for city, split in (('aachen', 'train'), ('bochum', 'train'), ('lindau', 'val')):
            street.save(street.paths(folder, split, city)['instances'], pixels)
        convert(without=['--instance-divisor'], out=name)
        assert load(name)['annotations'][0]['segments_info'] == EXPECTED


def test_number_instances_against_brute_force():
    rng = np.random.default_rng(0)
    category = rng.integers(0, 6, (40, 50))
    instance = rng.choice([0, 1, 7, 300, 2**24 - 1], (40, 50))
    ids, numbers = number_instances(category, instance, 3, 'x')
    pairs = sorted(
        {
            (c, i)
            for c, i in zip(category.ravel().tolist(), instance.ravel().tolist(), strict=True)
            if 1 <= c <= 3 and i
        }
    )
    for c, i, value in zip(category.ravel(), instance.ravel(), ids.ravel(), strict=True):
        n = pairs.index((c, i)) + 1 if (c, i) in pairs else 0
        assert value == c + 256 * n
        assert numbers.get(value, 0) == (i if n else 0)
    assert len(numbers) == len(pairs) == 12


def test_number_instances_up_to_a_limit():
    instance = np.arange(MAX_INSTANCES + 1)[None]  # 0 is none
    ids, _ = number_instances(np.ones_like(instance), instance, 1, 'x')
    assert len(np.unique(ids)) == MAX_INSTANCES + 1
    with pytest.raises(InputError, match='x: found 1001 instances; expected at most 1000 in an'):
        number_instances(np.ones_like(instance), instance + 1, 1, 'x')


def test_points(folder, convert, tmp_path):
    """One point a pixel, through a LiDAR that looks along its x axis."""
    lidar2cam = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0.5], [0, 0, 0, 1.0]])
    calib = dict(cam2img=street.K, lidar2cam=lidar2cam.tolist(), image_size=[8, 6])
    Path('street/camera.json').write_text(json.dumps(calib))
    rows, cols = np.mgrid[1:5, 2:7]
    z = np.linspace(3, 50, rows.size)
    camera = np.linalg.inv(street.K) @ np.stack([cols.ravel() * z, rows.ravel() * z, z])
    lidar = (camera.T - lidar2cam[:3, 3]) @ lidar2cam[:3, :3]
    for city in ('aachen', 'bochum', 'lindau'):
        np.save(f'street/{city}.npy', lidar.astype(np.float32))
    flags = ['--points', '{scene}.npy', '--max-depth', '40']
    printed = convert(*flags, calib='camera.json', without=['--gt-depth', '--depth-scale'])
    image = load('data/street')['images'][0]
    expected = np.zeros(street.SIZE)
    expected[1:5, 2:7] = np.where(z > 40, 0, z).reshape(4, 5)
    for kind in ('sparse_depth', 'gt_depth_map'):
        found = read_depth_png('data/street/' + image[f'{kind}_file'], 256)
        assert np.abs(found - expected).max() <= 0.5 / 256 + 1e-5
    assert 'gt_depth_map is sparse_depth itself' in printed
    assert f'too far           {3 * (z > 40).sum()} pixels' in printed

    # some of the scan held out
    flags += ['--sparse-density', '0.1', '--overwrite']
    printed = convert(*flags, calib='camera.json', without=['--gt-depth', '--depth-scale'])
    found = read_depth_png('data/street/' + image['sparse_depth_file'], 256)
    assert np.count_nonzero(found) == 5 and 'itself' not in printed


def test_sparse_and_denser_maps(folder, convert):
    """An input of its own, .npy in meters; a value that means nothing in the PNG."""
    sparse = np.zeros(street.SIZE, np.float32)
    sparse[4, 1:4] = 7.25
    for city in ('aachen', 'bochum', 'lindau'):
        np.save(f'street/{city}.npy', sparse)
    path = street.paths(folder)['depth']
    depth = depth_mm(0)
    depth[5, 0] = 65535
    street.save(path, depth)
    convert('--sparse-depth', '{scene}.npy', '--depth-invalid', '65535')
    image = load('data/street')['images'][0]
    found = read_depth_png('data/street/' + image['sparse_depth_file'], 256)
    assert (found == sparse).all()
    found = read_depth_png('data/street/' + image['gt_depth_map_file'], 256)
    assert found[5, 0] == 0 and np.count_nonzero(found) == np.count_nonzero(depth) - 1


def test_lists(folder, convert):
    """Splits by lists, in their order; frames that are in none are left out."""
    for city in ('aachen', 'bochum'):
        for file in street.paths(folder, 'train', city).values():
            target = Path(str(file).replace('/train/', '/all/'))
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
    Path('street/train.txt').write_text('bochum/bochum_000000_000000\n\n')
    Path('street/test.txt').write_text('aachen/aachen_000000_000000\n')
    changes = {
        kind: street.command()[street.command().index(f'--{kind}') + 1].replace('{split}', 'all')
        for kind in ('images', 'semantic', 'instances', 'gt-depth', 'calib')
    }
    convert('--lists', '{split}.txt', **changes)
    assert [i['scene'] for i in load('data/street')['images']] == ['bochum']
    assert [i['scene'] for i in load('data/street', 'test')['images']] == ['aachen']
    assert not Path('data/street/annotations/panoptic_val.json').exists()


def test_second_run_and_shards_leave_the_same_bytes(folder, convert):
    convert()
    once = tree('data/street')
    Path('data/street/gt_depth_map/val/lindau/lindau_000000_000000.png').unlink()
    assert '(2 done before)' in convert()
    assert tree('data/street') == once
    for index in (0, 1):
        convert('--num-shards', '2', '--shard-index', index, out='data/parts')
    assert not Path('data/parts/annotations').exists()
    assert '(3 done before)' in convert(out='data/parts')
    assert tree('data/parts') == once
    # of another class file: not mixed
    write_classes(Path('street_classes.yaml'), sky=dict(id=22), terrain=dict(id=23))
    assert 'class_digest' in convert(code=2)


def test_class_files_say_the_same(tmp_path):
    classes = [
        dict(name='shelf, tall', id=3, isthing=0, color=[1, 2, 3]),
        dict(name='fork lift', id=[5, 9], isthing=1, color=[4, 5, 6]),
    ]
    (tmp_path / 'a.json').write_text(json.dumps(classes))
    (tmp_path / 'a.yaml').write_text(
        '- {name: "shelf, tall", id: 3, isthing: false, color: [1, 2, 3]}\n'
        '- {name: fork lift, id: [5, 9], isthing: yes, color: [4, 5, 6]}\n'
    )
    (tmp_path / 'a.csv').write_text(
        'name, id, isthing, color\n"shelf, tall", 3, 0, 1 2 3\nfork lift, 5 9, 1, 4 5 6\n'
    )
    for suffix in ('json', 'yaml', 'csv'):
        found = read_classes(tmp_path / f'a.{suffix}')
        assert [c['name'] for c in found.categories] == ['fork lift', 'shelf, tall']
        assert found.categories[1]['color'] == [1, 2, 3]
        assert found.table.tolist() == [0, 0, 0, 2, 0, 1, 0, 0, 0, 1]


def test_patterns(tmp_path):
    pattern = Pattern('a/{scene}/x_{name}/{name}.b.png', '--images')
    for path in ('a/s/x_n/n.b.png', 'a/s/x_n/m.b.png', 'a/s/x_n/nXb.png', 'a/s/t/x_n/n.b.png'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (found,) = pattern.find(tmp_path)
    assert found == dict(scene='s', name='n')
    assert pattern.fill(dict(scene='{name}', name='q')) == 'a/{name}/x_q/q.b.png'
    (tmp_path / 'a/s/up').symlink_to('..')  # a loop has no files of its own
    for text in ('a/{name}.b.png', './a//{name}.b.png'):
        names = [values['name'] for values in Pattern(text, '--images').find(tmp_path)]
        assert names == ['s/t/x_n/n', 's/x_n/m', 's/x_n/n']


def test_palette_images_count_by_index(tmp_path, folder, convert):
    """Class ids as a PNG with a palette, as many tools write them."""
    from PIL import Image

    path = street.paths(folder)['semantic']
    image = Image.fromarray(cv2.imread(str(path), 0), mode='P')
    image.putpalette(list(range(255, -1, -1)) * 3)
    image.save(path)
    convert()
    assert load('data/street')['annotations'][0]['segments_info'] == EXPECTED
