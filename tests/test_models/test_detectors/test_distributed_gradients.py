"""Two gloo processes give the mean of two single-sample gradients."""

import socket
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from random_batch import random_batch
from torch import distributed as dist
from torch import multiprocessing as mp

from pandepth_mm.registry import MODELS, set_default_scope

MINI = Path(__file__).parents[3] / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'


def build():
    set_default_scope()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = MODELS.build(Config.fromfile(MINI).model)
    model.init_weights()
    # batch statistics would differ between one image and two
    return model.eval()


def backward(model, run, seed):
    """Gradients of one sample; RPN and RoI samplers use its seed."""
    data = model.data_preprocessor(random_batch((seed,)), training=True)
    torch.manual_seed(seed)
    loss, _ = model.parse_losses(run(**data, mode='loss'))
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters()}


def worker(rank, port, out):
    model = build()
    dist.init_process_group('gloo', f'tcp://127.0.0.1:{port}', world_size=2, rank=rank)
    wrapped = MMDistributedDataParallel(model, device_ids=None)
    grads = backward(model, wrapped, seed=rank)
    if rank == 0:
        torch.save(grads, out)
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_average_the_gradients(tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    mp.spawn(worker, args=(port, tmp_path / 'grads.pth'), nprocs=2)
    together = torch.load(tmp_path / 'grads.pth')

    single = []
    for seed in (0, 1):
        model = build()
        single.append(backward(model, model, seed))
    assert together.keys() == single[0].keys()
    for name, grad in together.items():
        mean = (single[0][name] + single[1][name]) / 2
        torch.testing.assert_close(grad, mean, rtol=1e-4, atol=1e-4)
    assert any((single[0][n] - single[1][n]).abs().max() > 1e-2 for n in together)
