"""Materials: a texture kind with its colors and numbers."""

from typing import NamedTuple

import numpy as np

Color = tuple[float, float, float]

# Kinds that textures.albedo knows; the order is the id in the table.
KINDS = (
    'plain',
    'asphalt',
    'paving',
    'ground',
    'leaf',
    'bark',
    'wall',
    'roof',
    'paint',
    'glass',
    'sign',
    'lamp',
    'metal',
    'stripes',
    'planks',
)


class Material(NamedTuple):
    """What a face looks like, apart from the light.

    Args:
        kind: One of ``KINDS``.
        a: First color, linear RGB in 0..1.
        b: Second color (grout, windows, glyph ...).
        p: Number whose meaning depends on the kind (lane width, brick size, sign pattern ...).
        q: Second such number.
        gloss: Share of mirrored light at grazing view, 0..1.
    """

    kind: str
    a: Color = (0.5, 0.5, 0.5)
    b: Color = (0.3, 0.3, 0.3)
    p: float = 0.0
    q: float = 0.0
    gloss: float = 0.0


def pick_color(rng, hue=(0.0, 1.0), saturation=(0.0, 1.0), value=(0.0, 1.0)) -> Color:
    """Random color from ranges of hue, saturation and value."""
    h = rng.uniform(*hue) * 6
    s, v = rng.uniform(*saturation), rng.uniform(*value)
    k = (np.array([5.0, 3.0, 1.0]) + h) % 6
    return tuple(v - v * s * np.clip(np.minimum(k, 4 - k), 0, 1))


# One pool for man-made surfaces and one for earth and plants; classes share them, so that a color
# alone does not tell a class.
def manmade_color(rng) -> Color:
    """Grays, browns, whites and now and then something vivid."""
    u = rng.uniform()
    if u < 0.55:
        return pick_color(rng, (0.05, 0.6), (0, 0.12), (0.06, 0.75))
    if u < 0.78:
        return pick_color(rng, (0.04, 0.14), (0.2, 0.5), (0.12, 0.6))
    return pick_color(rng, (0, 1), (0.4, 0.85), (0.12, 0.5))


def plant_color(rng) -> Color:
    """Leaves and grass: green to olive and straw."""
    u = rng.uniform()
    if u < 0.8:
        return pick_color(rng, (0.19, 0.33), (0.45, 0.8), (0.09, 0.3))
    return pick_color(rng, (0.1, 0.18), (0.4, 0.7), (0.15, 0.38))


def earth_color(rng) -> Color:
    """Soil, dry grass, gravel."""
    return pick_color(rng, (0.07, 0.16), (0.15, 0.5), (0.16, 0.42))


def scaled(color: Color, factor: float) -> Color:
    """A color made darker or brighter."""
    return tuple(factor * np.array(color))
