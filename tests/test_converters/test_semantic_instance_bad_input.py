"""The converter of class and instance images, and bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
import street
import yaml
from street import make_street, paths, save, write_classes

from pandepth_mm.converters import semantic_instance

SIZE = street.SIZE


def command(*more, without=(), **changes):
    """The page's command, in one process, with flags changed."""
    words = [*street.command(), '--workers', '1']
    for flag in without:
        at = words.index(flag)
        del words[at : at + 2]
    for flag, value in changes.items():
        words[words.index(f'--{flag}') + 1] = value
    return [*words, *more]


def spoil_classes(text=None, **changes):
    def spoil():
        if text is None:
            write_classes(Path('street_classes.yaml'), **changes)
        else:
            Path('street_classes.yaml').write_text(text)

    return spoil


def drop(kind):
    return lambda: paths(Path('street'), number=0)[kind].unlink()


def cut(kind, size=60):
    def spoil():
        path = paths(Path('street'))[kind]
        path.write_bytes(path.read_bytes()[:size])

    return spoil


def put(kind, pixels):
    return lambda: save(paths(Path('street'))[kind], pixels)


def text(path, content):
    def spoil():
        file = Path('street') / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    return spoil


def calib(content):
    return lambda: paths(Path('street'))['calib'].write_text(json.dumps(content))


def corrupt(kind):
    """The end of the file stays, its middle is broken."""

    def spoil():
        path = paths(Path('street'))[kind]
        save(path, np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8))
        content = bytearray(path.read_bytes())
        content[50:60] = b'0123456789'
        path.write_bytes(content)

    return spoil


def two_clouds():
    for city in ('aachen', 'bochum', 'lindau'):
        np.save(f'street/{city}.npy', np.ones((4, 3), np.float32))


def sparse_maps():
    """A measured row in each frame."""
    depth = np.zeros(SIZE, np.float32)
    depth[4] = 7
    for city in ('aachen', 'bochum', 'lindau'):
        np.save(f'street/{city}.npy', depth)


NOTHING = lambda: None  # noqa: E731
LISTS = dict(more=['--lists', '{split}.txt'])
POINTS = dict(more=['--points', '{scene}.npy'])
DENSE = 'depth/{split}/{scene}/{name}_depth.png'
SWAPPED = ['street: train: ', 'at 16.67% in --gt-depth', '2 of 2 frames', 'the wrong way round']

# name -> how it is spoiled, the command's changes, what the message names
CASES = {
    'no root': (lambda: Path('street').rename('other'), {}, ['street', 'no such folder']),
    'no classes': (lambda: Path('street_classes.yaml').unlink(), {}, ['--classes', 'no such file']),
    'broken classes': (spoil_classes('- {name: a'), {}, ['street_classes.yaml', 'broken YAML']),
    'classes of another kind': (spoil_classes('name: a'), {}, ["{'name': 'a'}", 'a list of']),
    'an id twice': (spoil_classes(car=dict(id=24)), {}, ['car', 'id 24 of person again']),
    'an id that is none': (spoil_classes(car=dict(id='26')), {}, ['car: id', "'26'", '65535']),
    'isthing of another kind': (spoil_classes(car=dict(isthing=2)), {}, ['car: isthing', '0 or 1']),
    'an unknown key': (spoil_classes(car=dict(colour=1)), {}, ['colour', 'the keys name, id']),
    'a color too large': (spoil_classes(sky=dict(color=[1, 2, 256])), {}, ['sky: color', '256']),
    'things without instances': (
        NOTHING,
        dict(without=['--instances', '--instance-divisor']),
        ['--instances', 'nothing', 'person, rider'],
    ),
    'no labels': (NOTHING, dict(without=['--semantic', '--instances']), ['--semantic', 'nothing']),
    'no depth': (NOTHING, dict(without=['--gt-depth']), ['--gt-depth', 'nothing', '--points']),
    'no scale': (NOTHING, dict(without=['--depth-scale']), ['--depth-scale', 'nothing', '1000']),
    'no calibration': (NOTHING, dict(without=['--calib']), ['--calib', 'nothing']),
    'two inputs': (
        NOTHING,
        dict(more=['--points', 'a', '--sparse-depth', 'b']),
        ['--points', 'one of them'],
    ),
    'an unknown placeholder': (NOTHING, {'images': '{city}/x.png'}, ['--images', '{city}']),
    'a placeholder too many': (
        NOTHING,
        {'semantic': 'gtFine/{split}/{name}_gtFine_labelIds.png'},
        ['--images', '{scene}', '{name}, {split}, which --semantic has'],
    ),
    'no split': (NOTHING, {'semantic': '{scene}/{name}.png'}, ['--semantic', '--lists']),
    'a pattern that finds nothing': (
        NOTHING,
        {'semantic': 'labels/{split}/{scene}/{name}.png'},
        ['--semantic', 'no file', 'labels/{split}'],
    ),
    'a split without frames': (
        NOTHING,
        dict(more=['--splits', 'train', 'test']),
        ['--splits', 'test', 'train, val'],
    ),
    'no depth of a frame': (drop('depth'), {}, ['aachen_000000_000000_depth.png', 'no such file']),
    'no file of a kind': (
        NOTHING,
        {'calib': '{scene}.json'},
        ['aachen.json', '3 files are missing'],
    ),
    'a frame in two lists': (
        lambda: [text(f'{s}.txt', 'aachen/x\n')() for s in ('train', 'val')],
        LISTS,
        ['val.txt: line 1', 'aachen/x', 'line 1 of train.txt'],
    ),
    'a frame without its scene': (
        text('train.txt', 'x'),
        LISTS,
        ['train.txt: line 1', 'scene/name'],
    ),
    'a frame of a list that is not there': (
        text('train.txt', 'aachen/x'),
        LISTS,
        ['aachen/x_leftImg8bit.png', 'no such file'],
    ),
    'an empty list': (text('train.txt', '\n'), LISTS, ['--lists', 'no list with a frame']),
    'an image cut off': (cut('images', 70), {}, ['leftImg8bit.png', 'a PNG that breaks off']),
    'labels in colors': (
        put('semantic', np.ones((*SIZE, 3), np.uint8)),
        {},
        ['labelIds.png', 'PNG with pixels RGB', 'gray or palette'],
    ),
    'labels of another size': (
        put('semantic', np.full((6, 9), 7, np.uint8)),
        {},
        ['labelIds.png', '(6, 9)', '(6, 8)'],
    ),
    'labels cut off': (cut('semantic', 70), {}, ['labelIds.png', 'breaks off']),
    'no PNG': (cut('instances', 4), {}, ['instanceIds.png', 'cannot be decoded']),
    'depth of 8 bits': (put('depth', np.ones(SIZE, np.uint8)), {}, ['depth.png', 'uint16']),
    'depth of another size': (
        put('depth', np.ones((3, 4), np.uint16)),
        {},
        ['depth.png', '(3, 4)', '(6, 8)'],
    ),
    'a lens without fy': (calib(dict(intrinsic=dict(fx=1))), {}, ['camera.json', 'intrinsic']),
    'a camera of another size': (
        calib(dict(cam2img=street.K, image_size=[16, 12])),
        {},
        ['camera.json', 'images of 16x12 pixels', '8x6'],
    ),
    'a camera of another size that it does not state': (
        calib(dict(intrinsic=dict(fx=90, fy=95, u0=35, v0=25))),
        {},
        ['camera.json', 'principal point (35.0, 25.0)', '8x6'],
    ),
    'points without the place of the LiDAR': (
        two_clouds,
        POINTS,
        ['aachen_000000_000000_camera.json', 'no lidar2cam'],
    ),
    'a density of percents': (NOTHING, dict(more=['--sparse-density', '5']), ['--sparse-density']),
    'an invalid value that no PNG holds': (
        NOTHING,
        dict(more=['--depth-invalid', '65536']),
        ['--depth-invalid', '65536', '0 to 65535'],
    ),
    'a name that YAML reads as a number': (
        spoil_classes(sky=dict(name=3)),
        {},
        ['class 11.name', 'found 3', 'in quotes'],
    ),
    'the data where the run writes': (
        lambda: Path('street/depth').rename('street/gt_depth_map'),
        {'gt-depth': 'gt_depth_map/{split}/{scene}/{name}_depth.png', 'out': 'street'},
        ['--out', 'street, of which gt_depth_map/train/aachen', 'a folder of its own'],
    ),
    'too deep for the files': (NOTHING, dict(more=['--max-depth', '300']), ['--max-depth', '255']),
}
# known only while working
LATE = {
    'ids of no class': (
        put('semantic', np.full(SIZE, 3, np.uint8)),
        {},
        ['labelIds.png', 'the ids [3]', 'none of them of a class'],
    ),
    'classes and instances swapped': (
        NOTHING,
        {
            'semantic': 'gtFine/{split}/{scene}/{name}_gtFine_instanceIds.png',
            'instances': 'gtFine/{split}/{scene}/{name}_gtFine_labelIds.png',
        },
        ['instanceIds.png', 'the ids [24000, 24001', 'class * 1000 + number', '--instances'],
    ),
    'millimeters as meters': (
        NOTHING,
        {'depth-scale': '1'},
        ['street: sparse_pixels', '0 in all 3 frames', '--depth-scale is the units per meter'],
    ),
    'input and ground truth swapped': (
        sparse_maps,
        {'more': ['--sparse-depth', DENSE], 'gt-depth': '{scene}.npy'},
        SWAPPED,
    ),
    'input and ground truth swapped, and a sparse sample': (
        sparse_maps,
        {'more': ['--sparse-depth', DENSE, '--sparse-density', '0.05'], 'gt-depth': '{scene}.npy'},
        SWAPPED,
    ),
    'an image broken inside': (corrupt('images'), {}, ['leftImg8bit.png', 'cannot be decoded']),
}


@pytest.mark.parametrize('name', [*CASES, *LATE])
def test_bad_input(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    make_street(Path('street'))
    write_classes(Path('street_classes.yaml'))
    spoil, changes, parts = {**CASES, **LATE}[name]
    spoil()
    changes = dict(changes)
    assert semantic_instance.main(command(*changes.pop('more', ()), **changes)) == 2
    err = capsys.readouterr().err
    if name in LATE:  # after the bar
        err = err.strip().splitlines()[-1]
    assert err.startswith('error: ') and len(err.strip().splitlines()) == 1, err
    for part in [*parts, 'found', 'expected']:
        assert part in err, err
    if name in LATE:
        assert not list(Path('data/street/annotations').glob('*'))
        assert not list(Path('data/street').rglob('.*.png'))
    else:
        assert not Path('data').exists()


@pytest.mark.parametrize('divisor', [True, False])
def test_depth_is_no_instances(tmp_path, monkeypatch, capsys, divisor):
    """Each value of depth would be an instance of a pixel or few."""
    monkeypatch.chdir(tmp_path)
    make_street(Path('street'), scale=8)
    write_classes(Path('street_classes.yaml'))
    words = command(without=[] if divisor else ['--instance-divisor'], instances=DENSE)
    assert semantic_instance.main(words) == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert 'error: street/depth/train/aachen/aachen_000000_000000_depth.png: found ' in err
    assert ' values in 3072 pixels, as of a depth map; expected numbers of instances, at ' in err
    assert not list(Path('data').rglob('*.png')) and not Path('data/street/annotations').exists()


def test_a_thing_of_id_0_needs_class_images(tmp_path, monkeypatch, capsys):
    """Of class * N + number it could not be told from pixels without an instance."""
    monkeypatch.chdir(tmp_path)
    make_street(Path('street'))
    classes = [dict(name='car', id=0, isthing=1), dict(name='sky', id=23, isthing=0)]
    Path('street_classes.yaml').write_text(yaml.safe_dump(classes))
    assert semantic_instance.main(command(without=['--semantic'])) == 2
    assert 'a thing with the id 0' in capsys.readouterr().err
    assert semantic_instance.main(command()) == 0
