"""The processes of a launcher that share work without a Runner."""

import datetime
import os
import subprocess
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import distributed

from pandepth_mm.errors import InputError

LAUNCHERS = ('none', 'pytorch', 'slurm')
_NEEDED = dict(
    pytorch=('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_NODELIST'),
)
_TIMEOUT = datetime.timedelta(days=7)  # the first to finish waits for the last
_PORT = '29500'  # torch's


class Ranks(NamedTuple):
    """This process among those of the launcher.

    Attributes:
        rank: Its number; 0 prints and writes what there is once.
        count: Of all.
        device: Of its own where there are GPUs, 'cuda:1' say; None where torch may choose.
    """

    rank: int = 0
    count: int = 1
    device: str | None = None

    def share(self, items: Sequence) -> Sequence:
        """Every ``count``-th of the items, which all processes must have in one order."""
        return items[self.rank :: self.count]

    def from_first(self, value: Any) -> Any:
        """What process 0 has; the others wait for it."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def collect(self, value: Any) -> list:
        """What all processes have, by their number; all wait for the last one."""
        if self.count == 1:
            return [value]
        values = [None] * self.count
        distributed.all_gather_object(values, value)
        return values


def join_ranks(launcher: str) -> Ranks:
    """Join the processes that a launcher has started; they talk over gloo, on any machine.

    Args:
        launcher: One of ``LAUNCHERS``; 'none' is a process alone.

    Raises:
        InputError: The launcher's environment is missing.
    """
    if launcher == 'none':
        return Ranks()
    for name in _NEEDED[launcher]:
        if name not in os.environ:
            raise InputError(
                '--launcher', f'{launcher}, and no {name} in the environment', 'its launcher'
            )
    if launcher == 'slurm':
        _from_slurm()
    if not distributed.is_initialized():
        distributed.init_process_group('gloo', timeout=_TIMEOUT)
    gpus = torch.cuda.device_count()
    device = f'cuda:{int(os.environ.get("LOCAL_RANK", 0)) % gpus}' if gpus else None
    return Ranks(distributed.get_rank(), distributed.get_world_size(), device)


def _from_slurm() -> None:
    """Tell torch what Slurm says; the first node of the job is where the processes meet."""
    for name, source in (('RANK', 'PROCID'), ('WORLD_SIZE', 'NTASKS'), ('LOCAL_RANK', 'LOCALID')):
        os.environ[name] = os.environ[f'SLURM_{source}']
    os.environ.setdefault('MASTER_PORT', _PORT)
    if 'MASTER_ADDR' not in os.environ:
        nodes = subprocess.run(
            ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
            capture_output=True,
            text=True,
            check=True,
        )
        os.environ['MASTER_ADDR'] = nodes.stdout.split()[0]
