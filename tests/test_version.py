"""The check of the installed packages."""

import subprocess
import sys

import pytest

from pandepth_mm import version

ONEDL = {'onedl-mmcv': '2.3.6', 'onedl-mmengine': '0.10.12', 'onedl-mmdetection': '3.5.1'}
ORIGINAL = {'mmcv': '2.1.0', 'mmengine': '0.10.7', 'mmdet': '3.3.0'}


@pytest.fixture
def installed(monkeypatch):
    """Pretend that exactly these distributions are installed."""

    def pretend(distributions):
        monkeypatch.setattr(version, '_installed', distributions.get)

    return pretend


@pytest.mark.parametrize(
    'distributions, name',
    [
        (ONEDL, 'onedl'),
        (ORIGINAL, 'openmmlab'),
        ({**ORIGINAL, 'mmcv': '2.1'}, 'openmmlab'),
        ({'mmcv-lite': '2.1.0', 'mmengine': '0.10.7', 'mmdet': '3.3.0'}, 'openmmlab'),
    ],
)
def test_good_stacks(installed, distributions, name):
    installed(distributions)
    assert version.check_stack() == name


@pytest.mark.parametrize(
    'distributions, message',
    [
        ({}, 'none is installed'),
        ({**ONEDL, **ORIGINAL}, 'two OpenMMLab stacks'),
        ({**ONEDL, 'mmdet': '3.3.0'}, 'two OpenMMLab stacks'),
        ({'mmcv': '2.1.0'}, 'needs mmengine'),
        ({**ORIGINAL, 'mmcv': '2.2.0'}, 'mmcv >=2.1.0,<2.2.0, found 2.2.0'),
        ({**ORIGINAL, 'mmcv': '2.0.1'}, 'found 2.0.1'),
        ({**ORIGINAL, 'mmcv-lite': '2.0.0'}, 'mmcv-lite >=2.1.0,<2.2.0, found 2.0.0'),
        ({'mmengine': '0.10.7', 'mmdet': '3.3.0'}, 'needs mmcv or mmcv-lite'),
    ],
)
def test_bad_stacks(installed, distributions, message):
    installed(distributions)
    with pytest.raises(ImportError, match=message) as error:
        version.check_stack()
    assert 'tools/setup_env.sh' in str(error.value)
    assert '\n' not in str(error.value)


def test_this_environment():
    assert version.check_stack() in version.STACKS
    assert f'pandepth_mm {version.__version__}' in version.stack_summary()


def test_import_is_light():
    code = (
        'import sys, pandepth_mm; heavy = {"torch", "mmcv", "mmengine", '
        '"mmdet"} & set(sys.modules); assert not heavy, heavy'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
