"""Measurements of a random sensor, from dense depth."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from pandepth_mm.datasets.transforms.load_depth_map import DEPTH_KEYS
from pandepth_mm.errors import InputError, require_choice, require_fraction, require_range
from pandepth_mm.geometry.camera import back_project
from pandepth_mm.geometry.lidar import beam_elevations, beam_rays, pixel_distance, scan_depth
from pandepth_mm.geometry.sampling import sample_depth
from pandepth_mm.registry import TRANSFORMS

_NAME = 'SimulateLidar'


@TRANSFORMS.register_module()
class SimulateLidar(BaseTransform):
    """Make the sparse depth of a random sensor from dense depth, anew in each call.

    Each call samples one of three kinds of measurement:

    - random pixels, a density whose logarithm is sampled evenly;
    - lines of a rotating LiDAR that stands beside the camera, so that it measures past edges as
      real ones do (`geometry.lidar.scan_depth`);
    - none.

    Then measurements beyond the sensor's range drop out, in some calls others too (at random, the
    more the farther, and in rectangles, every second of which is as high as the image), and the
    rest gets noise along its ray. Ranges of arguments are sampled evenly unless said otherwise.

    The random numbers come from NumPy's global generator, which mmengine seeds in each worker. With
    ``persistent_workers=True`` of the data loader, as in our configs, it goes on over the epochs;
    without, every epoch starts with the same numbers.

    Required keys: ``{source}``, ``cam2img``. Set keys: ``sparse_depth``, float32 (H, W), meters,
    0 = no measurement; ``points``, if present: float32 (N, 3), meters, camera frame, those of
    ``sparse_depth``.

    Args:
        source: Key of the depth to measure, float32 (H, W), meters, 0 = none; for lines it should
            be dense.
        random_prob: Probability of random pixels.
        lines_prob: Probability of lines; what is missing to 1 is that of no measurement.
        density: Of random pixels, as fraction of the image's pixels.
        lines: Number of beams, 2 to 256; its logarithm is sampled evenly.
        lowest: Elevation of the lowest beam, degrees, positive upwards.
        highest: Of the highest one.
        uneven: How far beams are from even spacing at most, as fraction of it, 0 to 0.5.
        azimuth_step: Degrees between two measurements of a beam.
        tilt: Pitch and roll of the sensor, degrees.
        right: Place of the sensor to the right of the camera, meters.
        above: Above it, meters.
        ahead: In front of it, meters.
        max_range: Distance of the farthest measurement, meters.
        drop_prob_random: Probability that random pixels drop out.
        drop_prob_lines: Probability that measurements of lines do.
        drop: Fraction that drops out everywhere.
        drop_far: Fraction that drops out at ``max_range``; it rises with the square of the
            distance.
        drop_regions: Number of rectangles without a measurement, 0 to 20.
        region_size: Width and height of a rectangle, as fraction of the image's.
        noise: Standard deviation of the distance, meters.
        relative_noise: The same as fraction of the distance, 0 to 0.5; added to ``noise``.

    Raises:
        InputError: A value that is not as stated here.
    """

    def __init__(
        self,
        source: str = 'gt_depth_map',
        random_prob: float = 0.4,
        lines_prob: float = 0.5,
        density: Sequence[float] = (0.005, 0.1),
        lines: Sequence[int] = (8, 64),
        lowest: Sequence[float] = (-28.0, -18.0),
        highest: Sequence[float] = (1.0, 6.0),
        uneven: float = 0.2,
        azimuth_step: Sequence[float] = (0.1, 0.4),
        tilt: Sequence[float] = (-2.0, 2.0),
        right: Sequence[float] = (-0.3, 0.3),
        above: Sequence[float] = (0.0, 0.4),
        ahead: Sequence[float] = (-0.3, 0.3),
        max_range: Sequence[float] = (60.0, 120.0),
        drop_prob_random: float = 0.2,
        drop_prob_lines: float = 0.7,
        drop: Sequence[float] = (0.0, 0.3),
        drop_far: Sequence[float] = (0.0, 0.6),
        drop_regions: Sequence[int] = (0, 3),
        region_size: Sequence[float] = (0.03, 0.2),
        noise: Sequence[float] = (0.0, 0.03),
        relative_noise: Sequence[float] = (0.0, 0.002),
    ) -> None:
        require_choice(source, DEPTH_KEYS, _NAME, 'source')
        ranges = dict(
            density=(density, 1e-6, 1),
            lines=(lines, 2, 256),
            lowest=(lowest, -89, 89),
            highest=(highest, -89, 89),
            azimuth_step=(azimuth_step, 0.01, 45),
            tilt=(tilt, -45, 45),
            right=(right, -2, 2),
            above=(above, -2, 2),
            ahead=(ahead, -2, 2),
            max_range=(max_range, 1, 1e4),
            drop=(drop, 0, 1),
            drop_far=(drop_far, 0, 1),
            drop_regions=(drop_regions, 0, 20),
            region_size=(region_size, 0, 1),
            noise=(noise, 0, 10),
            relative_noise=(relative_noise, 0, 0.5),
        )
        for field, (value, least, most) in ranges.items():
            require_range(value, _NAME, field, least, most)
        for field, value in dict(lines=lines, drop_regions=drop_regions).items():
            if any(end != int(end) for end in value):
                raise InputError(_NAME, repr(value), 'two whole numbers', field)
        if lowest[1] >= highest[0]:
            raise InputError(
                _NAME, f'{lowest}, {highest}', 'the first below the second', 'lowest, highest'
            )
        fractions = dict(
            random_prob=random_prob,
            lines_prob=lines_prob,
            drop_prob_random=drop_prob_random,
            drop_prob_lines=drop_prob_lines,
        )
        for field, value in fractions.items():
            require_fraction(value, _NAME, field, zero=True)
        if random_prob + lines_prob > 1:
            raise InputError(
                _NAME,
                f'{random_prob} + {lines_prob}',
                'at most 1 together',
                'random_prob, lines_prob',
            )
        require_range((0, uneven), _NAME, 'uneven', 0, 0.5)
        self.ranges = {field: tuple(value) for field, (value, _, _) in ranges.items()}
        self.source = source
        self.random_prob = random_prob
        self.lines_prob = lines_prob
        self.uneven = uneven
        self.drop_prob_random = drop_prob_random
        self.drop_prob_lines = drop_prob_lines

    def transform(self, results: dict) -> dict:
        """Set the sparse depth."""
        rng = np.random.default_rng(np.random.randint(2**31))
        depth, cam2img = results[self.source], results['cam2img']
        kind = rng.random()
        if kind < self.random_prob:
            sparse = self._random_pixels(depth, rng)
            drops = rng.random() < self.drop_prob_random
        elif kind < self.random_prob + self.lines_prob:
            sparse = self._lines(depth, cam2img, rng)
            drops = rng.random() < self.drop_prob_lines
        else:
            sparse, drops = np.zeros_like(depth), False
        results['sparse_depth'] = self._degrade(sparse, cam2img, drops, rng)
        if 'points' in results:
            results['points'] = back_project(results['sparse_depth'], cam2img)
        return results

    def _uniform(self, field: str, rng: np.random.Generator, size: int | None = None):
        """One or more numbers from the range of an argument."""
        return rng.uniform(*self.ranges[field], size=size)

    def _log_uniform(self, field: str, rng: np.random.Generator) -> float:
        """A number whose logarithm is sampled evenly."""
        return float(np.exp(rng.uniform(*np.log(self.ranges[field]))))

    def _random_pixels(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Some of the pixels."""
        return sample_depth(depth, self._log_uniform('density', rng), int(rng.integers(2**63)))

    def _lines(
        self, depth: np.ndarray, cam2img: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """What a rotating LiDAR measures."""
        least, most = self.ranges['lines']
        lines = int(np.exp(rng.uniform(np.log(least), np.log(most + 1))))
        low, high = self._uniform('lowest', rng), self._uniform('highest', rng)
        elevations = beam_elevations(lines, (low, high))
        elevations += rng.uniform(-1, 1, lines) * self.uneven * (high - low) / (lines - 1)
        # a camera sees no farther aside than its most oblique pixel; turns add a little
        corners = (np.array([0, depth.shape[1] - 1]) - cam2img[0, 2]) / cam2img[0, 0]
        limit = min(np.rad2deg(np.arctan(np.abs(corners).max())) + 10, 90)
        rays = beam_rays(elevations, self._uniform('azimuth_step', rng), rng.random(), limit)
        rays = rays @ _rotation(*np.deg2rad(self._uniform('tilt', rng, 2))).T
        offset = np.array(
            [self._uniform('right', rng), -self._uniform('above', rng), self._uniform('ahead', rng)]
        )
        return scan_depth(depth, cam2img, rays, offset)

    def _degrade(
        self, sparse: np.ndarray, cam2img: np.ndarray, drops: bool, rng: np.random.Generator
    ) -> np.ndarray:
        """Range, drop-out and noise."""
        height, width = sparse.shape
        rows, cols = np.nonzero(sparse)
        z = sparse[rows, cols].astype(np.float64)
        distance = pixel_distance(rows, cols, z, cam2img)
        max_range = self._uniform('max_range', rng)
        kept = distance <= max_range
        if drops:
            prob = self._uniform('drop_far', rng) * (distance / max_range) ** 2
            prob = 1 - (1 - prob.clip(0, 1)) * (1 - self._uniform('drop', rng))
            kept &= rng.random(len(z)) >= prob
            least, most = self.ranges['drop_regions']
            for number in range(rng.integers(least, most, endpoint=True)):
                share_h, share_w = self._uniform('region_size', rng, 2)
                top, left = rng.random(2) * (height, width)
                within = np.abs(cols - left) < share_w * width / 2
                if number % 2:
                    within &= np.abs(rows - top) < share_h * height / 2
                kept &= ~within
        rows, cols, z, distance = rows[kept], cols[kept], z[kept], distance[kept]
        sigma = self._uniform('noise', rng) / distance.clip(1e-6)
        sigma += self._uniform('relative_noise', rng)
        z *= (1 + sigma * rng.standard_normal(len(z))).clip(0.1)
        measured = np.zeros((height, width), np.float32)
        measured[rows, cols] = z
        return measured

    def __repr__(self) -> str:
        ranges = ', '.join(f'{field}={ends}' for field, ends in self.ranges.items())
        return (
            f'{type(self).__name__}(source={self.source!r}, random_prob={self.random_prob}, '
            f'lines_prob={self.lines_prob}, uneven={self.uneven}, '
            f'drop_prob_random={self.drop_prob_random}, '
            f'drop_prob_lines={self.drop_prob_lines}, {ranges})'
        )


def _rotation(pitch: float, roll: float) -> np.ndarray:
    """Rotation about the camera's x axis, then its z axis; radians, (3, 3)."""
    (cp, cr), (sp, sr) = np.cos([pitch, roll]), np.sin([pitch, roll])
    return np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, cp, -sp], [0, sp, cp]]
    )
