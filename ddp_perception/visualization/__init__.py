"""Pictures of bird's-eye-view maps, and of what an image's pixels show."""
from ddp_perception.visualization.calibration import (
    save_calibration,
    save_sparsification,
)
from ddp_perception.visualization.camera import draw_camera, project_points
from ddp_perception.visualization.confusion import save_confusion
from ddp_perception.visualization.dense import (
    overlay_labels,
    save_depth,
    save_segmentation,
)
from ddp_perception.visualization.figure import MapFrame, draw_frame, save_frame
from ddp_perception.visualization.image_samples import (
    crop_corner,
    read_image,
)
from ddp_perception.visualization.maps import draw_map, paint_map
from ddp_perception.visualization.panels import Panels
from ddp_perception.visualization.samples import frame_from_sample
from ddp_perception.visualization.uncertain import Uncertainty

__all__ = ['MapFrame', 'Panels', 'Uncertainty', 'crop_corner', 'draw_camera',
           'draw_frame', 'draw_map', 'frame_from_sample', 'overlay_labels', 'paint_map',
           'project_points', 'read_image', 'save_calibration', 'save_confusion',
           'save_depth', 'save_frame', 'save_segmentation', 'save_sparsification']
