"""Trees, bushes, hedges and tall grass, from a small stock of shapes.

A shape costs more to make than to place, so a set makes a stock of each kind once and samples from
it; turn, size and colors differ at each place. Local frame: x along the road, y left, z up,
standing on the origin.
"""

import functools
from typing import NamedTuple

import numpy as np

from scenes.materials import Material, pick_color, plant_color
from scenes.meshes import Mesh, blob, box, cards, cylinder, from_triangles, merge, rod


class Piece(NamedTuple):
    """One class's share of an object."""

    label: str
    mesh: Mesh
    materials: dict[str, Material]


Pieces = list[Piece]


def _dim(c, f=0.6):
    return tuple(f * np.array(c))


def _leaf_material(rng) -> dict[str, Material]:
    a = plant_color(rng)
    b = np.array(a) * rng.uniform(0.5, 1.6) * rng.uniform(0.85, 1.2, 3)
    b = tuple(np.clip(b, 0.01, 0.6))
    return dict(
        leaf=Material('leaf', a, b),
        core=Material('leaf', _dim(a, 0.5), _dim(b, 0.5)),
        bark=Material('bark', pick_color(rng, (0.04, 0.12), (0.1, 0.5), (0.08, 0.3))),
    )


def _on_sphere(rng, n):
    d = rng.normal(size=(n, 3))
    return d / np.linalg.norm(d, axis=1, keepdims=True)


def broadleaf(rng, height=None) -> Pieces:
    """Tree with a bare trunk, boughs and a crown of leaf clusters."""
    height = height or rng.uniform(6, 11)
    trunk = height * rng.uniform(0.28, 0.4)
    r = rng.uniform(0.14, 0.24) * height / 8
    lean = rng.normal(size=2) * 0.25
    top = np.array([*lean, trunk])
    parts = [rod((0, 0, -0.4), top, r, 'bark', 9)]
    spread = height * rng.uniform(0.2, 0.3)
    mid = top + [0, 0, (height - trunk) * 0.45]
    n = rng.integers(5, 8)
    lumps = mid + _on_sphere(rng, n) * [spread, spread, (height - trunk) * 0.3]
    lumps[0] = mid
    for c in lumps:
        rad = spread * rng.uniform(0.5, 0.75)
        parts.append(rod(top - [0, 0, 0.2], c, r * 0.4, 'bark', 5))
        parts.append(blob((rad * 0.72, rad * 0.72, rad * 0.6), 'core', rng, 0.12, 1, c))
        d = _on_sphere(rng, 110)
        parts.append(
            cards(
                c + d * rad * rng.uniform(0.75, 1.12, (110, 1)) * [1, 1, 0.85],
                0.6 * d + 0.4 * (c - mid) / spread + [0, 0, 0.25],
                rng.uniform(0.16, 0.36, 110) * height / 9,
                'leaf',
                rng,
            )
        )
    return [Piece('Tree', merge(parts), _leaf_material(rng))]


def conifer(rng) -> Pieces:
    """Spruce: tapering tiers of hanging cards round a straight trunk."""
    height = rng.uniform(8, 14)
    base = rng.uniform(0.9, 1.8)
    radius = height * rng.uniform(0.15, 0.21)
    parts = [cylinder(0.2, height * 0.9, 'bark', 8, (0, 0, -0.3), 0.04)]
    n = 420
    t = rng.uniform(0, 1, n) ** 1.4
    a = rng.uniform(0, 2 * np.pi, n)
    tier = 0.8 + 0.2 * np.cos(t * 40)
    rad = radius * (1 - t) * tier * rng.uniform(0.8, 1.05, n) + 0.06
    d = np.stack([np.cos(a), np.sin(a), 0.4 + 0 * a], 1)
    c = np.stack([rad * d[:, 0], rad * d[:, 1], base + t * (height - base) - 0.12 * rad], 1)
    parts.append(cards(c, d, (0.55 - 0.3 * t) * height / 11, 'leaf', rng))
    for z0, f in ((0, 0.8), (0.3, 0.55), (0.6, 0.3)):
        parts.append(
            cylinder(
                radius * f * 0.85,
                height * 0.38,
                'core',
                10,
                (0, 0, base + z0 * (height - base)),
                0.03,
            )
        )
    return [Piece('Tree', merge(parts), _leaf_material(rng))]


def poplar(rng) -> Pieces:
    """Slim upright tree."""
    height = rng.uniform(8, 13)
    r = height * rng.uniform(0.09, 0.13)
    parts = [cylinder(0.16, height * 0.6, 'bark', 8, (0, 0, -0.3))]
    for z in np.linspace(0.28, 0.8, 4):
        rad = r * (1.15 - 0.5 * z)
        c = np.array([0, 0, z * height])
        d = _on_sphere(rng, 80)
        parts += [
            blob((rad * 0.8, rad * 0.8, height * 0.14), 'core', rng, 0.1, 1, c),
            cards(
                c + d * [rad, rad, height * 0.16],
                d + [0, 0, 0.2],
                rng.uniform(0.2, 0.36, 80),
                'leaf',
                rng,
            ),
        ]
    return [Piece('Tree', merge(parts), _leaf_material(rng))]


def tree(rng) -> Pieces:
    """Any tree."""
    return (broadleaf, broadleaf, conifer, poplar)[rng.integers(4)](rng)


def bush(rng) -> Pieces:
    """Low round shrub without a trunk, 0.7 to 1.8 m high."""
    h = rng.uniform(0.7, 1.8)
    parts = []
    for _ in range(rng.integers(2, 5)):
        rad = h * rng.uniform(0.45, 0.7)
        c = np.array([*(rng.normal(size=2) * h * 0.5), rad * 0.45])
        d = _on_sphere(rng, 110)
        d[:, 2] = np.abs(d[:, 2])
        parts += [
            blob((rad, rad, rad * 0.8), 'core', rng, 0.12, 1, c),
            cards(
                c + d * rad * rng.uniform(0.85, 1.1, (110, 1)),
                d,
                rng.uniform(0.06, 0.14, 110),
                'leaf',
                rng,
            ),
        ]
    return [Piece('Vegetation', merge(parts), _leaf_material(rng))]


def hedge(rng) -> Pieces:
    """Clipped hedge along the road."""
    h, w = rng.uniform(0.9, 1.8), rng.uniform(0.7, 1.1)
    length = rng.uniform(5.0, 7.0)
    n = int(length * 70)
    x = rng.uniform(-length / 2, length / 2, n)
    side = rng.integers(0, 3, n)
    y = np.where(side == 0, w / 2, np.where(side == 1, -w / 2, rng.uniform(-w / 2, w / 2, n)))
    z = np.where(side == 2, h, rng.uniform(0.05, h, n))
    c = np.stack([x, y, z], 1)
    d = np.stack([0 * x, np.where(side == 2, 0, np.sign(y)), np.where(side == 2, 1.0, 0.2)], 1)
    return [
        Piece(
            'Vegetation',
            merge(
                [
                    box((length, w * 0.96, h * 0.98 + 0.3), 'core', (0, 0, h * 0.49 - 0.15)),
                    cards(c, d, rng.uniform(0.1, 0.2, n), 'leaf', rng),
                ]
            ),
            _leaf_material(rng),
        )
    ]


def tall_grass(rng) -> Pieces:
    """Patch of reeds and weeds, up to about a meter."""
    n, r = 150, rng.uniform(0.9, 2.2)
    c = np.concatenate([rng.uniform(-r, r, (n, 2)), np.zeros((n, 1))], 1)
    h = rng.uniform(0.35, 1.1, n)
    a = rng.uniform(0, np.pi, n)
    w = np.stack([np.cos(a), np.sin(a), 0 * a], 1) * 0.05
    tip = c + np.stack([*(rng.normal(size=(2, n)) * 0.18), h], 1)
    m = from_triangles(np.stack([c - w - [0, 0, 0.15], c + w - [0, 0, 0.15], tip], 1), 'leaf')
    up = np.broadcast_to([0.0, 0.0, 1.0], m.n.shape)
    return [Piece('Vegetation', m._replace(n=up), _leaf_material(rng))]


_STOCK = dict(
    broadleaf=(broadleaf, 7),
    conifer=(conifer, 4),
    poplar=(poplar, 3),
    bush=(bush, 7),
    hedge=(hedge, 4),
    tall_grass=(tall_grass, 5),
)
_TREES = ('broadleaf', 'broadleaf', 'conifer', 'poplar')


@functools.lru_cache(maxsize=1)
def _stock(seed: int) -> dict[str, list[Pieces]]:
    out = {}
    for i, (name, (maker, count)) in enumerate(_STOCK.items()):
        rng = np.random.default_rng([seed, 1000 + i])
        out[name] = [maker(rng) for _ in range(count)]
    return out


class Plants:
    """The stock of one set.

    Args:
        seed: The set's seed.
    """

    def __init__(self, seed: int):
        self._made = _stock(seed)

    def sample(self, rng, name: str) -> Pieces:
        """Sample a plant of a kind, or of any tree's kind for 'tree'."""
        if name == 'tree':
            name = _TREES[rng.integers(len(_TREES))]
        made = self._made[name]
        leaves = _leaf_material(rng)
        return [p._replace(materials=leaves) for p in made[rng.integers(len(made))]]
