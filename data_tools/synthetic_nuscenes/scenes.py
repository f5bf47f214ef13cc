"""Which scenes are written, where they lie, and when they were driven."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from nuscenes.utils import splits

from data_tools.synthetic.drives import weather_in_turn
from data_tools.world import HALF_REGION

LOCATIONS = ('boston-seaport', 'singapore-hollandvillage',
             'singapore-onenorth', 'singapore-queenstown')
_VAL_SHARE = 0.2

# Where the scenes of the official mini split were driven.
_MINI = {
    'scene-0061': 'singapore-onenorth', 'scene-0103': 'boston-seaport',
    'scene-0553': 'boston-seaport', 'scene-0655': 'boston-seaport',
    'scene-0757': 'boston-seaport', 'scene-0796': 'singapore-queenstown',
    'scene-0916': 'singapore-queenstown',
    'scene-1077': 'singapore-hollandvillage',
    'scene-1094': 'singapore-hollandvillage',
    'scene-1100': 'singapore-hollandvillage',
}


@dataclass(frozen=True)
class SceneSpec:
    """One scene to write.

    Attributes:
        name: From an official split.
        location: One of `LOCATIONS`.
        centre: Centre of its region on the location's map.
        logfile, vehicle, date: As in the log table.
        weather: One of the world's kinds.
        start: Time stamp of its first key frame, microseconds.
    """

    name: str
    location: str
    centre: tuple[float, float]
    logfile: str
    vehicle: str
    date: str
    weather: str
    start: int

    @property
    def number(self) -> int:
        """The digits of its name."""
        return int(self.name.removeprefix('scene-'))

    @property
    def side(self) -> int:
        """+1 where traffic keeps right, -1 where it keeps left."""
        return 1 if self.location.startswith('boston') else -1


def scene_names(version: str, count: int) -> list[str]:
    """Names of `count` scenes, a fifth (at least one) from the val split.

    Raises:
        ValueError: unknown version, or more scenes than its splits have.
    """
    if version == 'v1.0-mini':
        train, val = splits.mini_train, splits.mini_val
    elif version == 'v1.0-trainval':
        train, val = splits.train, splits.val
    else:
        raise ValueError("version must be 'v1.0-mini' or 'v1.0-trainval', "
                         f'got {version!r}')
    if count < 2:
        raise ValueError('scenes must be at least 2 (one to train on, one to '
                         f'evaluate), got {count}')
    n_val = max(1, round(count * _VAL_SHARE))
    if n_val > len(val) or count - n_val > len(train):
        raise ValueError(
            f'{version} has {len(train)} train and {len(val)} val scenes, '
            f'{count - n_val} and {n_val} were asked for; v1.0-trainval has '
            'more')
    return sorted([*train[:count - n_val], *val[:n_val]])


def _placed(names: list[str]) -> dict[str, tuple[str, int, int]]:
    """Scene name -> location, index there, number of scenes there."""
    where = {name: _MINI.get(name, LOCATIONS[int(name[-4:]) % 4])
             for name in names}
    groups = {loc: [n for n in names if where[n] == loc]
              for loc in LOCATIONS}
    return {name: (where[name], groups[where[name]].index(name),
                   len(groups[where[name]])) for name in names}


def columns(count: int) -> int:
    """Columns of the square that `count` regions are arranged in."""
    n = 1
    while n * n < count:
        n += 1
    return n


def canvas(count: int) -> tuple[float, float]:
    """Width and height in metres of a map of `count` regions."""
    wide = columns(count)
    high = -(-count // wide)
    return 2 * HALF_REGION * wide, 2 * HALF_REGION * high


def plan_scenes(version: str, count: int) -> list[SceneSpec]:
    """The scenes of a set; regions of one map never overlap."""
    names = scene_names(version, count)
    held_out = splits.mini_val if version == 'v1.0-mini' else splits.val
    weather = weather_in_turn([[n for n in names if n not in held_out],
                               [n for n in names if n in held_out]])
    specs = []
    for name, (location, index, total) in _placed(names).items():
        row, column = divmod(index, columns(total))
        centre = (HALF_REGION * (2 * column + 1), HALF_REGION * (2 * row + 1))
        boston = location.startswith('boston')
        zone = timezone(timedelta(hours=-4 if boston else 8))
        number = int(name[-4:])
        begin = datetime(2018, 7, 1, 9, tzinfo=zone) + timedelta(
            days=number % 90, minutes=(number * 7) % 480)
        vehicle = 'n008' if boston else 'n015'
        stamp = begin.strftime('%Y-%m-%d-%H-%M-%S%z')
        specs.append(SceneSpec(
            name, location, centre, f'{vehicle}-{stamp}', vehicle,
            begin.strftime('%Y-%m-%d'), weather[name],
            int(begin.timestamp()) * 1_000_000 + 47_951))
    return specs
