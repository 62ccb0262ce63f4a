"""Buildings beside the road.

Local frame and pieces as in ``roadside``.
"""

import numpy as np

from scenes.materials import Material, manmade_color, pick_color
from scenes.meshes import Mesh, box, from_triangles, merge, place, quads
from scenes.plants import Piece, Pieces


def _gable(length, depth, eaves, ridge, over=0.5) -> Mesh:
    """Pitched roof with its two gables; ridge along x."""
    x, y = length / 2, depth / 2
    ox, oy = x + over, y + over
    drop = (ridge - eaves) / y * over
    slope = np.hypot(oy, ridge - eaves + drop)
    q = [
        [[-ox, -oy, eaves - drop], [ox, -oy, eaves - drop], [ox, 0, ridge], [-ox, 0, ridge]],
        [[ox, oy, eaves - drop], [-ox, oy, eaves - drop], [-ox, 0, ridge], [ox, 0, ridge]],
    ]
    t = [[[0, 0, 0], [2 * ox, 0, 0], [2 * ox, slope, 0], [0, slope, 0]]] * 2
    gable = from_triangles(
        [
            [[x, -y, eaves], [x, y, eaves], [x, 0, ridge]],
            [[-x, y, eaves], [-x, -y, eaves], [-x, 0, ridge]],
        ],
        'gable',
        tex=[[[0, 0, 0], [depth, 0, 0], [depth / 2, ridge - eaves, 0]]] * 2,
    )
    return merge([quads(q, 'roof', t), gable])


def _walls(rng, pitch):
    a = manmade_color(rng)
    if rng.uniform() < 0.45:
        a = pick_color(rng, (0.02, 0.13), (0.1, 0.55), (0.2, 0.65))
    style = float(rng.integers(3))
    return dict(
        wall=Material('wall', a, manmade_color(rng), pitch, style, gloss=0.5),
        gable=Material('wall', a, a, 0, style),
        roof=Material('roof', pick_color(rng, (0.02, 0.1), (0.05, 0.6), (0.08, 0.4))),
        trim=Material('plain', manmade_color(rng)),
        door=Material('planks', manmade_color(rng)),
    )


def town_house(rng, width=12.0) -> Pieces:
    """Block of flats with cornice, doors and balconies; front at y < 0."""
    depth, storeys = rng.uniform(8, 12), int(rng.integers(2, 6))
    h = 3 * storeys + 0.3
    parts = [
        box((width, depth, h + 1), 'wall', (0, 0, h / 2 - 0.5)),
        box((width + 0.4, depth + 0.4, 0.4), 'trim', (0, 0, h + 0.1)),
    ]
    for x in np.arange(-width / 2 + 2.5, width / 2 - 1, 5.0):
        parts.append(box((1.3, 0.15, 2.3), 'door', (x, -depth / 2, 1.15)))
    if rng.uniform() < 0.5:
        for z in np.arange(3.9, h - 1, 3):
            for x in np.arange(-width / 2 + 2.5, width / 2 - 1.5, 5.0):
                parts.append(box((2.2, 1.2, 0.9), 'trim', (x, -depth / 2 - 0.6, z - 0.5)))
    if rng.uniform() < 0.5:
        parts.append(_gable(width, depth, h, h + rng.uniform(1.5, 3)))
    for _ in range(3):
        parts.append(
            box(
                (0.8, 0.8, 1.4), 'trim', (rng.uniform(-0.4, 0.4) * width, rng.uniform(-2, 2), h + 1)
            )
        )
    mats = _walls(rng, rng.uniform(1.6, 3.0))
    return [Piece('Building', merge(parts), mats)]


def house(rng) -> Pieces:
    """Detached house with a pitched roof; front at y < 0."""
    w, d, h = rng.uniform(8, 11), rng.uniform(7, 9), rng.choice([3.0, 6.0])
    h += 0.2
    parts = [
        box((w, d, h + 1), 'wall', (0, 0, h / 2 - 0.5)),
        place(_gable(w, d, h, h + rng.uniform(2, 3.5)), (0, 0, 0)),
        box((1.1, 0.2, 2.1), 'door', (rng.uniform(-2, 2), -d / 2, 1.05)),
        box((0.6, 0.6, 1.6), 'trim', (w * 0.25, 0.8, h + 2.6)),
    ]
    if rng.uniform() < 0.5:
        parts.append(box((3.4, 4, 2.6), 'wall', (w / 2 + 1.7, -1, 1.3)))
        parts.append(box((2.6, 0.1, 2.1), 'door', (w / 2 + 1.7, -3.03, 1.05)))
    return [Piece('Building', merge(parts), _walls(rng, rng.uniform(2.2, 3.4)))]


def hall(rng) -> Pieces:
    """Workshop or warehouse with a flat or low roof; front at y < 0."""
    w, d, h = rng.uniform(16, 24), rng.uniform(9, 14), rng.uniform(5, 8)
    parts = [
        box((w, d, h + 1), 'wall', (0, 0, h / 2 - 0.5)),
        box((w + 0.3, d + 0.3, 0.35), 'trim', (0, 0, h + 0.1)),
    ]
    for x in np.arange(-w / 2 + 3.5, w / 2 - 2, 6.0):
        parts.append(box((3.6, 0.2, 3.8), 'door', (x, -d / 2, 1.9)))
    if rng.uniform() < 0.5:
        parts.append(_gable(w, d, h + 0.2, h + 2.0))
    mats = _walls(rng, 0 if rng.uniform() < 0.5 else 3.5)
    if rng.uniform() < 0.5:
        mats['wall'] = Material('metal', mats['wall'].a)
    return [Piece('Building', merge(parts), mats)]
