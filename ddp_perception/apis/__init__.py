"""Predict from Python: a model, and frames or images in and results out.

::

    from ddp_perception.apis import init_model, predict_image, predict_map

    model = init_model('demo_fusion_cpu', 'work_dirs/demo/epoch_5.pth')
    prediction = predict_map(model, images, points, calibration)
    prediction.probabilities            # (classes, X, Y), x right, y forward
    prediction.draw('frame.png')

No info file and no truth are needed. Images are arrays as OpenCV and OpenMMLab have
them, (H, W, 3) uint8 in the order blue, green, red, or files. `predict_maps` and
`predict_images` do many in batches, also those of a folder or a list of frames.
"""
from ddp_perception.apis.calibration import Calibration
from ddp_perception.apis.frame import Frame, Sweep
from ddp_perception.apis.images import predict_image, predict_images
from ddp_perception.apis.maps import predict_map, predict_maps
from ddp_perception.apis.model import init_model
from ddp_perception.apis.results import (
    DepthPrediction,
    LabelPrediction,
    MapPrediction,
    Prediction,
)
from ddp_perception.cli.errors import UserError

__all__ = ['Calibration', 'DepthPrediction', 'Frame', 'LabelPrediction',
           'MapPrediction', 'Prediction', 'Sweep', 'UserError', 'init_model',
           'predict_image', 'predict_images', 'predict_map', 'predict_maps']
