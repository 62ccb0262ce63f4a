"""The Virtual KITTI 2 converter, stopped and started again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vkitti2_frames import (
    CLASS_ROWS,
    SCRIPT,
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

from pandepth_mm.errors import InputError


def test_resume_redoes_only_what_is_needed(tmp_path):
    root, out = make_root(tmp_path / 'in'), tmp_path / 'out'
    quiet(root, out)
    before = tree(out)
    name = 'Scene01/clone/Camera_0/0000{}.png'
    (out / 'sparse_depth' / name.format(0)).unlink()
    (out / 'panoptic' / name.format(1)).write_bytes(b'cut off')
    leftover = out / 'gt_depth_map' / 'Scene01/.00001.abc_1234.png'
    leftover.write_bytes(b'of a killed process')
    os.utime(source(root, 'rgb', 'Scene18'), (1, 1))  # "replaced" source
    kept = out / 'gt_depth_map/Scene20/clone/Camera_0/00000.png'
    stamp = kept.stat().st_mtime_ns
    summary = quiet(root, out)
    assert summary.reused == 17
    after = tree(out)
    changed = {k for k in before.keys() | after if before.get(k) != after.get(k)}
    assert changed == {'.vkitti2/frames/Scene18/clone/Camera_0/00000.json'}
    assert kept.stat().st_mtime_ns == stamp


def test_changed_source_is_read_again(tmp_path):
    make_frame(tmp_path / 'in')
    quiet(tmp_path / 'in', tmp_path / 'out')
    rows = ('MMMMMMMM',) + CLASS_ROWS[1:]
    save(source(tmp_path / 'in', 'classes'), class_image(rows))
    quiet(tmp_path / 'in', tmp_path / 'out')
    areas = {
        s['category_id']: s['area']
        for s in load(tmp_path / 'out')['annotations'][0]['segments_info']
    }
    assert areas == {5: 7, 9: 15, 13: 3, 14: 8, 2: 10, 3: 1}


def test_other_options_do_not_mix(tmp_path):
    make_frame(tmp_path / 'in')
    quiet(tmp_path / 'in', tmp_path / 'out')
    before = tree(tmp_path / 'out')
    with pytest.raises(InputError) as e:
        quiet(tmp_path / 'in', tmp_path / 'out', seed=5)
    assert 'seed: found 0; expected 5' in str(e.value)
    assert '--overwrite' in str(e.value)
    assert tree(tmp_path / 'out') == before
    quiet(tmp_path / 'in', tmp_path / 'out', overwrite=True, seed=5)
    assert load(tmp_path / 'out')['info']['seed'] == 5
    changed = {k for k, v in tree(tmp_path / 'out').items() if before[k] != v}
    assert any(k.startswith('gt_depth_map') for k in changed)
    assert not any(k.startswith('panoptic/') for k in changed)


def test_failed_frame_leaves_no_annotations(tmp_path):
    """A bad frame stops the run; the flag lets it go on from there."""
    root, out = make_root(tmp_path / 'in'), tmp_path / 'out'
    quiet(root, out)
    tracks = track_image()
    tracks[5, 5] = 99
    save_palette(source(root, 'instances', 'Scene06', 'fog', 1), tracks)
    # a second frame to do, so that two workers start
    os.utime(source(root, 'rgb', 'Scene20', 'fog', 1), (1, 1))
    for workers in (1, 2):
        with pytest.raises(InputError, match='trackID 98'):
            quiet(root, out, workers=workers)
        assert not (out / 'annotations/panoptic_train.json').exists()
        assert (out / 'annotations/panoptic_val.json').exists()
    summary = quiet(root, out, classless='ignore')
    assert summary.counts['classless_tracks'] == 1 and summary.reused >= 18
    with pytest.raises(InputError, match='trackID 98'):
        quiet(root, out)


def start_script(root, out):
    # a shell that runs the tests in the background lets them ignore SIGINT, and a child would
    # inherit that
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), str(root), '--out', str(out), '--workers', '2'],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ, OMP_NUM_THREADS='1'),
        )
    finally:
        signal.signal(signal.SIGINT, before)


def children(pid):
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rsplit(')', 1)[1].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[1]) == pid and fields[0] != 'Z':
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize('how', ['SIGKILL', 'SIGINT'])
@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='no /proc')
def test_stop_and_start_again(tmp_path, how):
    root, out = tmp_path / 'in', tmp_path / 'out'
    make_root(root, scale=50)
    process = start_script(root, out)
    workers = []
    # names with a dot are files not yet complete
    while len(list(out.rglob('.vkitti2/frames/**/[!.]*.json'))) < 3:
        assert process.poll() is None, process.communicate()
        workers = children(process.pid)
        time.sleep(0.02)
    process.send_signal(getattr(signal, how))
    _, err = process.communicate(timeout=30)
    assert not list(out.rglob('annotations/*.json'))
    if how == 'SIGINT':
        assert process.returncode == 130, err
        assert 'goes on from here' in err and 'Traceback' not in err
        assert not [p for p in out.rglob('.*') if p.is_file()]
    assert len(workers) >= 2
    deadline = time.time() + 10
    while any(Path(f'/proc/{pid}').exists() for pid in workers):
        assert time.time() < deadline, 'workers outlive their parent'
        time.sleep(0.05)

    summary = quiet(root, out)
    assert 3 <= summary.reused < 20
    quiet(root, tmp_path / 'fresh')
    assert tree(out) == tree(tmp_path / 'fresh')
