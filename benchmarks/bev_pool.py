"""BEV pooling against the ways the original code can do it on a CPU.

``python -m benchmarks.bev_pool`` pools the features of six cameras (118 depths
from 1 to 60 m, 32x88 features of 256x704 images, 80 channels) into 256x256
cells (+-51.2 m at 0.4 m) in float32. All candidates start from the same depth
probabilities, features and calibration, and compute the cell of every (pixel,
depth) pair anew, as every frame of nuScenes needs it; outputs must agree to
1e-4 before anything is timed (those of sort + cumsum on a GPU to 1e-3).

* ``sort + cumsum``: outer product, sort by cell, cumulative sum, differences
  (the PyTorch path of Lift-Splat-Shoot and BEVFusion).
* ``index_add``: outer product, then ``index_add_`` into the grid.
* ``training step``: forward and backward of ours against index_add.
* ``alone, geometry known``: for a rig whose calibration never changes; cells
  and bags are there already, for both.
"""
import argparse
import json
from pathlib import Path

import torch

from benchmarks.timing import compare, report
from ddp_perception.bevfusion.lifting import pixel_grid, pixel_rays
from ddp_perception.ops.bev_pool import (
    VoxelGrid,
    bags_from_cells,
    bev_pool,
    cells_along_rays,
)

IMAGE_SIZE, FEATURE_SIZE, CHANNELS = (256, 704), (32, 88), 80
GRID = VoxelGrid((-51.2, 51.2, 0.4), (-51.2, 51.2, 0.4), (-10.0, 10.0, 20.0))
DEPTHS = torch.arange(1.0, 60.0, 0.5)
REAL_FRAME = Path(__file__).parents[2] / 'shared/real/nuscenes_sample/info.json'

# A rig like nuScenes': focal length and centre in pixels of 1600x900, yaw of
# the viewing direction from forward (left positive, degrees), position in the
# LiDAR frame (x right, y forward, z up, metres).
RIG = {
    'CAM_FRONT': (1266, 816, 492, 0, (0.0, 0.5, -0.3)),
    'CAM_FRONT_RIGHT': (1260, 808, 495, -56, (0.5, 0.4, -0.3)),
    'CAM_FRONT_LEFT': (1272, 827, 480, 55, (-0.5, 0.4, -0.3)),
    'CAM_BACK': (809, 829, 482, 180, (0.0, -1.0, -0.3)),
    'CAM_BACK_LEFT': (1257, 792, 493, 109, (-0.5, -0.3, -0.3)),
    'CAM_BACK_RIGHT': (1259, 808, 502, -111, (0.5, -0.3, -0.3)),
}


def rig():
    """Return intrinsics and camera-to-LiDAR of RIG, (6, 4, 4) float64 each."""
    cam2img = torch.eye(4, dtype=torch.float64).repeat(len(RIG), 1, 1)
    cam2lidar = cam2img.clone()
    for i, (focal, cx, cy, yaw, position) in enumerate(RIG.values()):
        cam2img[i, 0, 0] = cam2img[i, 1, 1] = focal
        cam2img[i, :2, 2] = torch.tensor([cx, cy])
        angle = torch.deg2rad(torch.tensor(float(yaw), dtype=torch.float64))
        sin, cos = angle.sin(), angle.cos()
        right, ahead = (cos, sin, 0), (-sin, cos, 0)
        cam2lidar[i, :3, :3] = torch.tensor([right, (0, 0, -1), ahead]).T
        cam2lidar[i, :3, 3] = torch.tensor(position)
    return cam2img, cam2lidar


def calibration():
    """Return matrices of the real frame where it is there, else of the rig."""
    if not REAL_FRAME.is_file():
        return 'nuScenes-like rig', *rig()
    images = json.loads(REAL_FRAME.read_text())['data_list'][0]['images']
    cam2img, cam2lidar = rig()
    for i, camera in enumerate(images.values()):
        cam2img[i, :3, :3] = torch.tensor(camera['cam2img']).double()
        cam2lidar[i] = torch.tensor(camera['lidar2cam']).double().inverse()
    return 'real nuScenes frame', cam2img, cam2lidar


def evaluation_augmentation():
    """Return the published test augmentation: scale 0.48, crop 256x704."""
    matrix = torch.eye(4, dtype=torch.float64).repeat(len(RIG), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 0.48
    matrix[:, :2, 3] = -torch.tensor([(768 - 704) // 2, 432 - 256.0])
    return matrix


def cells_of(cam2img, cam2lidar, image_augmentation, device='cpu'):
    """Return the (N, D, P) cell of every (pixel, depth) pair."""
    pixels = pixel_grid(IMAGE_SIZE, FEATURE_SIZE).to(device)
    rays, starts = pixel_rays(pixels, cam2img, image_augmentation,
                              GRID.from_metric() @ cam2lidar)
    return cells_along_rays(starts, rays, DEPTHS.to(device), GRID.shape)


def lifted_and_kept(depth, features, cells):
    """Return the outer product (K, C) inside the grid, and its cells (K,)."""
    lifted = depth[:, :, None] * features[:, None]  # N D C P
    lifted = lifted.permute(0, 1, 3, 2).reshape(-1, CHANNELS)
    cells = cells.flatten()
    inside = cells >= 0
    return lifted[inside], cells[inside].long()


def pool_by_sort_and_cumsum(depth, features, cells):
    """Sort the rows by cell; a cell is a difference of their running sum."""
    lifted, cells = lifted_and_kept(depth, features, cells)
    order = cells.argsort()
    lifted, cells = lifted[order], cells[order]
    total = lifted.cumsum(0)
    last = torch.ones_like(cells, dtype=torch.bool)
    last[:-1] = cells[1:] != cells[:-1]
    total, cells = total[last], cells[last]
    sums = torch.cat([total[:1], total[1:] - total[:-1]])
    out = sums.new_zeros(GRID.num_cells, CHANNELS)
    out[cells] = sums
    return out


def pool_by_index_add(depth, features, cells):
    """Add every row of the outer product to its cell."""
    lifted, cells = lifted_and_kept(depth, features, cells)
    return lifted.new_zeros(GRID.num_cells, CHANNELS).index_add_(0, cells, lifted)


def training_step(pool, depth, features):
    """Return the gradients of a weighted sum of the pooled map."""
    inputs = [depth.detach().requires_grad_(), features.detach().requires_grad_()]
    pooled = pool(*inputs)
    weight = torch.linspace(-1, 1, pooled.numel(), device=pooled.device
                            ).view_as(pooled)
    return torch.autograd.grad((pooled * weight).sum(), inputs)


def check_sums(ours, baseline):
    """Compare with differences of a running sum, in which a GPU loses digits."""
    torch.testing.assert_close(ours, baseline, rtol=1e-3, atol=1e-3)


def check_gradients(ours, baseline):
    """Raise where the gradients of depth or features differ."""
    for one, other in zip(ours, baseline):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def main(argv=None):
    """Run every case and print the report."""
    parser = argparse.ArgumentParser(description='Time BEV pooling.')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    source, *matrices = calibration()
    matrices += evaluation_augmentation(), args.device
    g = torch.Generator().manual_seed(0)
    pixels = FEATURE_SIZE[0] * FEATURE_SIZE[1]
    depth = torch.randn(len(RIG), len(DEPTHS), pixels, generator=g
                        ).softmax(1).to(args.device)
    features = torch.randn(len(RIG), CHANNELS, pixels, generator=g).to(args.device)
    cells = cells_of(*matrices)
    bags = bags_from_cells(cells, GRID.num_cells, FEATURE_SIZE[1])
    print(f'{source}: {len(RIG)} cameras, {len(DEPTHS)} depths, features '
          f'{FEATURE_SIZE[0]}x{FEATURE_SIZE[1]}x{CHANNELS}, grid '
          f'{GRID.shape[0]}x{GRID.shape[1]}, {len(bags.order)} of '
          f'{cells.numel()} pairs inside; 2 warm-up and {args.rounds} timed '
          'rounds, medians')

    def fresh_bags():
        return bags_from_cells(cells_of(*matrices), GRID.num_cells, FEATURE_SIZE[1])

    def ours(depth=depth, features=features):
        return bev_pool(depth, features, fresh_bags())

    def by_cumsum():
        return pool_by_sort_and_cumsum(depth, features, cells_of(*matrices))

    def by_index_add(depth=depth, features=features):
        return pool_by_index_add(depth, features, cells_of(*matrices))

    def pooling_alone():
        return bev_pool(depth, features, bags)

    of_sums = check_sums if torch.device(args.device).type == 'cuda' else None
    # On nuScenes every frame has matrices of its own, so what a user waits for
    # is pooling and geometry together.
    cases = [
        ('bev_pool and geometry vs outer product + sort + cumsum and geometry',
         ours, by_cumsum, of_sums),
        ('bev_pool and geometry vs outer product + index_add and geometry',
         ours, by_index_add, None),
        ('bev_pool training step and geometry vs outer product + index_add and '
         'geometry', lambda: training_step(ours, depth, features),
         lambda: training_step(by_index_add, depth, features), check_gradients),
        ('bev_pool alone, geometry known, vs outer product + sort + cumsum',
         pooling_alone, lambda: pool_by_sort_and_cumsum(depth, features, cells),
         of_sums),
    ]
    results = []
    for name, candidate, baseline, check in cases:
        with torch.set_grad_enabled(check is check_gradients):
            results.append(compare(name, candidate, baseline,
                                   rounds=args.rounds, check=check,
                                   device=args.device))
    return report(results)


if __name__ == '__main__':
    main()
