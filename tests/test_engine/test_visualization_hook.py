"""The hook in mmengine's test and validation loops, and in two processes."""

import cv2
import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from visual_samples import META, SKY, make_image, make_sample

from pandepth_mm.engine.hooks.visualization_hook import PanDepthVisualizationHook
from pandepth_mm.errors import InputError
from pandepth_mm.structures.frame_names import ambiguous_names, frame_name
from pandepth_mm.visualization.frame import PanDepthVisualizer

SIZE = (32, 100)


def meta(scene=None, number=0, img_id=0, **kwargs):
    """Metainfo of a frame; as the data set gives it where scene is set."""
    origin = dict(variation='clone', camera=0) if scene else {}
    return (
        dict(
            img_path=f'root/{scene}/clone/frames/rgb/Camera_0/rgb_{number:05d}.jpg',
            img_id=img_id,
            scene=scene,
            frame=number if scene else None,
            **origin,
        )
        | kwargs
    )


def test_equal_basenames_of_two_scenes_get_two_names():
    names = [frame_name(meta(scene), set()) for scene in ('Scene01', 'Scene02')]
    assert names == ['Scene01_clone_Camera_0_00000', 'Scene02_clone_Camera_0_00000']
    assert frame_name(meta('S', camera='Camera_1', variation='a/b')) == 'S_a-b_Camera_1_00000_id0'


def test_frames_without_origin_are_named_by_folder_or_id():
    one = dict(img_path='/data/left/0001.png', img_id=3)
    two = dict(img_path='/data/right/0001.png', img_id=4)
    assert frame_name(one, ambiguous_names([one, two])) == 'left_0001'
    # the same folder and name further up: the id tells them apart
    three = dict(img_path='/more/left/0001.png', img_id=5)
    ambiguous = ambiguous_names([one, two, three])
    assert [frame_name(m, ambiguous) for m in (one, two, three)] == [
        'left_0001_id3',
        'right_0001',
        'left_0001_id5',
    ]
    assert frame_name(one) == 'left_0001_id3'  # the others are not known


def test_same_origin_in_all_records_is_told_apart():
    metas = [meta('kitti', 0, img_id=i) for i in range(3)]
    names = {frame_name(m, ambiguous_names(metas)) for m in metas}
    assert len(names) == 3


@pytest.mark.parametrize('key', ['interval', 'test_interval'])
def test_intervals_are_checked(key):
    with pytest.raises(InputError, match=key):
        PanDepthVisualizationHook(**{key: 0})


class FrameDataset(torch.utils.data.Dataset):
    """Frames of two scenes with equal basenames."""

    metainfo = META

    def __init__(self, root):
        self.infos = []
        for i in range(5):
            info = meta(f'Scene{i % 2:02d}', number=i // 2, img_id=i)
            path = root / info['img_path']
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), make_image(*SIZE, seed=i))
            self.infos.append(info | dict(img_path=str(path)))

    def __len__(self):
        return len(self.infos)

    def get_data_info(self, index):
        return self.infos[index]

    def __getitem__(self, index):
        return dict(inputs=torch.zeros(1), data_samples=make_sample(*SIZE, **self.infos[index]))


class EchoModel(BaseModel):
    """Gives the data samples back, predictions and all."""

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return data_samples


class NoMetric(BaseMetric):
    """Counts frames."""

    def process(self, data_batch, data_samples):
        self.results.extend([1] * len(data_samples))

    def compute_metrics(self, results):
        return dict(frames=len(results))


def make_runner(tmp_path, name, **hook):
    loader = dict(
        dataset=FrameDataset(tmp_path),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )
    return Runner(
        EchoModel(),
        work_dir=str(tmp_path / 'work'),
        experiment_name=name,
        test_dataloader=loader,
        test_cfg=dict(),
        test_evaluator=[NoMetric()],
        val_dataloader=dict(loader),
        val_cfg=dict(),
        val_evaluator=[NoMetric()],
        default_hooks=dict(visualization=dict(type='PanDepthVisualizationHook', **hook)),
        visualizer=dict(type='PanDepthVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
        default_scope='pandepth_mm',
    )


def test_every_tested_frame_gets_a_file(tmp_path):
    out = tmp_path / 'pictures'
    runner = make_runner(tmp_path, 'files', draw=True, test_out_dir=str(out))
    metrics = runner.test()
    assert metrics == dict(frames=5)
    files = sorted(p.name for p in out.iterdir())
    assert files == [
        'Scene00_clone_Camera_0_00000.png',
        'Scene00_clone_Camera_0_00001.png',
        'Scene00_clone_Camera_0_00002.png',
        'Scene01_clone_Camera_0_00000.png',
        'Scene01_clone_Camera_0_00001.png',
    ]
    pictures = [cv2.imread(str(out / name)) for name in files]
    assert {p.shape for p in pictures} == {pictures[0].shape}
    # the frames differ, so none was drawn twice
    assert len({p.tobytes() for p in pictures}) == 5
    assert not list((tmp_path / 'work').rglob('vis_image'))
    # a second test overwrites, it does not nest
    runner.test()
    assert sorted(p.name for p in out.rglob('*')) == files


def test_test_interval(tmp_path):
    out = tmp_path / 'pictures'
    make_runner(tmp_path, 'interval', draw=True, test_interval=2, test_out_dir=str(out)).test()
    # frames 0, 2 and 4 of the data set are those of Scene00
    assert [p.name[:7] for p in out.iterdir()] == ['Scene00'] * 3


def test_validation_sends_the_same_frames_to_the_backends(tmp_path):
    runner = make_runner(tmp_path, 'val', draw=True, interval=2, draw_gt=False)
    runner.val()
    runner.val()
    images = sorted(p.name for p in (tmp_path / 'work').rglob('*.png'))
    # batches 0 and 2 of 3, their first frames: 0 and 4
    assert images == [
        'val_Scene00_clone_Camera_0_00000_0.png',
        'val_Scene00_clone_Camera_0_00002_0.png',
    ]


def test_nothing_is_drawn_unless_asked(tmp_path):
    runner = make_runner(tmp_path, 'off')
    runner.test()
    assert not list((tmp_path / 'work').rglob('*.png'))


def test_an_image_that_cannot_be_decoded(tmp_path):
    runner = make_runner(tmp_path, 'broken', draw=True, test_out_dir=str(tmp_path / 'out'))
    path = runner.test_loop.dataloader.dataset.infos[0]['img_path']
    with open(path, 'w') as f:
        f.write('no image')
    with pytest.raises(InputError, match='rgb_00000.jpg.*decoded'):
        runner.test()


# not Virtual KITTI's colors, which are the fallback
OTHER_PALETTE = [(10 * i, 7, 9) for i in range(len(META['classes']))]


def _draw_on_rank(rank, folder):
    """Draw the frames of one of two processes."""
    from types import SimpleNamespace

    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/init', rank=rank, world_size=2
    )
    visualizer = PanDepthVisualizer(
        vis_backends=[dict(type='mmengine.LocalVisBackend')], save_dir=f'{folder}/backend_{rank}'
    )
    visualizer.dataset_meta = dict(META, palette=OTHER_PALETTE)
    runner = SimpleNamespace(visualizer=visualizer, iter=0)
    hook = PanDepthVisualizationHook(draw=True, test_out_dir=f'{folder}/pictures')
    hook._ambiguous = set()
    infos = [meta('S', number, img_path=f'{folder}/{number}.png') for number in (rank, 2 + rank)]
    samples = [make_sample(*SIZE, **info) for info in infos]
    hook.after_test_iter(runner, 0, {}, samples)
    hook.after_val_iter(runner, 0, {}, samples)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_each_process_writes_its_frames(tmp_path):
    for number in range(4):
        cv2.imwrite(str(tmp_path / f'{number}.png'), make_image(*SIZE))
    # fork: two fresh interpreters would import for long
    mp.start_processes(_draw_on_rank, args=(str(tmp_path),), nprocs=2, start_method='fork')
    files = sorted(p.name for p in (tmp_path / 'pictures').iterdir())
    assert files == [f'S_clone_Camera_0_{i:05d}.png' for i in range(4)]
    # both processes knew the classes
    sky = np.array(OTHER_PALETTE[SKY][::-1])
    for name in files:
        picture = cv2.imread(str(tmp_path / 'pictures' / name))
        assert (picture == sky).all(-1).sum() > 1000
    # backends belong to the first process
    assert list((tmp_path / 'backend_0').rglob('val_*.png'))
    assert not list(tmp_path.glob('backend_1/**/*.png'))
