"""The Virtual KITTI 2 converter on hand-made frames."""

import hashlib

import numpy as np
import pytest
from pycocotools.coco import COCO
from vkitti2_frames import (
    EXPECTED_SEGMENTS,
    INTRINSIC_HEADER,
    LAYOUTS,
    class_image,
    load,
    make_frame,
    make_root,
    quiet,
    save,
    save_palette,
    source,
    track_image,
    tree,
)

from pandepth_mm.converters.vkitti2 import main
from pandepth_mm.converters.vkitti2.labels import decode_classes, panoptic_ids
from pandepth_mm.converters.vkitti2.reader import read_intrinsics
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, read_panoptic_png
from pandepth_mm.geometry.sampling import frame_seed, sample_depth
from pandepth_mm.structures.annotations import segments_of
from pandepth_mm.structures.vkitti2_meta import CLASSES


def segments(ids):
    """Segments without the masks of things."""
    return segments_of(ids, lambda value: value & 255, ())


def test_segments_by_hand():
    ids, odd = panoptic_ids(decode_classes(class_image()), track_image())
    assert segments(ids) == EXPECTED_SEGMENTS
    assert ids[2, 6] == 0, 'a truck pixel without a track is void'
    assert ids[3, 6] == 0 and ids[4, 7] == 0, 'undefined is void'
    assert odd == dict(
        orphan_pixels=1, mixed_tracks=0, stuff_pixels_in_tracks=0, classless_tracks=0
    )


def test_track_of_several_classes():
    """Most thing pixels win; a pixel of stuff keeps its class."""
    ids, odd = panoptic_ids(decode_classes(class_image(['CVVRS.'])), track_image(['333333']))
    assert segments(ids) == [
        dict(id=5, category_id=5, area=1, bbox=[4, 0, 1, 1], iscrowd=0),
        dict(id=9, category_id=9, area=1, bbox=[3, 0, 1, 1], iscrowd=0),
        dict(id=1027, category_id=3, area=3, bbox=[0, 0, 3, 1], iscrowd=0),
    ]
    assert (odd['mixed_tracks'], odd['stuff_pixels_in_tracks']) == (1, 3)


def test_instance_without_a_class():
    classes = decode_classes(class_image(['RRSC']))
    tracks = track_image(['55.1'])
    with pytest.raises(InputError) as e:
        panoptic_ids(classes, tracks, 'i.png')
    for part in ('i.png', 'trackID 5', '2 pixel', 'Road', 'Truck, Car, Van'):
        assert part in str(e.value)
    ids, odd = panoptic_ids(classes, tracks, classless='ignore')
    assert ids.tolist() == [[9, 9, 5, 2 + 256 * 2]]
    assert odd['classless_tracks'] == 1


def test_sixteen_bit_tracks_fit():
    """The largest track of a 16-bit image still has an id of 24 bits."""
    tracks = np.array([[65535, 65534, 0]], np.uint16)
    ids, _ = panoptic_ids(np.array([[3, 1, 14]], np.uint8), tracks)
    assert ids.max() < 1 << 24
    assert [s['category_id'] for s in segments(ids)] == [14, 1, 3]


def test_segments_equal_brute_force():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 15, (40, 50))
    tracks = np.where((classes > 0) & (classes < 4), rng.integers(0, 6, classes.shape), 0)
    ids, _ = panoptic_ids(classes, tracks)
    found = {s['id']: s for s in segments(ids)}
    owners = {}  # the pixels of each segment, by plain loops
    for (y, x), c in np.ndenumerate(classes):
        if c > 3:
            owners.setdefault(('stuff', c), []).append((x, y))
        elif c > 0 and tracks[y, x] > 0:
            owners.setdefault(('thing', tracks[y, x]), []).append((x, y, c))
    assert len(found) == len(owners)
    for (kind, key), pixels in owners.items():
        if kind == 'stuff':
            category, segment = key, found[key]
        else:
            per_class = [sum(p[2] == c for p in pixels) for c in (1, 2, 3)]
            category = per_class.index(max(per_class)) + 1
            segment = found[category + 256 * key]
        xs, ys = [p[0] for p in pixels], [p[1] for p in pixels]
        assert segment['category_id'] == category
        assert segment['area'] == len(pixels)
        assert segment['bbox'] == [min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1]
        assert all(ids[p[1], p[0]] == segment['id'] for p in pixels)


def test_sample_counts_and_range():
    depth = np.zeros((100, 120), np.float32)
    depth[10:] = np.random.default_rng(0).uniform(1, 80, (90, 120))
    sampled = sample_depth(depth, 0.05, seed=1)
    assert np.count_nonzero(sampled) == 600  # of the image, not of the valid
    assert (sampled[sampled > 0] == depth[sampled > 0]).all()
    assert np.count_nonzero(sample_depth(depth, 0.95, seed=1)) == 90 * 120
    assert np.count_nonzero(sample_depth(depth, 0.0, seed=1)) == 0
    assert not sample_depth(np.zeros_like(depth), 0.2, seed=1).any()


def test_draws_are_uniform():
    """Each of 200 pixels is sampled about 300 of 3000 times."""
    depth = np.ones((10, 20), np.float32)
    hits = sum(sample_depth(depth, 0.1, frame_seed(i)) for i in range(3000))
    assert hits.sum() == 3000 * 20
    # binomial(3000, 0.1): standard deviation 16.4
    assert abs(hits - 300).max() < 5 * 16.4
    assert 12 < hits.std() < 21


def test_seed_is_the_same_everywhere():
    assert frame_seed(0, 'Scene01') == int(hashlib.sha256(b'0/Scene01').hexdigest()[:32], 16)
    sampled = sample_depth(np.ones((2, 8), np.float32), 0.25, seed=7)
    # where the four smallest of PCG64(7)'s raw numbers are, recorded once
    assert np.flatnonzero(sampled).tolist() == [3, 6, 11, 12]


def test_outputs(tmp_path):
    make_root(tmp_path / 'in')
    out = tmp_path / 'out'
    summary = quiet(tmp_path / 'in', out)
    assert summary.frames == dict(train=12, val=4, test=4)
    assert (summary.reused, summary.counts['orphan_pixels']) == (0, 20)

    ids = []
    for split, scenes in dict(
        train={'Scene01', 'Scene06', 'Scene20'}, val={'Scene18'}, test={'Scene02'}
    ).items():
        panoptic, coco = load(out, split), load(out, split, 'instances')
        assert {i['scene'] for i in panoptic['images']} == scenes
        assert panoptic['images'] == coco['images']
        ids += [i['id'] for i in panoptic['images']]
        assert [(c['id'], c['name'], c['isthing']) for c in panoptic['categories']] == [
            (i + 1, n, int(i < 3)) for i, n in enumerate(CLASSES)
        ]
        assert coco['categories'] == panoptic['categories'][:3]
        assert panoptic['info']['data_root'] == str(tmp_path / 'in')
        for image, ann in zip(panoptic['images'], panoptic['annotations'], strict=True):
            assert image['id'] == ann['image_id']
            assert ann['segments_info'] == EXPECTED_SEGMENTS
            read_panoptic_png(out / 'panoptic' / ann['file_name'], (6, 8))
            for key in ('sparse_depth', 'gt_depth_map'):
                assert image[f'{key}_scale'] == 256
                read_depth_png(out / image[f'{key}_file'], 256, (6, 8))
            assert (tmp_path / 'in' / image['file_name']).is_file()
            read_depth_png(tmp_path / 'in' / image['dense_depth_file'], 100, (6, 8))
            assert (image['dense_depth_scale'], image['camera']) == (100, 0)
            assert image['cam2img'] == [[10 + image['frame'], 0, 3.5], [0, 11, 2.5], [0, 0, 1]]
    assert len(set(ids)) == 20

    coco = COCO(out / 'annotations' / 'instances_val.json')
    (first, second) = coco.loadAnns(coco.getAnnIds(coco.getImgIds()[0]))
    assert np.argwhere(coco.annToMask(first)).tolist() == [
        [y, x] for y in (2, 3) for x in (0, 1, 2, 4, 5)
    ]
    assert (first['area'], first['bbox'], first['category_id'], first['track_id']) == (
        10,
        [0, 2, 6, 2],
        2,
        0,
    )
    assert (second['area'], second['category_id']) == (1, 3)


def test_depth_files(tmp_path):
    """Range, encoding, densities; samples independent of each other."""
    raw = np.random.default_rng(0).integers(100, 8000, (60, 80)).astype(np.uint16)
    raw[0], raw[1], raw[2], raw[3], raw[4] = 65535, 0, 8001, 8000, 1
    for variation in ('clone', 'fog'):
        make_frame(tmp_path / 'in', variation=variation, scale=10, depth=raw)
    out = tmp_path / 'out'
    summary = quiet(tmp_path / 'in', out)
    assert summary.counts['sparse_pixels'] / summary.counts['pixels'] == 0.05
    assert summary.counts['gt_pixels'] / summary.counts['pixels'] == 0.2
    depth = raw / 100
    maps = {}
    for image in load(out)['images']:
        for key, count in (('sparse_depth', 240), ('gt_depth_map', 960)):
            got = read_depth_png(out / image[f'{key}_file'], 256)
            on = got > 0
            assert on.sum() == count
            assert not on[:3].any(), 'sky, none and beyond 80 m'
            assert on[3:5].any(), 'exactly 80 m and 1 cm are in range'
            # 1 cm is 2.56 units: exact to half a unit
            assert abs(got - depth)[on].max() <= 0.5 / 256 + 1e-6
            maps[image['variation'], key] = on
    # of 57 * 80 valid pixels; hypergeometric, standard deviation 6
    overlap = (maps['clone', 'sparse_depth'] & maps['clone', 'gt_depth_map']).sum()
    assert abs(overlap - 240 * 960 / 4560) < 30
    again = (maps['clone', 'sparse_depth'] & maps['fog', 'sparse_depth']).sum()
    assert abs(again - 240 * 240 / 4560) < 18

    quiet(
        tmp_path / 'in',
        out,
        overwrite=True,
        max_depth=20,
        seed=3,
        sparse_density=0.1,
        gt_density=0.5,
    )
    for image in load(out)['images']:
        got = read_depth_png(out / image['gt_depth_map_file'], 256)
        # fewer are valid than asked for: all of them
        assert ((got > 0) == ((depth > 0) & (depth <= 20))).all()
        got = read_depth_png(out / image['sparse_depth_file'], 256)
        assert (got > 0).sum() == 480
    assert load(out)['info']['max_depth'] == 20


def test_layouts_give_equal_annotations(tmp_path):
    results = {}
    for layout in LAYOUTS:
        root = tmp_path / layout
        for scene in ('Scene01', 'Scene18'):
            make_frame(root, scene, 'rain', 7, layout)
        quiet(root, tmp_path / 'out' / layout)
        files = tree(tmp_path / 'out' / layout)
        pngs = {k: v for k, v in files.items() if k.endswith('.png')}
        annotations = [
            load(tmp_path / 'out' / layout, split, kind)
            for split in ('train', 'val')
            for kind in ('panoptic', 'instances')
        ]
        for annotation in annotations:
            del annotation['info']['data_root']
            for image in annotation['images']:
                assert (root / image.pop('file_name')).is_file()
                assert (root / image.pop('dense_depth_file')).is_file()
        results[layout] = pngs, annotations
    assert len(results['merged'][0]) == 6
    for layout in LAYOUTS:
        assert results[layout] == results['merged'], layout


def test_same_bytes_for_any_number_of_workers(tmp_path):
    make_root(tmp_path / 'in', frames=1)
    quiet(tmp_path / 'in', tmp_path / 'one')
    quiet(tmp_path / 'in', tmp_path / 'two', workers=2)
    one, two = tree(tmp_path / 'one'), tree(tmp_path / 'two')
    assert one == two
    # options, 6 JSON, and 3 PNG and a cache entry for each of the 10 frames
    assert len(one) == 1 + 6 + 10 * 4


def test_subset_options(tmp_path):
    make_root(tmp_path / 'in')
    summary = quiet(
        tmp_path / 'in',
        tmp_path / 'out',
        train_scenes=['Scene02'],
        val_scenes=['Scene20'],
        test_scenes=[],
        variations=['fog'],
    )
    assert summary.frames == dict(train=2, val=2, test=0)
    panoptic = load(tmp_path / 'out')
    assert {(i['scene'], i['variation']) for i in panoptic['images']} == {('Scene02', 'fog')}
    assert not (tmp_path / 'out/annotations/panoptic_test.json').exists()
    # a split made later in the same folder leaves the others alone
    quiet(
        tmp_path / 'in', tmp_path / 'out', train_scenes=[], val_scenes=[], test_scenes=['Scene01']
    )
    assert load(tmp_path / 'out') == panoptic
    assert len(load(tmp_path / 'out', 'test')['images']) == 4


def test_only_one_scene_downloaded(tmp_path, caplog):
    make_frame(tmp_path / 'in', 'Scene06', 'sunset', 3)
    summary = quiet(tmp_path / 'in', tmp_path / 'out')
    assert summary.frames == dict(train=1, val=0, test=0)
    assert 'Scene18 (val) is not in' in caplog.text
    assert 'val has no frames' in caplog.text
    assert 'Scene06 has no clone' in caplog.text
    assert sorted(p.name for p in (tmp_path / 'out/annotations').iterdir()) == [
        'instances_train.json',
        'panoptic_train.json',
    ]


def test_other_variations_are_named(tmp_path, caplog):
    for variation in ('15-deg-left', '30-deg-right'):
        make_frame(tmp_path / 'in', 'Scene06', variation)
    wanted = (
        r'without clone, .*, but with 15-deg-left, 30-deg-right; .* --variations 15-deg-left 30'
    )
    for given in ({}, dict(train_scenes=['Scene06'])):
        with pytest.raises(InputError, match=wanted):
            quiet(tmp_path / 'in', tmp_path / 'out', **given)
    assert 'Scene06 (train) has only 15-deg-left, 30-deg-right, left out' in caplog.text
    with pytest.raises(InputError, match='Scene06 without fog, but with 15-deg-left'):
        quiet(tmp_path / 'in', tmp_path / 'out', variations=['fog', '15-deg-left'])
    assert not (tmp_path / 'out').exists()
    summary = quiet(tmp_path / 'in', tmp_path / 'out', variations=['15-deg-left'])
    assert summary.frames == dict(train=1, val=0, test=0)


def test_intrinsics_with_a_byte_order_mark(tmp_path):
    path = tmp_path / 'intrinsic.txt'
    path.write_text(f'{INTRINSIC_HEADER}0 0 3 4 1 2\n', encoding='utf-8-sig')
    assert read_intrinsics(path) == {(0, 0): [[3, 0, 1], [0, 4, 2], [0, 0, 1]]}


def test_frame_without_things(tmp_path):
    make_frame(tmp_path)
    path = source(tmp_path, 'classes')
    save(path, class_image(['SSSSSSSS'] * 6))
    save_palette(source(tmp_path, 'instances'), np.zeros((6, 8), np.uint8))
    assert quiet(tmp_path, tmp_path / 'out').counts['without_things'] == 1
    assert load(tmp_path / 'out', kind='instances')['annotations'] == []
    assert len(load(tmp_path / 'out')['annotations'][0]['segments_info']) == 1


def test_two_shards_merged_are_one_run(tmp_path, capsys):
    root, whole, parts = make_root(tmp_path / 'in'), tmp_path / 'whole', tmp_path / 'parts'
    quiet(root, whole)
    flags = [str(root), '--out', str(parts), '--workers', '1', '--num-shards', '2']
    assert main([*flags, '--shard-index', '1']) == 0
    assert main([*flags, '--merge']) == 2
    assert '10 of 20 frames not converted' in capsys.readouterr().err
    assert main([*flags, '--shard-index', '0']) == 0
    assert 'annotations in' not in capsys.readouterr().out
    assert main([*flags, '--merge']) == 0
    assert f'annotations in {parts}' in capsys.readouterr().out
    assert tree(parts) == tree(whole)
