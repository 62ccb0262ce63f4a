"""The five scenes: their roads, zones and traffic."""

import numpy as np

from scenes.ground import build_far_land, build_ground
from scenes.materials import KINDS
from scenes.meshes import Mesh, place
from scenes.placing import QUIET, Faces, Site, Track, faces_of, join
from scenes.road import END, START, Crossing, Road
from scenes.zones import ZONE, build_crossing, build_zone

# Zone letters: T town, S suburb, F forest, O open country, Y yards.
STYLES = dict(
    Scene01=dict(
        zones='TTYTSOTSTYTSOF',
        half=3.6,
        bend=0.22,
        climb=0.9,
        moving=(4, 4),
        crossings=(44, 124, 204, 290),
    ),
    Scene02=dict(
        zones='SSTOSFYSTSOFST',
        half=3.6,
        bend=0.3,
        climb=1.2,
        moving=(4, 4),
        crossings=(52, 132, 196, 300),
    ),
    Scene06=dict(
        zones='YYTOYSYTOYSYTF',
        half=5.2,
        bend=0.12,
        climb=0.5,
        moving=(5, 5),
        crossings=(36, 108, 180, 260),
    ),
    Scene18=dict(
        zones='FFSFOFTFYFFSOF',
        half=3.5,
        bend=0.5,
        climb=1.8,
        moving=(4, 4),
        crossings=(60, 140, 212, 310),
    ),
    Scene20=dict(
        zones='OOFOYOSOFOOFOT',
        half=7.4,
        bend=0.2,
        climb=1.5,
        moving=(8, 8),
        crossings=(70, 190, 330),
    ),
)
SCENES = tuple(STYLES)
# Ranges of the slope of the ground beside the road
_SLOPES = dict(T=(0, 0.03), S=(-0.02, 0.12), F=(-0.12, 0.35), O=(-0.1, 0.3), Y=(0, 0.05))


def _add_traffic(site: Site, ahead: int, oncoming: int) -> None:
    """Traffic ahead in the own direction, and oncoming."""
    rng, half = site.rng, site.road.half
    # each class in each direction
    mix = [list(rng.permutation(['Car', 'Car', 'Van', 'Truck'])) for _ in range(6)]
    labels = iter(sum(mix, []))
    lanes = (0.5,) if half < 6 else (0.25, 0.75)
    place_of = {k: 4.0 for k in lanes}
    for i in range(ahead):
        k = lanes[i % len(lanes)]
        place_of[k] += rng.uniform(20, 32)
        site.track(place_of[k], -k * half, rng.uniform(1.02, 1.06), 0, next(labels))
    place_of = {k: 0.0 for k in lanes}
    for i in range(oncoming):
        k = lanes[i % len(lanes)]
        place_of[k] += rng.uniform(30, 65)
        site.track(place_of[k], k * half, -rng.uniform(0.75, 0.8), np.pi, next(labels))


class Scene:
    """One scene: what stands still, and the vehicles that move.

    Args:
        name: Scene name, a key of ``STYLES``.
        seed: The set's seed.

    Everything is sampled by the seed and the name, so a scene is the same for any number and size
    of the frames.
    """

    def __init__(self, name: str, seed: int):
        self.name, style = name, STYLES[name]
        rng = np.random.default_rng([seed, SCENES.index(name)])
        zones = style['zones']
        banks = np.array([[rng.uniform(*_SLOPES[z]) for _ in (0, 1)] for z in zones])
        self.road = Road(
            rng,
            style['half'],
            style['bend'],
            style['climb'],
            4.5,
            banks,
            ZONE,
            tuple(Crossing(float(s), 8.0) for s in style['crossings']),
        )
        site = Site(self.road, rng, seed)
        build_ground(site, zones)
        build_far_land(site)
        for crossing in self.road.crossings:
            build_crossing(site, crossing)
        for i, zone in enumerate(zones):
            s0 = START + i * ZONE
            if s0 < END:
                build_zone(site, zone, s0)
        _add_traffic(site, *style['moving'])
        self.tracks = site.tracks
        self._rows = {}
        for t in self.tracks:
            if t.moving:
                self._rows[t.track] = site.out.rows(t.vehicle.mesh, t.vehicle.materials)
            else:
                site.out.add(t.vehicle.label, self.placed(t, 0.0), t.vehicle.materials, t.track)
        self.static = site.out.faces()
        # the material table as arrays for the renderer
        table = site.out.materials
        self.kind = np.array([KINDS.index(m.kind) for m in table], np.int16)
        self.color_a = np.array([m.a for m in table], np.float32)
        self.color_b = np.array([m.b for m in table], np.float32)
        self.numbers = np.array(
            [(m.p, m.q, m.gloss, seed) for m, seed in zip(table, site.out.seeds, strict=True)],
            np.float32,
        )

    def track_pose(self, t: Track, camera_s: float):
        """World position (3,) of the vehicle's foot, and its yaw."""
        s = t.s + t.speed * camera_s
        yaw = self.road.frame(s)[2] + t.yaw
        return self.road.world(s, t.lat), float(yaw)

    def placed(self, t: Track, camera_s: float) -> Mesh:
        """Mesh of a vehicle where it is when the camera is at ``s``."""
        position, yaw = self.track_pose(t, camera_s)
        # stand on the slope: height one meter ahead and behind
        s = t.s + t.speed * camera_s
        ds, dl = np.cos(t.yaw), np.sin(t.yaw)
        slope = (
            float(self.road.height(s + ds, t.lat + dl) - self.road.height(s - ds, t.lat - dl)) / 2
        )
        slope = np.clip(slope, -0.25, 0.25)
        mesh = t.vehicle.mesh
        v = mesh.v.copy()
        v[..., 2] += slope * v[..., 0]
        return place(mesh._replace(v=v), position, yaw)

    def present(self, t: Track, camera_s: float) -> bool:
        """Whether a vehicle is on the road at this moment."""
        if not t.moving:
            return True
        s = t.s + t.speed * camera_s
        return camera_s < QUIET and START + 5 < s < END - 20

    def dynamic(self, camera_s: float) -> Faces:
        """Faces of the moving vehicles at this moment (maybe none)."""
        parts = [
            faces_of(self.placed(t, camera_s), self._rows[t.track], t.vehicle.label, t.track)
            for t in self.tracks
            if t.moving and self.present(t, camera_s)
        ]
        return join(parts) if parts else Faces(*(x[:0] for x in self.static))
