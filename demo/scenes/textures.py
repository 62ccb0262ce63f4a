"""Procedural textures: albedo, gloss and own light of the points hit.

Detail finer than a pixel fades to its mean (``footprint``), so that far surfaces do not glitter.
"""

import functools
from typing import NamedTuple

import cv2
import numpy as np

from scenes.materials import KINDS

_TILE, _CELLS = 512, 64


class Hits(NamedTuple):
    """What a texture may know about N points.

    Args:
        tex: Texture coordinates, float32 (N, 3).
        a: First color, float32 (N, 3).
        b: Second color, float32 (N, 3).
        p: First number of the material, float32 (N,).
        q: Second number, float32 (N,).
        seed: Random number in 0..1 of the object part, float32 (N,).
        up: z of the unit normal, float32 (N,).
        footprint: Size of a pixel on the surface, meters, float32 (N,).
    """

    tex: np.ndarray
    a: np.ndarray
    b: np.ndarray
    p: np.ndarray
    q: np.ndarray
    seed: np.ndarray
    up: np.ndarray
    footprint: np.ndarray


class Surface(NamedTuple):
    """Albedo float32 (N, 3), gloss factor (N,) and own light (N, 3)."""

    albedo: np.ndarray
    gloss: np.ndarray
    light: np.ndarray


@functools.lru_cache(maxsize=1)
def _tile() -> np.ndarray:
    """Periodic smooth noise in -1..1, one cell is 8 pixels."""
    rng = np.random.default_rng(20210)
    cells = rng.uniform(-1, 1, (_CELLS, _CELLS)).astype(np.float32)
    pad = np.pad(cells, 3, mode='wrap')
    f = _TILE // _CELLS
    big = cv2.resize(pad, None, fx=f, fy=f, interpolation=cv2.INTER_CUBIC)
    # one wrapped pixel more at the far edges for the interpolation
    return np.ascontiguousarray(big[3 * f : 3 * f + _TILE + 1, 3 * f : 3 * f + _TILE + 1])


def sample(image: np.ndarray, x, y) -> np.ndarray:
    """Bilinear look-up at float coordinates (N,) inside the image."""
    n = len(x)
    if not n:
        return np.zeros(0, np.float32)
    # OpenCV limits the sides of the maps to 32767
    rows = -(-n // 4096)
    m = np.zeros((2, rows * 4096), np.float32)
    m[0, :n], m[1, :n] = x, y
    out = cv2.remap(image, m[0].reshape(rows, -1), m[1].reshape(rows, -1), cv2.INTER_LINEAR)
    return out.reshape(-1)[:n]


def noise(u, v, wavelength: float, footprint=None, octaves=3, gain=0.55) -> np.ndarray:
    """Fractal noise, float32 (N,), about -1..1.

    Args:
        u: First coordinate, meters.
        v: Second coordinate, meters.
        wavelength: Of the coarsest octave, meters.
        footprint: Pixel sizes; finer octaves fade out. None: no fading.
        octaves: Number of octaves.
        gain: Amplitude ratio of an octave to the one before.
    """
    out = np.zeros(len(u), np.float32)
    amp, lam = 1.0, wavelength
    for k in range(octaves):
        x = np.mod(u * (8 / lam) + 97.3 * k, _TILE)
        y = np.mod(v * (8 / lam) + 41.7 * k, _TILE)
        w = amp
        if footprint is not None:
            w = amp * np.clip(1.6 - 1.6 * footprint / lam, 0, 1)
        out += w * sample(_tile(), x, y)
        amp, lam = amp * gain, lam * 0.47
    return out


def _fade(footprint, size) -> np.ndarray:
    """1 where a detail of ``size`` meters is seen, 0 where it is too fine."""
    return np.clip(1.5 - 1.3 * footprint / size, 0, 1)


def _line(x, width, footprint) -> np.ndarray:
    """Coverage of a line |x| < width / 2, softened by the pixel size."""
    soft = np.maximum(footprint, 0.004)
    return np.clip((width / 2 - np.abs(x)) / soft + 0.5, 0, 1) * np.minimum(1, width / soft)


def _mix(a, b, w) -> np.ndarray:
    return a + (b - a) * w[:, None]


def _plane(h: Hits):
    """Two coordinates that vary on any surface."""
    x, y, z = h.tex.T
    off = h.seed * 37
    return x + 0.71 * z + off, y - 0.64 * z + off


def _plain(h: Hits):
    u, v = _plane(h)
    return h.a * (1 + 0.12 * noise(u, v, 0.6, h.footprint))[:, None]


def _asphalt(h: Hits):
    """Road in (s, lat): p = half width, q = 0 bare, 1 lanes, 2 zebra."""
    s, lat = h.tex[:, 0], h.tex[:, 1]
    fp = h.footprint
    c = 1 + 0.14 * noise(s, lat, 7.0, fp) + 0.22 * noise(s, lat, 0.12, fp, 2)
    # wheel tracks and repaired patches
    c += 0.07 * np.cos(np.abs(lat) / np.maximum(h.p, 1) * 4 * np.pi)
    patch = noise(s + 31, lat * 1.7, 9.0, None, 1)
    c *= 1 - 0.22 * np.clip((patch - 0.55) * 14, 0, 1)
    crack = np.abs(noise(s * 1.1, lat * 0.9 + 5, 3.2, fp, 2))
    c *= 1 - 0.3 * np.clip(1 - crack * 30, 0, 1) * _fade(fp, 0.06)
    base = h.a * c[:, None]
    white = np.zeros(len(s), np.float32)
    lanes = h.q > 0.5
    white = np.where(lanes, _line(np.abs(lat) - (h.p - 0.35), 0.14, fp), white)
    dash = _fade(fp, 4) * (np.mod(s, 9.0) < 4.0) + 0.44 * (1 - _fade(fp, 4))
    center = _line(lat, 0.14, fp)
    double = np.maximum(_line(lat - 0.13, 0.11, fp), _line(lat + 0.13, 0.11, fp))
    wide = h.p > 6
    white = np.where(lanes & ~wide, np.maximum(white, center * dash), white)
    white = np.where(lanes & wide, np.maximum(white, double), white)
    white = np.where(
        lanes & wide, np.maximum(white, _line(np.abs(lat) - h.p / 2, 0.14, fp) * dash), white
    )
    bars = (np.mod(lat, 1.0) < 0.5) * _fade(fp, 0.5) + 0.5 * (1 - _fade(fp, 0.5))
    white = np.where(h.q > 1.5, bars, white)
    worn = np.clip(0.85 + 0.5 * noise(s, lat, 0.8, fp), 0.25, 1)
    return _mix(base, np.float32(0.62), white * worn)


def _slabs(u, v, size, fp) -> np.ndarray:
    """Joints of a pattern of slabs with every other row shifted."""
    row = np.floor(v / size)
    du = np.abs(np.mod(u + 0.5 * size * np.mod(row, 2), size) - size / 2)
    dv = np.abs(np.mod(v, size) - size / 2)
    joint = np.maximum(
        np.clip((du - size / 2 + 0.02) / 0.015, 0, 1), np.clip((dv - size / 2 + 0.02) / 0.015, 0, 1)
    )
    return joint * _fade(fp, 0.08)


def _paving(h: Hits):
    u, v = h.tex[:, 0], h.tex[:, 1]
    size = np.maximum(h.p, 0.3)
    tone = noise(np.floor(u / size) * 13.1, np.floor(v / size) * 7.7, 5.0, None, 1) * _fade(
        h.footprint, 0.5
    )
    c = 1 + 0.12 * tone + 0.16 * noise(u, v, 2.3, h.footprint)
    c *= 1 - 0.45 * _slabs(u, v, size, h.footprint)
    return h.a * c[:, None]


def _ground(h: Hits):
    """Grass or soil in two tones with tufts and stones."""
    u, v = h.tex[:, 0], h.tex[:, 1]
    big = noise(u, v, 11.0, h.footprint, 4, 0.6)
    w = np.clip(0.5 + 0.9 * big + h.q, 0, 1)
    fine = noise(u * 1.3, v, 0.16, h.footprint, 2)
    mid = noise(v, u, 0.9, h.footprint, 2)
    return _mix(h.a, h.b, w) * (1 + 0.3 * fine + 0.22 * mid)[:, None]


def _leaf(h: Hits):
    u, v = _plane(h)
    n = noise(u, v, 0.45, h.footprint, 3, 0.7)
    w = np.clip(0.5 + 0.5 * noise(v, u, 1.7, h.footprint, 2), 0, 1)
    return np.maximum(_mix(h.a, h.b, w) * (1 + 0.5 * n)[:, None], 0.004)


def _bark(h: Hits):
    u, v = h.tex[:, 0] + 3 * h.seed, h.tex[:, 1]
    n = noise(u * 5, v, 0.5, h.footprint, 3)
    return h.a * (1 + 0.4 * n)[:, None]


def _bricks(u, z, fp) -> np.ndarray:
    row = np.floor(z / 0.09)
    du = np.abs(np.mod(u + 0.12 * np.mod(row, 2), 0.24) - 0.12)
    dz = np.abs(np.mod(z, 0.09) - 0.045)
    return ((du > 0.108) | (dz > 0.036)) * _fade(fp, 0.05)


def _wall(h: Hits):
    """Facade: p = window pitch (0: none), q = 0 plaster, 1 brick, 2 panel."""
    u, z, side = h.tex.T
    fp = h.footprint
    upright = side >= 0
    c = 1 + 0.1 * noise(u + 9 * side, z, 3.5, fp) + 0.06 * noise(u, z, 0.2, fp)
    streak = noise(u, z * 0.06, 0.5, fp, 2)
    c *= 1 - 0.12 * np.clip(streak, 0, 1)
    c *= np.where(z < 0.5, 0.75, 1)
    brick = h.q == 1
    c = np.where(
        brick,
        c
        * (1 - 0.3 * _bricks(u, z, fp))
        * (
            1
            + 0.12
            * noise(np.floor(u / 0.24) * 3, np.floor(z / 0.09) * 5, 2.0, None, 1)
            * _fade(fp, 0.2)
        ),
        c,
    )
    panel = h.q == 2
    c = np.where(panel, c * (1 - 0.35 * _slabs(u, z, 1.5, fp)), c)
    albedo = h.a * c[:, None]
    pitch = np.where(h.p > 0, h.p, 1)
    storey = 3.0
    col = np.mod(u, pitch) / pitch
    row = np.mod(z, storey)
    du, dz = np.abs(col - 0.5) * pitch, np.abs(row - 1.75)
    tall = np.where(h.seed > 0.5, 0.85, 0.62)
    half = np.where(h.seed > 0.3, 0.3, 0.36) * pitch
    inside = upright & (h.p > 0)
    frame = inside & (du < half + 0.1) & (dz < tall + 0.1)
    glass = inside & (du < half) & (dz < tall)
    bars = (np.abs(du) < 0.04) | (np.abs(dz - tall * 0.3) < 0.03)
    glass &= ~(bars & (fp < 0.08))
    pick = noise(
        np.floor(u / pitch) * 17.3 + 5 * side,
        np.floor(z / storey) * 11.1 + 99 * h.seed,
        6.0,
        None,
        1,
    )
    pane = np.where(
        (pick > 0.25)[:, None], np.float32([0.30, 0.28, 0.23]), np.float32([0.03, 0.035, 0.045])
    )
    pane = pane * (1 + 0.5 * noise(u, z, 0.7, fp, 1))[:, None]
    albedo = np.where(frame[:, None], h.b, albedo)
    albedo = np.where(glass[:, None], pane, albedo)
    return albedo, np.where(glass & (pick <= 0.25), 1.0, 0.0)


def _roof(h: Hits):
    u, v = h.tex[:, 0], h.tex[:, 1]
    wave = np.abs(np.mod(v, 0.35) / 0.35 - 0.5) * _fade(h.footprint, 0.15)
    c = 1 - 0.5 * wave + 0.15 * noise(u, v, 2.0, h.footprint)
    return h.a * c[:, None]


def _paint(h: Hits):
    """Car body: dirt towards the ground and the gaps of doors."""
    x, y, z = h.tex.T
    fp = h.footprint
    dirt = np.clip(0.55 - z, 0, 0.4) * (1 + noise(x, z, 0.5, fp))
    seam = np.minimum(np.abs(np.mod(x + 0.25, 1.05) - 0.5), 1.0)
    gap = _line(seam, 0.025, fp) * (np.abs(h.up) < 0.5) * (z < 1.3)
    c = _mix(h.a, np.float32([0.2, 0.17, 0.13]), np.clip(dirt, 0, 0.6))
    return c * (1 - 0.6 * gap)[:, None]


def _sign(h: Hits):
    """Plate in -1..1: p = 0 rim and glyph, 1 arrow board, 2 chevrons."""
    u, v, _ = h.tex.T
    fp = h.footprint
    rim = np.maximum(np.abs(u), np.abs(v)) > 0.86
    round_ = (h.q > 0.5) & (u * u + v * v > 0.66)
    tri = (h.q < -0.5) & ((np.abs(u) * 1.1 > 0.62 - 0.72 * v - 0.18) | (v < -0.4))
    edge = np.where(np.abs(h.q) > 0.5, round_ | tri, rim)
    k = np.floor(h.seed * 5)
    glyph = np.where(
        k < 2,
        (np.abs(u) < 0.14) & (np.abs(v) < 0.5),
        np.where(
            k < 3,
            (np.abs(v) < 0.18) & (np.abs(u) < 0.6),
            (np.abs(np.hypot(u, v * 1.1) - 0.34) < 0.11),
        ),
    )
    text = (
        (noise(u * 9 + 31 * h.seed, np.floor(v * 4.5) * 3.1, 2.2, None, 1) > 0.05)
        & (np.abs(np.mod(v * 4.5, 1) - 0.5) < 0.27)
        & (np.abs(u) < 0.82)
    )
    chevron = np.mod(u * 1.5 + np.abs(v) * 0.8, 1.0) < 0.5
    mark = np.where(h.p < 0.5, edge | glyph, np.where(h.p < 1.5, text | rim, chevron))
    seen = _fade(fp, 0.25) * 0.6 + 0.4
    return _mix(h.a, h.b, mark * seen) * (1 + 0.06 * noise(u, v, 0.7, None, 1))[:, None]


def _metal(h: Hits):
    u, v = _plane(h)
    rust = np.clip(noise(u, v, 1.4, h.footprint) - 0.55, 0, 1)
    c = h.a * (1 + 0.1 * noise(u * 4, v, 0.8, h.footprint))[:, None]
    return _mix(c, np.float32([0.2, 0.1, 0.05]), rust)


def _stripes(h: Hits):
    x, _, z = h.tex.T
    band = np.mod(x * 0.25 + z * 0.6, np.maximum(h.p, 0.3)) < 0.45 * h.p
    c = _mix(h.a, h.b, band * 1.0)
    return c * (1 + 0.08 * noise(x, z, 1.0, h.footprint))[:, None]


def _planks(h: Hits):
    x, y, z = h.tex.T
    gap = _line(np.mod(z + y, 0.2) - 0.1, 0.03, h.footprint)
    c = 1 + 0.3 * noise(x * 0.5, z * 6 + y, 0.6, h.footprint)
    return h.a * (c * (1 - 0.6 * gap))[:, None]


_ALBEDO = dict(
    plain=_plain,
    asphalt=_asphalt,
    paving=_paving,
    ground=_ground,
    leaf=_leaf,
    bark=_bark,
    wall=_wall,
    roof=_roof,
    paint=_paint,
    sign=_sign,
    metal=_metal,
    stripes=_stripes,
    planks=_planks,
)


def surface(kind: np.ndarray, h: Hits) -> Surface:
    """Look up all points, each with the texture of its kind.

    Args:
        kind: Index into ``KINDS``, int (N,).
        h: The points.
    """
    albedo = h.a.copy()
    gloss = np.ones(len(kind), np.float32)
    light = np.zeros_like(albedo)
    for k, name in enumerate(KINDS):
        at = np.flatnonzero(kind == k)
        if not len(at):
            continue
        if name == 'lamp':
            light[at] = h.a[at] * h.p[at, None]
        elif name in _ALBEDO:
            got = _ALBEDO[name](Hits(*(x[at] for x in h)))
            if name == 'wall':
                got, gloss[at] = got
            albedo[at] = got
    return Surface(np.clip(albedo, 0.003, 0.95).astype(np.float32), gloss, light)
