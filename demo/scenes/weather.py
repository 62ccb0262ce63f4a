"""Light and air of the variations, the sky, and what weather does to it."""

from typing import NamedTuple

import cv2
import numpy as np

from scenes.textures import noise


class Weather(NamedTuple):
    """One variation.

    Args:
        azimuth: Of the sun, degrees to the left of the world's x axis.
        elevation: Of the sun, degrees.
        sun: Sunlight, linear RGB; zeros: hidden, no shadows.
        zenith: Sky overhead, linear RGB.
        horizon: Sky at the horizon, linear RGB.
        ambient: Share of the sky's light that reaches shaded places.
        cloud: Cover, 0 (clear) to 1 (closed).
        haze: Extinction of the air, 1 / m.
        wet: 0 dry to 1 wet.
        rain: Visible streaks, 0..1.
        exposure: Factor before the tone curve.
        grain: Standard deviation of the sensor's noise, in 8-bit steps.
    """

    azimuth: float
    elevation: float
    sun: tuple
    zenith: tuple
    horizon: tuple
    ambient: float
    cloud: float
    haze: float
    wet: float = 0.0
    rain: float = 0.0
    exposure: float = 1.0
    grain: float = 2.0

    @property
    def sun_direction(self) -> np.ndarray:
        """Unit vector towards the sun, float64 (3,)."""
        a, e = np.radians([self.azimuth, self.elevation])
        return np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])


WEATHERS = dict(
    clone=Weather(62, 48, (2.4, 2.2, 1.9), (0.13, 0.27, 0.62), (0.5, 0.63, 0.82), 1.0, 0.35, 6e-4),
    morning=Weather(
        -38,
        20,
        (2.3, 1.7, 1.1),
        (0.2, 0.33, 0.6),
        (0.85, 0.74, 0.6),
        0.8,
        0.2,
        1.6e-3,
        exposure=1.05,
    ),
    sunset=Weather(
        148,
        12,
        (2.4, 1.25, 0.55),
        (0.16, 0.2, 0.4),
        (0.9, 0.5, 0.3),
        0.75,
        0.55,
        1.3e-3,
        exposure=1.0,
        grain=3.0,
    ),
    overcast=Weather(
        30, 60, (0, 0, 0), (0.5, 0.53, 0.58), (0.7, 0.72, 0.75), 1.35, 1.0, 1.5e-3, exposure=1.05
    ),
    fog=Weather(
        30, 50, (0, 0, 0), (0.62, 0.64, 0.66), (0.66, 0.68, 0.69), 1.15, 1.0, 2.2e-2, exposure=1.0
    ),
    rain=Weather(
        30,
        60,
        (0, 0, 0),
        (0.3, 0.32, 0.36),
        (0.46, 0.48, 0.51),
        1.25,
        1.0,
        6e-3,
        wet=1.0,
        rain=1.0,
        exposure=1.05,
        grain=4.0,
    ),
)


def sky(w: Weather, d: np.ndarray, drift: float) -> np.ndarray:
    """Color of the sky.

    Args:
        w: Weather.
        d: Unit directions, float32 (N, 3).
        drift: Shifts the clouds, so that scenes differ.

    Returns:
        Linear RGB, float32 (N, 3).
    """
    up = np.clip(d[:, 2], 0, 1)
    t = (1 - np.clip(up, 0, 1)) ** 4
    zen, hor = np.float32(w.zenith), np.float32(w.horizon)
    c = zen + (hor - zen) * t[:, None]
    toward = np.clip(d @ np.float32(w.sun_direction), 0, 1)
    if max(w.sun) > 0:
        c = (
            c
            + np.float32(w.sun)
            * (0.10 * toward**8 + 0.25 * toward**90 + 3.0 * (toward > 0.9994))[:, None]
        )
    # clouds on a plane overhead
    k = 1 / np.maximum(up + 0.12, 0.05)
    n = noise(d[:, 0] * k * 3 + drift, d[:, 1] * k * 3 - drift, 3.2, None, 4, 0.6)
    cover = np.clip((n + 1.5 * w.cloud - 0.75) * 1.6, 0, 1) * np.clip(up * 9, 0, 1)
    lit = hor * 1.05 + 0.12 * np.float32(w.sun) * (0.4 + 0.6 * toward[:, None])
    if w.cloud >= 1:  # closed cover: only its own light and dark
        return c * (1 + 0.16 * n * np.clip(up * 5, 0, 1))[:, None]
    return c + (lit - c) * (0.8 * cover)[:, None]


def fog(w: Weather, color, distance, d) -> np.ndarray:
    """Color seen through ``distance`` meters of air."""
    through = np.exp(-w.haze * distance)[:, None]
    air = np.float32(w.horizon)
    if max(w.sun) > 0:
        glow = np.clip(d @ np.float32(w.sun_direction), 0, 1) ** 6
        air = air + 0.08 * np.float32(w.sun) * glow[:, None]
    return color * through + air * (1 - through)


def rain_streaks(w: Weather, image: np.ndarray, rng) -> np.ndarray:
    """Draw falling drops over a linear image (H, W, 3)."""
    if not w.rain:
        return image
    height, width = image.shape[:2]
    scale = max(height / 375, 0.3)
    layer = np.zeros((height, width), np.float32)
    lean = rng.uniform(-0.12, 0.12)
    for _ in range(int(260 * w.rain)):
        near = rng.uniform(0.3, 1)
        length = 26 * scale * near
        x, y = rng.uniform(0, width), rng.uniform(-length, height)
        a = (int(round(x * 8)), int(round(y * 8)))
        b = (int(round((x + lean * length) * 8)), int(round((y + length) * 8)))
        cv2.line(layer, a, b, 0.22 * near, 1, cv2.LINE_8, 3)
    layer = cv2.GaussianBlur(layer, (0, 0), 0.5)
    return image + (np.float32(w.horizon) * 1.1 - image) * layer[..., None]


def develop(w: Weather, image: np.ndarray, rng) -> np.ndarray:
    """Turn linear light into the camera's 8-bit picture.

    Lens blur, vignette, exposure, tone curve, gamma and sensor noise.

    Args:
        w: Weather.
        image: Linear RGB, float32 (H, W, 3).
        rng: Source of the noise.

    Returns:
        RGB, uint8 (H, W, 3).
    """
    height, width = image.shape[:2]
    image = cv2.GaussianBlur(image, (3, 3), 0.42)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    image = image * (1 - 0.16 * (0.8 * x * x + 0.2 * y * y))[..., None]
    # a film-like curve (Hable's form): soft shoulder, firm shadows
    x = np.maximum(image, 0) * w.exposure * 0.82
    image = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    gray = image.mean(-1, keepdims=True)
    image = gray + (image - gray) * 1.15
    image = np.clip(image, 0, 1) ** (1 / 2.2) * 255
    noise_ = rng.normal(0, w.grain, image.shape).astype(np.float32)
    noise_ += rng.normal(0, 0.6 * w.grain, (height, width, 1)).astype(np.float32)
    return np.clip(image + noise_ + 0.5, 0, 255).astype(np.uint8)
