"""Ray casting: one ray, one hit, and everything about it from that hit."""

from typing import NamedTuple

import cv2
import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from pandepth_mm.structures.vkitti2_meta import CLASSES
from scenes.camera import Intrinsics, Pose, rays
from scenes.layout import Faces, Scene
from scenes.materials import KINDS
from scenes.textures import Hits, Surface, surface
from scenes.weather import Weather, develop, fog, rain_streaks, sky

SKY = CLASSES.index('Sky')
MAX_DEPTH = 655.34  # meters; what centimeters in 16 bits can hold
_LEAF, _ASPHALT = KINDS.index('leaf'), KINDS.index('asphalt')
# Extra samples of pixels on edges, for the picture only
_OFFSETS = ((-0.25, -0.32), (0.32, -0.14), (-0.08, 0.34))


class Solid:
    """Faces that rays can hit.

    Args:
        faces: The triangles; none is allowed.
    """

    def __init__(self, faces: Faces):
        self.faces = faces
        self._scene = None
        if len(faces.v):
            self._scene = EmbreeScene()
            TriangleMesh(
                scene=self._scene,
                vertices=faces.v.reshape(-1, 3).copy(),
                indices=np.arange(3 * len(faces.v), dtype=np.int32).reshape(-1, 3),
            )

    def first_hit(self, origin: np.ndarray, d: np.ndarray):
        """Faces hit (N,), -1 for none, and barycentric u, v (N, 2)."""
        n = len(d)
        if self._scene is None or not n:
            return np.full(n, -1), np.zeros((n, 2), np.float32)
        o = np.broadcast_to(np.float32(origin), d.shape).copy()
        got = self._scene.run(o, np.float32(d), output=True)
        return got['primID'], np.stack([got['u'], got['v']], 1)

    def blocked(self, origins, d, reach=1e6) -> np.ndarray:
        """Whether anything is within ``reach`` of each origin, bool (N,)."""
        n = len(origins)
        if self._scene is None or not n:
            return np.zeros(n, bool)
        far = np.full(n, reach, np.float32)
        d = np.broadcast_to(np.float32(d), (n, 3)).copy()
        return self._scene.run(np.float32(origins), d, dists=far, query='OCCLUDED') >= 0


class Samples(NamedTuple):
    """What N rays hit.

    Args:
        d: Directions with camera z 1, float64 (N, 3).
        depth: Distance along the camera's z axis, meters, float64 (N,); inf where nothing is hit
            within ``MAX_DEPTH``.
        label: uint8 (N,), index into CLASSES.
        track: int16 (N,), -1 without.
        material: int32 (N,).
        point: World, float64 (N, 3).
        facet: Geometric normal towards the camera, float32 (N, 3).
        normal: Shading normal, float32 (N, 3).
        tex: float32 (N, 3).
    """

    d: np.ndarray
    depth: np.ndarray
    label: np.ndarray
    track: np.ndarray
    material: np.ndarray
    point: np.ndarray
    facet: np.ndarray
    normal: np.ndarray
    tex: np.ndarray


def trace(solids: list[Solid], kinds: np.ndarray, origin: np.ndarray, d: np.ndarray) -> Samples:
    """Cast rays from one origin; the nearest of all solids counts.

    Args:
        solids: What can be hit.
        kinds: Texture kind of each material, int (M,).
        origin: Camera center, float64 (3,).
        d: Directions with camera z 1, float64 (N, 3).
    """
    n = len(d)
    out = Samples(
        d,
        np.full(n, np.inf),
        np.full(n, SKY, np.uint8),
        np.full(n, -1, np.int16),
        np.zeros(n, np.int32),
        np.zeros((n, 3)),
        *(np.zeros((n, 3), np.float32) for _ in range(3)),
    )
    for solid in solids:
        face, uv = solid.first_hit(origin, d)
        at = np.flatnonzero(face >= 0)
        if not len(at):
            continue
        f, f_ = face[at], solid.faces
        # Distance in double precision from the triangle's plane; embree's own is single and loses
        # centimeters at grazing view.
        v = f_.v[f].astype(np.float64)
        g = np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0])
        slope = (d[at] * g).sum(1)
        with np.errstate(divide='ignore', invalid='ignore'):
            t = ((v[:, 0] - origin) * g).sum(1) / slope
        ok = np.isfinite(t) & (t > 0.05) & (t < MAX_DEPTH) & (t < out.depth[at])
        at, f, t, g, slope = at[ok], f[ok], t[ok], g[ok], slope[ok]
        w = uv[face >= 0][ok]
        w = np.stack([1 - w.sum(1), w[:, 0], w[:, 1]], 1)[..., None]
        out.depth[at] = t
        out.label[at] = f_.label[f]
        out.track[at] = f_.track[f]
        out.material[at] = f_.material[f]
        out.point[at] = origin + d[at] * t[:, None]
        g = g / np.linalg.norm(g, axis=1, keepdims=True)
        g *= -np.sign(slope)[:, None]
        out.facet[at] = g
        s = (f_.n[f] * w).sum(1)
        s /= np.maximum(np.linalg.norm(s, axis=1, keepdims=True), 1e-6)
        # both sides of a surface are lit; leaves keep their crown's normal
        turn = ((s * g).sum(1) < 0) & (kinds[f_.material[f]] != _LEAF)
        out.normal[at] = np.where(turn[:, None], -s, s)
        out.tex[at] = (f_.tex[f] * w).sum(1)
    return out


def _join(a: Samples, b: Samples) -> Samples:
    return Samples(*(np.concatenate(x) for x in zip(a, b, strict=True)))


class Frame:
    """Geometry of one frame, to be shaded for any number of variations.

    Args:
        scene: The scene.
        static: The scene's still part, built once.
        camera_s: Meters along the route.
        k: Intrinsics.
        pose: Camera pose.
    """

    def __init__(self, scene: Scene, static: Solid, camera_s: float, k: Intrinsics, pose: Pose):
        self._scene, self._k, self._pose = scene, k, pose
        self._solids = [static, Solid(scene.dynamic(camera_s))]
        self._hits = trace(self._solids, scene.kind, pose.center, rays(k, pose))
        self.shape = (k.height, k.width)
        self.depth = self._hits.depth.reshape(self.shape)
        self.label = self._hits.label.reshape(self.shape)
        self.track = self._hits.track.reshape(self.shape)

    def _soften(self) -> tuple[Samples, np.ndarray]:
        """Center rays and, on edges, more; and the pixel of each."""
        h, w = self.shape
        obj = self._hits.material.reshape(h, w).astype(np.int64)
        obj = np.where(np.isfinite(self.depth), obj, -1)
        inv = 1 / self.depth
        edge = np.zeros((h, w), bool)
        for axis in (0, 1):
            jump = np.diff(obj, axis=axis) != 0
            big = np.maximum(inv, 1e-4)
            jump |= np.abs(np.diff(np.log(big), axis=axis)) > 0.06
            lo = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
            hi = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
            edge[lo] |= jump
            edge[hi] |= jump
        v, u = np.nonzero(edge)
        hits, pixel = self._hits, [np.arange(h * w)]
        more = [rays(self._k, self._pose, u + du, v + dv) for du, dv in _OFFSETS]
        if len(u):
            extra = trace(self._solids, self._scene.kind, self._pose.center, np.concatenate(more))
            hits = _join(hits, extra)
            pixel += [v * w + u] * len(_OFFSETS)
        return hits, np.concatenate(pixel)

    def prepare(self) -> None:
        """Everything about the picture that no weather changes."""
        scene = self._scene
        all_hits, self._pixel = self._soften()
        length = np.linalg.norm(all_hits.d, axis=1)
        self._d = (all_hits.d / length[:, None]).astype(np.float32)
        self._at = np.flatnonzero(np.isfinite(all_hits.depth))
        hits = Samples(*(x[self._at] for x in all_hits))
        self._h = hits
        self._distance = (hits.depth * length[self._at]).astype(np.float32)
        d = self._d[self._at]
        facing = np.abs((hits.facet * d).sum(1))
        footprint = self._distance / np.float32(self._k.focal) / np.maximum(facing, 0.04) ** 0.6
        m = hits.material
        numbers = scene.numbers[m]
        self._kind = scene.kind[m]
        self._surface: Surface = surface(
            self._kind,
            Hits(
                hits.tex,
                scene.color_a[m],
                scene.color_b[m],
                numbers[:, 0],
                numbers[:, 1],
                numbers[:, 3],
                hits.normal[:, 2],
                footprint.astype(np.float32),
            ),
        )
        self._gloss = self._surface.gloss * numbers[:, 2]
        self._open = self._openness()

    def _openness(self) -> np.ndarray:
        """How much of the sky near surfaces leave free, 0..1, (N,)."""
        h = self._h
        n = len(h.depth)
        # a fixed pattern of directions, smoothed over pixels afterwards
        i = np.arange(n)
        a = 2 * np.pi * np.mod(i * 0.7548776662, 1)
        z = np.sqrt(np.mod(i * 0.5698402910, 1))
        r = np.sqrt(1 - z * z)
        local = np.stack([r * np.cos(a), r * np.sin(a), 0 * z], 1)
        d = h.facet * z[:, None] + local
        d += h.facet * np.maximum(0, 0.05 - (d * h.facet).sum(1))[:, None]
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        d[..., 2] = np.where(h.facet[:, 2] > -0.2, np.abs(d[:, 2]), d[:, 2])
        start = h.point + h.facet * 0.02
        hit = np.zeros(n, bool)
        for s in self._solids:
            hit |= s.blocked(start, d, 1.8)
        hh, ww = self.shape
        first = self._at < hh * ww
        grid = np.zeros(hh * ww, np.float32)
        seen = np.zeros(hh * ww, np.float32)
        grid[self._at[first]] = hit[first]
        seen[self._at[first]] = 1.0
        size = max(3, int(round(ww / 110)) | 1)
        total = cv2.blur(grid.reshape(hh, ww), (size, size)).ravel()
        count = cv2.blur(seen.reshape(hh, ww), (size, size)).ravel()
        share = total / np.maximum(count, 1e-3)
        return (1 - 0.75 * share[self._pixel[self._at]]).astype(np.float32)

    def shade(self, w: Weather, rng, drift: float) -> np.ndarray:
        """The picture in one weather, RGB uint8 (H, W, 3)."""
        h, at = self._h, self._at
        albedo, light = self._surface.albedo, self._surface.light
        n, d = h.normal, self._d[at]
        leaf = self._kind == _LEAF
        gloss = self._gloss
        if w.wet:
            flat = np.clip(n[:, 2] * 4 - 2.6, 0, 1)
            albedo = albedo * (1 - 0.35 * w.wet * (0.4 + 0.6 * flat))[:, None]
            road = (self._kind == _ASPHALT) * 0.45
            gloss = np.maximum(gloss, flat * w.wet * (0.12 + road))
        up = n[:, 2]
        zen, hor = np.float32(w.zenith), np.float32(w.horizon)
        above = (0.45 * zen + 0.55 * hor) * w.ambient
        below = np.float32((0.12, 0.11, 0.09)) * (hor * w.ambient + np.float32(w.sun) * 0.35)
        amb = (0.5 + 0.5 * up)[:, None] * above + (0.5 - 0.5 * up)[:, None] * below
        color = albedo * amb * self._open[:, None]
        sun = np.float32(w.sun)
        direct = np.zeros(len(at), np.float32)
        if sun.max() > 0:
            to_sun = np.float32(w.sun_direction)
            cos = n @ to_sun
            cos = np.where(leaf, 0.35 + 0.65 * cos, cos)
            side = np.where(leaf | (h.facet @ to_sun > 0), 1.0, 0.0)
            direct = np.clip(cos, 0, 1) * side
            lit = np.flatnonzero(direct > 0.01)
            start = h.point[lit] + h.facet[lit] * 0.015 + to_sun * 0.03
            dark = np.zeros(len(lit), bool)
            for s in self._solids:
                dark |= s.blocked(start, to_sun)
            direct[lit[dark]] = 0
            color = color + albedo * direct[:, None] * sun * 0.75
        shiny = np.flatnonzero(gloss > 0.02)
        if len(shiny):
            ns, ds = n[shiny], d[shiny]
            cosv = np.clip(-(ns * ds).sum(1), 0, 1)
            mirror = ds + 2 * cosv[:, None] * ns
            fresnel = gloss[shiny] * (0.06 + 0.94 * (1 - cosv) ** 5)
            seen = sky(w, mirror, drift)
            low = np.clip(mirror[:, 2] * 6 + 0.5, 0, 1)[:, None]
            # towards the ground a surface mirrors the dark street
            seen = seen * low + 0.16 * hor * (1 - low)
            seen *= self._open[shiny][:, None]
            color[shiny] = color[shiny] * (1 - fresnel[:, None]) + seen * fresnel[:, None]
            if sun.max() > 0:
                spark = np.clip(mirror @ to_sun, 0, 1) ** 60
                color[shiny] += (spark * gloss[shiny] * (direct[shiny] > 0))[:, None] * sun * 0.6
        color = fog(w, color + light, self._distance, d)
        total = np.empty((len(self._d), 3), np.float32)
        total[:] = 0
        total[at] = color
        none = np.ones(len(self._d), bool)
        none[at] = False
        total[none] = fog(
            w, sky(w, self._d[none], drift), np.full(none.sum(), 30.0, np.float32), self._d[none]
        )
        return develop(w, rain_streaks(w, self._resolve(total), rng), rng)

    def _resolve(self, color: np.ndarray) -> np.ndarray:
        """Mean of the samples of each pixel, float32 (H, W, 3)."""
        h, w = self.shape
        count = np.bincount(self._pixel, minlength=h * w)
        # bright samples are clipped, so that lamps do not burn out edges
        color = np.minimum(color, 2.5)
        image = (
            np.stack([np.bincount(self._pixel, color[:, c], h * w) for c in range(3)], 1)
            / count[:, None]
        )
        return image.reshape(h, w, 3).astype(np.float32)
