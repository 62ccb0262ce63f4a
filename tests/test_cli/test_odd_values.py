"""Values that people give to the commands by mistake: one line, exit code 2, nothing written."""

import json
import re
from pathlib import Path

import pytest
import torch
from tool_toy import ToyModel

from pandepth_mm.cli.main import main

LIGHT = 'pandepth_lite0_minivkitti_long'
WEIGHTS = str(Path(__file__).parents[2] / f'pandepth_mm/weights/{LIGHT}.pth')


def option(*values):
    return ['train', 'TOY', '--work-dir', 'DIR/work', '--cfg-options', *values]


TEST = ['test', 'TOY', 'CKPT', '--work-dir', 'DIR/work']
ONNX = ['export_onnx', LIGHT, WEIGHTS, '--out', 'DIR/m.onnx']
VKITTI = ['convert', 'vkitti2', 'DIR', '--out', 'DIR/out']
# arguments -> what the line says; TOY, CKPT, DIR and the files of `place` stand for their paths
ROWS = [
    # --cfg-options: how a value is written
    (option('train_cfg.max_epochs', '3'), "--cfg-options: found 'train_cfg.max_epochs'"),
    (option('param_scheduler=[dict(type="LinearLR",end=2)]'), 'param_scheduler: found'),
    (option('model=dict(type=ToyModel)'), "model: found 'dict(type=ToyModel)'"),
    (option('optim_wrapper.clip_grad={"max_norm":1}'), 'optim_wrapper.clip_grad: found'),
    (option('param_scheduler.1.milestones=[1,2'), "milestones: found '[1,2'"),
    (option('param_scheduler.1.milestones=(1'), "milestones: found '(1'"),
    (option('=3'), "--cfg-options: found ''"),
    # which key
    (option('trian_cfg.max_epochs=3'), '--cfg-options: found trian_cfg.max_epochs'),
    (option('loader.batch_size=3'), 'loader is a variable of the config file'),
    (option('max_epochs=3'), 'the key that it is copied to, such as train_cfg.max_epochs'),
    (option('param_scheduler.7.end=1'), '--cfg-options: found'),
    (option('param_scheduler.first=1'), '--cfg-options: found'),
    (option('log_level.x=3'), 'log_level.x'),
    (
        option('model.widht=3'),
        'model.widht: found an argument that ToyModel does not take; expected perhaps width',
    ),
    (option('train_dataloader.dataset.lenght=3'), 'train_dataloader.dataset.lenght: found'),
    (option('train_dataloader.num_wrokers=1'), 'num_wrokers: found an argument that DataLoader'),
    (
        option('optim_wrapper.optimizer.lrr=1'),
        'optim_wrapper.optimizer.lrr: found an argument '
        'that Adam does not take; expected perhaps lr',
    ),
    (option('param_scheduler.0.strat_factor=1'), 'param_scheduler.0.strat_factor: found'),
    (option('default_hooks.checkpoint.intreval=1'), 'default_hooks.checkpoint.intreval: found'),
    (option('train_cfg.max_epcohs=3'), 'train_cfg.max_epcohs: found'),
    (option('val_evaluator.prefx=a'), 'val_evaluator.prefx: found'),
    (option('model.=3'), 'model.: found'),
    # which value
    (option('model=3'), 'model: found 3; expected keys of it'),
    (option('train_dataloader=3'), 'train_dataloader: found 3'),
    (
        option('model.type=ToyModle'),
        "model.type: found 'ToyModle', which nothing is registered as; expected perhaps ToyModel",
    ),
    (option('optim_wrapper.optimizer.type=Adamm'), "optimizer.type: found 'Adamm'"),
    (option('custom_hooks.0.type=EMAHok'), "custom_hooks.0.type: found 'EMAHok'"),
    (option('val_evaluator.type=Nope'), "val_evaluator.type: found 'Nope'"),
    (option('train_dataloader.sampler.type=x'), "train_dataloader.sampler.type: found 'x'"),
    (option('default_hooks.logger.type=None'), 'type must be a str'),
    (option('visualizer.type=Nope'), "visualizer.type: found 'Nope'"),
    (option('train_dataloader.batch_size=two'), "train_dataloader.batch_size: found 'two'"),
    (option('train_dataloader.batch_size=0'), 'train_dataloader.batch_size: found 0'),
    (option('train_dataloader.batch_size=2.5'), 'train_dataloader.batch_size: found 2.5'),
    (option('val_dataloader.num_workers=-1'), 'val_dataloader.num_workers: found -1'),
    (option('train_cfg.max_epochs=many'), "train_cfg.max_epochs: found 'many'"),
    (option('train_cfg.max_epochs=0'), 'train_cfg.max_epochs: found 0'),
    (option('train_cfg.val_interval=0'), 'train_cfg.val_interval: found 0'),
    (option('train_cfg.by_epoch=maybe'), "train_cfg.by_epoch: found 'maybe'"),
    (option('optim_wrapper.optimizer.lr=fast'), "optim_wrapper.optimizer.lr: found 'fast'"),
    (option('optim_wrapper.optimizer.lr=-1'), 'optim_wrapper.optimizer.type: found'),
    (option('randomness.seed=abc'), "randomness.seed: found 'abc'"),
    (option('randomness.seed=-1'), 'randomness.seed: found -1'),
    (option('default_hooks.logger.interval=0'), 'interval must be greater than 0'),
    (option('log_level=LOUD'), "log_level: found 'LOUD'"),
    (option('load_from=DIR/none.pth'), 'none.pth: found no such file'),
    (option('train_dataloader=None'), 'should be either all None'),
    (option('optim_wrapper=None'), 'should be either all None'),
    (option('val_cfg=None'), 'should be either all None'),
    (option('default_scope=nowhere'), "model.type: found 'ToyModel'"),
    (option('custom_hooks=3'), 'custom_hooks'),
    # files, folders and launchers
    (['train', ''], 'found no such file'),
    (['train', 'DIR'], 'found a folder'),
    (['train', 'TEXT'], 'a config that mmengine can read'),
    (['train', 'EMPTY'], 'a config that mmengine can read'),
    (['train', 'TOY', '--work-dir', ''], '--work-dir: found an empty name'),
    (['train', 'TOY', '--work-dir', '/proc/wd'], '--work-dir: found /proc/wd'),
    (['train', 'TOY', '--work-dir', 'TEXT'], 'a file; expected a folder'),
    (['train', 'TOY', '--work-dir', 'TEXT/sub'], '--work-dir: found'),
    (['train', 'TOY', '--work-dir', 'DIR/work', '--resume', 'DIR'], '--resume: found'),
    (['train', 'TOY', '--work-dir', 'DIR/work', '--resume', ''], '--resume: found'),
    (['train', 'TOY', '--work-dir', 'DIR/work', '--resume', 'EMPTY'], 'EMPTY: found'),
    (['train', 'TOY', '--work-dir', 'DIR/work', '--launcher', 'pytorch'], 'no RANK'),
    (['train', 'TOY', '--work-dir', 'DIR/work', '--launcher', 'slurm'], 'no SLURM_PROCID'),
    (['train', 'TOY', '--work-dir', 'DIR/work', '--launcher', 'mpi'], 'no OMPI_COMM'),
    (['train', 'TOY', '--work-dir', 'DIR/work', '--auto-scale-lr'], 'base_batch_size'),
    (['test', 'TOY', ''], 'CKPT: found'),
    (['test', 'TOY', 'DIR'], 'a folder'),
    (['test', 'TOY', 'EMPTY', '--work-dir', 'DIR/work'], 'EMPTY: found a file that is no'),
    (['test', 'TOY', 'TEXT', '--work-dir', 'DIR/work'], 'TEXT: found a file that is no checkp'),
    (['test', 'TOY', 'HALF', '--work-dir', 'DIR/work'], 'HALF: found an unreadable file'),
    (['test', 'TOY', 'LINK', '--work-dir', 'DIR/work'], 'LINK, no such file'),
    ([*TEST, '--out', ''], '--out: found an empty name'),
    ([*TEST, '--out', 'DIR'], '--out: found'),
    ([*TEST, '--out', '/proc/m.json'], '--out: found /proc/m.json'),
    ([*TEST, '--out', 'TEXT/m.json'], '--out: found'),
    ([*TEST, '--figures', ''], '--figures: found an empty name'),
    ([*TEST, '--figures', '/proc/f'], '--figures: found /proc/f'),
    ([*TEST, '--show-dir', '/proc/f'], '--show-dir: found /proc/f'),
    ([*TEST, '--show-dir', 'TEXT'], '--show-dir: found'),
    ([*TEST, '--show-dir', ''], '--show-dir: found an empty name'),
    ([*TEST, '--format-only', '/proc/f'], '--format-only: found /proc/f'),
    ([*TEST, '--format-only', ''], '--format-only: found an empty name'),
    ([*TEST, '--format-only', 'DIR/pred'], 'a PanopticDepthDataset'),
    ([*TEST, '--heuristic-fusion'], '--heuristic-fusion: found'),
    # files of predictions
    (['eval_files', '', 'DIR'], 'found'),
    (['eval_files', 'DIR', 'DIR'], 'a folder; expected the annotation JSON'),
    (['eval_files', 'TEXT', 'DIR'], 'broken JSON'),
    (['eval_files', 'EMPTY', 'DIR'], 'broken JSON'),
    (['eval_files', 'LINK', 'DIR'], 'no such file'),
    (['eval_files', 'GT', ''], 'found'),
    (['eval_files', 'GT', 'DIR/none'], 'info.json: found no such file'),
    (['eval_files', 'GT', 'TEXT'], 'broken JSON'),
    (['eval_files', 'GT', 'GT'], 'found'),
    (['eval_files', 'GT', 'DIR', '--out', '/proc/m.json'], '--out: found /proc/m.json'),
    (['eval_files', 'GT', 'DIR', '--out', ''], '--out: found an empty name'),
    # publishing and exporting
    (['publish', ''], 'found no such file'),
    (['publish', 'DIR'], 'found a folder'),
    (['publish', 'EMPTY'], 'EMPTY: found'),
    (['publish', 'HALF'], 'HALF: found an unreadable file'),
    (['publish', 'CKPT', ''], 'out: found an empty name'),
    (['publish', 'CKPT', '/proc/w.pth'], 'out: found /proc/w.pth'),
    (['publish', 'CKPT', 'DIR/w.bin'], 'suffix'),
    (['export_onnx', 'none.py', 'CKPT', '--out', 'DIR/m.onnx'], 'none.py: found no such file'),
    (['export_onnx', LIGHT, 'EMPTY', '--out', 'DIR/m.onnx'], 'EMPTY: found'),
    (['export_onnx', LIGHT, '', '--out', 'DIR/m.onnx'], 'found'),
    (['export_onnx', LIGHT, 'CKPT', '--out', 'DIR/m.onnx'], 'weights of the model'),
    (['export_onnx', 'TOY', 'CKPT', '--out', 'DIR/m.onnx', '--size', '64x32'], 'PanDepth'),
    (['export_onnx', LIGHT, 'CKPT', '--out', ''], '--out: found'),
    (['export_onnx', LIGHT, 'CKPT', '--out', '/proc/m.onnx'], '--out: found /proc/m.onnx'),
    ([*ONNX, '--size', '0x32'], 'size: found 0x32'),
    ([*ONNX, '--size', ''], '--size'),
    ([*ONNX, '--points', '0'], 'points: found 0'),
    ([*ONNX, '--points', '-3'], 'points: found -3'),
    ([*ONNX, '--opset', '3'], 'opset: found 3'),
    ([*ONNX, '--tolerance', 'nan'], '--tolerance'),
    ([*ONNX, '--tolerance', '-1'], '--tolerance'),
    ([*ONNX, '--cfg-options', 'model.max_depth=far'], "model.max_depth: found 'far'"),
    ([*ONNX, '--cfg-options', 'model.max_dpeth=3'], 'max_dpeth'),
    # converting
    (['convert'], 'NAME: found nothing'),
    (['convert', ''], 'NAME: found'),
    (['convert', 'vkitti3'], 'NAME: found vkitti3'),
    (['convert', '..'], "NAME: found '..'"),
    (['convert', 'a/b'], "NAME: found 'a/b'"),
    (['convert', 'os'], 'NAME: found os without main'),
    (['convert', 'vkitti2', '', '--out', 'DIR/out'], 'found'),
    (['convert', 'vkitti2', 'TEXT', '--out', 'DIR/out'], 'TEXT: found no such folder'),
    (['convert', 'vkitti2', 'DIR', '--out', ''], '--out'),
    (['convert', 'vkitti2', 'DIR', '--out', 'TEXT'], 'TEXT: found a file'),
    ([*VKITTI, '--workers', '0'], '--workers: found 0'),
    ([*VKITTI, '--num-shards', '-1'], '--num-shards: found -1'),
    ([*VKITTI, '--shard-index', '4'], '--shard-index: found 4'),
    ([*VKITTI, '--max-depth', 'nan'], '--max-depth: found nan'),
    ([*VKITTI, '--sparse-density', '2'], '--sparse-density: found 2'),
    ([*VKITTI, '--train-scenes', '1'], 'no frames of Scene01'),
    (VKITTI, 'found no frames'),
    # videos, and no command at all
    (['video', 'DIR/none', '--out', 'DIR/v.gif'], 'found'),
    (['video', 'DIR', '--out', 'DIR/v.gif'], 'found'),
    (['video', 'TEXT', '--out', 'DIR/v.gif'], 'found'),
    ([''], 'found'),
    (['trian'], "found 'trian'"),
    ([], 'found no command'),
]


@pytest.fixture
def place(toy_config, tmp_path):
    """Files that the arguments name: name -> path."""
    folder = tmp_path / 'folder'
    folder.mkdir()
    paths = dict(DIR=folder, TOY=toy_config)
    for name in ('CKPT', 'EMPTY', 'TEXT', 'HALF', 'LINK', 'GT'):
        paths[name] = tmp_path / name
    torch.save(dict(state_dict=ToyModel().state_dict()), paths['CKPT'])
    paths['EMPTY'].write_bytes(b'')
    paths['TEXT'].write_text('some words')
    paths['HALF'].write_bytes(paths['CKPT'].read_bytes()[:700])
    paths['LINK'].symlink_to(tmp_path / 'gone')
    image = dict(id=1, file_name='a.png', width=4, height=3, sparse_depth_file='s.png')
    image['cam2img'] = [[2, 0, 1.5], [0, 2, 1], [0, 0, 1]]
    categories = [dict(id=1, name='car', isthing=1)]
    paths['GT'].write_text(json.dumps(dict(categories=categories, images=[image], annotations=[])))
    return paths


def fill(text, paths):
    return re.sub(rf'\b({"|".join(paths)})\b', lambda m: str(paths[m[0]]), text)


@pytest.mark.parametrize('argv, message', ROWS, ids=[' '.join(row[0])[-60:] for row in ROWS])
def test_one_line(argv, message, place, tmp_path, capsys, fresh_loading, monkeypatch):
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_LOCAL_RANK'):
        monkeypatch.delenv(name, raising=False)
    before = sorted(path for path in tmp_path.rglob('*'))
    with pytest.raises(SystemExit) as error:
        main([fill(arg, place) for arg in argv])
    lines = capsys.readouterr().err.strip().splitlines()
    assert error.value.code == 2
    assert lines[-1].startswith('error: ') and message in lines[-1], lines[-1]
    assert sum('error' in line.lower() for line in lines) == 1
    after = [
        p for p in tmp_path.rglob('*') if 'work' not in p.parts and '__pycache__' not in p.parts
    ]
    assert sorted(after) == before
    assert not [p for p in tmp_path.rglob('*') if p.suffix in ('.pth', '.onnx')]
