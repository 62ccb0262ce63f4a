"""The Virtual KITTI 2 converter and bad input."""

import shutil

import cv2
import numpy as np
import pytest
from vkitti2_frames import (
    INTRINSIC_HEADER,
    class_image,
    make_frame,
    save,
    save_palette,
    source,
    track_image,
)

from pandepth_mm.converters import vkitti2


def no_frames(root):
    shutil.rmtree(root)
    root.mkdir()
    (root / 'Scene01').mkdir()
    return ['no frames', 'SceneXX/VARIATION/frames/rgb']


def no_root(root):
    shutil.rmtree(root)
    return [str(root), 'no such folder']


def missing_png(root):
    source(root, 'classes', number=1).unlink()
    return ['classgt_00001.png', 'no such file']


def missing_two(root):
    for number in (0, 1):
        source(root, 'rgb', number=number).unlink()
    return ['rgb_00000.jpg', '2 such files']


def missing_modality(root):
    shutil.rmtree(root / 'Scene01/clone/frames/depth')
    return ['Scene01/clone/frames/depth/Camera_0', 'no such folder']


def unknown_color(root):
    image = class_image()
    image[4, 2] = (1, 2, 3)
    save(source(root, 'classes', number=1), image)
    return ['classgt_00001.png', '(1, 2, 3)', 'row 4, column 2']


def classless(root):
    tracks = track_image()
    tracks[5, 5] = 99
    save_palette(source(root, 'instances'), tracks)
    return ['instancegt_00000.png', 'trackID 98', 'Road', 'thing class']


def eight_bit_depth(root):
    save(source(root, 'depth'), np.ones((6, 8), np.uint8))
    return ['depth_00000.png', '8-bit gray', '16-bit gray']


def color_depth(root):
    save(source(root, 'depth'), np.ones((6, 8, 3), np.uint8))
    return ['depth_00000.png', '8-bit RGB', '16-bit gray']


def depth_of_other_size(root):
    cv2.imwrite(str(source(root, 'depth', number=1)), np.ones((6, 9), np.uint16))
    return ['depth_00001.png', '(6, 9)', '(6, 8)']


def depth_cut_off(root):
    path = source(root, 'depth')
    path.write_bytes(path.read_bytes()[:60])
    return ['depth_00000.png', 'cannot be decoded']


def classes_cut_off(root):
    path = source(root, 'classes')
    path.write_bytes(path.read_bytes()[:60])
    return ['classgt_00000.png', 'cannot be decoded']


def empty_rgb(root):
    source(root, 'rgb').write_bytes(b'')
    return ['rgb_00000.jpg', 'cannot be read']


def no_png(root):
    source(root, 'instances').write_bytes(b'GIF89a')
    return ['instancegt_00000.png', 'not a PNG']


def palette_lost(root):
    save(source(root, 'instances'), class_image())
    return ['instancegt_00000.png', '8-bit RGB', 'palette']


def no_intrinsics(root):
    (root / 'Scene01/clone/intrinsic.txt').unlink()
    return ['rgb_00000.jpg', '(6, 8)', 'intrinsic.txt', '(375, 1242)']


def intrinsics_header(root):
    (root / 'Scene01/clone/intrinsic.txt').write_text('fx fy\n1 2\n')
    return ['intrinsic.txt', 'line 1', 'fx fy', 'frame cameraID']


def intrinsics_row(root):
    path = root / 'Scene01/clone/intrinsic.txt'
    path.write_text(path.read_text().replace('1 0 11 11', '1 0 x 11'))
    return ['intrinsic.txt', 'line 4', '1 0 x 11 3.5 2.5']


def intrinsics_zero(root):
    path = root / 'Scene01/clone/intrinsic.txt'
    path.write_text(path.read_text().replace('1 0 11 11', '1 0 0 11'))
    return ['intrinsic.txt', 'line 4', 'fx > 0']


def intrinsics_short(root):
    (root / 'Scene01/clone/intrinsic.txt').write_text(INTRINSIC_HEADER + '0 0 1 1 1 1\n')
    return ['intrinsic.txt', 'frame 1 camera 0', 'no such row']


CONTENT_ERRORS = (unknown_color, classless, depth_cut_off, classes_cut_off)


@pytest.mark.parametrize(
    'spoil',
    [
        no_frames,
        no_root,
        missing_png,
        missing_two,
        missing_modality,
        unknown_color,
        classless,
        eight_bit_depth,
        color_depth,
        depth_of_other_size,
        depth_cut_off,
        classes_cut_off,
        empty_rgb,
        no_png,
        palette_lost,
        no_intrinsics,
        intrinsics_header,
        intrinsics_row,
        intrinsics_zero,
        intrinsics_short,
    ],
    ids=lambda f: f.__name__,
)
def test_bad_input(tmp_path, capsys, spoil):
    root, out = tmp_path / 'in', tmp_path / 'out'
    for number in (0, 1):
        make_frame(root, number=number)
    parts = spoil(root)
    code = vkitti2.main([str(root), '--out', str(out), '--workers', '1'])
    err = capsys.readouterr().err
    assert code == 2
    assert err.count('error: ') == 1 and 'Traceback' not in err
    for part in parts + ['found', 'expected']:
        assert part in err
    if spoil in CONTENT_ERRORS:  # known only while working
        assert not (out / 'annotations').exists()
        assert not [p for p in out.rglob('.*.png')]
    else:  # known before anything is written
        assert not out.exists()


@pytest.mark.parametrize(
    'flags, parts',
    [
        (['--train-scenes', 'Scene06'], ['no frames of Scene06', '--train-scenes']),
        (['--val-scenes', '1'], ['--val-scenes', 'Scene01', '--train-scenes']),
        (['--variations', 'clone', 'rain'], ['Scene01 without rain', '--variations']),
        (['--cameras', '1'], ['Camera_1', 'no such folder']),
        (['--max-depth', '0'], ['--max-depth', '0.0', '256.0 m']),
        (['--max-depth', '300'], ['--max-depth', '300.0', '256.0 m']),
        (['--sparse-density', '5'], ['--sparse-density', '5.0', '0 to 1']),
        (['--gt-density', '-0.1'], ['--gt-density', '0 to 1']),
        (['--workers', '0'], ['--workers', 'at least 1']),
    ],
    ids=lambda x: x[0] if x[0].startswith('--') else '',
)
def test_bad_flags(tmp_path, capsys, flags, parts):
    make_frame(tmp_path / 'in')
    out = tmp_path / 'out'
    args = [str(tmp_path / 'in'), '--out', str(out), '--workers', '1']
    assert vkitti2.main(args + flags) == 2
    err = capsys.readouterr().err
    for part in parts:
        assert part in err
    assert not out.exists()


def test_bad_out(tmp_path, capsys):
    make_frame(tmp_path / 'in')
    out = tmp_path / 'out'
    out.write_text('a file')
    assert vkitti2.main([str(tmp_path / 'in'), '--out', str(out)]) == 2
    assert 'found a file' in capsys.readouterr().err
    out.unlink()
    foreign = out / 'annotations' / 'panoptic_train.json'
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{}')
    assert vkitti2.main([str(tmp_path / 'in'), '--out', str(out)]) == 2
    assert '--overwrite' in capsys.readouterr().err
    assert foreign.read_text() == '{}'
