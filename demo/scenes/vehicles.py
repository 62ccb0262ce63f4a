"""Cars, vans and trucks: rounded bodies lofted over a side profile."""

from typing import NamedTuple

import numpy as np

from scenes.materials import Material, manmade_color, pick_color
from scenes.meshes import Mesh, box, cylinder, from_triangles, grid_surface, merge, place, rod


class Vehicle(NamedTuple):
    """A vehicle in its own frame: x forward, on the ground, centered.

    Args:
        label: 'Car', 'Van' or 'Truck'.
        model: Body style.
        color: Name of the body color.
        mesh: The mesh.
        materials: Material of each part name.
        size: (length, width, height), meters.
    """

    label: str
    model: str
    color: str
    mesh: Mesh
    materials: dict[str, Material]
    size: tuple[float, float, float]


# Side profiles, rear to front: x and roof height as shares of length and height, belt height share,
# 1 where the station belongs to the cabin.
PROFILES = dict(
    sedan=[
        (-0.50, 0.48, 0.42, 0),
        (-0.48, 0.64, 0.55, 0),
        (-0.34, 0.69, 0.62, 0),
        (-0.21, 0.96, 0.64, 1),
        (-0.06, 1.0, 0.64, 1),
        (-0.03, 1.0, 0.64, 1),
        (0.08, 0.98, 0.63, 1),
        (0.24, 0.67, 0.61, 0),
        (0.42, 0.60, 0.54, 0),
        (0.485, 0.50, 0.45, 0),
        (0.50, 0.38, 0.34, 0),
    ],
    hatch=[
        (-0.50, 0.46, 0.42, 0),
        (-0.485, 0.64, 0.58, 0),
        (-0.46, 0.68, 0.61, 0),
        (-0.34, 0.97, 0.63, 1),
        (-0.12, 1.0, 0.63, 1),
        (-0.09, 1.0, 0.63, 1),
        (0.08, 0.97, 0.62, 1),
        (0.25, 0.67, 0.60, 0),
        (0.43, 0.58, 0.52, 0),
        (0.485, 0.48, 0.44, 0),
        (0.50, 0.36, 0.33, 0),
    ],
    suv=[
        (-0.50, 0.45, 0.42, 0),
        (-0.49, 0.62, 0.58, 0),
        (-0.48, 0.66, 0.61, 0),
        (-0.42, 0.97, 0.63, 1),
        (-0.20, 1.0, 0.63, 1),
        (-0.17, 1.0, 0.63, 1),
        (0.10, 0.97, 0.62, 1),
        (0.24, 0.68, 0.61, 0),
        (0.44, 0.61, 0.55, 0),
        (0.49, 0.50, 0.46, 0),
        (0.50, 0.38, 0.35, 0),
    ],
    van=[
        (-0.50, 0.30, 0.28, 0),
        (-0.495, 0.55, 0.50, 0),
        (-0.49, 0.60, 0.52, 0),
        (-0.475, 0.97, 0.54, 1),
        (0.08, 1.0, 0.54, 1),
        (0.11, 1.0, 0.54, 1),
        (0.24, 0.96, 0.53, 1),
        (0.38, 0.56, 0.50, 0),
        (0.475, 0.47, 0.42, 0),
        (0.495, 0.38, 0.35, 0),
        (0.50, 0.25, 0.24, 0),
    ],
)


def _body(profile, length, width, height, bottom, windows) -> Mesh:
    """Body shell with glass; ``windows``: first glazed side station."""
    stations = np.array(profile)
    rings = []
    for x, top, belt, cabin in stations:
        taper = 1 - 1.6 * max(0.0, abs(x) - 0.4)
        hw = width / 2 * taper
        zt, zb = top * height, belt * height
        tw = hw * (0.76 if cabin else 0.93)
        half = [
            (hw * 0.95, bottom),
            (hw, bottom + 0.3 * (zb - bottom)),
            (hw, zb - 0.06),
            (hw * 0.97, zb),
            (tw, zt - 0.05),
            (tw * 0.86, zt),
            (0.0, zt + 0.02),
        ]
        ring = [(-y, z) for y, z in half] + half[-2::-1]
        rings.append([(x * length, y, z) for y, z in ring])
    rings = np.array(rings)
    cells = np.zeros((len(stations) - 1, rings.shape[1] - 1), bool)
    cabin = stations[:, 3] > 0
    for i in range(len(cells)):
        both = cabin[i] and cabin[i + 1]
        pillar = stations[i + 1, 0] - stations[i, 0] < 0.05
        if both and not pillar and i >= windows:
            cells[i, [3, 8]] = True
        if cabin[i] != cabin[i + 1]:
            cells[i, 4:8] = True  # windscreen and rear window
            cells[i, [3, 8]] = stations[i, 0] > 0
    skin = merge(
        [grid_surface(rings, 'glass', rings, cells), grid_surface(rings, 'paint', rings, ~cells)]
    )
    floor = box((0.97 * length, 0.84 * width, 0.06), 'chassis', (0, 0, bottom))
    return merge([skin, _end(rings[0], -1), _end(rings[-1], 1), floor])


def _end(ring: np.ndarray, direction: int) -> Mesh:
    """Flat front or rear of a body."""
    ring = np.concatenate([ring, ring[:1]])
    mid = np.broadcast_to(ring[:-1].mean(0), ring[:-1].shape)
    tri = np.stack([mid, ring[:-1], ring[1:]], 1)
    n = np.broadcast_to([direction, 0.0, 0.0], tri.shape)
    return from_triangles(tri, 'paint', n=n)


def _wheels(xs, track: float, radius: float, width=0.22) -> Mesh:
    """Wheels at the stations ``xs`` on both sides."""
    parts = []
    for x in xs:
        for side in (-1, 1):
            y = side * track / 2
            parts += [
                rod((x, y - side * width, radius), (x, y, radius), radius, 'tyre', 14),
                rod(
                    (x, y - side * 0.1, radius),
                    (x, y + side * 0.015, radius),
                    radius * 0.6,
                    'hub',
                    10,
                ),
            ]
    return merge(parts)


def _lights(x_rear, x_front, width, z, size=0.16) -> Mesh:
    """Head and tail lamps, plates and bumpers' trim."""
    parts = []
    for side in (-1, 1):
        y = side * (width / 2 - size * 1.1)
        parts += [
            box((0.06, size * 1.7, size), 'headlight', (x_front, y, z)),
            box((0.06, size * 1.3, size * 1.3), 'taillight', (x_rear, y, z + 0.08)),
        ]
    for x in (x_rear, x_front):
        parts += [
            box((0.05, 0.5, 0.12), 'plate', (x, 0, z - 0.14)),
            box((0.1, width * 0.8, 0.12), 'trim', (x, 0, z - 0.27)),
        ]
    return merge(parts)


def _common(rng, body) -> dict[str, Material]:
    """Materials that every vehicle has."""
    tint = pick_color(rng, (0.5, 0.65), (0, 0.4), (0.015, 0.06))
    return dict(
        paint=Material('paint', body, gloss=0.55),
        glass=Material('glass', tint, gloss=0.9),
        tyre=Material('plain', (0.02, 0.02, 0.022)),
        hub=Material('metal', (0.3, 0.3, 0.32), gloss=0.4),
        trim=Material('plain', (0.03, 0.03, 0.03)),
        headlight=Material('lamp', (0.75, 0.75, 0.7), p=0.25),
        taillight=Material('lamp', (0.5, 0.02, 0.02), p=0.35),
        plate=Material('plain', (0.7, 0.7, 0.6)),
        chassis=Material('plain', (0.05, 0.05, 0.05)),
    )


def color_name(c) -> str:
    """Word for a color, for info.txt."""
    r, g, b = c
    if max(c) - min(c) < 0.08:
        return ('Black', 'Grey', 'White')[int(max(c) > 0.1) + int(max(c) > 0.4)]
    if r >= g and r >= b:
        return 'Red' if g < 0.6 * r else 'Brown'
    return 'Green' if g >= b else 'Blue'


def make_car(rng) -> Vehicle:
    """Saloon, hatchback or sport utility."""
    model = ('sedan', 'hatch', 'suv')[rng.integers(3)]
    length = dict(sedan=4.5, hatch=3.9, suv=4.5)[model]
    height = dict(sedan=1.45, hatch=1.5, suv=1.72)[model]
    length *= rng.uniform(0.95, 1.06)
    height *= rng.uniform(0.97, 1.04)
    width = rng.uniform(1.7, 1.85)
    color = manmade_color(rng)
    mesh = merge(
        [
            _body(PROFILES[model], length, width, height, 0.27, 0),
            _wheels((-0.31 * length, 0.31 * length), width * 0.985, 0.32),
            _lights(-0.49 * length, 0.49 * length, width * 0.86, 0.42 * height),
        ]
    )
    return Vehicle(
        'Car', model, color_name(color), mesh, _common(rng, color), (length, width, height)
    )


def make_van(rng) -> Vehicle:
    """Panel van or minibus."""
    panel = rng.uniform() < 0.6
    length, width = rng.uniform(4.9, 5.7), rng.uniform(1.95, 2.1)
    height = rng.uniform(2.2, 2.6)
    color = manmade_color(rng)
    if rng.uniform() < 0.35:
        color = pick_color(rng, (0, 1), (0, 0.06), (0.5, 0.8))
    mesh = merge(
        [
            _body(PROFILES['van'], length, width, height, 0.3, 5 if panel else 0),
            _wheels((-0.32 * length, 0.33 * length), width * 0.985, 0.35),
            _lights(-0.495 * length, 0.49 * length, width * 0.86, 0.33 * height),
        ]
    )
    return Vehicle(
        'Van',
        'panel_van' if panel else 'minibus',
        color_name(color),
        mesh,
        _common(rng, color),
        (length, width, height),
    )


def make_truck(rng) -> Vehicle:
    """Box truck, tanker or tipper with a separate cab."""
    model = ('box', 'box', 'tanker', 'tipper')[rng.integers(4)]
    length, width = rng.uniform(7.5, 10.5), rng.uniform(2.4, 2.55)
    cab_l, cab_h = 2.0, rng.uniform(2.7, 3.1)
    x1 = length / 2
    rear, front = -x1, x1 - cab_l - 0.35
    bed_l, mid = front - rear, (front + rear) / 2
    cab = []
    for x, top, w in (
        (x1 - cab_l, cab_h, 0.97),
        (x1 - 0.55, cab_h, 0.97),
        (x1 - 0.12, cab_h * 0.93, 0.95),
        (x1, 1.6, 0.95),
        (x1, 0.55, 0.95),
    ):
        hw = w * width / 2
        half = [
            (hw, 0.5),
            (hw, min(top - 0.1, 1.55)),
            (hw * 0.99, top - 0.08),
            (hw * 0.93, top),
            (0, top),
        ]
        ring = [(-y, z) for y, z in half] + half[-2::-1]
        cab.append([(x, y, z) for y, z in ring])
    cab = np.array(cab)
    glass = np.zeros((len(cab) - 1, cab.shape[1] - 1), bool)
    glass[1, [1, 6]] = True
    glass[2, 2:6] = True
    parts = [
        grid_surface(cab, 'glass', cab, glass),
        grid_surface(cab, 'paint', cab, ~glass),
        _end(cab[0], -1),
        box((0.9, width * 0.9, 0.9), 'paint', (x1 - 0.46, 0, 0.95)),
        box((0.12, width * 0.96, 0.3), 'trim', (x1 - 0.02, 0, 0.6)),
        box((0.1, width * 0.7, 0.45), 'trim', (x1 - 0.02, 0, 1.25)),
        box((length - 0.6, width * 0.5, 0.25), 'chassis', (-0.2, 0, 0.85)),
    ]
    height = cab_h
    if model == 'box':
        height = rng.uniform(3.3, 3.9)
        parts += [
            box((bed_l, width, height - 1.05), 'cargo', (mid, 0, (height + 1.05) / 2)),
            box((0.06, width * 0.9, height - 1.3), 'door', (rear - 0.03, 0, (height + 1.1) / 2)),
            box((0.05, 0.06, height - 1.4), 'trim', (rear - 0.08, 0, (height + 1.1) / 2)),
        ]
    elif model == 'tanker':
        r = rng.uniform(1.02, 1.16)
        parts += [
            rod((rear, 0, 1.05 + r), (front, 0, 1.05 + r), r, 'cargo', 20),
            box((bed_l * 0.9, 0.7, 0.2), 'trim', (mid, 0, 1.05)),
        ]
        parts += [
            rod((x, 0, 1.05 + r), (x + 0.12, 0, 1.05 + r), r * 1.02, 'trim', 20)
            for x in np.linspace(rear + 0.4, front - 0.5, 3)
        ]
        height = max(height, 1.05 + 2 * r)
    else:
        side = rng.uniform(0.9, 1.4)
        for y in (-1, 1):
            parts.append(
                box((bed_l, 0.1, side), 'cargo', (mid, y * (width / 2 - 0.05), 1.05 + side / 2))
            )
        for x in (rear + 0.05, front - 0.05):
            parts.append(box((0.1, width, side), 'cargo', (x, 0, 1.05 + side / 2)))
        heap = cylinder(width * 0.42, 0.6, 'load', 12, (0, 0, 0), 0.5)
        parts += [box((bed_l, width, 0.15), 'cargo', (mid, 0, 1.0))]
        parts += [place(heap, (x, 0, 0.75 + side)) for x in np.linspace(rear + 1.3, front - 1.3, 3)]
    xs = [rear + 0.9, rear + 2.0, x1 - 1.1]
    parts += [
        _wheels(xs, width * 1.005, 0.5, 0.35),
        _lights(rear - 0.02, x1 + 0.02, width, 0.85, 0.22),
    ]
    color, cargo = manmade_color(rng), manmade_color(rng)
    materials = _common(rng, color)
    kind = 'stripes' if model == 'box' and rng.uniform() < 0.5 else 'metal'
    materials.update(
        cargo=Material(
            kind,
            cargo,
            manmade_color(rng),
            p=rng.uniform(0.8, 2.0),
            gloss=0.2 if model != 'tanker' else 0.5,
        ),
        door=Material('metal', tuple(0.8 * np.array(cargo)), gloss=0.2),
        load=Material('ground', (0.3, 0.24, 0.17)),
    )
    return Vehicle(
        'Truck', model, color_name(color), merge(parts), materials, (length, width, height)
    )


MAKERS = dict(Car=make_car, Van=make_van, Truck=make_truck)
