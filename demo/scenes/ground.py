"""The ground: road, pavements, verges and the land to the horizon."""

import numpy as np

from scenes.materials import Material, earth_color, pick_color, plant_color, scaled
from scenes.meshes import grid_surface
from scenes.placing import Site
from scenes.road import END, ROUTE, START
from scenes.zones import ZONE


def build_ground(site: Site, zones: str) -> None:
    """Road and ground beside it, one material per zone."""
    road, rng = site.road, site.rng
    half, walk = road.half, road.half + road.verge
    side = [
        half + 0.02,
        half + 2,
        walk,
        walk + 2,
        walk + 5,
        walk + 9,
        walk + 14,
        walk + 22,
        walk + 34,
        walk + 52,
        walk + 80,
    ]
    across = np.linspace(-half, half, 7)
    lat = np.concatenate([-np.array(side)[::-1], across, side])
    s = np.arange(START, END + 1, 2.0)
    ss, ll = np.meshgrid(s, lat, indexing='ij')
    points = road.world(ss, ll)
    points[:, [0, -1], 2] -= 12.0  # sink below the far land
    # from right to left is along +y: normals point up
    tex = np.stack([ss, ll, 0 * ss], -1)
    cs, cl = (s[:-1] + s[1:]) / 2, np.abs((lat[:-1] + lat[1:]) / 2)
    zone = np.clip(((cs - START) // ZONE).astype(int), 0, len(zones) - 1)
    onside = np.zeros(len(cs), bool)
    zebra = np.zeros(len(cs), bool)
    for c in site.road.crossings:
        onside |= np.abs(cs - c.s) < c.width / 2
        zebra |= np.abs(cs - (c.s - c.width / 2 - 3)) < 1.1
    on_road = (cl < half)[None] & (cs > -1e9)[:, None]
    side_road = onside[:, None] & (cl >= half)[None] & (cl < walk + 60)
    asphalt = pick_color(rng, (0.05, 0.7), (0, 0.1), (0.05, 0.2))
    add = site.out.add
    for q, keep in (
        (1.0, on_road & ~onside[:, None] & ~zebra[:, None]),
        (2.0, on_road & zebra[:, None]),
        (0.0, on_road & onside[:, None]),
    ):
        add(
            'Road',
            grid_surface(points, 'top', tex, keep),
            dict(top=Material('asphalt', asphalt, p=half, q=q)),
        )
    add(
        'Road',
        grid_surface(points, 'top', tex, side_road),
        dict(top=Material('asphalt', asphalt, p=9.0, q=0.0)),
    )
    rest = ~on_road & ~side_road
    for i, z in enumerate(zones):
        here = rest & (zone == i)[:, None]
        if not here.any():
            continue
        grass = Material('ground', plant_color(rng), earth_color(rng), q=rng.uniform(-0.45, 0.45))
        paved = z in 'TY' or (z == 'S' and rng.uniform() < 0.5)
        stone = pick_color(rng, (0.05, 0.6), (0, 0.15), (0.1, 0.38))
        strip = Material('paving', stone, p=rng.choice([0.5, 0.8, 1.2]))
        if z == 'Y':  # gravel or old asphalt
            strip = Material('ground', stone, scaled(stone, 0.7), q=0.0)
            grass = strip if rng.uniform() < 0.5 else grass
        near = here & (cl < walk)[None]
        add('Terrain', grid_surface(points, 'top', tex, near), dict(top=strip if paved else grass))
        add('Terrain', grid_surface(points, 'top', tex, here & ~near), dict(top=grass))


def build_far_land(site: Site) -> None:
    """Rolling land to the horizon, and woods on it."""
    rng = site.rng
    cx, cy = site.road.world(ROUTE * 0.95, 0.0)[:2]
    r = np.array([20.0, 90, 180, 270, 310, 350, 390, 430])
    a = np.linspace(0, 2 * np.pi, 91)
    ridge = 22 + sum(rng.uniform(3, 7) * np.sin(k * a + rng.uniform(0, 6.3)) for k in (2, 3, 5, 9))
    rise = np.clip((r - 250) / 180, 0, 1) ** 1.5
    z = -7 + rise[:, None] * ridge[None]
    x = cx + r[:, None] * np.cos(a)[None]
    y = cy + r[:, None] * np.sin(a)[None]
    points = np.stack([x, y, z], -1)
    tex = np.stack([x, y, 0 * x], -1)
    site.out.add(
        'Terrain',
        grid_surface(points, 'top', tex),
        dict(top=Material('ground', plant_color(rng), plant_color(rng))),
    )
