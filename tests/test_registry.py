"""Names resolve without a prefix."""

from mmengine import DefaultScope
from mmengine.registry import MODELS as ROOT_MODELS

from pandepth_mm.registry import HOOKS, MODELS, set_default_scope


def test_names_resolve_without_a_prefix():
    DefaultScope.get_instance('somewhere_else', scope_name='mmengine')
    set_default_scope()
    assert DefaultScope.get_current_instance().scope_name == 'pandepth_mm'
    assert (
        HOOKS.get('CheckClassCountHook') is HOOKS.get('pandepth_mm.CheckClassCountHook') is not None
    )
    # mmdet's names too, also from mmengine's own registry
    assert MODELS.get('FPN') is ROOT_MODELS.get('mmdet.FPN') is not None
    with ROOT_MODELS.switch_scope_and_registry(None) as registry:
        assert registry.get('FPN') is not None
