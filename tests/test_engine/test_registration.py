"""Names resolve without a prefix."""

from mmengine import DefaultScope
from mmengine.registry import MODELS as ROOT_MODELS

from pandepth_mm.engine.registration import register_all_modules
from pandepth_mm.registry import HOOKS, MODELS


def test_register_all_modules():
    DefaultScope.get_instance('somewhere_else', scope_name='mmengine')
    register_all_modules(init_default_scope=False)
    assert DefaultScope.get_current_instance().scope_name == 'mmengine'
    register_all_modules()
    assert DefaultScope.get_current_instance().scope_name == 'pandepth_mm'
    assert (
        HOOKS.get('CheckClassCountHook') is HOOKS.get('pandepth_mm.CheckClassCountHook') is not None
    )
    # mmdet's names too, also from mmengine's own registry
    assert MODELS.get('FPN') is ROOT_MODELS.get('mmdet.FPN') is not None
    with ROOT_MODELS.switch_scope_and_registry(None) as registry:
        assert registry.get('FPN') is not None
