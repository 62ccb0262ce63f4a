"""Where things are put: the collected faces, and what ground is taken."""

from typing import NamedTuple

import numpy as np

from pandepth_mm.structures.vkitti2_meta import CLASSES
from scenes.materials import Material, pick_color, scaled
from scenes.meshes import Mesh, box, grid_surface, merge, place
from scenes.plants import Pieces, Plants
from scenes.road import ROUTE, Road
from scenes.vehicles import MAKERS, Vehicle

QUIET = 0.83 * ROUTE  # from here on the road is empty of vehicles


class Track(NamedTuple):
    """A vehicle with its way.

    Args:
        track: Track id.
        vehicle: The vehicle.
        s: Place along the road when the camera is at 0, meters.
        lat: Meters to the left of the axis.
        speed: Meters driven per meter of the camera's; negative: oncoming.
        yaw: Turn against the road's heading, radians.
    """

    track: int
    vehicle: Vehicle
    s: float
    lat: float
    speed: float
    yaw: float

    @property
    def moving(self) -> bool:
        """Whether it drives."""
        return self.speed != 0


class Faces(NamedTuple):
    """Placed triangles with the tables they point into.

    Args:
        v: float32 (F, 3, 3), world, meters.
        n: float32 (F, 3, 3).
        tex: float32 (F, 3, 3).
        material: int32 (F,).
        label: uint8 (F,), index into CLASSES.
        track: int16 (F,), -1 without.
    """

    v: np.ndarray
    n: np.ndarray
    tex: np.ndarray
    material: np.ndarray
    label: np.ndarray
    track: np.ndarray


class Collector:
    """Gathers placed meshes into :class:`Faces` and a material table."""

    def __init__(self, rng):
        self._rng = rng
        self._parts: list[Faces] = []
        self.materials: list[Material] = []
        self.seeds: list[float] = []

    def rows(self, mesh: Mesh, materials: dict[str, Material]) -> np.ndarray:
        """Add materials; return the table row of each of the mesh's faces."""
        table = np.zeros(len(mesh.names), np.int32)
        seed = self._rng.uniform()
        for i, name in enumerate(mesh.names):
            table[i] = len(self.materials)
            self.materials.append(materials[name])
            self.seeds.append(seed)
        return table[mesh.part]

    def add(self, label: str, mesh: Mesh, materials, track=-1) -> None:
        """Add a placed mesh of one class."""
        self._parts.append(faces_of(mesh, self.rows(mesh, materials), label, track))

    def faces(self) -> Faces:
        """All that was added."""
        return join(self._parts)


def faces_of(mesh: Mesh, rows, label: str, track: int) -> Faces:
    """Faces of one placed mesh."""
    n = len(mesh.v)
    return Faces(
        mesh.v.astype(np.float32),
        mesh.n.astype(np.float32),
        mesh.tex.astype(np.float32),
        rows,
        np.full(n, CLASSES.index(label), np.uint8),
        np.full(n, track, np.int16),
    )


def join(parts) -> Faces:
    """Concatenate faces."""
    return Faces(*(np.concatenate(x) for x in zip(*parts, strict=True)))


class Site:
    """A road and what stands beside it so far.

    Args:
        road: The road.
        rng: The scene's source of chance.
        seed: The set's seed, for the stock of plants.
    """

    def __init__(self, road: Road, rng, seed: int):
        self.road, self.rng = road, rng
        self.out = Collector(rng)
        self.tracks: list[Track] = []
        self._plants = Plants(seed)
        self._taken, self._count = np.zeros((1024, 3)), 0

    def free(self, s, lat, r) -> bool:
        """Take a disc of the ground unless something is there."""
        for c in self.road.crossings:
            if abs(s - c.s) < c.width / 2 + r and abs(lat) > self.road.half:
                return False
        near = self._taken[: self._count]
        if ((near[:, 0] - s) ** 2 + (near[:, 1] - lat) ** 2 < (near[:, 2] + r) ** 2).any():
            return False
        if self._count == len(self._taken):
            self._taken = np.concatenate([self._taken, self._taken])
        self._taken[self._count] = s, lat, r
        self._count += 1
        return True

    def put(self, pieces: Pieces, s, lat, turn=0.0, scale=1.0) -> None:
        """Stand an object on the ground at (s, lat)."""
        at, heading = self.road.world(s, lat), float(self.road.frame(s)[2])
        for p in pieces:
            self.out.add(p.label, place(p.mesh, at, heading + turn, scale), p.materials)

    def attempt(self, maker, s, lat, r, turn=0.0, **kw) -> bool:
        """Place what a maker or the stock (by name) gives, where free."""
        if not self.free(s, lat, r):
            return False
        if isinstance(maker, str):
            rng, scale = self.rng, self.rng.uniform(0.8, 1.2)
            if maker != 'hedge':
                turn = rng.uniform(0, 2 * np.pi)
            self.put(self._plants.sample(rng, maker), s, lat, turn, scale)
        else:
            self.put(maker(self.rng, **kw), s, lat, turn)
        return True

    def row(self, maker, s0, s1, step, lat, r, turn=0.0, jitter=1.5) -> None:
        """Place things in a row along the road."""
        for s in np.arange(s0 + step / 2, s1, step):
            d = self.rng.uniform(-jitter, jitter, 2)
            self.attempt(maker, s + d[0], lat + np.sign(lat) * abs(d[1]) * 0.5, r, turn)

    def _label(self, weights) -> str:
        u = self.rng.uniform()
        return 'Car' if u < weights[0] else 'Van' if u < weights[0] + weights[1] else 'Truck'

    def track(self, s, lat, speed, yaw, label: str) -> None:
        """Place a vehicle on the road."""
        vehicle = MAKERS[label](self.rng)
        self.tracks.append(
            Track(len(self.tracks), vehicle, float(s), float(lat), float(speed), float(yaw))
        )

    def park(self, s, lat, yaw, weights=(0.55, 0.27, 0.18)) -> None:
        """Place a parked vehicle."""
        label = self._label(weights)
        room = dict(Car=2.0, Van=2.5, Truck=4.2)[label]
        if s < QUIET - 4 and self.free(s, lat, room):
            self.track(s, lat, 0, yaw, label)

    def _lay_by(self, s0, s1, side, away) -> None:
        """A few vehicles beside the road outside of towns."""
        for s in self.rng.uniform(s0, s1, 3):
            self._park(s, side * (self.road.half + away), 0 if side < 0 else np.pi, (0.5, 0.3, 0.2))

    def rail(self, s0, s1, side) -> None:
        """Guard rail from s0 to s1 on one side of the road."""
        for c in self.road.crossings:  # leave the side roads open
            a, b = c.s - c.width / 2 - 2.5, c.s + c.width / 2 + 2.5
            if s0 < b and s1 > a:
                if a - s0 > 6:
                    self.rail(s0, a, side)
                if s1 - b > 6:
                    self.rail(b, s1, side)
                return
        rng, road = self.rng, self.road
        l0 = side * (road.half + 0.55)
        s = np.arange(s0, s1 + 0.1, 2.0)
        steel = pick_color(rng, (0.05, 0.6), (0, 0.12), (0.18, 0.5))
        mats = dict(
            rail=Material('metal', steel, gloss=0.3), post=Material('metal', scaled(steel, 0.7))
        )
        if rng.uniform() < 0.75:
            prof = np.array(
                [
                    (0.0, 0.42),
                    (0.07, 0.47),
                    (0.07, 0.55),
                    (0.0, 0.6),
                    (0.0, 0.66),
                    (0.07, 0.71),
                    (0.07, 0.79),
                    (0.0, 0.84),
                ]
            )
        else:  # concrete
            prof = np.array(
                [
                    (0.3, -0.1),
                    (0.3, 0.1),
                    (0.12, 0.35),
                    (0.08, 0.85),
                    (-0.08, 0.85),
                    (-0.12, 0.35),
                    (-0.3, 0.1),
                    (-0.3, -0.1),
                ]
            )
            mats['rail'] = Material('plain', pick_color(rng, (0.05, 0.15), (0, 0.15), (0.25, 0.5)))
        ss, _ = np.meshgrid(s, prof[:, 0], indexing='ij')
        off = l0 - side * prof[None, :, 0] + 0 * ss
        base = road.height(s, l0)[:, None]
        points = road.world(ss, off, base + prof[None, :, 1])
        length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(prof, axis=0).T))])
        tex = np.stack([ss, length[None] + 0 * ss, 0 * ss], -1)
        parts = [grid_surface(points, 'rail', tex)]
        for x in s[::2]:
            parts.append(
                place(
                    box((0.1, 0.12, 1.0), 'post', (0, 0, 0.3)),
                    road.world(x, l0 + side * 0.07),
                    float(road.frame(x)[2]),
                )
            )
        self.out.add('GuardRail', merge(parts), mats)
