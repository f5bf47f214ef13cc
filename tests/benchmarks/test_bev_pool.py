import torch

from benchmarks import bev_pool
from ddp_perception.ops.bev_pool import bags_from_cells
from ddp_perception.ops.bev_pool import bev_pool as pool


def test_candidates_agree_on_a_part_of_the_problem():
    matrices = (*bev_pool.rig(), bev_pool.evaluation_augmentation())
    cells = bev_pool.cells_of(*matrices)[:, ::8, ::16].contiguous()
    images, depths, pixels = cells.shape
    g = torch.Generator().manual_seed(0)
    depth = torch.rand(images, depths, pixels, generator=g)
    features = torch.randn(images, bev_pool.CHANNELS, pixels, generator=g)
    ours = pool(depth, features, bags_from_cells(cells, bev_pool.GRID.num_cells))
    for candidate in (bev_pool.pool_by_index_add,
                      bev_pool.pool_by_sort_and_cumsum):
        torch.testing.assert_close(ours, candidate(depth, features, cells),
                                   rtol=1e-4, atol=1e-4)
    assert ours.any()


def test_rig_looks_around():
    _, cam2lidar = bev_pool.rig()
    torch.testing.assert_close(cam2lidar[:, :3, :3].det(),
                               torch.ones(6, dtype=torch.float64))
    ahead = dict(zip(bev_pool.RIG, cam2lidar[:, :3, 2]))
    assert ahead['CAM_FRONT'][1] > 0.99 and ahead['CAM_BACK'][1] < -0.99
    assert ahead['CAM_FRONT_RIGHT'][0] > 0.8 and ahead['CAM_BACK_LEFT'][0] < -0.9
    assert torch.equal(cam2lidar[:, :3, 1], torch.tensor(
        [0.0, 0.0, -1.0], dtype=torch.float64).expand(6, 3))  # image y is down


def test_calibration_is_that_of_the_real_frame_where_it_is_there(real_dir):
    source, _, cam2lidar = bev_pool.calibration()
    assert source == 'real nuScenes frame'
    # The made-up rig looks the same ways.
    cosines = (cam2lidar[:, :3, 2] * bev_pool.rig()[1][:, :3, 2]).sum(1)
    assert (cosines > 0.97).all()
