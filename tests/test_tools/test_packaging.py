"""The wheel, the set-up script's messages and the Makefile."""

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
    weights = 'pandepth_mm/weights/pandepth_effb0_minivkitti_long.pth'
    assert (installed / weights).is_file()
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


def test_tools_run_from_the_wheel(installed, tmp_path):
    """Without a checkout: configs, weights and tools come from the wheel."""
    env = dict(PYTHONPATH=str(installed), OMP_NUM_THREADS='1')
    frame = installed / 'pandepth_mm/.mim/demo/frame'
    result = run(
        sys.executable,
        '-m',
        'pandepth_mm',
        'infer',
        frame / 'image.jpg',
        '--points',
        frame / 'points.bin',
        '--calib',
        frame / 'calib.txt',
        '--out',
        tmp_path / 'out',
        '--save',
        'panels',
        'cloud',
        cwd=tmp_path,
        **env,
    )
    assert result.returncode == 0, result.stderr
    assert sorted(p.name for p in (tmp_path / 'out/image').iterdir()) == [
        'cloud.ply',
        'panels.png',
        'result.json',
    ]
    where = run(
        sys.executable,
        '-c',
        'from pandepth_mm.engine.model_zoo import *; '
        'import pandepth_mm.engine.model_zoo as p; print(p.root()); '
        'print(*p.find_config("pandepth_effb0_minivkitti_long"))',
        cwd=tmp_path,
        **env,
    ).stdout
    assert where.count(str(installed)) == 3 and str(ROOT) not in where
    scripts = installed.glob('*.dist-info/entry_points.txt')
    text = next(scripts).read_text()
    for script in ('infer', 'test'):
        assert f'pandepth-{script} = pandepth_mm.__main__:{script}' in text
        result = run(
            sys.executable,
            '-c',
            f'from pandepth_mm.__main__ import {script}; {script}()',
            '--help',
            cwd=tmp_path,
            **env,
        )
        assert f'usage: pandepth-{script} ' in result.stdout


@pytest.mark.parametrize(
    'args, code, message',
    [
        (['--help'], 0, 'usage: python -m pandepth_mm {infer,test,'),
        ([], 2, 'error: found no tool; expected one of infer, test, '),
        (['fly'], 2, "error: found 'fly'; expected one of infer, test, "),
        (['test', 'nope', 'x.pth'], 2, 'error: nope: found no such file; expec'),
    ],
)
def test_the_package_as_a_program(tmp_path, args, code, message):
    result = run(sys.executable, '-m', 'pandepth_mm', *args, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stdout + result.stderr


def test_every_tool_of_the_program_exists():
    from pandepth_mm.__main__ import TOOLS

    assert all((ROOT / 'tools' / f'{name}.py').is_file() for name in TOOLS)


def test_commands_of_the_dockerfile_are_shell():
    """Docker is not there to build it; its parts can be looked at."""
    text = (ROOT / 'docker' / 'Dockerfile').read_text()
    lines = re.sub(r'\\\n', '', text).splitlines()
    commands = [x[4:] for x in lines if x.startswith('RUN ')]
    assert len(commands) == 5
    for command in commands:
        result = run('sh', '-n', '-c', command)
        assert result.returncode == 0, f'{command}: {result.stderr}'
    known = {'FROM', 'ARG', 'RUN', 'ENV', 'WORKDIR', 'COPY', 'ENTRYPOINT'}
    rest = [x for x in lines if x and not x.startswith('#')]
    assert {x.split()[0] for x in rest} == known
    # what is built there is what the package asks for
    pyproject = (ROOT / 'pyproject.toml').read_text()
    version = re.search(r'ARG MMCV=onedl-mmcv==(\S+)', text)[1]
    assert f'"onedl-mmcv>={version},' in pyproject


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
            'no python 3.10 to 3.12 among /nowhere/python',
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
    'broken, message', [('compiler', 'no C++ compiler'), ('headers', 'no headers of Python')]
)
def test_setup_looks_for_compiler_and_headers(tmp_path, broken, message):
    """The functions of the script alone, with one thing missing."""
    text = SETUP.read_text()
    start = text.index('fail() {')
    fail = text[start : text.index('\n}\n', start) + 3]
    start = text.index('build_tools() {')
    function = text[start : text.index('\n}\n', start) + 3]
    python = sys.executable
    path = os.environ['PATH']
    if broken == 'compiler':
        path = str(tmp_path)
    else:
        fake = tmp_path / 'python'
        fake.write_text('#!/bin/sh\necho /nowhere/include\n')
        fake.chmod(0o755)
        python = fake
    script = (
        f'set -euo pipefail\n{fail}{function}\n'
        f'py={python} log={tmp_path}/log device=cpu\n'
        f'PATH={path}\nunset CXX\nbuild_tools\necho done\n'
    )
    result = run('/bin/bash', '-c', script)
    assert result.returncode == 1
    assert message in result.stderr and 'apt install' in result.stderr
    assert 'done' not in result.stdout


def test_make_demo_runs_every_step():
    plan = run('make', '-n', 'demo').stdout
    steps = (
        'setup_env.sh',
        'synthesize_vkitti2.py',
        'vkitti2.py',
        'tools/train.py',
        'tools/test.py',
        'pictures',
    )
    places = [plan.index(step) for step in steps]
    assert places == sorted(places)


def test_ci_runs_the_tests_and_keeps_the_exit_code(tmp_path):
    for name in ('make', 'chromium'):  # a browser, so that none is installed
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $@"\nexit 7\n')
        program.chmod(0o755)
    result = run(ROOT / '.ci' / 'run', PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    assert result.stdout == 'make test\n'
    assert result.returncode == 7
