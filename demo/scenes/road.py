"""The road as a curve, and the height of the ground about it.

Road coordinates: s along the road (meters from the first frame), lat to the left of its axis.
"""

from typing import NamedTuple

import numpy as np

ROUTE = 240.0  # meters the camera drives in a scene
START, END = -40.0, 500.0  # the road that exists


class Crossing(NamedTuple):
    """Side road at ``s``; width in meters."""

    s: float
    width: float


class Road:
    """Curve, elevation and banks of one scene's road.

    Args:
        rng: Source of the curve.
        half: Half the width of the carriageway, meters.
        bend: Largest turn of the heading, radians.
        climb: Amplitude of the elevation, meters.
        verge: Width of the flat strip (pavement) beside the road, meters.
        banks: Slope of the ground beyond, per zone and side, float (Z, 2) (right, left).
        zone_length: Meters.
        crossings: Side roads.
    """

    def __init__(
        self,
        rng,
        half: float,
        bend: float,
        climb: float,
        verge: float,
        banks: np.ndarray,
        zone_length: float,
        crossings: tuple[Crossing, ...],
    ):
        self.half, self.verge, self.crossings = half, verge, crossings
        self.s = np.arange(START - 10, END + 10.5, 0.5)
        phase = rng.uniform(0, 2 * np.pi, 4)
        wave = rng.uniform(150, 190)
        self.heading = bend * (
            np.sin(2 * np.pi * self.s / wave + phase[0]) * 0.75
            + 0.25 * np.sin(2 * np.pi * self.s / (wave * 2.3) + phase[1])
        )
        self.heading -= self._at(self.heading, 0.0)
        step = 0.5
        self.x = np.cumsum(np.cos(self.heading)) * step
        self.y = np.cumsum(np.sin(self.heading)) * step
        self.x -= self._at(self.x, 0.0)
        self.y -= self._at(self.y, 0.0)
        self.elevation = climb * (
            np.sin(2 * np.pi * self.s / 170 + phase[2])
            + 0.4 * np.sin(2 * np.pi * self.s / 83 + phase[3])
        )
        mid = START + zone_length * (np.arange(len(banks)) + 0.5)
        self._banks = [np.interp(self.s, mid, banks[:, k]) for k in (0, 1)]
        self._waves = rng.normal(size=(5, 2)) * [[0.03, 0.09]] * [[1, 1]]
        self._phases = rng.uniform(0, 6.3, 5)

    def _at(self, values, s):
        return np.interp(s, self.s, values)

    def frame(self, s):
        """Axis point (x, y), heading and elevation at ``s``."""
        return (
            self._at(self.x, s),
            self._at(self.y, s),
            self._at(self.heading, s),
            self._at(self.elevation, s),
        )

    def cross_weight(self, s):
        """1 on side roads, 0 away from them."""
        w = np.zeros_like(np.asarray(s, float))
        for c in self.crossings:
            d = np.abs(s - c.s) - c.width / 2
            w = np.maximum(w, np.clip(1 - d / 8, 0, 1))
        return w

    def height(self, s, lat):
        """Height of the ground above the world's zero, meters."""
        s, lat = np.broadcast_arrays(np.asarray(s, float), np.asarray(lat, float))
        edge = self.half + 0.01
        out = np.clip(np.abs(lat) - edge - self.verge, 0, None)
        bank = np.where(lat < 0, self._at(self._banks[0], s), self._at(self._banks[1], s))
        rise = bank * 24 * (1 - np.exp(-out / 24))
        bumps = (
            sum(
                np.sin(a * s + b * lat + p)
                for (a, b), p in zip(self._waves, self._phases, strict=True)
            )
            * 0.16
        )
        flat = 1 - self.cross_weight(s)
        kerb = np.where(np.abs(lat) > edge, 0.1, 0.0)
        side = rise + bumps * np.clip(out / 8, 0, 1) * (1 + out / 30)
        return self._at(self.elevation, s) + (side + kerb) * flat

    def world(self, s, lat, z=None):
        """World points (..., 3); on the ground where z is not given.

        Args:
            s: Meters along the road.
            lat: Meters to the left.
            z: World height, meters.
        """
        s, lat = np.broadcast_arrays(np.asarray(s, float), np.asarray(lat, float))
        x, y, h, _ = self.frame(s)
        z = self.height(s, lat) if z is None else np.broadcast_to(z, s.shape)
        return np.stack([x - np.sin(h) * lat, y + np.cos(h) * lat, z], -1)
