"""Configurations of the package, found from any folder."""
import shutil

import pytest

from ddp_perception import shipped_configs
from ddp_perception.cli.configuration import load_config
from ddp_perception.cli.errors import UserError
from ddp_perception.shipped_configs import find_config

DEMO = 'projects/kitti_depth/configs/demo_kitti_cpu.py'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty current folder outside the checkout."""
    folder = tmp_path / 'elsewhere'
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize('given', [DEMO, 'demo_kitti_cpu.py', 'demo_kitti_cpu'])
def test_path_and_name_find_a_configuration_from_any_folder(given, repository_dir):
    assert find_config(given) == repository_dir / DEMO
    assert load_config(given).model.type == 'ddp.DepthEstimator'


def test_a_file_here_goes_first(elsewhere):
    (elsewhere / 'demo_kitti_cpu.py').write_text('mine = True')
    assert load_config('demo_kitti_cpu.py').mine
    assert 'mine' not in load_config('demo_kitti_cpu')


@pytest.mark.parametrize('given', [
    'configs/demo_kitti_cpu.py', '/projects/demo_kitti_cpu.py', '*', 'no/../such',
    'projects/kitti_depth/configs', '_base_', 'kitti.py'])
def test_anything_else_stays_as_it_is(given):
    """No pattern, no folder, no part of a configuration."""
    assert str(find_config(given)) == given


def test_the_package_of_a_wheel_carries_its_own(repository_dir, tmp_path, monkeypatch):
    installed = tmp_path / 'site-packages' / 'ddp_perception'
    place = installed / '.mim' / DEMO
    place.parent.mkdir(parents=True)
    shutil.copy(repository_dir / DEMO, place)
    monkeypatch.setattr(shipped_configs, 'PACKAGE', installed)
    assert shipped_configs.shipped_root() is None  # without the index
    (installed / '.mim' / 'model-index.yml').touch()
    assert find_config('demo_kitti_cpu') == find_config(DEMO) == place
    assert shipped_configs.shipped_configs() == [place]


def test_message_says_where_it_looked_and_what_is_near(repository_dir):
    with pytest.raises(UserError) as error:
        load_config('demo_kiti_cpu')
    assert 'demo_kiti_cpu does not exist, neither here nor' in str(error.value)
    assert f'{repository_dir}/projects/*/configs' in str(error.value)
    assert '; is it demo_kitti_cpu' in str(error.value)


def test_message_without_any_configuration_names_the_file_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped_configs, 'PACKAGE', tmp_path / 'bare')
    with pytest.raises(UserError, match=r'nosuch\.py does not exist, neither here nor '
                       'among those of the package$'):
        load_config('nosuch.py')
