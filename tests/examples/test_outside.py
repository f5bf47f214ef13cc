"""The examples are what a user would write: nothing in the packages knows of them."""
import re
import subprocess
import sys


def test_no_file_of_the_packages_names_an_example(repository_dir):
    names = [path.name for path in (repository_dir / 'examples').iterdir()
             if (path / 'task.py').is_file()]
    assert sorted(names) == ['bev_occupancy', 'optical_flow']
    own = re.compile('|'.join([*names, 'FlowHead', 'VehicleHead', 'pred_flow',
                               'pred_vehicles']))
    for package in ('ddp_perception', 'data_tools'):
        files = list((repository_dir / package).rglob('*.py'))
        assert files
        assert not [file for file in files if own.search(file.read_text())]


def test_the_registries_have_none_of_their_names_unless_imported(repository_dir):
    code = ('from ddp_perception.registry import FIELDS, MODELS\n'
            'assert MODELS.get("MapSegHead") and FIELDS.get("pred_map_seg")\n'
            'print(sorted({"FlowHead", "VehicleHead"} & set(MODELS.module_dict)),'
            'sorted({"pred_flow", "pred_vehicles"} & set(FIELDS.module_dict)))')
    done = subprocess.run([sys.executable, '-c', code], cwd=repository_dir,
                          capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['[]', '[]']
