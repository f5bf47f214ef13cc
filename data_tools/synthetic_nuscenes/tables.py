"""Tables of the whole set: those that no scene owns, and the merge."""

from pathlib import Path

from data_tools.synthetic.folder import write_json
from data_tools.synthetic_nuscenes import calibration, taxonomy
from data_tools.synthetic_nuscenes.tokens import token

TABLES = ('category', 'attribute', 'visibility', 'instance', 'sensor',
          'calibrated_sensor', 'ego_pose', 'log', 'scene', 'sample',
          'sample_data', 'sample_annotation', 'map')


def shared_tables() -> dict[str, list[dict]]:
    """Category, attribute, visibility and sensor records."""
    return {
        'category': [{'token': token('category', name), 'name': name,
                      'description': '', 'index': n + 1}
                     for n, name in enumerate(taxonomy.CATEGORIES)],
        'attribute': [{'token': token('attribute', name), 'name': name,
                       'description': ''} for name in taxonomy.ATTRIBUTES],
        'visibility': [{'token': level, 'level': name,
                        'description': f'visible share from {least:.0%}'}
                       for level, (name, least) in
                       taxonomy.VISIBILITY.items()],
        'sensor': [{'token': token('sensor', channel), 'channel': channel,
                    'modality': 'lidar' if channel == calibration.LIDAR else
                    'camera'}
                   for channel in (*calibration.CAMERAS, calibration.LIDAR)],
    }


def mask_filename(location: str) -> str:
    """Path of a location's semantic prior below the root."""
    return f'maps/{token("map", location)}.png'


def map_table(logs: list[dict]) -> list[dict]:
    """One map per location, with the logs that were driven on it."""
    return [{'token': token('map', location), 'category': 'semantic_prior',
             'filename': mask_filename(location),
             'log_tokens': [log['token'] for log in logs
                            if log['location'] == location]}
            for location in sorted({log['location'] for log in logs})]


def write_tables(folder: Path, scenes: list[dict]) -> None:
    """Merge the records of all scenes and write the thirteen tables."""
    tables: dict[str, list[dict]] = {name: [] for name in TABLES}
    tables.update(shared_tables())
    for scene in scenes:
        for name, records in scene.items():
            tables[name] += records
    tables['map'] = map_table(tables['log'])
    for name in TABLES:
        write_json(folder / f'{name}.json', tables[name])
