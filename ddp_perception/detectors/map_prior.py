"""Segment a map from a prior map alone."""
from __future__ import annotations

from collections.abc import Sequence

from mmdet3d.registry import MODELS as MMDET3D_MODELS
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor

from ddp_perception.detectors.feature_grid import complete_head
from ddp_perception.heads.bev_head import Bounds
from ddp_perception.heads.map_head import NUSCENES_GRID
from ddp_perception.ops import BEVGrid
from ddp_perception.registry import MODELS, scope_of_parts

PREPROCESSOR = dict(type='mmengine.ImgDataPreprocessor')


@MODELS.register_module()
class MapPriorSegmentor(BaseModel):
    """An encoder over the channels of a prior map, and a map head on it.

    Args:
        encoder: config of a module from (B, channels, X, Y) to BEV features
            (B, C, X', Y') of the same extent, such as `ddp.BEVUNet`.
        seg_head: `MapSegHead`, `ConvMapHead` or any `BEVHead`. Its
            ``in_channels``, ``input_grid`` and ``bev_axes`` are derived; where
            they are given they are checked. ``classes`` and ``output_grid`` of
            maps default to those of nuScenes.
        prior_grid: (x, y) bounds of the prior map, each (min, max, cell) in
            metres.
        data_preprocessor: mmengine's `ImgDataPreprocessor` by default, which
            stacks the maps and makes them float.
        init_cfg: mmengine's initialisation config.

    Shape:
        inputs: (B, channels, *cells of prior_grid), x right, y forward.

    Raises:
        ValueError: an option contradicts another (when built); a prior of
            another size than ``prior_grid`` says.

    The task is that of P-MapNet, arXiv:2403.10521, without its sensors.
    """

    def __init__(self, encoder: dict, seg_head: dict, *,
                 prior_grid: Bounds = NUSCENES_GRID,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(data_preprocessor or PREPROCESSOR, init_cfg)
        self.prior_grid = BEVGrid.of(prior_grid)
        with scope_of_parts('mmdet3d', encoder):
            self.encoder = MMDET3D_MODELS.build(encoder)
        with scope_of_parts('mmdet3d', seg_head):
            self.seg_head = MMDET3D_MODELS.build(complete_head(
                ConfigDict(seg_head), self, 'encoder', list, 'encoder'))

    def extract_feat(self, inputs: Tensor,
                     batch_input_metas: Sequence[dict] | None = None) -> Tensor:
        """Return the BEV features that the head reads, (B, C, X', Y').

        Args:
            inputs: see the class.
            batch_input_metas: not used; other detectors take it.
        """
        if tuple(inputs.shape[2:]) != self.prior_grid.shape:
            raise ValueError(
                f'prior maps must have the {self.prior_grid.shape} cells of '
                f'prior_grid, got {tuple(inputs.shape)}')
        return self.encoder(inputs)

    def forward(self, inputs: Tensor,
                data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'tensor') -> dict[str, Tensor] | Sequence[BaseDataElement]:
        """Return losses ('loss'), samples ('predict') or tensors ('tensor').

        Args:
            inputs: see the class.
            data_samples: hold the truth and get the prediction.
            mode: of the three.

        Returns:
            In mode 'tensor' a dict with ``feats`` and the probabilities ``map``.

        Raises:
            ValueError: another mode, or no samples where they are needed.
        """
        if mode == 'tensor':
            feats = self.extract_feat(inputs)
            return {'feats': feats, 'map': self.seg_head(feats)}
        if mode not in ('loss', 'predict'):
            raise ValueError("mode must be 'loss', 'predict' or 'tensor', got "
                             f'{mode!r}')
        if data_samples is None:
            raise ValueError(f'mode {mode!r} needs data_samples, got None')
        return (self.loss if mode == 'loss' else self.predict)(inputs, data_samples)

    def loss(self, inputs: Tensor,
             data_samples: Sequence[BaseDataElement]) -> dict[str, Tensor]:
        """Return the head's losses."""
        return self.seg_head.loss(self.extract_feat(inputs), data_samples)

    def predict(self, inputs: Tensor, data_samples: Sequence[BaseDataElement]
                ) -> Sequence[BaseDataElement]:
        """Write the prediction into the samples, and ``map_prior`` to be drawn."""
        self.seg_head.predict(self.extract_feat(inputs), data_samples)
        for sample, prior in zip(data_samples, inputs, strict=True):
            sample.set_field(PixelData(data=prior), 'map_prior')
        return data_samples
