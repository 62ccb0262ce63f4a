"""Things beside the road: posts, signs, lights, misc.

Local frame: x along the road in driving direction, y left, z up, standing on the ground at the
origin. A maker returns pieces, since one object may belong to two classes (a sign and its post).
"""

import numpy as np

from scenes.materials import Material, earth_color, manmade_color, pick_color
from scenes.meshes import Mesh, blob, box, cylinder, from_triangles, merge, place, quads, rod
from scenes.plants import Piece, Pieces


def _dim(c, f=0.6):
    return tuple(f * np.array(c))


def _post_material(rng):
    a = manmade_color(rng)
    if rng.uniform() < 0.5:
        a = pick_color(rng, (0.1, 0.6), (0, 0.08), (0.15, 0.5))
    return dict(
        post=Material('metal', a, gloss=0.2),
        head=Material('plain', _dim(a)),
        bulb=Material('lamp', (0.7, 0.68, 0.6), p=0.3),
    )


def lamp_post(rng) -> Pieces:
    """Street lamp; the arm reaches over the road (towards y < 0)."""
    h, reach = rng.uniform(6, 8.5), rng.uniform(1.2, 2.4)
    m = merge(
        [
            cylinder(0.13, h, 'post', 10, (0, 0, -0.2), 0.08),
            cylinder(0.2, 0.7, 'post', 10, (0, 0, -0.2)),
            rod((0, 0, h - 0.3), (0, -reach, h + 0.15), 0.06, 'post'),
            box((0.3, 0.9, 0.16), 'head', (0, -reach - 0.3, h + 0.17)),
            box((0.2, 0.7, 0.04), 'bulb', (0, -reach - 0.3, h + 0.08)),
        ]
    )
    return [Piece('Pole', m, _post_material(rng))]


def utility_pole(rng) -> Pieces:
    """Wooden pole with a cross arm and insulators."""
    h = rng.uniform(7, 9)
    parts = [
        cylinder(0.16, h, 'post', 9, (0, 0, -0.3), 0.11),
        rod((0, -1.1, h - 0.9), (0, 1.1, h - 0.9), 0.07, 'post'),
    ]
    parts += [cylinder(0.05, 0.25, 'head', 6, (0, y, h - 0.87)) for y in (-1, -0.4, 0.4, 1)]
    mats = _post_material(rng)
    mats['post'] = Material('bark', pick_color(rng, (0.05, 0.1), (0.1, 0.5), (0.12, 0.3)))
    return [Piece('Pole', merge(parts), mats)]


def bollard(rng) -> Pieces:
    """Knee-high post."""
    m = merge(
        [
            cylinder(0.09, 1.0, 'post', 9, (0, 0, -0.1)),
            cylinder(0.11, 0.12, 'head', 9, (0, 0, 0.82)),
        ]
    )
    return [Piece('Pole', m, _post_material(rng))]


def _plate(outline, center, part='face') -> Mesh:
    """Thin plate in the y-z plane, its face towards -x."""
    y, z = np.asarray(outline, float).T
    cy, cz = center
    nxt = np.roll(np.arange(len(y)), -1)
    front = np.stack([np.full_like(y, -0.03), y + cy, z + cz], 1)
    back = front + [0.06, 0, 0]
    # seen from the front (looking along +x) left is +y
    flat = np.stack([-y / np.abs(y).max(), z / np.abs(z).max(), 0 * y], 1)
    mid = front.mean(0)
    zero = np.zeros_like(front)
    parts = []
    for ring, name in ((front, part), (back, 'back')):
        m = np.broadcast_to([ring[0, 0], mid[1], mid[2]], ring.shape)
        sign = -1.0 if name == part else 1.0
        tri = np.stack([m, ring, ring[nxt]], 1)
        n = np.broadcast_to([sign, 0, 0], tri.shape)
        tex = np.stack([zero + flat.mean(0), flat, flat[nxt]], 1)
        parts.append(from_triangles(tri, name, n, tex))
    parts.append(quads(np.stack([front, back, back[nxt], front[nxt]], 1), 'back'))
    return merge(parts)


def _polygon(n, r, turn=0.0):
    a = np.arange(n) * 2 * np.pi / n + turn
    return np.stack([r * np.cos(a), r * np.sin(a)], 1)


def _sign_material(rng, pattern, shape):
    ground = (
        (0.65, 0.65, 0.65),
        (0.03, 0.1, 0.38),
        (0.6, 0.45, 0.04),
        (0.02, 0.22, 0.1),
        (0.48, 0.03, 0.03),
    )[rng.integers(5)]
    mark = (0.65, 0.65, 0.65)
    if ground == mark:
        mark = ((0.48, 0.03, 0.03), (0.03, 0.03, 0.03), (0.03, 0.1, 0.38))[rng.integers(3)]
    elif ground[0] > 0.5:
        mark = (0.04, 0.04, 0.04)
    return dict(
        face=Material('sign', ground, mark, pattern, shape),
        back=Material('metal', pick_color(rng, (0.1, 0.6), (0, 0.1), (0.2, 0.45))),
    )


def traffic_sign(rng) -> Pieces:
    """One or two plates on a post, faces towards -x."""
    r = rng.uniform(0.42, 0.55)
    top = rng.uniform(2.3, 3.0)
    kind = rng.integers(5)
    outline, shape = (
        (_polygon(20, r), 1),
        (_polygon(3, r * 1.25, np.pi / 2), -1),
        (_polygon(8, r, np.pi / 8), 0),
        (_polygon(4, r * 1.3, np.pi / 4), 0),
        (np.array([[-0.7, -0.9], [0.7, -0.9], [0.7, 0.9], [-0.7, 0.9]]) * r * 1.3, 0),
    )[kind]
    pattern = float(rng.integers(0, 3)) if kind == 4 else 0.0
    plates = [_plate(outline, (0, top))]
    if rng.uniform() < 0.35:
        plates.append(
            _plate(
                np.array([[-1, -0.45], [1, -0.45], [1, 0.45], [-1, 0.45]]) * r * 0.9,
                (0, top - 1.6 * r),
            )
        )
    signs = place(merge(plates), (-0.08, 0, 0))
    post = cylinder(0.055, top + 0.6 * r, 'post', 8, (0, 0, -0.2))
    return [
        Piece('TrafficSign', signs, _sign_material(rng, pattern, shape)),
        Piece('Pole', post, _post_material(rng)),
    ]


def direction_board(rng) -> Pieces:
    """Large board on two posts."""
    w, h = rng.uniform(1.1, 1.8), rng.uniform(0.6, 1.0)
    z = rng.uniform(2.4, 3.0)
    rect = np.array([[-w, -h], [w, -h], [w, h], [-w, h]])
    posts = merge([cylinder(0.07, z + h, 'post', 8, (0.08, y, -0.2)) for y in (-w * 0.7, w * 0.7)])
    return [
        Piece(
            'TrafficSign', place(_plate(rect, (0, z)), (-0.04, 0, 0)), _sign_material(rng, 1.0, 0)
        ),
        Piece('Pole', posts, _post_material(rng)),
    ]


def gantry(rng, half_road=6.0) -> Pieces:
    """Beam across the road with boards; origin on the road's axis."""
    span, h = half_road + 1.6, 6.2
    steel = merge(
        [cylinder(0.2, h + 0.6, 'post', 10, (0, y, -0.3)) for y in (-span, span)]
        + [box((0.3, 2 * span, 0.35), 'post', (0, 0, h))]
    )
    boards = []
    for y in (-half_road * 0.5, half_road * 0.5):
        w, b = rng.uniform(1.4, 2.2), rng.uniform(0.8, 1.1)
        rect = np.array([[-w, -b], [w, -b], [w, b], [-w, b]])
        boards.append(_plate(rect, (y, h + 0.1)))
    return [
        Piece('TrafficSign', place(merge(boards), (-0.2, 0, 0)), _sign_material(rng, 1.0, 0)),
        Piece('Pole', steel, _post_material(rng)),
    ]


def chevron_board(rng) -> Pieces:
    """Marker of a bend, low beside the road."""
    rect = np.array([[-0.6, -0.45], [0.6, -0.45], [0.6, 0.45], [-0.6, 0.45]])
    post = cylinder(0.05, 1.3, 'post', 8, (0.06, 0, -0.1))
    return [
        Piece(
            'TrafficSign', place(_plate(rect, (0, 1.2)), (-0.04, 0, 0)), _sign_material(rng, 2.0, 0)
        ),
        Piece('Pole', post, _post_material(rng)),
    ]


def _signal_head(lit: int, center) -> Mesh:
    """Housing with three lamps and hoods towards -x."""
    parts = [box((0.34, 0.52, 1.5), 'case'), box((0.06, 0.78, 1.76), 'shield', (0.2, 0, 0))]
    for i, name in enumerate(('red', 'amber', 'green')):
        z = 0.48 - 0.48 * i
        part = name if i == lit else 'off'
        parts += [
            rod((-0.19, 0, z), (-0.16, 0, z), 0.17, part, 12),
            box((0.24, 0.4, 0.04), 'case', (-0.27, 0, z + 0.21)),
        ]
    return place(merge(parts), center)


def traffic_light(rng, reach=0.0) -> Pieces:
    """Signal on a post; ``reach`` > 0 adds a second one over the road."""
    lit = int(rng.integers(3))
    heads = [_signal_head(lit, (-0.15, 0, 2.95))]
    post = [cylinder(0.09, 3.9 if not reach else 6.0, 'post', 10, (0, 0, -0.2))]
    if reach:
        post.append(rod((0, 0, 5.6), (0, -reach, 5.8), 0.08, 'post'))
        heads.append(_signal_head(lit, (-0.15, -reach, 5.4)))
    case = (0.025, 0.028, 0.025)
    if rng.uniform() < 0.4:
        case = manmade_color(rng)
    glow = dict(red=(0.9, 0.06, 0.04), amber=(0.95, 0.55, 0.05), green=(0.08, 0.85, 0.35))
    mats = dict(
        case=Material('plain', case),
        shield=Material('plain', (0.02, 0.02, 0.02)),
        off=Material('plain', (0.05, 0.04, 0.04)),
        **{k: Material('lamp', c, p=1.1) for k, c in glow.items()},
    )
    return [
        Piece('TrafficLight', merge(heads), mats),
        Piece('Pole', merge(post), _post_material(rng)),
    ]


def _misc(mesh, rng, **more) -> Pieces:
    mats = dict(
        body=Material('metal', manmade_color(rng), gloss=0.1),
        dark=Material('plain', manmade_color(rng)),
        wood=Material('planks', earth_color(rng)),
        print=Material('sign', manmade_color(rng), manmade_color(rng), 1.0),
        pane=Material('glass', (0.06, 0.08, 0.09), gloss=0.8),
    )
    mats.update(more)
    return [Piece('Misc', mesh, mats)]


def wheelie_bins(rng) -> Pieces:
    """A row of bins."""
    parts = []
    for i in range(rng.integers(2, 5)):
        x = i * 0.95
        parts += [
            box((0.75, 0.8, 1.15), 'body', (x, 0, 0.65)),
            box((0.82, 0.88, 0.12), 'dark', (x, 0, 1.28)),
            rod((x - 0.3, 0.3, 0.1), (x + 0.3, 0.3, 0.1), 0.1, 'dark'),
        ]
    return _misc(merge(parts), rng)


def skip(rng) -> Pieces:
    """Open container with slanted ends."""
    w, h = 0.9, rng.uniform(1.2, 1.7)
    lo, hi = 1.2, 2.1
    ring = [(-hi, h), (-lo, 0.1), (lo, 0.1), (hi, h)]
    parts = []
    for y in (-w, w):
        pts = [[x, y, z] for x, z in ring]
        parts.append(quads([pts if y > 0 else pts[::-1]], 'body'))
    for (x0, z0), (x1, z1) in zip(ring[:-1], ring[1:], strict=True):
        parts.append(quads([[[x0, -w, z0], [x0, w, z0], [x1, w, z1], [x1, -w, z1]]], 'body'))
    parts.append(blob((1.5, 0.8, 0.45), 'load', rng, 0.2, 1, (0, 0, h - 0.1)))
    return _misc(merge(parts), rng, load=Material('ground', earth_color(rng), earth_color(rng)))


def bench(rng) -> Pieces:
    """Park bench."""
    parts = [
        box((2.2, 0.55, 0.1), 'wood', (0, 0, 0.5)),
        box((2.2, 0.1, 0.6), 'wood', (0, 0.28, 0.85)),
    ]
    parts += [box((0.12, 0.5, 0.5), 'dark', (x, 0, 0.25)) for x in (-0.85, 0.85)]
    return _misc(merge(parts), rng)


def bus_shelter(rng) -> Pieces:
    """Shelter with glass walls, open to the road (y < 0)."""
    parts = [
        box((4.2, 1.9, 0.18), 'dark', (0, 0, 2.5)),
        box((4.0, 0.08, 2.1), 'pane', (0, 0.85, 1.25)),
        box((3.0, 0.45, 0.12), 'wood', (0, 0.5, 0.5)),
        place(
            _plate(
                np.array([[-0.7, -1.0], [0.7, -1.0], [0.7, 1.0], [-0.7, 1.0]]), (0, 1.3), 'print'
            ),
            (-2.0, 0, 0),
        ),
    ]
    parts += [box((0.12, 0.12, 2.5), 'dark', (x, y, 1.2)) for x in (-2, 2) for y in (-0.8, 0.8)]
    return _misc(merge(parts), rng, back=Material('plain', (0.2, 0.2, 0.2)))


def billboard(rng) -> Pieces:
    """Advertising board with its own legs."""
    w, h = rng.uniform(1.8, 2.8), rng.uniform(1.1, 1.5)
    rect = np.array([[-w, -h], [w, -h], [w, h], [-w, h]])
    parts = [_plate(rect, (0, 1.2 + h), 'print')]
    parts += [box((0.25, 0.25, 1.6), 'dark', (0.2, y, 0.6)) for y in (-w * 0.6, w * 0.6)]
    return _misc(merge(parts), rng, back=Material('planks', (0.2, 0.15, 0.1)))


def crates(rng) -> Pieces:
    """Stack of crates."""
    parts = []
    for i in range(rng.integers(3, 7)):
        s = rng.uniform(0.8, 1.2)
        x, lift = (i % 3) * 1.25, (i // 3) * 1.05
        parts.append(
            place(
                box((s, s, 1.0), 'wood', (0, 0, 0.5)),
                (x, rng.normal() * 0.1, lift),
                rng.normal() * 0.2,
            )
        )
    return _misc(merge(parts), rng)


def shipping_container(rng) -> Pieces:
    """Steel container standing on the ground."""
    parts = [box((6.0, 2.4, 2.5), 'body', (0, 0, 1.2))]
    parts += [box((0.12, 2.5, 0.1), 'dark', (x, 0, 2.5)) for x in np.linspace(-2.8, 2.8, 8)]
    parts += [
        box((0.1, 0.06, 2.4), 'dark', (x, y, 1.2))
        for x in np.linspace(-2.9, 2.9, 14)
        for y in (-1.22, 1.22)
    ]
    return _misc(merge(parts), rng)


def stone_wall(rng) -> Pieces:
    """Piece of a free-standing wall."""
    h, w = rng.uniform(0.9, 1.6), rng.uniform(5, 9)
    a = earth_color(rng)
    return _misc(
        merge(
            [
                box((w, 0.4, h + 0.4), 'stone', (0, 0, h / 2 - 0.2)),
                box((w + 0.1, 0.55, 0.14), 'dark', (0, 0, h + 0.05)),
            ]
        ),
        rng,
        stone=Material('wall', a, a, 0, 1.0),
    )
