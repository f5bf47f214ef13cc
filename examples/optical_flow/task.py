"""Optical flow: data set, head, field and metric of a task outside the package."""
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from torch import nn

from ddp_perception.decoder import DecoderOptions, DiffusionOptions, record_of
from ddp_perception.diffusion import LabelCodec
from ddp_perception.fields import Field, image_of, values_of
from ddp_perception.files import write_file
from ddp_perception.heads import DenseHead
from ddp_perception.registry import DATASETS, FIELDS, METRICS, MODELS, TRANSFORMS
from ddp_perception.visualization import Panels, read_image


@DATASETS.register_module()
class FlowPairs(BaseDataset):
    """Pairs of frames in data_prefix['img_path'], as make_data writes them."""

    def load_data_list(self):
        folder = Path(self.data_prefix['img_path'])
        stems = sorted(str(path)[:-len('_0.png')] for path in folder.glob('*_0.png'))
        if not stems:
            raise FileNotFoundError(f'{folder} has no *_0.png; see make_data.py')
        return [dict(stem=stem, img_path=f'{stem}_0.png') for stem in stems]


@TRANSFORMS.register_module()
class LoadFlowPair(BaseTransform):
    """Read img (H, W, 6), RGB, and gt_flow (2, H, W) where there is a .flo file."""

    def transform(self, results):
        stem = results['stem']
        image = np.dstack([read_image(f'{stem}_{index}.png') for index in (0, 1)])
        results.update(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        if Path(f'{stem}.flo').is_file():
            results['gt_flow'] = cv2.readOpticalFlow(f'{stem}.flo').transpose(2, 0, 1)
        return results


class FlowCodec(LabelCodec):
    """Pixels to a map within +/- scale; `span` pixels are three quarters of it."""

    channels = 2

    def __init__(self, scale, span=10.):
        super().__init__()
        self.scale, self.span = scale, span

    def encode(self, labels, size):
        return self.scale * torch.tanh(F.adaptive_avg_pool2d(labels, size) / self.span)

    encode_prediction = encode


@MODELS.register_module()
class FlowHead(DenseHead):
    """Denoise optical flow, (B, 2, h, w) in pixels of the image."""

    truth_field, prediction_field = 'gt_flow', 'pred_flow'

    def __init__(self, in_channels, decoder=None, diffusion=None, sampler=None):
        super().__init__(in_channels, 2)
        decoder = record_of(DecoderOptions, decoder)
        diffusion = record_of(DiffusionOptions, diffusion)
        last = nn.Conv2d(decoder.channels, 2, 3, padding=1)
        self.build_diffusion(self.in_channels, FlowCodec(diffusion.scale), last,
                             decoder=decoder, diffusion=diffusion, sampler=sampler)

    def objective(self, prediction, truth):
        prediction = F.interpolate(prediction, truth.shape[-2:], mode='bilinear')
        return dict(loss_flow=(prediction - truth).norm(dim=1).mean())


@FIELDS.register_module(name='pred_flow')
class FlowField(Field):
    """Saved as <stem>.flo (Middlebury), drawn in colour below the first frame."""

    prediction, truth, source, plural = 'pred_flow', 'gt_flow', 'gt_flow', 'flow fields'

    def save(self, sample, stem, setting):
        flow = values_of(sample, self.prediction).astype('<f4')
        head = b'PIEH' + np.array(flow.shape[:0:-1], '<i4').tobytes()
        return write_file(stem.with_name(f'{stem.name}.flo'),
                          head + flow.transpose(1, 2, 0).tobytes())

    def draw(self, sample, path, setting):
        shown = {'first frame': image_of(sample)}
        for name in (self.prediction, self.truth):
            flow = values_of(sample, name)
            if flow is not None:  # hue: direction; saturation: up to 15 pixels
                hue = np.degrees(np.arctan2(*flow[::-1])) % 360
                hsv = hue, np.minimum(np.hypot(*flow) / 15, 1), np.ones_like(hue)
                shown[name] = cv2.cvtColor(np.dstack(hsv), cv2.COLOR_HSV2RGB)
        panels = Panels(len(shown), shown['first frame'].shape[:2], columns=1)
        for index, (title, picture) in enumerate(shown.items()):
            panels.show(index, picture, title)
        return panels.save(path)


@METRICS.register_module()
class EndPointError(BaseMetric):
    """Mean distance between predicted and true flow, pixels."""

    default_prefix = 'flow'

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            difference = values_of(sample, 'pred_flow') - values_of(sample, 'gt_flow')
            self.results.append(np.hypot(*difference).mean())

    def compute_metrics(self, results):
        return dict(epe=float(np.mean(results)))
