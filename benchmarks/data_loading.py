"""Loading a sample of nuScenes against the devkit and mmdet3d.

``python -m benchmarks.data_loading`` reads the validation frames of a nuScenes root,
``--data-root``, by the configuration's test pipeline (``--config``, the full-size
fusion model); without a root it writes a synthetic one of full size first (six pictures
of 1600 x 900, ten sweeps of 32 x 1080 firings). One sample a call, in one thread:

* ``map truth``: six classes on 200 x 200 cells, against nuscenes-devkit's
  `get_map_mask`. Both may round a cell on a border otherwise: 1 % may differ.
* ``images``: six JPEG files, against mmdet3d's `LoadMultiViewImageFromFiles`. Pixels
  must be equal.
* ``sweeps``: a key frame and nine sweeps, against mmdet3d's `LoadPointsFromFile` and
  `LoadPointsFromMultiSweeps`. Numbers and ages of the points must be equal; places may
  differ by what mmdet3d's transform is off, a metre at the most.
* ``sample``: the whole pipeline, ready for the model, against the same with these parts
  in place of ours.

Files are in the page cache after the first round: decoding is measured, not the disk.
"""
import argparse
import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from mmdet3d.datasets.transforms import (
    LoadMultiViewImageFromFiles,
    LoadPointsFromFile,
    LoadPointsFromMultiSweeps,
)
from mmengine.registry import init_default_scope
from nuscenes.map_expansion.map_api import NuScenesMap

from benchmarks.map_masks import devkit_masks
from benchmarks.timing import compare, report
from data_tools.prepare_nuscenes import prepare
from data_tools.synthetic_nuscenes import write_synthetic_nuscenes
from ddp_perception.cli.configuration import load_config
from ddp_perception.datasets.bounded_files import bound_local_files
from ddp_perception.datasets.transforms.images import CAMERAS
from ddp_perception.registry import DATASETS

OF_CALIBRATION = ('cam2img', 'lidar2cam', 'cam2lidar', 'lidar2img', 'ori_cam2img',
                  'ori_lidar2img', 'img_aug_matrix', 'camera_names', 'img_path')


def write_data(root, image_size=(1600, 900), azimuths=1080, keyframes=3):
    """Write a synthetic set with its info files."""
    write_synthetic_nuscenes(root, scenes=2, keyframes=keyframes, image_size=image_size,
                             azimuths=azimuths, progress=False)
    prepare(root, version='v1.0-mini', progress=False)


class Stock:
    """What the devkit and mmdet3d load of a sample."""

    def __init__(self, root, sweeps):
        self.root = root
        self.maps = {}
        self.load_images = LoadMultiViewImageFromFiles(num_views=6)
        self.load_points = LoadPointsFromFile('LIDAR', load_dim=5, use_dim=5)
        self.load_sweeps = LoadPointsFromMultiSweeps(
            sweeps_num=sweeps, use_dim=5, pad_empty_sweeps=True, remove_close=True,
            test_mode=True)

    def images(self, sample):
        """Return the pictures."""
        views = {name: sample['images'][name] for name in CAMERAS}
        return self.load_images({**sample, 'images': views})['img']

    def sweeps(self, sample):
        """Return the points."""
        return self.load_sweeps(self.load_points(sample))['points']

    def masks(self, sample):
        """Return the six classes; the map itself is read once."""
        place = sample['map_location']
        if place not in self.maps:
            self.maps[place] = NuScenesMap(str(self.root), place)
        pose = np.asarray(sample['ego2global'], float) @ np.asarray(
            sample['lidar_points']['lidar2ego'], float)
        return devkit_masks(self.maps[place], pose)


class Turns:
    """Give each caller copies of the samples one after another."""

    def __init__(self, samples):
        self.samples, self.counts = samples, {}

    def next(self, who):
        """Return the caller's next sample."""
        count = self.counts[who] = self.counts.get(who, -1) + 1
        return copy.deepcopy(self.samples[count % len(self.samples)])


def run(cfg, root, rounds, limit):
    """Measure each part and the whole on some frames."""
    init_default_scope('mmdet3d')
    dataset = DATASETS.build({**cfg.test_dataloader.dataset, 'data_root': str(root)})
    steps = {type(step).__name__: step for step in dataset.pipeline.transforms}
    for name in ('LoadMultiViewImages', 'LoadPoints', 'LoadSweeps', 'LoadMapMasks'):
        if name not in steps:
            raise SystemExit(f'the test pipeline must have {name}; it has '
                             f'{", ".join(steps)}')
    samples = [_info(dataset, index) for index in range(len(dataset))]
    # A scene's first frame has no sweeps.
    samples = [one for one in samples if one.get('lidar_sweeps')][:limit]
    if not samples:
        raise SystemExit(f'{root} has no validation frame with sweeps')
    stock = Stock(root, steps['LoadSweeps'].sweeps_num)
    print(f'{len(samples)} frames of {root}')
    rest = [step for step in dataset.pipeline.transforms if type(step).__name__ not in (
        'LoadMultiViewImages', 'LoadPoints', 'LoadSweeps', 'LoadMapMasks')]
    calibrated = steps['LoadMultiViewImages'](copy.deepcopy(samples[0]))
    calibration = {key: calibrated[key] for key in OF_CALIBRATION}

    def ours_sweeps(sample):
        return steps['LoadSweeps'](steps['LoadPoints'](sample))['points']

    def whole_stock(sample):
        # Matrices cost it nothing: those of the first frame.
        sample.update(calibration, img=stock.images(sample), num_views=6)
        sample.update(gt_masks_bev=stock.masks(sample), points=stock.sweeps(sample),
                      gt_masks_bev_aug=np.eye(4))
        for step in rest:
            sample = step(sample)
        return sample

    cases = {
        'map truth': (lambda one: steps['LoadMapMasks'](one)['gt_masks_bev'],
                      stock.masks, _check_masks),
        'images': (lambda one: steps['LoadMultiViewImages'](one)['img'], stock.images,
                   _check_images),
        'sweeps': (ours_sweeps, stock.sweeps, _check_points),
        'sample': (dataset.pipeline, whole_stock, _check_samples)}
    results = []
    for name, (ours, baseline, check) in cases.items():
        turns = Turns(samples)
        results.append(compare(
            f'load {name}', lambda: ours(turns.next('ours')),  # noqa: B023
            lambda: baseline(turns.next('baseline')), rounds=rounds,  # noqa: B023
            check=check, dtype='uint8' if name in ('map truth', 'images') else
            'float32'))
    return results


def _info(dataset, index):
    """Return what the pipeline is given of a frame."""
    return {**dataset.get_data_info(index),
            'box_type_3d': dataset.box_type_3d, 'box_mode_3d': dataset.box_mode_3d}


def _check_masks(ours, theirs):
    assert ours.shape == theirs.shape and ours.any()
    assert (ours != theirs).mean() < .01, f'{(ours != theirs).mean():.2%} differ'


def _check_images(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def _check_points(ours, theirs):
    ours, theirs = ours.tensor, theirs.tensor
    torch.testing.assert_close(ours[:, 3:], theirs[:, 3:])
    assert (ours[:, :3] - theirs[:, :3]).abs().max() < 1


def _check_samples(ours, theirs):
    ours, theirs = ours['inputs'], theirs['inputs']
    torch.testing.assert_close(ours['img'], theirs['img'])
    assert abs(len(ours['points']) / len(theirs['points']) - 1) < .01


def main(argv=None):
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data-root', metavar='DIR', help='nuScenes root with info '
                        'files (default: a synthetic one, in a temporary folder)')
    parser.add_argument('--config', default='ddp_fusion_3step_8xb4-20e_nus-map')
    parser.add_argument('--rounds', type=int, default=10, help='timed samples of each')
    parser.add_argument('--samples', type=int, default=4,
                        help='frames that take turns')
    args = parser.parse_args(argv)
    bound_local_files()
    cfg = load_config(args.config, ())
    with tempfile.TemporaryDirectory() as folder:
        if args.data_root is None:
            write_data(folder)
        return report(run(cfg, Path(args.data_root or folder), args.rounds,
                          args.samples))


if __name__ == '__main__':
    main()
