"""Triangle meshes with normals and texture coordinates, and their makers.

Every maker returns a :class:`Mesh` in its own local frame (x forward, y left, z up, meters) with
one *part name* per face; :class:`SceneMesh` collects placed meshes and resolves part names to rows
of the material table.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import trimesh


class Mesh(NamedTuple):
    """Triangles whose corners are not shared.

    Args:
        v: Corners, float (F, 3, 3), meters.
        n: Unit normals of the corners, float (F, 3, 3).
        tex: Texture coordinates of the corners, float (F, 3, 3); meters unless a texture says
            otherwise.
        part: Index into ``names`` of each face, int (F,).
        names: Part names.
    """

    v: np.ndarray
    n: np.ndarray
    tex: np.ndarray
    part: np.ndarray
    names: tuple


def face_normals(v: np.ndarray) -> np.ndarray:
    """Unit normals, float (F, 3), of triangles (F, 3, 3)."""
    n = np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0])
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-12)


def from_triangles(v, part: str, n=None, tex=None) -> Mesh:
    """Mesh of loose triangles (F, 3, 3), flat shaded unless ``n`` is given."""
    v = np.asarray(v, float).reshape(-1, 3, 3)
    if n is None:
        n = np.repeat(face_normals(v)[:, None], 3, axis=1)
    if tex is None:
        tex = v
    return Mesh(
        v,
        np.broadcast_to(n, v.shape).astype(float),
        np.asarray(tex, float),
        np.zeros(len(v), int),
        (part,),
    )


def quads(corners, part: str, tex=None) -> Mesh:
    """Flat quads (Q, 4, 3), corners in order around each."""
    q = np.asarray(corners, float).reshape(-1, 4, 3)
    split = np.array([[0, 1, 2], [0, 2, 3]])
    t = (
        None
        if tex is None
        else np.asarray(tex, float).reshape(-1, 4, 3)[:, split].reshape(-1, 3, 3)
    )
    return from_triangles(q[:, split].reshape(-1, 3, 3), part, tex=t)


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several."""
    names: dict[str, int] = {}
    part: list[np.ndarray] = []
    for m in meshes:
        table = np.array([names.setdefault(x, len(names)) for x in m.names])
        part.append(table[m.part])
    return Mesh(
        *(np.concatenate([getattr(m, k) for m in meshes]) for k in ('v', 'n', 'tex')),
        np.concatenate(part),
        tuple(names),
    )


def place(mesh: Mesh, position=(0, 0, 0), yaw=0.0, scale=1.0) -> Mesh:
    """Scale, turn about z (radians) and move; texture stays with the mesh."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return mesh._replace(
        v=(mesh.v * scale) @ turn.T + np.asarray(position, float), n=mesh.n @ turn.T
    )


def tilt(mesh: Mesh, rotation: np.ndarray) -> Mesh:
    """Rotate by a 3x3 matrix about the origin."""
    return mesh._replace(v=mesh.v @ rotation.T, n=mesh.n @ rotation.T)


def box(size, part: str, center=(0, 0, 0)) -> Mesh:
    """Box of ``size`` (x, y, z) about ``center``.

    Texture: (distance along the wall, height above the box's foot, side), for walls; (x, y, -1) for
    lid and floor.
    """
    sx, sy, sz = np.asarray(size, float) / 2
    # wall corners in order, counter-clockwise seen from outside
    ring = np.array([[sx, -sy], [sx, sy], [-sx, sy], [-sx, -sy]])
    q, t = [], []
    for i in range(4):
        a, b = ring[i], ring[(i + 1) % 4]
        w = np.linalg.norm(b - a)
        q.append([[*a, -sz], [*b, -sz], [*b, sz], [*a, sz]])
        t.append([[0, 0, i], [w, 0, i], [w, 2 * sz, i], [0, 2 * sz, i]])
    for z, order in ((sz, (0, 1, 2, 3)), (-sz, (3, 2, 1, 0))):
        q.append([[*ring[k], z] for k in order])
        t.append([[*ring[k], -1] for k in order])
    return place(quads(q, part, t), center)


@functools.lru_cache(maxsize=512)
def _unit_cylinder(sections: int, ratio: float, slope: float):
    """Corners, normals and texture of a cylinder of radius and height 1.

    ``ratio``: top radius to foot radius; ``slope``: z of the side's normal.
    """
    a = np.linspace(0, 2 * np.pi, sections + 1)
    ring = np.stack([np.cos(a), np.sin(a), 0 * a], 1)
    hi = ring * ratio + [0, 0, 1]
    n = ring + [0, 0, slope]
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    t0 = np.stack([a, 0 * a, 0 * a], 1)
    t1 = t0 + [0, 1, 0]
    i, j = np.arange(sections), np.arange(1, sections + 1)
    v = [np.stack([ring[i], ring[j], hi[j]], 1), np.stack([ring[i], hi[j], hi[i]], 1)]
    nn = [np.stack([n[i], n[j], n[j]], 1), np.stack([n[i], n[j], n[i]], 1)]
    t = [np.stack([t0[i], t0[j], t1[j]], 1), np.stack([t0[i], t1[j], t1[i]], 1)]
    for r, (p, q), z in ((hi, (i, j), 1.0), (ring, (j, i), -1.0)):
        mid = np.broadcast_to([0, 0, r[0, 2]], r[i].shape)
        tri = np.stack([mid, r[p], r[q]], 1)
        v.append(tri)
        nn.append(np.broadcast_to([0, 0, z], tri.shape))
        t.append(np.concatenate([tri[..., :2], 0 * tri[..., 2:] - 1], 2))
    return (np.concatenate(v), np.concatenate(nn), np.concatenate(t))


def cylinder(
    radius: float, height: float, part: str, sections=10, base=(0, 0, 0), top_radius=None
) -> Mesh:
    """Upright (or tapered) cylinder standing on ``base``.

    Texture: (arc length, height, 0), (x, y, -1) on the caps.
    """
    top = radius if top_radius is None else top_radius
    v, n, t = _unit_cylinder(sections, float(top / radius), float((radius - top) / height))
    tex = t * np.where(t[..., 2:] < 0, [radius, radius, 1], [radius, height, 1])
    return from_triangles(v * [radius, radius, height] + np.asarray(base), part, n, tex)


def rod(start, end, radius: float, part: str, sections=8) -> Mesh:
    """Cylinder between two points."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    axis = end - start
    length = np.linalg.norm(axis)
    z = axis / length
    x = np.cross([0.0, 1, 0] if abs(z[1]) < 0.9 else [1.0, 0, 0], z)
    x /= np.linalg.norm(x)
    turn = np.stack([x, np.cross(z, x), z], 1)
    return place(tilt(cylinder(radius, length, part, sections), turn), start)


@functools.lru_cache(maxsize=4)
def _icosphere(subdivisions: int):
    """Unit directions (V, 3) and faces (F, 3)."""
    tm = trimesh.creation.icosphere(subdivisions=subdivisions)
    return np.asarray(tm.vertices), np.asarray(tm.faces)


def blob(radii, part: str, rng, roughness=0.15, subdivisions=2, center=(0, 0, 0)) -> Mesh:
    """Lumpy ellipsoid: an icosphere pushed in and out by smooth waves."""
    d, faces = _icosphere(subdivisions)
    radii = np.asarray(radii, float)
    bump = np.zeros(len(d))
    for f in (2, 3, 5):
        k = rng.normal(size=(3, 3)) * f
        bump += np.sin(d @ k + rng.uniform(0, 6.3, 3)).sum(1) / (1.5 * f)
    v = d * (1 + roughness * bump[:, None]) * radii
    n = d / radii  # of the ellipsoid without its lumps
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    return place(from_triangles(v[faces], part, n[faces]), center)


def cards(centers, normals, sizes, part: str, rng) -> Mesh:
    """Leaf cards: one small randomly turned triangle per center.

    Args:
        centers: float (N, 3).
        normals: Shading normals, float (N, 3), e.g. away from the crown's middle, so that a crown
            is lit as one round body.
        sizes: float (N,), meters.
        part: Part name.
        rng: Source of the turns.
    """
    n = len(centers)
    a = rng.normal(size=(n, 3))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(a, rng.normal(size=(n, 3)))
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    a, b = a * sizes[:, None], b * sizes[:, None]
    tri = np.stack([centers - a, centers + 0.5 * a + b, centers + 0.5 * a - b], 1)
    shade = normals + rng.normal(size=(n, 3)) * 0.35
    shade /= np.linalg.norm(shade, axis=1, keepdims=True)
    return from_triangles(tri, part, shade[:, None])


def grid_surface(points: np.ndarray, part: str, tex: np.ndarray, keep=None) -> Mesh:
    """Smooth surface through a grid of points.

    Args:
        points: float (R, C, 3).
        part: Part name.
        tex: float (R, C, 3).
        keep: bool (R - 1, C - 1), cells to build; all by default.

    Returns:
        Mesh with two triangles per cell; normals averaged over the grid.
    """
    du = np.gradient(points, axis=0)
    dv = np.gradient(points, axis=1)
    n = np.cross(du, dv)
    n /= np.maximum(np.linalg.norm(n, axis=2, keepdims=True), 1e-12)

    def corners(a):
        p00, p01 = a[:-1, :-1], a[:-1, 1:]
        p10, p11 = a[1:, :-1], a[1:, 1:]
        t = np.stack([np.stack([p00, p10, p11], 2), np.stack([p00, p11, p01], 2)], 2)
        if keep is not None:
            t = t[keep]
        return t.reshape(-1, 3, 3)

    return from_triangles(corners(points), part, corners(n), corners(tex))
