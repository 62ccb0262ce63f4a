"""No module imports from a floor above its own, nor from a sibling."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / 'pandepth_mm'
FLOORS = (
    ('errors', 'version', 'mmcv_ops'),
    ('fileio', 'registry'),
    ('geometry',),
    ('structures',),
    ('datasets', 'models', 'evaluation', 'visualization', 'converters'),
    ('engine',),
    ('apis', 'export'),
    ('cli',),
    ('__init__', '__main__'),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def imports(path):
    """Modules of the package that a file imports, as (room, line)."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f'{path}:{node.lineno}: a relative import'
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith('pandepth_mm.'):
                room = name.split('.')[1]
                yield (room if room in FLOOR else '__init__'), node.lineno


def test_no_import_runs_upwards():
    wrong = []
    for path in PACKAGE.rglob('*.py'):
        room = path.relative_to(PACKAGE).parts[0].removesuffix('.py')
        wrong += [
            f'{path.relative_to(PACKAGE)}:{line} imports {other}'
            for other, line in imports(path)
            if other != room and FLOOR[other] >= FLOOR[room]
        ]
    assert not wrong, '\n'.join(wrong)
