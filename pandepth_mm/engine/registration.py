"""Filling the registries."""

import datetime


def register_all_modules(init_default_scope: bool = True) -> None:
    """Import every module that registers something.

    Args:
        init_default_scope: Make ``pandepth_mm`` the default scope, so that
            our names and mmdet's resolve without a prefix.
    """
    import pandepth_mm.datasets
    import pandepth_mm.engine.hooks
    import pandepth_mm.evaluation
    import pandepth_mm.models
    import pandepth_mm.visualization.frame  # noqa: F401

    if init_default_scope:
        set_default_scope()


def set_default_scope() -> None:
    """Make ``pandepth_mm`` the current default scope."""
    from mmengine import DefaultScope

    current = DefaultScope.get_current_instance()
    if current is None or current.scope_name != 'pandepth_mm':
        # a scope's instance name must be new, or the old one stays current
        name = f'pandepth_mm-{datetime.datetime.now()}'
        DefaultScope.get_instance(name, scope_name='pandepth_mm')
