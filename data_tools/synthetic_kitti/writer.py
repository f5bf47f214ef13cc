"""Writes a whole set: drives by worker processes, then calibration and splits."""

from functools import partial
from pathlib import Path

from data_tools.synthetic.drives import Drive, plan_drives
from data_tools.synthetic.images import write_image
from data_tools.synthetic.sensors import Calibration, noise_seed, photograph
from data_tools.synthetic.writing import Progress, write_set
from data_tools.synthetic_kitti import calibration
from data_tools.synthetic_kitti.depth_map import accumulate, encode, project
from data_tools.synthetic_kitti.options import Options
from data_tools.world import World

DATE = '2011_09_26'
FRAME_RATE = 10   # per second
BUSTLE = 2.5      # residential streets have fences and hedges
FIRST_FRAME = 5   # annotated maps need sweeps on both sides of a frame
SPLIT_FILES = {'train': 'kitti_eigen_train.txt',
               'test': 'kitti_eigen_test.txt'}


def drive_name(drive: Drive) -> str:
    """Folder of a drive, as in KITTI raw."""
    return f'{DATE}_drive_{drive.number:04d}_sync'


def plan(options: Options) -> list[Drive]:
    """The drives of a set, those of the training split first."""
    return plan_drives('kitti', {'train': options.train_drives,
                                 'test': options.test_drives})


def frame_numbers(options: Options) -> list[int]:
    """Numbers of the frames of each drive; ten pass in a second."""
    return [FIRST_FRAME + options.stride * n for n in range(options.frames)]


def open_world(drive: Drive, options: Options) -> World:
    """World of a drive; the same for every process."""
    last = frame_numbers(options)[-1] + FIRST_FRAME
    return drive.world(options.seed, last / FRAME_RATE, BUSTLE,
                       residential=True)


def sensors(drive: Drive, number: int, options: Options,
            ) -> tuple[Calibration, Calibration]:
    """Camera and LiDAR at a frame."""
    return calibration.rig(drive.lean(options.seed, number),
                           options.image_size)


def _write_drive(out: Path, drive: Drive, options: Options,
                 progress: Progress) -> list[tuple[str, str]]:
    """Write a drive; returns the image and depth path of each frame."""
    world = open_world(drive, options)
    pattern = calibration.beam_pattern(options.beams, options.azimuths,
                                       options.image_size)
    name, lines = drive_name(drive), []
    for number in frame_numbers(options):
        time = number / FRAME_RATE
        camera, lidar = sensors(drive, number, options)
        seed = noise_seed(options.seed, name, number)
        shot = photograph(world, time, camera, options.image_size, seed)
        points = accumulate(world, time, lidar, pattern, options.sweeps, seed)
        pose = world.ego_pose(time) @ camera.ego_from_sensor()
        assert camera.intrinsic is not None, 'a camera has intrinsics'
        depth = project(points, pose, camera.intrinsic, shot.depth)
        image_path = f'{DATE}/{name}/image_02/data/{number:010d}.png'
        depth_path = (f'{name}/proj_depth/groundtruth/image_02/'
                      f'{number:010d}.png')
        write_image(out / 'input' / image_path, shot.rgb)
        write_image(out / 'gt_depth' / depth_path, encode(depth))
        lines.append((image_path, depth_path))
        progress()
    return lines


def _finish(out: Path, options: Options, records: list) -> None:
    """Write calibration and split files."""
    calibration.write_calibration(out / 'input' / DATE, options.image_size)
    focal = calibration.intrinsic(options.image_size)[0, 0]
    for split, file in SPLIT_FILES.items():
        lines = [f'{image} {depth} {focal:.4f}\n'
                 for drive, frames in zip(plan(options), records)
                 if drive.split == split for image, depth in frames]
        (out / file).write_text(''.join(lines))


def write_synthetic_kitti(out: str | Path, *, seed: int = 0, train_drives: int = 12,
                          test_drives: int = 4, frames: int = 5, stride: int = 10,
                          image_size: tuple[int, int] = (1242, 375), sweeps: int = 5,
                          beams: int = 0, azimuths: int = 0, workers: int = 1,
                          overwrite: bool = False, progress: bool = True) -> Path:
    """Write a synthetic set in the layout of KITTI depth.

    ::

        input/<date>/<drive>_sync/image_02/data/<frame>.png
        input/<date>/calib_cam_to_cam.txt, calib_velo_to_cam.txt
        gt_depth/<drive>_sync/proj_depth/groundtruth/image_02/<frame>.png
        kitti_eigen_train.txt, kitti_eigen_test.txt

    Depth maps are 16-bit, metres x 256, 0 where nothing was measured. Split
    files list image, depth map and focal length; no world is in both. A
    complete set with the same options is left alone; an interrupted one is
    continued at its first unfinished drive. The bytes do not depend on
    `workers`.

    Args:
        out: Root to write.
        seed, train_drives, test_drives, frames, stride, image_size, sweeps,
            beams, azimuths: See `Options`.
        workers: Processes.
        overwrite: Replace a synthetic set that has other options; anything
            else is never deleted.
        progress: Show a bar.

    Returns:
        The root.

    Raises:
        FileExistsError: `out` holds something else.
        ValueError: an option is out of its range.
    """
    options = Options(seed, train_drives, test_drives, frames, stride,
                      image_size, sweeps, beams, azimuths)
    out = Path(out)
    return write_set(
        out, options.record(),
        {drive_name(d): partial(_write_drive, out, d, options)
         for d in plan(options)},
        partial(_finish, out, options), frames=frames,
        title='synthetic KITTI', workers=workers, overwrite=overwrite,
        progress=progress)
