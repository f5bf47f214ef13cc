"""Predict frames from Python: images, points and calibration in, a map out.

The cells of a notebook (VS Code, Spyder and Jupytext read them), and a script::

    make demo                                  # once: data and a trained model
    python examples/predict_from_python.py

Another model and its data: ``predict_from_python.py CONFIG CHECKPOINT ROOT``.
"""
# %% A model. The configuration is a file, or the name of one that is shipped.
import sys
from pathlib import Path

import cv2
import numpy as np

from ddp_perception.apis import Frame, init_model, predict_map, predict_maps
from ddp_perception.checkpoints.plain_pickle import load_info_file

config, checkpoint, root = sys.argv[1:] or (
    'demo_fusion_cpu', 'work_dirs/demo/epoch_5.pth', 'data/demo_nuscenes')
model = init_model(config, checkpoint, device='cpu', sampling=dict(num_steps=3))

# %% A frame: arrays, as a vehicle's drivers give them. Here they come from a data set,
# whose list of frames also has the calibration.
frames = load_info_file(Path(root, 'nuscenes_infos_val.pkl'))['data_list']
record = frames[0]
images = {name: cv2.imread(str(Path(root, 'samples', name, view['img_path'])))
          for name, view in record['images'].items()}  # (H, W, 3) uint8, BGR
points = np.fromfile(
    Path(root, 'samples/LIDAR_TOP', record['lidar_points']['lidar_path']),
    np.float32).reshape(-1, 5)  # x right, y forward, z up (metres), intensity, ring
calibration = {name: dict(cam2img=view['cam2img'],      # (3, 3), pixels
                          lidar2cam=view['lidar2cam'])  # (4, 4), metres
               for name, view in record['images'].items()}

# %% The map: no info file, no truth.
prediction = predict_map(model, images, points, calibration, name='first frame')
print(prediction.probabilities.shape, 'x right, y forward, from',
      prediction.xbound, prediction.ybound)
for index, name in enumerate(prediction.classes):
    share = prediction.labels[index].mean()
    unsure = prediction.uncertainty[index].mean()
    print(f'{name:>14}: {share:6.1%} of the cells, mean {prediction.uncertainty_label} '
          f'{unsure:.2f}')

# %% What lies 10 m ahead of the vehicle?
x, y = 0., 10.
i, j = (int((value - low) // step) for value, (low, _, step)
        in zip((x, y), (prediction.xbound, prediction.ybound), strict=True))
ahead = {name: round(float(probability), 2) for name, probability
         in zip(prediction.classes, prediction.probabilities[:, i, j], strict=True)}
print('10 m ahead:', ahead)

# %% Files and pictures, as `ddp-perception predict` writes them.
print('saved', prediction.save('predictions/first_frame'))  # .npz
picture = prediction.draw('predictions/first_frame.png')    # also returned, RGB
print('drawn', picture.shape)


# %% A drive: frames are read as they are needed, and predicted two at a time.
def drive():
    """Yield frames as they come."""
    for number, record in enumerate(frames[:4]):
        yield Frame({name: str(Path(root, 'samples', name, view['img_path']))
                     for name, view in record['images'].items()},  # files do as well
                    str(Path(root, 'samples/LIDAR_TOP',
                             record['lidar_points']['lidar_path'])),
                    record['images'], name=f'frame {number}')


for prediction in predict_maps(model, drive(), batch_size=2):
    print(f'{prediction.name}: drivable area {prediction.labels[0].mean():.1%}')
