"""What stands beside the road in each kind of zone."""

import numpy as np

from scenes import buildings
from scenes import roadside as rs
from scenes.placing import Site
from scenes.road import Crossing

ZONE = 40.0  # meters


def _front(side) -> float:
    """Turn of a building whose front (y < 0) faces the road."""
    return 0.0 if side > 0 else np.pi


def _lay_by(site: Site, s0, s1, side, away) -> None:
    """A few vehicles beside the road outside of towns."""
    for s in site.rng.uniform(s0, s1, 3):
        site.park(s, side * (site.road.half + away), 0 if side < 0 else np.pi, (0.5, 0.3, 0.2))


def _street_parking(site: Site, s0, s1, side) -> None:
    """A row with gaps, close to the carriageway."""
    rng = site.rng
    for s in np.arange(s0 + 2, s1, 6.2):
        if rng.uniform() < 0.6:
            site.park(
                s + rng.uniform(-0.4, 0.4), side * (site.road.half + 1.5), 0 if side < 0 else np.pi
            )


def _junk(site: Site, s0, s1, side) -> None:
    """One object of class Misc where there is room."""
    maker, r, away = (
        (rs.wheelie_bins, 1.2, 2.6),
        (rs.skip, 1.9, 3.6),
        (rs.crates, 1.8, 3.4),
        (rs.billboard, 1.6, 5.5),
        (rs.bench, 1.2, 3.0),
        (rs.bus_shelter, 2.2, 3.4),
        (rs.stone_wall, 3.0, 4.5),
    )[site.rng.integers(7)]
    turn = 0.0 if side > 0 else np.pi
    if maker is rs.billboard:
        turn = site.rng.uniform(-0.3, 0.3)
    for s in site.rng.uniform(s0, s1, 4):
        if site.attempt(maker, s, side * (site.road.half + away), r, turn):
            return


def _town(site: Site, s0, s1, side) -> None:
    """Town: blocks of flats, parked cars, street trees, lamps."""
    rng, half = site.rng, site.road.half
    s = s0 + rng.uniform(0, 1.5)
    while s < s1 - 5:
        w = rng.uniform(9, 15)
        if rng.uniform() < 0.85:
            lat = side * (half + 6.2 + 6 + rng.uniform(0, 1.2))
            site.attempt(buildings.town_house, s + w / 2, lat, w * 0.42, _front(side), width=w)
        s += w + (0 if rng.uniform() < 0.7 else 3)
    site.row(rs.lamp_post, s0, s1, 20, side * (half + 3.1), 0.4, _front(side))
    site.row('broadleaf', s0, s1, 13, side * (half + 3.4), 0.9)
    site.row(rs.bollard, s0, s1, 8, side * (half + 0.5), 0.2)
    _junk(site, s0, s1, side)


def _suburb(site: Site, s0, s1, side) -> None:
    """Suburb: houses behind hedges, garden trees, drives."""
    rng, half = site.rng, site.road.half
    for s in np.arange(s0 + 8, s1, 16.0):
        site.attempt(
            buildings.house,
            s + rng.uniform(-1, 1),
            side * (half + 13 + rng.uniform(0, 3)),
            6.0,
            _front(side) + rng.normal() * 0.1,
        )
    for s in np.arange(s0 + 4, s1, 9.0):
        if rng.uniform() < 0.75:
            site.attempt('hedge', s, side * (half + 5.6), 3.4)
        elif rng.uniform() < 0.6:
            site.park(s, side * (half + 7), rng.choice([-1, 1]) * 1.57)
    if side > 0:
        site.row(rs.utility_pole, s0, s1, 20, side * (half + 3.0), 0.3)
    else:
        site.row(rs.lamp_post, s0, s1, 20, side * (half + 3.0), 0.3, _front(side))
    site.row('tree', s0, s1, 9, side * (half + 8.5), 1.2)
    site.row('tree', s0, s1, 10, side * (half + 24), 2, 0, 4)


def _forest(site: Site, s0, s1, side) -> None:
    """Forest up to the road, rails in the bends."""
    rng, half = site.rng, site.road.half
    _lay_by(site, s0, s1, side, 2.0)
    for step, lat in ((5.0, 6.0), (4.6, 10.0), (5.0, 15.0), (6, 21.0), (7, 29)):
        site.row('tree', s0, s1, step, side * (half + lat), 1.1, 0, 1.6)
    site.row('bush', s0, s1, 4.0, side * (half + 3.8), 0.8, 0, 1.2)
    site.row('tall_grass', s0, s1, 5.0, side * (half + 2.6), 0.7)
    if rng.uniform() < 0.6:
        site.rail(s0 + 2, s1 - 2, side)
    site.row(rs.chevron_board, s0, s1, 15, side * (half + 1.1), 0.3)
    if rng.uniform() < 0.5:
        site.row(rs.utility_pole, s0, s1, 20, side * (half + 1.6), 0.3)
    site.attempt(buildings.house, s0 + 22, side * (half + 13), 5, _front(side))


def _country(site: Site, s0, s1, side) -> None:
    """Open country: rails, fields, boards, lines of trees."""
    rng, half = site.rng, site.road.half
    site.rail(s0, s1, side)
    _lay_by(site, s0, s1, side, 2.8)
    if side < 0 and rng.uniform() < 0.7:
        s = s0 + rng.uniform(5, 35)
        if site.road.cross_weight(s) == 0:
            site.put(rs.gantry(rng, half), s, 0.0)
    site.row(rs.direction_board, s0, s1, 30, -(half + 2.6), 1.2)
    site.row(
        rs.lamp_post if rng.uniform() < 0.5 else rs.utility_pole,
        s0,
        s1,
        20,
        side * (half + 1.3),
        0.3,
        _front(side),
    )
    site.row('tall_grass', s0, s1, 3.5, side * (half + 4), 0.9)
    site.row('bush', s0, s1, 7.0, side * (half + 9), 1.0, 0, 3)
    site.row('tree', s0, s1, 8, side * (half + 17), 1.5, 0, 4)
    site.row('tree', s0, s1, 6, side * (half + 34), 1.5, 0, 6)
    if rng.uniform() < 0.5:
        site.attempt(buildings.hall, s0 + 20, side * (half + 30), 11, _front(side))


def _yards(site: Site, s0, s1, side) -> None:
    """Yards: halls, containers, rows of parked vans and trucks."""
    rng, half = site.rng, site.road.half
    site.attempt(buildings.hall, s0 + rng.uniform(13, 27), side * (half + 25), 11, _front(side))
    for s in np.arange(s0 + 2, s1, 3.6):
        if rng.uniform() < 0.6:
            site.park(s, side * (half + 9.5), rng.choice([-1, 1]) * 1.57, (0.5, 0.3, 0.2))
    for s in np.arange(s0 + 4, s1, 11.0):
        if rng.uniform() < 0.5:
            site.park(s, side * (half + 2.1), 0 if side < 0 else np.pi, (0.2, 0.35, 0.45))
    for s in np.arange(s0 + 6, s1, 13):
        maker, r = ((rs.shipping_container, 3.2), (rs.crates, 1.6), (rs.skip, 1.9))[rng.integers(3)]
        site.attempt(maker, s, side * (half + 5.8), r, rng.normal() * 0.15)
    site.row(rs.lamp_post, s0, s1, 20, side * (half + 0.9), 0.3, _front(side))
    site.rail(s0 + 22, s1 - 2, side)
    site.row('tree', s0, s1, 14, side * (half + 16), 1.5)
    site.row('hedge', s0, s1, 16, side * (half + 13), 3.0)


def build_crossing(site: Site, c: Crossing) -> None:
    """Signals, signs and a short guard rail at a side road."""
    rng, half = site.rng, site.road.half
    s0, s1 = c.s - c.width / 2 - 1.2, c.s + c.width / 2 + 1.2
    edge = half + 1.0
    site.attempt(rs.traffic_light, s0, -edge, 0.4, reach=half * 0.9)
    site.attempt(rs.traffic_light, s0 - 0.2, edge, 0.4)
    site.attempt(rs.traffic_light, s1, -edge, 0.4)
    site.attempt(rs.traffic_light, s1, edge, 0.4)
    site.attempt(rs.traffic_sign, s0 - 4, -edge, 0.4)
    site.attempt(rs.direction_board, s1 + 2.5, -edge - 1.6, 1.2)
    site.attempt(rs.traffic_light, s0 - 26, -edge, 0.4)
    for k in (0, 1):
        site.attempt(rs.bollard, s0 - 1.5 - 1.5 * k, -edge + 0.3, 0.2)
    side = rng.choice([-1, 1])
    site.rail(s1 + 5, s1 + 21, side)


_BUILDERS = dict(T=_town, S=_suburb, F=_forest, O=_country, Y=_yards)


def build_zone(site: Site, zone: str, s0: float) -> None:
    """Fill 40 m of both sides of the road, from ``s0`` on."""
    rng, half = site.rng, site.road.half
    s1 = s0 + ZONE
    for side in (-1, 1):
        if zone in 'TS':
            _street_parking(site, s0, s1, side)
        _junk(site, s0, s1, side)
        _BUILDERS[zone](site, s0, s1, side)
    # every zone: signs for both directions, bushes, now and then junk
    for s in np.arange(s0 + rng.uniform(0, 6), s1, 13.0):
        site.attempt(rs.traffic_sign, s, -half - rng.uniform(0.9, 1.6), 0.4)
    site.attempt(
        rs.traffic_sign,
        s0 + rng.uniform(5, 35),
        half + rng.uniform(0.9, 1.5),
        0.4,
        np.pi if rng.uniform() < 0.4 else 0,
    )
    for side in (-1, 1):
        for _ in range(5):
            site.attempt(
                'bush' if rng.uniform() < 0.6 else 'tall_grass',
                s0 + rng.uniform(0, ZONE),
                side * (half + rng.uniform(3.0, 10)),
                0.9,
            )
        _junk(site, s0, s1, side)
