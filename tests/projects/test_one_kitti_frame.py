"""The tiny depth model learns one real frame by heart."""
import json
import shutil

import pytest

from ddp_perception.cli.main import main


@pytest.mark.slow
def test_a_real_frame_is_learnt_within_minutes(real_dir, repository_dir, tmp_path):
    sample, root = real_dir / 'kitti_sample', tmp_path / 'data'
    for folder, name in (('input', '000008.png'), ('gt_depth', '000008_depth.png')):
        (root / folder).mkdir(parents=True)
        shutil.copy(sample / name, root / folder)
    (root / 'frame.txt').write_text('000008.png 000008_depth.png 721.5377\n')
    config = str(repository_dir / 'projects/kitti_depth/configs/one_frame_cpu.py')
    common = ['--data-root', str(root), '--work-dir', str(tmp_path / 'work')]
    assert main(['train', config, *common]) == 0
    checkpoint = str(next((tmp_path / 'work').glob('iter_*.pth')))
    out = tmp_path / 'figures.json'
    assert main(['test', config, checkpoint, *common, '--out', str(out)]) == 0
    assert json.loads(out.read_text())['metrics']['abs_rel'] < 0.05
