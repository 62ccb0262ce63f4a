"""The synthetic set: its files, its geometry, and that it is worth it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('embreex', reason='the ray caster is not installed')
pytest.importorskip('trimesh', reason='trimesh is not installed')

import trimesh  # noqa: E402

from pandepth_mm.structures.vkitti2_meta import (
    CLASS_COLORS,
    CLASSES,  # noqa: E402
    SPLIT_SCENES,
    THING_CLASSES,
    VARIATIONS,
)
from scenes import camera, command, render, writer  # noqa: E402
from scenes.jobs import synthesize  # noqa: E402
from scenes.layout import SCENES, Scene  # noqa: E402
from scenes.placing import Faces  # noqa: E402

FRAMES, SIZE = 7, (208, 64)


def tree_hash(folder: Path) -> dict:
    """Digest of every file below a folder."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob('*'))
        if p.is_file()
    }


@pytest.fixture(scope='module')
def full_set(tmp_path_factory) -> Path:
    """All scenes and variations, small."""
    out = tmp_path_factory.mktemp('full')
    synthesize(out, FRAMES, SIZE, 0, workers=1, progress=False)
    return out


@pytest.fixture(scope='module')
def small_set(tmp_path_factory) -> Path:
    """One scene, two variations, one process."""
    out = tmp_path_factory.mktemp('small') / 'set'
    synthesize(out, 3, (96, 32), 5, 1, ('Scene06',), ('clone', 'rain'), progress=False)
    return out


def read(folder: Path, kind: str, frame: int) -> np.ndarray:
    with Image.open(writer.image_path(folder, kind, frame)) as image:
        return np.array(image)


def read_labels(folder: Path, frame: int) -> np.ndarray:
    """Label map of a class image; fails on a color that is no class."""
    rgb = read(folder, 'classes', frame).astype(int)
    out = np.full(rgb.shape[:2], -1)
    for i, name in enumerate(CLASSES):
        out[(rgb == CLASS_COLORS[name]).all(-1)] = i
    assert out.min() >= 0
    return out


def folders(root: Path, variation='clone'):
    return [root / s / variation for s in SCENES]


def table(path: Path) -> list:
    """Rows of a text file as dicts of strings."""
    head, *rows = path.read_text().splitlines()
    names = head.split(' ')
    cells = [r.split(' ') for r in rows]
    assert all(len(c) == len(names) for c in cells)
    return [dict(zip(names, c, strict=True)) for c in cells]


# -- files ------------------------------------------------------------------


def test_layout_and_encodings(full_set):
    for scene in SCENES:
        for variation in VARIATIONS:
            base = full_set / scene / variation
            for frame in range(FRAMES):
                f = base / 'frames'
                for name, form, mode in (
                    (f'rgb/Camera_0/rgb_{frame:05d}.jpg', 'JPEG', 'RGB'),
                    (f'depth/Camera_0/depth_{frame:05d}.png', 'PNG', 'I;16'),
                    (f'classSegmentation/Camera_0/classgt_{frame:05d}.png', 'PNG', 'RGB'),
                    (f'instanceSegmentation/Camera_0/instancegt_{frame:05d}.png', 'PNG', 'P'),
                ):
                    with Image.open(f / name) as image:
                        assert image.format == form
                        assert image.mode == mode
                        assert image.size == SIZE
            names = {p.name for p in base.glob('*.txt')}
            assert names == {
                'colors.txt',
                'intrinsic.txt',
                'extrinsic.txt',
                'info.txt',
                'bbox.txt',
                'pose.txt',
            }


def test_text_headers_and_intrinsics(full_set):
    base = full_set / 'Scene02' / 'fog'
    first = {p.stem: p.read_text().splitlines()[:2] for p in base.glob('*.txt')}
    assert first['intrinsic'][0] == ('frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]')
    assert first['extrinsic'][0].startswith('frame cameraID r1,1 r1,2 r1,3 ')
    assert first['extrinsic'][0].endswith(' t3 0 0 0 1')
    assert first['info'][0] == 'trackID label model color'
    assert first['bbox'][0] == (
        'frame cameraID trackID left right top bottom number_pixels '
        'truncation_ratio occupancy_ratio isMoving'
    )
    assert first['colors'] == ['Category r g b', 'Truck 160 60 60']
    k = [float(x) for x in first['intrinsic'][1].split()]
    f = 725.0087 * SIZE[0] / 1242
    assert k == pytest.approx([0, 0, f, f, 103.5, 31.5])


def test_labels_agree_with_each_other(full_set):
    """One ray makes all labels: sky, depth, class and track fit."""
    for base in folders(full_set):
        label_of = {int(r['trackID']): r['label'] for r in table(base / 'info.txt')}
        for frame in range(FRAMES):
            depth = read(base, 'depth', frame)
            labels = read_labels(base, frame)
            track = read(base, 'instances', frame).astype(int) - 1
            sky = labels == CLASSES.index('Sky')
            assert ((depth == 65535) == sky).all()
            assert depth.min() > 0
            assert ((track >= 0) == (labels < len(THING_CLASSES))).all()
            for i in np.unique(track[track >= 0]):
                assert {CLASSES[x] for x in np.unique(labels[track == i])} == {label_of[i]}


def test_boxes_are_those_of_the_pixels(full_set):
    base = full_set / 'Scene06' / 'clone'
    rows = table(base / 'bbox.txt')
    seen = set()
    for r in rows:
        frame, i = int(r['frame']), int(r['trackID'])
        seen.add((frame, i))
        v, u = np.nonzero(read(base, 'instances', frame) == i + 1)
        assert [int(r[k]) for k in ('left', 'right', 'top', 'bottom', 'number_pixels')] == [
            u.min(),
            u.max(),
            v.min(),
            v.max(),
            len(u),
        ]
        assert 0 <= float(r['truncation_ratio']) <= 1
        assert r['isMoving'] in ('True', 'False')
    assert seen == {
        (f, i - 1) for f in range(FRAMES) for i in np.unique(read(base, 'instances', f)) if i
    }
    assert {(int(r['frame']), int(r['trackID'])) for r in table(base / 'pose.txt')} == seen


def test_variations_change_the_picture_only(full_set):
    for scene in SCENES:
        first = full_set / scene / VARIATIONS[0]
        for other in VARIATIONS[1:]:
            base = full_set / scene / other
            for frame in range(FRAMES):
                for kind in ('depth', 'classes', 'instances'):
                    assert (
                        writer.image_path(base, kind, frame).read_bytes()
                        == writer.image_path(first, kind, frame).read_bytes()
                    )
                assert (
                    np.abs(read(base, 'rgb', frame).astype(int) - read(first, 'rgb', frame)).mean()
                    > 4
                )
            for name in writer.HEADERS:
                assert (base / f'{name}.txt').read_bytes() == (first / f'{name}.txt').read_bytes()


# -- geometry ---------------------------------------------------------------


def solid(vertices, faces, label='Misc') -> render.Solid:
    v = np.asarray(vertices, np.float32)[np.asarray(faces)]
    n = len(v)
    return render.Solid(
        Faces(
            v,
            v * 0 + 1,
            v,
            np.zeros(n, np.int32),
            np.full(n, CLASSES.index(label), np.uint8),
            np.full(n, -1, np.int16),
        )
    )


def test_depth_of_plane_and_sphere():
    """z-depth through pixel centers, against closed forms."""
    k = camera.intrinsics(311, 94)
    pose = camera.Pose(np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), np.array([0.0, 0, 1.6]))
    d = camera.rays(k, pose).reshape(94, 311, 3)
    u, v = np.meshgrid(np.arange(311), np.arange(94))
    # camera x right = world -y, camera y down = world -z
    assert np.allclose(d[..., 0], 1)
    assert np.allclose(d[..., 1], -(u - 155) / (725.0087 * 311 / 1242))
    assert np.allclose(d[..., 2], -(v - 46.5) / (725.0087 * 311 / 1242))
    far = 600.0
    plane = solid(
        [[-far, -far, 0], [far, -far, 0], [far, far, 0], [-far, far, 0]],
        [[0, 1, 2], [0, 2, 3]],
        'Road',
    )
    ball = trimesh.creation.icosphere(subdivisions=5, radius=2.0)
    center = np.array([15.0, 1.0, 2.5])
    sphere = solid(ball.vertices + center, ball.faces)
    got = render.trace([plane, sphere], np.zeros(1, int), pose.center, d.reshape(-1, 3))
    depth, label = (x.reshape(94, 311) for x in (got.depth, got.label))
    with np.errstate(divide='ignore'):
        want = np.where(d[..., 2] < 0, -1.6 / d[..., 2], np.inf)
    want[want > 590] = np.inf
    oc = pose.center - center
    a, b = (d * d).sum(-1), (d * oc).sum(-1)
    disc = b * b - a * (oc @ oc - 4)
    hit = disc > 0.05 * a  # away from the faceted rim
    t = (-b - np.sqrt(np.maximum(disc, 0))) / a
    road = label == CLASSES.index('Road')
    assert road.sum() > 8000
    assert np.allclose(depth[road], want[road], rtol=1e-6)
    assert (label[hit] == CLASSES.index('Misc')).all()
    assert hit.sum() > 900
    assert np.abs(depth - t)[hit].max() < 0.02
    sky = ~np.isfinite(depth)
    assert sky.any() and (label[sky] == CLASSES.index('Sky')).all()


def test_road_lies_where_the_files_say(full_set):
    """Depth, intrinsic.txt and extrinsic.txt lead back to the road."""
    base = full_set / 'Scene20' / 'clone'
    road = Scene('Scene20', 0).road
    s = np.arange(-20, 320, 0.05)
    x, y, _, height = road.frame(s)
    for frame in (0, FRAMES - 2):
        k = [float(v) for v in list(table(base / 'intrinsic.txt')[frame].values())[2:]]
        m = np.array(
            [
                float(v)
                for v in (base / 'extrinsic.txt').read_text().splitlines()[1 + frame].split()[2:]
            ]
        ).reshape(4, 4)
        assert np.allclose(m[:3, :3] @ m[:3, :3].T, np.eye(3), atol=1e-8)
        assert np.linalg.det(m[:3, :3]) == pytest.approx(1)
        depth = read(base, 'depth', frame) / 100.0
        v, u = np.nonzero((read_labels(base, frame) == CLASSES.index('Road')) & (depth < 40))
        assert len(u) > 1000
        z = depth[v, u]
        points = np.stack([(u - k[2]) / k[0] * z, (v - k[3]) / k[1] * z, z])
        east, down, north = np.linalg.inv(m[:3, :3]) @ (points - m[:3, 3:])
        # nearest point of the axis
        i = np.array(
            [np.argmin((x - e) ** 2 + (y - n) ** 2) for e, n in zip(east, north, strict=True)]
        )
        error = -down - height[i]
        assert np.abs(error).max() < 0.05
        across = np.hypot(east - x[i], north - y[i])
        near_side = across < road.half + 0.1
        assert near_side.mean() > 0.8  # the rest are side roads


def test_moving_track_keeps_its_id(full_set):
    base = full_set / 'Scene20' / 'clone'
    moving = {r['trackID'] for r in table(base / 'bbox.txt') if r['isMoving'] == 'True'}
    frames = {
        i: {r['frame'] for r in table(base / 'bbox.txt') if r['trackID'] == i} for i in moving
    }
    assert max(len(f) for f in frames.values()) >= FRAMES // 2
    info = table(base / 'info.txt')
    assert [int(r['trackID']) for r in info] == list(range(len(info)))


# -- same bytes -------------------------------------------------------------


def test_same_bytes_with_other_worker_counts(small_set, tmp_path):
    synthesize(tmp_path, 3, (96, 32), 5, 2, ('Scene06',), ('clone', 'rain'), progress=False)
    assert tree_hash(tmp_path) == tree_hash(small_set)


def test_seed_changes_the_scene(small_set, tmp_path):
    synthesize(tmp_path, 1, (96, 32), 6, 1, ('Scene06',), ('clone',), progress=False)
    a = read(tmp_path / 'Scene06/clone', 'depth', 0)
    assert (a != read(small_set / 'Scene06/clone', 'depth', 0)).mean() > 0.2


def test_goes_on_where_it_stopped(small_set):
    before = tree_hash(small_set)
    base = small_set / 'Scene06' / 'rain'
    gone = [
        writer.image_path(base, 'depth', 0),
        writer.image_path(base, 'rgb', 2),
        base / 'bbox.txt',
    ]
    kept = writer.image_path(base, 'rgb', 1)
    stamp = kept.stat().st_mtime_ns
    for path in gone:
        path.unlink()
    args = (small_set, 3, (96, 32), 5, 1, ('Scene06',), ('clone', 'rain'), False)
    assert synthesize(*args) == 2
    assert tree_hash(small_set) == before
    assert kept.stat().st_mtime_ns == stamp
    assert synthesize(*args) == 0


def test_more_variations_can_be_added(small_set, tmp_path):
    synthesize(tmp_path, 3, (96, 32), 5, 1, ('Scene06',), ('rain',), progress=False)
    assert (
        synthesize(tmp_path, 3, (96, 32), 5, 1, ('Scene06',), ('clone', 'rain'), progress=False)
        == 3
    )
    assert tree_hash(tmp_path) == tree_hash(small_set)


# -- worth training on ------------------------------------------------------


def test_every_class_in_every_split(full_set):
    for split, scenes in SPLIT_SCENES.items():
        share = []
        for scene in scenes:
            for frame in range(FRAMES):
                labels = read_labels(full_set / scene / 'clone', frame)
                share.append(np.bincount(labels.ravel(), minlength=14) >= 8)
        share = np.mean(share, 0)
        poor = {c: round(float(x), 2) for c, x in zip(CLASSES, share, strict=True) if x < 0.25}
        assert not poor, (split, poor)


def test_depth_reaches_far_and_some_frames_hold_no_thing(full_set):
    empty = 0
    for base in folders(full_set):
        depth = np.stack([read(base, 'depth', f) for f in range(FRAMES)])
        true = depth[depth < 65535] / 100.0
        assert true.min() < 8 and (true > 80).mean() > 0.005
        empty += sum(read(base, 'instances', f).max() == 0 for f in range(FRAMES))
    assert 0 < empty <= FRAMES


def test_objects_hide_each_other(full_set):
    """Some boxes overlap, and a mask is cut by another object's."""
    pairs = 0
    for base in folders(full_set):
        rows = table(base / 'bbox.txt')
        for a in rows:
            for b in rows:
                pairs += (
                    a['frame'] == b['frame']
                    and int(a['trackID']) < int(b['trackID'])
                    and int(a['left']) < int(b['right'])
                    and int(b['left']) < int(a['right'])
                    and int(a['top']) < int(b['bottom'])
                    and int(b['top']) < int(a['bottom'])
                )
    assert pairs > 20


def test_color_and_row_do_not_tell_the_classes(full_set):
    """A per-pixel classifier on RGB and row stays under 0.35 mIoU."""
    forest = pytest.importorskip('sklearn.ensemble')
    rng = np.random.default_rng(0)

    def pixels(scenes, count):
        x, y = [], []
        for scene in scenes:
            for variation in VARIATIONS:
                base = full_set / scene / variation
                for frame in range(FRAMES):
                    labels = read_labels(base, frame)
                    row = np.indices(labels.shape)[0][..., None]
                    data = np.concatenate([read(base, 'rgb', frame), row], -1)
                    at = rng.integers(0, labels.size, count)
                    x.append(data.reshape(-1, 4)[at])
                    y.append(labels.ravel()[at])
        return np.concatenate(x), np.concatenate(y)

    x, y = pixels(SPLIT_SCENES['train'], 300)
    tx, ty = pixels(SPLIT_SCENES['test'], 500)
    for weight in (None, 'balanced'):
        model = forest.RandomForestClassifier(
            25, min_samples_leaf=4, class_weight=weight, random_state=0
        )
        guess = model.fit(x, y).predict(tx)
        iou = [
            ((guess == c) & (ty == c)).sum() / ((guess == c) | (ty == c)).sum() for c in range(14)
        ]
        assert 0.08 < np.mean(iou) < 0.35


# -- bad input --------------------------------------------------------------


@pytest.mark.parametrize(
    'extra, words',
    [
        (['--size', '416'], ('--size', '416', 'WxH')),
        (['--size', '0x64'], ('--size', '0x64')),
        (['--size', '96x1e2'], ('--size', '96x1e2')),
        (['--frames', '0'], ('--frames', '0', 'at least 1')),
        (['--seed', '-1'], ('--seed', '-1')),
        (['--workers', '0'], ('--workers',)),
        (['--scenes', 'Scene03'], ('--scenes', 'Scene03', 'Scene01')),
        (['--variations', 'snow'], ('--variations', 'snow', 'fog')),
    ],
)
def test_bad_flags(tmp_path, capsys, extra, words):
    out = tmp_path / 'new'
    assert command.main([str(out), '--frames', '2', '--size', '96x32', *extra]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith('error: ') and '\n' not in said
    assert all(w in said for w in words)
    assert not out.exists()


def test_out_is_a_file(tmp_path, capsys):
    out = tmp_path / 'file'
    out.write_text('x')
    assert command.main([str(out), '--frames', '2']) == 2
    assert 'a file' in capsys.readouterr().err
    assert out.read_text() == 'x'


def test_other_parameters_are_not_mixed(small_set, capsys):
    before = tree_hash(small_set)
    for extra, word in (
        (['--size', '96x40', '--frames', '3', '--seed', '5'], 'height'),
        (['--size', '96x32', '--frames', '4', '--seed', '5'], 'frames'),
        (['--size', '96x32', '--frames', '3', '--seed', '6'], 'seed'),
    ):
        assert command.main([str(small_set), *extra]) == 2
        assert f'synthesis.json: {word}: found' in capsys.readouterr().err
    assert tree_hash(small_set) == before


def test_foreign_scenes_are_left_alone(tmp_path, capsys):
    (tmp_path / 'Scene01').mkdir()
    assert command.main([str(tmp_path), '--frames', '2']) == 2
    assert 'Scene01' in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['Scene01']


def test_runs_as_a_program(tmp_path):
    """From another folder, without PYTHONPATH."""
    script = Path(__file__).parents[2] / 'data_converters' / 'synthesize_vkitti2.py'
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    done = subprocess.run(
        [
            sys.executable,
            script,
            'set',
            '--frames',
            '1',
            '--size',
            '64x32',
            '--workers',
            '1',
            '--scenes',
            'Scene06',
            '--variations',
            'fog',
        ],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / 'set/synthesis.json').read_text())
    assert made['width'] == 64 and made['frames'] == 1
    assert (tmp_path / 'set/Scene06/fog/frames/rgb/Camera_0/rgb_00000.jpg').is_file()
