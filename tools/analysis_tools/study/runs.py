"""Training and testing of one variant with one seed, in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pandepth_mm.engine.checkpoint import read_checkpoint, write_weights
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_json, write_json
from study.models.separate_backbones import merge_weights
from study.variants import VARIANTS, Settings, digest, run_config

SPLITS = ('val', 'test')


class Run(NamedTuple):
    """One training of a variant.

    Attributes:
        variant: Its name.
        seed: Random seed.
    """

    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder and its results."""
        return f'{self.variant}_seed{self.seed}'


class Places(NamedTuple):
    """Where things lie.

    Attributes:
        data_root: The data set.
        work_dir: Configs, logs and checkpoints.
        out: The results.
    """

    data_root: Path
    work_dir: Path
    out: Path


def result_file(run: Run, out: Path) -> Path:
    """Where the results of a run are."""
    return out / f'{run.name}.json'


def stamp(run: Run, settings: Settings) -> dict:
    """What results must have in common with a run to be its own."""
    return dict(
        variant=run.variant,
        seed=run.seed,
        settings=settings._asdict() | dict(config=digest(run.variant, settings)),
    )


def is_complete(run: Run, settings: Settings, out: Path) -> bool:
    """Whether a run has its results.

    Raises:
        InputError: There are some of other settings.
    """
    path = result_file(run, out)
    if not path.exists():
        return False
    data, wanted = read_json(path), stamp(run, settings)
    found = data.get('settings')
    if found != wanted['settings']:
        raise InputError(
            path,
            f'results of other settings, {found}',
            f'{wanted["settings"]} (or another --out)',
            'settings',
        )
    return True


def complete(run: Run, settings: Settings, places: Places) -> None:
    """Train and test; goes on where an earlier call was cut off.

    The results hold the metrics of ``tools/test.py --out``, except for its ``details``.

    Raises:
        InputError: A command that fails.
    """
    checkpoint = train(run, settings, places)
    folder = places.work_dir / run.name
    results = stamp(run, settings)
    for split in SPLITS:
        config = write_config(run, settings, places, split)
        metrics = folder / f'{split}_metrics.json'
        arguments = ['test', config, checkpoint, '--work-dir', folder, '--out', metrics]
        call(arguments, settings.processes, folder / f'{split}.log', run)
        results[split] = read_json(metrics)
        results[split].pop('details', None)
    write_json(result_file(run, places.out), results)
    for path in folder.glob('iter_*.pth'):
        if path != checkpoint:
            path.unlink()


def train(run: Run, settings: Settings, places: Places) -> Path:
    """Train, unless that is done.

    Returns:
        The checkpoint.
    """
    folder = places.work_dir / run.name
    parts = VARIANTS[run.variant].parts
    if parts:
        states = []
        for part in parts:
            path = train(Run(part, run.seed), settings, places)
            states.append(read_checkpoint(path)['state_dict'])
        checkpoint = folder / 'merged.pth'
        write_weights(checkpoint, merge_weights(*states), {})
        return checkpoint
    config = write_config(run, settings, places)
    checkpoint = folder / f'iter_{settings.steps}.pth'
    if not checkpoint.exists():
        arguments = ['train', config, '--work-dir', folder, '--resume']
        call(arguments, settings.processes, folder / 'train.log', run)
    return checkpoint


def write_config(run: Run, settings: Settings, places: Places, split: str = 'train') -> Path:
    """Write the config of a training or a test into the folder of the run.

    Raises:
        InputError: There is another one: checkpoints in that folder belong to it.
    """
    cfg = run_config(run.variant, settings, str(places.data_root), run.seed)
    if split in SPLITS:
        dataset = cfg['test_dataloader']['dataset']
        dataset['ann_file'] = f'annotations/panoptic_{split}.json'
        total = len(read_json(places.data_root / dataset['ann_file'])['images'])
        dataset['indices'] = spaced(total, settings.frames)
    # mmengine writes its own copy into the folder of the run
    path = places.work_dir / run.name / 'configs' / f'{split}.json'
    if not path.exists():
        write_json(path, cfg)
    elif read_json(path) != cfg:
        raise InputError(
            path, 'the config of another study', 'another --work-dir, or none of that run in it'
        )
    return path


def spaced(total: int, count: int) -> list[int]:
    """Numbers of ``count`` of ``total`` frames, evenly spaced."""
    return np.linspace(0, total - 1, count).round().astype(int).tolist()


def call(arguments: Sequence[object], processes: int, log: Path, run: Run) -> None:
    """Run a command of the package; what it prints is appended to a file.

    Raises:
        InputError: It fails.
    """
    command = [sys.executable]
    if processes > 1:
        command += ['-m', 'torch.distributed.run', '--standalone']
        command += ['--nproc_per_node', str(processes)]
        arguments = [*arguments, '--launcher', 'pytorch']
    command += ['-m', 'pandepth_mm', *map(str, arguments)]
    # configs import study.models
    paths = [str(Path(__file__).parents[1]), os.environ.get('PYTHONPATH', '')]
    env = os.environ | dict(PYTHONPATH=os.pathsep.join(filter(None, paths)))
    with open(log, 'a', encoding='utf-8') as f:
        f.write(json.dumps(command) + '\n')
        f.flush()
        code = subprocess.run(command, env=env, stdout=f, stderr=subprocess.STDOUT).returncode
    if code:
        lines = [line for line in log.read_text(encoding='utf-8').splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith('error:')]
        raise InputError(run.name, f'"{(errors or lines)[-1]}"', f'a run that ends; see {log}')
