"""The wheel, the set-up script's messages and the Makefile."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from test_converters.vkitti2_frames import make_root

from pandepth_mm.cli.main import ALIASES, COMMANDS

ROOT = Path(__file__).parents[2]
SETUP = ROOT / 'tools' / 'setup_env.sh'


def run(*command, cwd=ROOT, **env):
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """The wheel, unpacked into a folder as pip would."""
    # built from a copy: a build leaves folders in the source tree
    tmp_path = tmp_path_factory.mktemp('wheel')
    source = tmp_path / 'source'
    source.mkdir()
    for name in ('pandepth_mm', 'configs', 'demo', 'tools'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in (
        'pyproject.toml',
        'setup.py',
        'setup.cfg',
        'MANIFEST.in',
        'model-index.yml',
        'LICENSE',
        'README.md',
    ):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    result = run(
        sys.executable,
        '-m',
        'pip',
        'wheel',
        '-q',
        '--no-deps',
        '--no-build-isolation',
        '-w',
        tmp_path,
        source,
    )
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob('pandepth_mm-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / 'installed')
    return tmp_path / 'installed'


def test_wheel_carries_configs(installed):
    mim = installed / 'pandepth_mm' / '.mim'
    assert (installed / 'pandepth_mm/__init__.py').is_file()
    weights = installed / 'pandepth_mm/weights'
    assert (weights / 'pandepth_lite0_minivkitti_long.pth').is_file()
    assert list(installed.rglob('LICENSE'))
    assert (mim / 'tools' / 'train.py').is_file()
    assert (mim / 'demo' / 'frame' / 'points.bin').is_file()
    # every config that the index names came along and can be read there
    index = yaml.safe_load((mim / 'model-index.yml').read_text())
    models = []
    for file in index['Import']:
        models += yaml.safe_load((mim / file).read_text())['Models']
    assert models
    for model in models:
        assert 'model' in Config.fromfile(mim / model['Config'])
    # nothing else is put into site-packages
    tops = {path.name for path in installed.iterdir()}
    assert all(top.startswith('pandepth_mm') for top in tops), tops


@pytest.fixture
def command(installed, tmp_path):
    """Run a command of the unpacked wheel, far from the checkout."""

    def command(*args):
        result = run(
            sys.executable,
            *map(str, args),
            cwd=tmp_path,
            PYTHONPATH=str(installed),
            OMP_NUM_THREADS='1',
        )
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout

    return command


def test_the_wheel_infers(installed, command, tmp_path):
    """Without a checkout: configs, weights and the demo frame come from the wheel."""
    frame = installed / 'pandepth_mm/.mim/demo/frame'
    lidar = ['--points', frame / 'points.bin', '--calib', frame / 'calib.txt']
    out = ['--out', tmp_path / 'out', '--save', 'panels', 'cloud']
    command('-m', 'pandepth_mm', 'infer', frame / 'image.jpg', *lidar, *out)
    assert sorted(p.name for p in (tmp_path / 'out/image').iterdir()) == [
        'cloud.ply',
        'panels.png',
        'result.json',
    ]
    where = command(
        '-c',
        'from pandepth_mm.engine.model_zoo import *; '
        'import pandepth_mm.engine.model_zoo as p; print(p.root()); '
        'print(*p.find_config(p.DEFAULT_MODEL))',
    )
    assert where.count(str(installed)) == 3 and str(ROOT) not in where


def test_the_wheel_converts_trains_and_tests(command, tmp_path):
    data, work = tmp_path / 'data', tmp_path / 'work'
    make_root(tmp_path / 'in', scale=10, frames=1)
    source = [tmp_path / 'in', '--out', data, '--variations', 'clone', '--workers', 2]
    assert 'train 3, val 1, test 1' in command('-m', 'pandepth_mm', 'convert', 'vkitti2', *source)
    options = ['--work-dir', work, '--cfg-options', 'train_cfg.max_iters=1']
    options += ['default_hooks.checkpoint.interval=1', 'train_dataloader.batch_size=2']
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options += [f'{loader}.dataset.data_root={data}', f'{loader}.dataset.img_scale=(96,64)']
        options += [f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
    config = 'pandepth_effb0_minivkitti'
    command('-m', 'pandepth_mm', 'train', config, *options)
    printed = command('-m', 'pandepth_mm', 'test', config, work / 'iter_1.pth', *options)
    assert 'PQ %' in printed and 'RMSE' in printed


def test_console_scripts(installed, command):
    (file,) = installed.glob('*.dist-info/entry_points.txt')
    parser = configparser.ConfigParser()
    parser.read(file)
    scripts = dict(parser['console_scripts'])
    assert sorted(scripts) == [
        'pandepth',
        'pandepth-convert',
        'pandepth-infer',
        'pandepth-test',
        'pandepth-train',
    ]
    for name, target in scripts.items():
        module, function = target.split(':')
        code = f'from {module} import {function}; {function}()'
        assert f'usage: {name} ' in command('-c', code, '--help')
    printed = command('-c', 'from pandepth_mm.cli.main import main; main()', 'convert', '--help')
    assert printed.startswith('usage: pandepth convert NAME ')
    assert re.search(r'^  vkitti2 +Convert Virtual KITTI 2$', printed, re.M)


@pytest.mark.parametrize(
    'args, code, message',
    [
        (['--help'], 0, 'usage: python -m pandepth_mm COMMAND '),
        (['--help'], 0, '  publish       Make a small file'),
        (['--help'], 0, '  check-dataset Look through a data set'),
        (['check-dataset', '--help'], 0, 'usage: python -m pandepth_mm check-dataset '),
        (['check_dataset', '--help'], 0, 'usage: python -m pandepth_mm check_dataset '),
        (['make_video', '--help'], 0, 'usage: python -m pandepth_mm make_video '),
        ([], 2, 'error: found no command; expected one of convert, train, '),
        (['fly'], 2, "error: found 'fly'; expected one of convert, train, "),
        (['test', 'nope', 'x.pth'], 2, 'error: nope: found no such file; expec'),
    ],
)
def test_the_package_as_a_program(tmp_path, args, code, message):
    result = run(sys.executable, '-m', 'pandepth_mm', *args, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stdout + result.stderr


def test_every_command_has_an_entry_point():
    tools = {path.stem for path in (ROOT / 'tools').glob('*.py')}
    assert {ALIASES.get(name, name) for name in tools} | {'convert', 'env'} == set(COMMANDS)


def test_a_missing_stack_is_one_clear_line():
    code = (
        'from pandepth_mm import version; version._installed = {}.get; '
        "from pandepth_mm.cli.main import run; run('infer', [])"
    )
    result = run(sys.executable, '-c', code)
    assert result.returncode == 1
    assert result.stderr.startswith('error: pandepth_mm needs mmcv, mmengine and mmdet, and none')
    assert result.stderr.count('\n') == 1


def test_commands_of_the_dockerfile_are_shell():
    """Docker is not there to build it; its parts can be looked at."""
    text = (ROOT / 'docker' / 'Dockerfile').read_text()
    lines = re.sub(r'\\\n', '', text).splitlines()
    commands = [x[4:] for x in lines if x.startswith('RUN ')]
    assert len(commands) == 4
    for command in commands:
        result = run('sh', '-n', '-c', command)
        assert result.returncode == 0, f'{command}: {result.stderr}'
    known = {'FROM', 'ARG', 'RUN', 'ENV', 'WORKDIR', 'COPY', 'ENTRYPOINT'}
    rest = [x for x in lines if x and not x.startswith('#')]
    assert {x.split()[0] for x in rest} == known


def test_extras_never_mix_stacks():
    tomllib = pytest.importorskip('tomllib')  # Python 3.11
    with open(ROOT / 'pyproject.toml', 'rb') as f:
        project = tomllib.load(f)['project']
    extras = project['optional-dependencies']
    assert all(name.startswith('onedl-mm') for name in (e.split('>')[0] for e in extras['onedl']))
    assert not any(e.startswith('onedl') for e in extras['openmmlab'])
    everywhere = project['dependencies'] + extras['test'] + extras['demo']
    assert not any('mm' in e.split('>')[0].replace('matplotlib', '') for e in everywhere)


def test_setup_python_by_stack(tmp_path):
    paths = {
        stack: run('bash', SETUP, '--python', STACK=stack, VIRTUAL_ENV='/v', VENV='').stdout.strip()
        for stack in ('onedl', 'openmmlab')
    }
    assert paths == {'onedl': '/v/bin/python', 'openmmlab': '.venv-openmmlab/bin/python'}


@pytest.mark.parametrize(
    'env, message',
    [
        (dict(STACK='mmcls'), "STACK is 'mmcls'; expected onedl or openmmlab"),
        (
            dict(PYTHON='/nowhere/python', VENV='{tmp}/venv'),
            'no python 3.10 to 3.13 among /nowhere/python',
        ),
        (dict(PYTHON='{tmp}/python', VENV='{tmp}/venv'), 'python3-venv'),
    ],
)
def test_setup_says_what_is_missing(tmp_path, env, message):
    # a python like Debian's, without the package that makes environments
    python = tmp_path / 'python'
    python.write_text(f'#!/bin/sh\n[ "$1" = -m ] && exit 1\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    env = {key: value.format(tmp=tmp_path) for key, value in env.items()}
    result = run('bash', SETUP, **env)
    assert result.returncode == 1
    errors = result.stderr.strip().split('\n')
    assert len(errors) == 1 and errors[0].startswith('error: setup_env: ')
    assert message in errors[0]
    assert not (tmp_path / 'venv').exists()


@pytest.mark.parametrize(
    ('target', 'steps'),
    [
        ('demo', ('tools/dist_train.sh', 'tools/dist_test.sh', 'pictures')),
        (
            'weights',
            (
                'seed$s',
                'tall$s',
                'tools/dist_train.sh',
                '_first.py 2',
                '_second.py',
                '_third.py',
                '_long.py',
            ),
        ),
    ],
)
def test_make_runs_every_step(target, steps):
    plan = run('make', '-n', target).stdout
    steps = ('setup_env.sh', 'synthesize_vkitti2.py', 'vkitti2.py', *steps)
    places = [plan.index(step) for step in steps]
    assert places == sorted(places)


def test_ci_runs_the_linter_and_the_tests_and_keeps_the_exit_code(tmp_path):
    script = '#!/bin/sh\necho "$0 $@" | sed s=.*/==\n[ "$*" != "$FAILS" ] || exit 7\n'
    for name in ('make', 'chromium'):  # a browser, so that none is installed
        program = tmp_path / name
        program.write_text(script)
        program.chmod(0o755)
    path = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'
    for fails, printed in (('lint', 'make lint\n'), ('test', 'make lint\nmake test\n')):
        result = run(ROOT / '.ci' / 'run', PATH=path, FAILS=fails)
        assert result.stdout == printed
        assert result.returncode == 7
