"""Things beside the road: buildings, posts, signs, lights, misc.

Local frame: x along the road in driving direction, y left, z up, standing on
the ground at the origin. A maker returns pieces, since one object may belong
to two classes (a sign and its post).
"""
import numpy as np

from scenes.materials import Material, earth_color, manmade_color, pick_color
from scenes.meshes import (Mesh, blob, box, cylinder, from_triangles, merge, place,
                     quads, rod)
from scenes.plants import Piece, Pieces


def _dim(c, f=.6):
    return tuple(f * np.array(c))


def _gable(length, depth, eaves, ridge, over=.5) -> Mesh:
    """Pitched roof with its two gables; ridge along x."""
    x, y = length / 2, depth / 2
    ox, oy = x + over, y + over
    drop = (ridge - eaves) / y * over
    slope = np.hypot(oy, ridge - eaves + drop)
    q = [[[-ox, -oy, eaves - drop], [ox, -oy, eaves - drop],
          [ox, 0, ridge], [-ox, 0, ridge]],
         [[ox, oy, eaves - drop], [-ox, oy, eaves - drop],
          [-ox, 0, ridge], [ox, 0, ridge]]]
    t = [[[0, 0, 0], [2 * ox, 0, 0], [2 * ox, slope, 0], [0, slope, 0]]] * 2
    gable = from_triangles(
        [[[x, -y, eaves], [x, y, eaves], [x, 0, ridge]],
         [[-x, y, eaves], [-x, -y, eaves], [-x, 0, ridge]]], 'gable',
        tex=[[[0, 0, 0], [depth, 0, 0], [depth / 2, ridge - eaves, 0]]] * 2)
    return merge([quads(q, 'roof', t), gable])


def _walls(rng, pitch):
    a = manmade_color(rng)
    if rng.uniform() < .45:
        a = pick_color(rng, (.02, .13), (.1, .55), (.2, .65))
    style = float(rng.integers(3))
    return dict(
        wall=Material('wall', a, manmade_color(rng), pitch, style, gloss=.5),
        gable=Material('wall', a, a, 0, style),
        roof=Material('roof', pick_color(rng, (.02, .1), (.05, .6),
                                         (.08, .4))),
        trim=Material('plain', manmade_color(rng)),
        door=Material('planks', manmade_color(rng)))


def town_house(rng, width=12.0) -> Pieces:
    """Block of flats with cornice, doors and balconies; front at y < 0."""
    depth, storeys = rng.uniform(8, 12), int(rng.integers(2, 6))
    h = 3 * storeys + .3
    parts = [box((width, depth, h + 1), 'wall', (0, 0, h / 2 - .5)),
             box((width + .4, depth + .4, .4), 'trim', (0, 0, h + .1))]
    for x in np.arange(-width / 2 + 2.5, width / 2 - 1, 5.):
        parts.append(box((1.3, .15, 2.3), 'door', (x, -depth / 2, 1.15)))
    if rng.uniform() < .5:
        for z in np.arange(3.9, h - 1, 3):
            for x in np.arange(-width / 2 + 2.5, width / 2 - 1.5, 5.):
                parts.append(box((2.2, 1.2, .9), 'trim',
                                 (x, -depth / 2 - .6, z - .5)))
    if rng.uniform() < .5:
        parts.append(_gable(width, depth, h, h + rng.uniform(1.5, 3)))
    for _ in range(3):
        parts.append(box((.8, .8, 1.4), 'trim',
                         (rng.uniform(-.4, .4) * width, rng.uniform(-2, 2),
                          h + 1)))
    mats = _walls(rng, rng.uniform(1.6, 3.))
    return [Piece('Building', merge(parts), mats)]


def house(rng) -> Pieces:
    """Detached house with a pitched roof; front at y < 0."""
    w, d, h = rng.uniform(8, 11), rng.uniform(7, 9), rng.choice([3., 6.])
    h += .2
    parts = [box((w, d, h + 1), 'wall', (0, 0, h / 2 - .5)),
             place(_gable(w, d, h, h + rng.uniform(2, 3.5)), (0, 0, 0)),
             box((1.1, .2, 2.1), 'door', (rng.uniform(-2, 2), -d / 2, 1.05)),
             box((.6, .6, 1.6), 'trim', (w * .25, .8, h + 2.6))]
    if rng.uniform() < .5:
        parts.append(box((3.4, 4, 2.6), 'wall', (w / 2 + 1.7, -1, 1.3)))
        parts.append(box((2.6, .1, 2.1), 'door', (w / 2 + 1.7, -3.03, 1.05)))
    return [Piece('Building', merge(parts),
                  _walls(rng, rng.uniform(2.2, 3.4)))]


def hall(rng) -> Pieces:
    """Workshop or warehouse with a flat or low roof; front at y < 0."""
    w, d, h = rng.uniform(16, 24), rng.uniform(9, 14), rng.uniform(5, 8)
    parts = [box((w, d, h + 1), 'wall', (0, 0, h / 2 - .5)),
             box((w + .3, d + .3, .35), 'trim', (0, 0, h + .1))]
    for x in np.arange(-w / 2 + 3.5, w / 2 - 2, 6.):
        parts.append(box((3.6, .2, 3.8), 'door', (x, -d / 2, 1.9)))
    if rng.uniform() < .5:
        parts.append(_gable(w, d, h + .2, h + 2.))
    mats = _walls(rng, 0 if rng.uniform() < .5 else 3.5)
    if rng.uniform() < .5:
        mats['wall'] = Material('metal', mats['wall'].a)
    return [Piece('Building', merge(parts), mats)]


def _post_material(rng):
    a = manmade_color(rng)
    if rng.uniform() < .5:
        a = pick_color(rng, (.1, .6), (0, .08), (.15, .5))
    return dict(post=Material('metal', a, gloss=.2),
                head=Material('plain', _dim(a)),
                bulb=Material('lamp', (.7, .68, .6), p=.3))


def lamp_post(rng) -> Pieces:
    """Street lamp; the arm reaches over the road (towards y < 0)."""
    h, reach = rng.uniform(6, 8.5), rng.uniform(1.2, 2.4)
    m = merge([cylinder(.13, h, 'post', 10, (0, 0, -.2), .08),
               cylinder(.2, .7, 'post', 10, (0, 0, -.2)),
               rod((0, 0, h - .3), (0, -reach, h + .15), .06, 'post'),
               box((.3, .9, .16), 'head', (0, -reach - .3, h + .17)),
               box((.2, .7, .04), 'bulb', (0, -reach - .3, h + .08))])
    return [Piece('Pole', m, _post_material(rng))]


def utility_pole(rng) -> Pieces:
    """Wooden pole with a cross arm and insulators."""
    h = rng.uniform(7, 9)
    parts = [cylinder(.16, h, 'post', 9, (0, 0, -.3), .11),
             rod((0, -1.1, h - .9), (0, 1.1, h - .9), .07, 'post')]
    parts += [cylinder(.05, .25, 'head', 6, (0, y, h - .87))
              for y in (-1, -.4, .4, 1)]
    mats = _post_material(rng)
    mats['post'] = Material('bark', pick_color(rng, (.05, .1), (.1, .5),
                                               (.12, .3)))
    return [Piece('Pole', merge(parts), mats)]


def bollard(rng) -> Pieces:
    """Knee-high post."""
    m = merge([cylinder(.09, 1., 'post', 9, (0, 0, -.1)),
               cylinder(.11, .12, 'head', 9, (0, 0, .82))])
    return [Piece('Pole', m, _post_material(rng))]


def _plate(outline, center, part='face') -> Mesh:
    """Thin plate in the y-z plane, its face towards -x."""
    y, z = np.asarray(outline, float).T
    cy, cz = center
    nxt = np.roll(np.arange(len(y)), -1)
    front = np.stack([np.full_like(y, -.03), y + cy, z + cz], 1)
    back = front + [.06, 0, 0]
    # seen from the front (looking along +x) left is +y
    flat = np.stack([-y / np.abs(y).max(), z / np.abs(z).max(), 0 * y], 1)
    mid = front.mean(0)
    zero = np.zeros_like(front)
    parts = []
    for ring, name in ((front, part), (back, 'back')):
        m = np.broadcast_to([ring[0, 0], mid[1], mid[2]], ring.shape)
        sign = -1. if name == part else 1.
        tri = np.stack([m, ring, ring[nxt]], 1)
        n = np.broadcast_to([sign, 0, 0], tri.shape)
        tex = np.stack([zero + flat.mean(0), flat, flat[nxt]], 1)
        parts.append(from_triangles(tri, name, n, tex))
    parts.append(quads(np.stack([front, back, back[nxt], front[nxt]], 1),
                       'back'))
    return merge(parts)


def _polygon(n, r, turn=0.):
    a = np.arange(n) * 2 * np.pi / n + turn
    return np.stack([r * np.cos(a), r * np.sin(a)], 1)


def _sign_material(rng, pattern, shape):
    ground = ((.65, .65, .65), (.03, .1, .38), (.6, .45, .04),
              (.02, .22, .1), (.48, .03, .03))[rng.integers(5)]
    mark = (.65, .65, .65)
    if ground == mark:
        mark = ((.48, .03, .03), (.03, .03, .03), (.03, .1, .38))[
            rng.integers(3)]
    elif ground[0] > .5:
        mark = (.04, .04, .04)
    return dict(face=Material('sign', ground, mark, pattern, shape),
                back=Material('metal', pick_color(rng, (.1, .6), (0, .1),
                                                  (.2, .45))))


def traffic_sign(rng) -> Pieces:
    """One or two plates on a post, faces towards -x."""
    r = rng.uniform(.42, .55)
    top = rng.uniform(2.3, 3.)
    kind = rng.integers(5)
    outline, shape = (
        (_polygon(20, r), 1), (_polygon(3, r * 1.25, np.pi / 2), -1),
        (_polygon(8, r, np.pi / 8), 0), (_polygon(4, r * 1.3, np.pi / 4), 0),
        (np.array([[-.7, -.9], [.7, -.9], [.7, .9], [-.7, .9]]) * r * 1.3, 0)
    )[kind]
    pattern = float(rng.integers(0, 3)) if kind == 4 else 0.
    plates = [_plate(outline, (0, top))]
    if rng.uniform() < .35:
        plates.append(_plate(np.array([[-1, -.45], [1, -.45], [1, .45],
                                       [-1, .45]]) * r * .9, (0, top - 1.6 *
                                                              r)))
    signs = place(merge(plates), (-.08, 0, 0))
    post = cylinder(.055, top + .6 * r, 'post', 8, (0, 0, -.2))
    return [Piece('TrafficSign', signs, _sign_material(rng, pattern, shape)),
            Piece('Pole', post, _post_material(rng))]


def direction_board(rng) -> Pieces:
    """Large board on two posts."""
    w, h = rng.uniform(1.1, 1.8), rng.uniform(.6, 1.)
    z = rng.uniform(2.4, 3.)
    rect = np.array([[-w, -h], [w, -h], [w, h], [-w, h]])
    posts = merge([cylinder(.07, z + h, 'post', 8, (.08, y, -.2))
                   for y in (-w * .7, w * .7)])
    return [Piece('TrafficSign', place(_plate(rect, (0, z)), (-.04, 0, 0)),
                  _sign_material(rng, 1., 0)),
            Piece('Pole', posts, _post_material(rng))]


def gantry(rng, half_road=6.0) -> Pieces:
    """Beam across the road with boards; origin on the road's axis."""
    span, h = half_road + 1.6, 6.2
    steel = merge([cylinder(.2, h + .6, 'post', 10, (0, y, -.3))
                   for y in (-span, span)] +
                  [box((.3, 2 * span, .35), 'post', (0, 0, h))])
    boards = []
    for y in (-half_road * .5, half_road * .5):
        w, b = rng.uniform(1.4, 2.2), rng.uniform(.8, 1.1)
        rect = np.array([[-w, -b], [w, -b], [w, b], [-w, b]])
        boards.append(_plate(rect, (y, h + .1)))
    return [Piece('TrafficSign', place(merge(boards), (-.2, 0, 0)),
                  _sign_material(rng, 1., 0)),
            Piece('Pole', steel, _post_material(rng))]


def chevron_board(rng) -> Pieces:
    """Marker of a bend, low beside the road."""
    rect = np.array([[-.6, -.45], [.6, -.45], [.6, .45], [-.6, .45]])
    post = cylinder(.05, 1.3, 'post', 8, (.06, 0, -.1))
    return [Piece('TrafficSign', place(_plate(rect, (0, 1.2)), (-.04, 0, 0)),
                  _sign_material(rng, 2., 0)),
            Piece('Pole', post, _post_material(rng))]


def _signal_head(lit: int, center) -> Mesh:
    """Housing with three lamps and hoods towards -x."""
    parts = [box((.34, .52, 1.5), 'case'), box((.06, .78, 1.76), 'shield',
                                               (.2, 0, 0))]
    for i, name in enumerate(('red', 'amber', 'green')):
        z = .48 - .48 * i
        part = name if i == lit else 'off'
        parts += [rod((-.19, 0, z), (-.16, 0, z), .17, part, 12),
                  box((.24, .4, .04), 'case', (-.27, 0, z + .21))]
    return place(merge(parts), center)


def traffic_light(rng, reach=0.0) -> Pieces:
    """Signal on a post; ``reach`` > 0 adds a second one over the road."""
    lit = int(rng.integers(3))
    heads = [_signal_head(lit, (-.15, 0, 2.95))]
    post = [cylinder(.09, 3.9 if not reach else 6., 'post', 10, (0, 0, -.2))]
    if reach:
        post.append(rod((0, 0, 5.6), (0, -reach, 5.8), .08, 'post'))
        heads.append(_signal_head(lit, (-.15, -reach, 5.4)))
    case = (.025, .028, .025)
    if rng.uniform() < .4:
        case = manmade_color(rng)
    glow = dict(red=(.9, .06, .04), amber=(.95, .55, .05),
                green=(.08, .85, .35))
    mats = dict(case=Material('plain', case),
                shield=Material('plain', (.02, .02, .02)),
                off=Material('plain', (.05, .04, .04)),
                **{k: Material('lamp', c, p=1.1) for k, c in glow.items()})
    return [Piece('TrafficLight', merge(heads), mats),
            Piece('Pole', merge(post), _post_material(rng))]


def _misc(mesh, rng, **more) -> Pieces:
    mats = dict(body=Material('metal', manmade_color(rng), gloss=.1),
                dark=Material('plain', manmade_color(rng)),
                wood=Material('planks', earth_color(rng)),
                print=Material('sign', manmade_color(rng),
                               manmade_color(rng), 1.),
                pane=Material('glass', (.06, .08, .09), gloss=.8))
    mats.update(more)
    return [Piece('Misc', mesh, mats)]


def wheelie_bins(rng) -> Pieces:
    """A row of bins."""
    parts = []
    for i in range(rng.integers(2, 5)):
        x = i * .95
        parts += [box((.75, .8, 1.15), 'body', (x, 0, .65)),
                  box((.82, .88, .12), 'dark', (x, 0, 1.28)),
                  rod((x - .3, .3, .1), (x + .3, .3, .1), .1, 'dark')]
    return _misc(merge(parts), rng)


def skip(rng) -> Pieces:
    """Open container with slanted ends."""
    w, h = .9, rng.uniform(1.2, 1.7)
    lo, hi = 1.2, 2.1
    ring = [(-hi, h), (-lo, .1), (lo, .1), (hi, h)]
    parts = []
    for y in (-w, w):
        pts = [[x, y, z] for x, z in ring]
        parts.append(quads([pts if y > 0 else pts[::-1]], 'body'))
    for (x0, z0), (x1, z1) in zip(ring[:-1], ring[1:], strict=True):
        parts.append(quads([[[x0, -w, z0], [x0, w, z0], [x1, w, z1],
                             [x1, -w, z1]]], 'body'))
    parts.append(blob((1.5, .8, .45), 'load', rng, .2, 1, (0, 0, h - .1)))
    return _misc(merge(parts), rng,
                 load=Material('ground', earth_color(rng), earth_color(rng)))


def bench(rng) -> Pieces:
    """Park bench."""
    parts = [box((2.2, .55, .1), 'wood', (0, 0, .5)),
             box((2.2, .1, .6), 'wood', (0, .28, .85))]
    parts += [box((.12, .5, .5), 'dark', (x, 0, .25)) for x in (-.85, .85)]
    return _misc(merge(parts), rng)


def bus_shelter(rng) -> Pieces:
    """Shelter with glass walls, open to the road (y < 0)."""
    parts = [box((4.2, 1.9, .18), 'dark', (0, 0, 2.5)),
             box((4., .08, 2.1), 'pane', (0, .85, 1.25)),
             box((3., .45, .12), 'wood', (0, .5, .5)),
             place(_plate(np.array([[-.7, -1.], [.7, -1.], [.7, 1.],
                                    [-.7, 1.]]), (0, 1.3), 'print'),
                   (-2., 0, 0))]
    parts += [box((.12, .12, 2.5), 'dark', (x, y, 1.2))
              for x in (-2, 2) for y in (-.8, .8)]
    return _misc(merge(parts), rng, back=Material('plain', (.2, .2, .2)))


def billboard(rng) -> Pieces:
    """Advertising board with its own legs."""
    w, h = rng.uniform(1.8, 2.8), rng.uniform(1.1, 1.5)
    rect = np.array([[-w, -h], [w, -h], [w, h], [-w, h]])
    parts = [_plate(rect, (0, 1.2 + h), 'print')]
    parts += [box((.25, .25, 1.6), 'dark', (.2, y, .6))
              for y in (-w * .6, w * .6)]
    return _misc(merge(parts), rng, back=Material('planks', (.2, .15, .1)))


def crates(rng) -> Pieces:
    """Stack of crates."""
    parts = []
    for i in range(rng.integers(3, 7)):
        s = rng.uniform(.8, 1.2)
        x, lift = (i % 3) * 1.25, (i // 3) * 1.05
        parts.append(place(box((s, s, 1.), 'wood', (0, 0, .5)),
                           (x, rng.normal() * .1, lift), rng.normal() * .2))
    return _misc(merge(parts), rng)


def shipping_container(rng) -> Pieces:
    """Steel container standing on the ground."""
    parts = [box((6., 2.4, 2.5), 'body', (0, 0, 1.2))]
    parts += [box((.12, 2.5, .1), 'dark', (x, 0, 2.5))
              for x in np.linspace(-2.8, 2.8, 8)]
    parts += [box((.1, .06, 2.4), 'dark', (x, y, 1.2))
              for x in np.linspace(-2.9, 2.9, 14) for y in (-1.22, 1.22)]
    return _misc(merge(parts), rng)


def stone_wall(rng) -> Pieces:
    """Piece of a free-standing wall."""
    h, w = rng.uniform(.9, 1.6), rng.uniform(5, 9)
    a = earth_color(rng)
    return _misc(merge([box((w, .4, h + .4), 'stone', (0, 0, h / 2 - .2)),
                        box((w + .1, .55, .14), 'dark', (0, 0, h + .05))]),
                 rng, stone=Material('wall', a, a, 0, 1.))
