"""Light, sky and air of a scene."""

from dataclasses import dataclass

import numpy as np

KINDS = ('clear', 'bright', 'overcast', 'dusk', 'rain')


@dataclass(frozen=True)
class Weather:
    """Lighting of one scene; colours are RGB factors or 0..255 where noted.

    Attributes:
        kind: One of `KINDS`.
        sun: (3,) unit vector towards the sun.
        sun_colour, ambient: (3,) light reaching a surface.
        shadow: 0 (none) to 1 (black) darkness of cast shadows.
        zenith, horizon: (3,) sky colours, 0..255.
        clouds: 0 to 1.
        visibility: Distance over which haze hides 63 %, metres.
        wetness: 0 to 1; darkens the ground and weakens LiDAR.
        exposure: Camera gain.
        noise: Standard deviation of sensor noise, grey levels.
    """

    kind: str
    sun: np.ndarray
    sun_colour: np.ndarray
    ambient: np.ndarray
    shadow: float
    zenith: np.ndarray
    horizon: np.ndarray
    clouds: float
    visibility: float
    wetness: float
    exposure: float
    noise: float


_TABLE = {
    # sun strength, ambient, shadow, zenith, horizon, clouds, metres, wet
    'clear': (.78, .50, .55, (86, 132, 196), (184, 204, 222), .25, 900, 0.),
    'bright': (.62, .58, .42, (132, 164, 204), (206, 214, 222), .6, 600, 0.),
    'overcast': (.16, .86, .14, (176, 182, 190), (206, 208, 210), .9, 420, 0.),
    'dusk': (.50, .44, .40, (96, 104, 148), (232, 178, 132), .5, 500, 0.),
    'rain': (.08, .74, .08, (146, 152, 160), (176, 180, 184), .9, 200, 1.),
}


def random_weather(rng: np.random.Generator,
                   kind: str | None = None) -> Weather:
    """Draw the weather of a scene, of one of `KINDS` if given."""
    drawn = str(rng.choice(KINDS, p=[.3, .25, .22, .1, .13]))
    kind = drawn if kind is None else kind
    sun, ambient, shadow, zenith, horizon, clouds, reach, wet = _TABLE[kind]
    elevation = np.radians(rng.uniform(14, 24) if kind == 'dusk' else
                           rng.uniform(28, 68))
    azimuth = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(elevation) * np.cos(azimuth),
                          np.cos(elevation) * np.sin(azimuth),
                          np.sin(elevation)])
    warm = np.array([1.12, .98, .82]) if kind == 'dusk' else np.array(
        [1.03, 1., .95])
    cool = np.array([.97, 1., 1.05])
    tint = rng.normal(1, .02, 3)
    return Weather(kind, direction, sun * warm * tint, ambient * cool * tint,
                   shadow, np.array(zenith, float), np.array(horizon, float),
                   clouds, reach * rng.uniform(.8, 1.3), wet * rng.uniform(
                       .6, 1.), rng.uniform(.88, 1.12), rng.uniform(1.2, 3.0))
