"""The wheel, the set-up script's messages and the Makefile."""
import os
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
        command,
        cwd=cwd,
        env={
            **os.environ,
            **env
        },
        capture_output=True,
        text=True,
        timeout=300)


def test_wheel_carries_configs(tmp_path):
    # built from a copy: a build leaves folders in the source tree
    source = tmp_path / 'source'
    source.mkdir()
    for name in ('pandepth_mm', 'configs', 'tools'):
        shutil.copytree(
            ROOT / name,
            source / name,
            ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('pyproject.toml', 'setup.py', 'setup.cfg', 'MANIFEST.in',
                 'model-index.yml', 'LICENSE', 'README.md'):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    result = run(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps',
                 '--no-build-isolation', '-w', tmp_path, source)
    assert result.returncode == 0, result.stderr
    wheel, = tmp_path.glob('pandepth_mm-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / 'installed')
    mim = tmp_path / 'installed' / 'pandepth_mm' / '.mim'
    assert 'pandepth_mm/__init__.py' in names
    weights = 'pandepth_mm/weights/pandepth_effb0_minivkitti_long.pth'
    assert weights in names
    assert any(name.endswith('LICENSE') for name in names)
    assert (mim / 'tools' / 'train.py').is_file()
    # every config that the index names came along and can be read there
    index = yaml.safe_load((mim / 'model-index.yml').read_text())
    models = []
    for file in index['Import']:
        models += yaml.safe_load((mim / file).read_text())['Models']
    assert models
    for model in models:
        assert 'model' in Config.fromfile(mim / model['Config'])
    # nothing else is put into site-packages
    tops = {name.split('/')[0] for name in names}
    assert all(top.startswith('pandepth_mm') for top in tops), tops


def test_extras_never_mix_stacks():
    tomllib = pytest.importorskip('tomllib')  # Python 3.11
    with open(ROOT / 'pyproject.toml', 'rb') as f:
        project = tomllib.load(f)['project']
    extras = project['optional-dependencies']
    assert all(
        name.startswith('onedl-mm') for name in (e.split('>')[0]
                                                 for e in extras['onedl']))
    assert not any(e.startswith('onedl') for e in extras['openmmlab'])
    everywhere = project['dependencies'] + extras['test'] + extras['demo']
    assert not any('mm' in e.split('>')[0].replace('matplotlib', '')
                   for e in everywhere)


def test_setup_python_by_stack(tmp_path):
    paths = {
        stack: run('bash', SETUP, '--python', STACK=stack, VIRTUAL_ENV='/v',
                   VENV='').stdout.strip()
        for stack in ('onedl', 'openmmlab')
    }
    assert paths == {
        'onedl': '/v/bin/python',
        'openmmlab': '.venv-openmmlab/bin/python'
    }


@pytest.mark.parametrize('env, message', [
    (dict(STACK='mmcls'), "STACK is 'mmcls'; expected onedl or openmmlab"),
    (dict(PYTHON='/nowhere/python', VENV='{tmp}/venv'),
     'no python 3.10 to 3.12 among /nowhere/python'),
    (dict(PYTHON='{tmp}/python', VENV='{tmp}/venv'), 'python3-venv'),
])
def test_setup_says_what_is_missing(tmp_path, env, message):
    # a python like Debian's, without the package that makes environments
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\n[ "$1" = -m ] && exit 1\n'
                      f'exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    env = {key: value.format(tmp=tmp_path) for key, value in env.items()}
    result = run('bash', SETUP, **env)
    assert result.returncode == 1
    errors = result.stderr.strip().split('\n')
    assert len(errors) == 1 and errors[0].startswith('error: setup_env: ')
    assert message in errors[0]
    assert not (tmp_path / 'venv').exists()


@pytest.mark.parametrize('broken, message', [
    ('compiler', 'no C++ compiler'),
    ('headers', 'no headers of Python'),
])
def test_setup_looks_for_compiler_and_headers(tmp_path, broken, message):
    """The functions of the script alone, with one thing missing."""
    text = SETUP.read_text()
    start = text.index('fail() {')
    fail = text[start:text.index('\n}\n', start) + 3]
    start = text.index('build_tools() {')
    function = text[start:text.index('\n}\n', start) + 3]
    python = sys.executable
    path = os.environ['PATH']
    if broken == 'compiler':
        path = str(tmp_path)
    else:
        fake = tmp_path / 'python'
        fake.write_text('#!/bin/sh\necho /nowhere/include\n')
        fake.chmod(0o755)
        python = fake
    script = (f'set -euo pipefail\n{fail}{function}\n'
              f'py={python} log={tmp_path}/log device=cpu\n'
              f'PATH={path}\nunset CXX\nbuild_tools\necho done\n')
    result = run('/bin/bash', '-c', script)
    assert result.returncode == 1
    assert message in result.stderr and 'apt install' in result.stderr
    assert 'done' not in result.stdout


def test_make_demo_runs_every_step():
    plan = run('make', '-n', 'demo').stdout
    steps = ('setup_env.sh', 'synthesize_vkitti2.py', 'vkitti2.py',
             'tools/train.py', 'tools/test.py', 'pictures')
    places = [plan.index(step) for step in steps]
    assert places == sorted(places)


def test_ci_runs_the_tests_and_keeps_the_exit_code(tmp_path):
    make = tmp_path / 'make'
    make.write_text('#!/bin/sh\necho "make $@"\nexit 7\n')
    make.chmod(0o755)
    result = run(ROOT / '.ci' / 'run',
                 PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    assert result.stdout == 'make test\n'
    assert result.returncode == 7
