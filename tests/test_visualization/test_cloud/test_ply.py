"""The PLY file, as other programs read it."""

import numpy as np
import pytest
import trimesh
from cloud_samples import CAM2IMG, CLASSES, make_cloud
from plyfile import PlyData

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.camera import project
from pandepth_mm.visualization.cloud.ply import write_ply


def test_trimesh_reads_positions_and_colors(tmp_path):
    cloud = make_cloud()
    write_ply(tmp_path / 'new' / 'cloud.ply', cloud, CLASSES)
    read = trimesh.load(tmp_path / 'new' / 'cloud.ply')
    assert isinstance(read, trimesh.PointCloud)
    uv, _ = project(read.vertices, CAM2IMG)
    np.testing.assert_allclose(uv, cloud.pixels[:, ::-1], atol=1e-3)
    np.testing.assert_array_equal(read.colors[:, :3], cloud.rgb)


def test_header_and_labels(tmp_path):
    cloud = make_cloud()
    write_ply(tmp_path / 'cloud.ply', cloud, ('Road', 'Straße\n2'))
    head = (tmp_path / 'cloud.ply').read_bytes().split(b'end_header\n')[0]
    assert head.decode('ascii').splitlines() == [
        'ply',
        'format binary_little_endian 1.0',
        'comment meters, camera frame: x right, y down, z forward',
        'comment class 0 Road',
        r'comment class 1 Stra\xdfe\n2',
        'comment class 2 void',
        f'element vertex {len(cloud.xyz)}',
        'property float x',
        'property float y',
        'property float z',
        'property uchar red',
        'property uchar green',
        'property uchar blue',
        'property int class',
        'property int instance',
    ]
    vertex = PlyData.read(tmp_path / 'cloud.ply')['vertex']
    np.testing.assert_array_equal(vertex['class'], cloud.labels)
    np.testing.assert_array_equal(vertex['instance'], cloud.instances)
    np.testing.assert_array_equal(vertex['z'], cloud.xyz[:, 2])


def test_the_uncertainty_is_the_last_property(tmp_path):
    cloud = make_cloud()
    uncertainty = np.linspace(0.01, 0.3, len(cloud.xyz), dtype=np.float32)
    for name, written in (('a', cloud), ('b', cloud._replace(depth_uncertainty=uncertainty))):
        write_ply(tmp_path / f'{name}.ply', written, CLASSES)
    plain, uncertain = (PlyData.read(tmp_path / f'{name}.ply')['vertex'] for name in 'ab')
    names = [p.name for p in plain.properties]
    assert [p.name for p in uncertain.properties] == [*names, 'depth_uncertainty']
    np.testing.assert_array_equal(uncertain['depth_uncertainty'], uncertainty)
    for name in names:
        np.testing.assert_array_equal(uncertain[name], plain[name])
    np.testing.assert_array_equal(trimesh.load(tmp_path / 'b.ply').vertices, cloud.xyz)


def test_empty_cloud_is_a_file_of_no_points(tmp_path):
    cloud = make_cloud()
    write_ply(tmp_path / 'cloud.ply', cloud.select(np.s_[:0]), CLASSES)
    assert PlyData.read(tmp_path / 'cloud.ply')['vertex'].count == 0


def test_bad_input_is_named(tmp_path):
    cloud = make_cloud()
    with pytest.raises(InputError, match='^classes: found 1 names'):
        write_ply(tmp_path / 'cloud.ply', cloud, CLASSES[:1])
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').write_text('mine')
    for path in (tmp_path / 'folder', tmp_path / 'file' / 'cloud.ply'):
        with pytest.raises(InputError, match='cannot be written'):
            write_ply(path, cloud, CLASSES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['file', 'folder']
