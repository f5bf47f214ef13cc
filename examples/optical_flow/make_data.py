"""Write pairs of frames with their true flow: python -m optical_flow.make_data ROOT.

Drives through the procedural world; the flow follows from depth and motion, of the
vehicle and of what else moves. ROOT/<split>/<drive>_<pair>: _0.png and _1.png, which
are 0.1 s apart, and .flo, the way of each pixel of the first in pixels.
"""
import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from data_tools.synthetic.drives import plan_drives
from data_tools.synthetic.images import write_image
from data_tools.synthetic.sensors import photograph
from data_tools.synthetic_kitti.calibration import rig

SIZE, GAP, PAUSE, SKY = (256, 96), 0.1, 0.6, 1e6  # pixels, seconds, metres


def actor_pose(actor, time):
    """World from actor (4, 4)."""
    x, y, yaw = actor.pose(time)
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0, x], [sin, cos, 0, y], [0, 0, 1, 0], [0, 0, 0, 1]])


def true_flow(world, camera, shot, time):
    """Flow (H, W, 2) from `time` to `time` + `GAP`, pixels."""
    before, after = (world.ego_pose(t) @ camera.ego_from_sensor()
                     for t in (time, time + GAP))
    pixels = np.stack(np.meshgrid(*map(np.arange, SIZE)), -1).astype(float)
    rays = np.dstack((pixels, np.ones(SIZE[::-1]))) @ np.linalg.inv(camera.intrinsic).T
    depth = np.minimum(shot.depth, SKY)[..., None]
    points = np.dstack((rays * depth, np.ones(SIZE[::-1]))) @ before.T
    for index in np.unique(shot.thing[shot.thing >= 0]):
        actor, on_it = world.actors[index], shot.thing == index
        points[on_it] = points[on_it] @ (actor_pose(actor, time + GAP) @ np.linalg.inv(
            actor_pose(actor, time))).T
    seen = (points @ np.linalg.inv(after).T)[..., :3] @ camera.intrinsic.T
    return (seen[..., :2] / np.maximum(seen[..., 2:], 1e-3) - pixels).astype(np.float32)


def write_drive(root, drive, seed, pairs):
    """Write all pairs of a drive."""
    world = drive.world(seed, pairs * PAUSE + GAP, residential=True)
    camera, _ = rig(drive.lean(seed, 0), SIZE)
    for index in range(pairs):
        stem = root / drive.split / f'{drive.number:04d}_{index:03d}'
        shots = [photograph(world, index * PAUSE + delay, camera, SIZE, 2 * index + k)
                 for k, delay in enumerate((0, GAP))]
        for k, shot in enumerate(shots):
            write_image(stem.with_name(f'{stem.name}_{k}.png'), shot.rgb)
        flow = true_flow(world, camera, shots[0], index * PAUSE)
        cv2.writeOpticalFlow(f'{stem}.flo', flow)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', type=Path)
    for name, number in dict(seed=0, train_drives=40, val_drives=10, pairs=16,
                             workers=2).items():
        parser.add_argument(f'--{name.replace("_", "-")}', type=int, default=number)
    args = parser.parse_args()
    drives = plan_drives('flow', dict(train=args.train_drives, val=args.val_drives))
    with ProcessPoolExecutor(args.workers) as pool:
        for done in [pool.submit(write_drive, args.root, drive, args.seed, args.pairs)
                     for drive in drives]:
            done.result()
    train, val = (np.stack([cv2.readOpticalFlow(str(path)) for path in sorted(
        (args.root / split).glob('*.flo'))]) for split in ('train', 'val'))
    for name, guess in (('zero', 0), ('mean training', train.mean(0))):
        print(f'end-point error of the {name} flow: '
              f'{np.linalg.norm(val - guess, axis=-1).mean():.3f} pixels')
