"""Vehicles from above: head, field, truth and metric of a task outside the package."""
import numpy as np
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from mmengine.evaluator import BaseMetric
from torch import nn

from ddp_perception.datasets.lidar_frame import lidar_augmentation
from ddp_perception.decoder import DecoderOptions, DiffusionOptions, record_of
from ddp_perception.diffusion import LabelCodec, Presences
from ddp_perception.fields import MapField, values_of
from ddp_perception.heads import BEVHead, DiffusionHead
from ddp_perception.ops import BEVGrid
from ddp_perception.registry import FIELDS, METRICS, MODELS, TRANSFORMS


@TRANSFORMS.register_module()
class DrawVehicles(BaseTransform):
    """Rasterise boxes of some labels into gt_vehicles, (1, X, Y), 0 or 1.

    A cell counts where its centre lies in a box. Put it behind the last augmentation.
    """

    def __init__(self, grid, labels=(0, 1, 2, 3, 4)):
        x, y = BEVGrid.of(grid).centres()
        self.centres = np.stack(np.meshgrid(x, y, indexing='ij'), -1)
        self.labels = labels

    def transform(self, results):
        source, augmentation = results, lidar_augmentation(results)
        if 'gt_bboxes_3d' not in results:  # a test's boxes are those of the file
            source, augmentation = results.get('eval_ann_info'), np.eye(4)
        if source is None:
            return results
        mask = np.zeros((1, *self.centres.shape[:2]), np.uint8)
        chosen = np.isin(source['gt_labels_3d'], self.labels)
        for x, y, length, width, yaw in source['gt_bboxes_3d'].bev.numpy()[chosen]:
            to_box = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
            place = np.abs((self.centres - (x, y)) @ to_box)
            mask[0] |= (place < (length / 2, width / 2)).all(-1)
        results.update(gt_vehicles=mask, gt_vehicles_aug=augmentation)
        return results


class OccupancyCodec(LabelCodec):
    """Occupied share of each cell to a map within +/- scale, and back."""

    channels = 1

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def encode(self, labels, size):
        return self.scale * (2 * F.adaptive_avg_pool2d(labels.float(), size) - 1)

    def encode_prediction(self, prediction, size):
        return self.encode(prediction.sigmoid(), size)


@MODELS.register_module()
class VehicleHead(BEVHead, DiffusionHead):
    """Probability that a vehicle covers a cell, on the features' grid divided."""

    truth_field, prediction_field = 'gt_vehicles', 'pred_vehicles'
    outcome = Presences()
    truth_loader = 'ddp.DrawVehicles'
    classes, palette = ('vehicle',), ((70, 130, 180),)

    def __init__(self, in_channels, input_grid, output_grid, bev_axes='xy',
                 positive_weight=4., decoder=None, diffusion=None, sampler=None):
        super().__init__(in_channels, input_grid, bev_axes=bev_axes)
        self.output_grid = BEVGrid.of(output_grid)
        self.positive_weight = positive_weight
        finer = self.output_grid.shape[0] // self.input_grid.shape[0]
        decoder = record_of(DecoderOptions, decoder)
        diffusion = record_of(DiffusionOptions, diffusion)
        last = nn.Sequential(nn.Conv2d(decoder.channels, finer**2, 3, padding=1),
                             nn.PixelShuffle(finer))
        self.build_diffusion(in_channels, OccupancyCodec(diffusion.scale), last,
                             decoder=decoder, diffusion=diffusion, sampler=sampler)

    def objective(self, prediction, truth):
        weight = prediction.new_tensor(self.positive_weight)
        return dict(loss_vehicles=F.binary_cross_entropy_with_logits(
            prediction, truth.float(), pos_weight=weight))

    def meaning(self, prediction):
        return self.outcome.values(prediction)


@FIELDS.register_module(name='pred_vehicles')
class VehicleField(MapField):
    """Saved and drawn as maps are: <token>.npz and <token>.png."""

    prediction, truth, source = 'pred_vehicles', 'gt_vehicles', 'gt_vehicles'
    plural = 'vehicle maps'


@METRICS.register_module()
class VehicleIoU(BaseMetric):
    """IoU of occupied cells, pooled over frames, at probability 0.5."""

    default_prefix = 'vehicles'

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            predicted = values_of(sample, 'pred_vehicles') >= 0.5
            true = values_of(sample, 'gt_vehicles') > 0
            self.results.append(((predicted & true).sum(), (predicted | true).sum()))

    def compute_metrics(self, results):
        intersection, union = np.sum(results, 0)
        return dict(iou=float(intersection / max(union, 1)))
