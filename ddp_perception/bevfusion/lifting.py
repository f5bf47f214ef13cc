"""Where the pixels of a camera lie in space, and points in its image.

Matrices are (4, 4) and named as in the sample's metainfo: ``cam2img`` holds
the intrinsics, ``img_aug_matrix`` takes a pixel of the original image to its
place in the augmented one, ``lidar_aug_matrix`` a LiDAR point to its place
after rotation, scaling, translation and flips. Products of matrices are taken
in float64, and applied to points element by element in float32, so that
neither autocast nor TF32 can move a point to another cell.
"""
import torch
from torch import Tensor


def pixel_grid(image_size: tuple[int, int],
               feature_size: tuple[int, int]) -> Tensor:
    """Return (2, h * w) u and v of the feature pixels in the image, float32.

    The first and last lie on the border pixels of the image, as in
    Lift-Splat-Shoot.
    """
    v = torch.linspace(0, image_size[0] - 1, feature_size[0])
    u = torch.linspace(0, image_size[1] - 1, feature_size[1])
    v, u = torch.meshgrid(v, u, indexing='ij')
    return torch.stack([u.flatten(), v.flatten()])


def planar_augmentation(img_aug_matrix: Tensor) -> Tensor:
    """Return the (..., 3, 3) homography of image augmentations (..., 4, 4).

    Raises:
        ValueError: a matrix does more than move pixels within the image.
    """
    identity = torch.eye(4).to(img_aug_matrix)
    fixed = torch.cat([(img_aug_matrix - identity)[..., 2:, :].flatten(-2),
                       img_aug_matrix[..., :2, 2]], -1)
    if torch.any(fixed != 0):
        raise ValueError(
            'img_aug_matrix must map pixels to pixels (third and fourth row '
            'as in the identity, zeros above the diagonal in the third '
            f'column), got {img_aug_matrix.tolist()}')
    planar = torch.eye(3).to(img_aug_matrix).expand(
        *img_aug_matrix.shape[:-2], 3, 3).clone()
    planar[..., :2, :2] = img_aug_matrix[..., :2, :2]
    planar[..., :2, 2] = img_aug_matrix[..., :2, 3]
    return planar


def pixel_rays(pixels: Tensor, cam2img: Tensor, img_aug_matrix: Tensor,
               target_from_cam: Tensor) -> tuple[Tensor, Tensor]:
    """Write each pixel's line of sight as ``start + depth * ray``.

    Args:
        pixels: (2, P) u and v in the augmented image, float32, any device.
        cam2img: (N, 4, 4), float64 on CPU.
        img_aug_matrix: (N, 4, 4), float64 on CPU.
        target_from_cam: (N, 4, 4) camera to the frame wanted, float64 on CPU.

    Returns:
        rays (N, 3, P) and starts (N, 3), float32 on the device of ``pixels``.
        A depth is the camera's z in metres.
    """
    cam_from_pixel = torch.linalg.inv(
        planar_augmentation(img_aug_matrix) @ cam2img[:, :3, :3])
    matrix = target_from_cam[:, :3, :3] @ cam_from_pixel
    matrix = matrix.to(pixels)[..., None]  # N 3 3 1
    u, v = pixels
    rays = matrix[:, :, 0] * u + matrix[:, :, 1] * v + matrix[:, :, 2]
    return rays, target_from_cam[:, :3, 3].to(pixels)


def depth_images(points: Tensor, lidar2img: Tensor, img_aug_matrix: Tensor,
                 lidar_aug_matrix: Tensor,
                 image_size: tuple[int, int]) -> Tensor:
    """Project LiDAR points into the augmented images.

    Where several points fall on a pixel the nearest is kept, and points behind
    the camera are left out; the released code keeps whichever point comes last
    and can keep points behind the camera.

    Args:
        points: (n, >= 3) x, y, z after LiDAR augmentation, metres. Unchanged.
        lidar2img: (N, 4, 4) LiDAR to original image, float64 on CPU.
        img_aug_matrix: (N, 4, 4), float64 on CPU.
        lidar_aug_matrix: (4, 4), float64 on CPU.
        image_size: height and width of the augmented images.

    Returns:
        (N, 1, height, width) depth in metres, 0 where no point falls, dtype
        and device of ``points``.
    """
    height, width = image_size
    matrix = lidar2img @ torch.linalg.inv(lidar_aug_matrix)
    x, y, depth = _apply(matrix[:, :3], points[:, 0], points[:, 1],
                         points[:, 2])  # each N n
    near = depth.clamp(min=1e-5)
    planar = planar_augmentation(img_aug_matrix)[:, :2]
    u, v = _apply(planar, x / near, y / near)
    # Compared before rounding: far off the image an integer could overflow.
    seen = (depth > 1e-5) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    image, point = seen.nonzero(as_tuple=True)
    row, column = v[image, point].long(), u[image, point].long()
    nearest = points.new_full((len(matrix) * height * width,), float('inf'))
    nearest.scatter_reduce_(0, (image * height + row) * width + column,
                            depth[image, point], 'amin')
    nearest = nearest.masked_fill_(nearest == float('inf'), 0)
    return nearest.view(len(matrix), 1, height, width)


def _apply(matrix: Tensor, *coordinates: Tensor) -> list[Tensor]:
    """Apply (N, rows, k + 1) affine maps to k coordinates (n,) or (N, n)."""
    matrix = matrix.to(coordinates[0])[..., None]  # N rows k+1 1
    return [sum(matrix[:, row, k] * c for k, c in enumerate(coordinates))
            + matrix[:, row, -1] for row in range(matrix.shape[1])]
