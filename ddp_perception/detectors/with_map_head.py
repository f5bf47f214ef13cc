"""A detector of mmdet3d that also segments the map."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from mmdet3d.models import Base3DDetector, SingleStageMono3DDetector
from mmdet3d.registry import MODELS as MMDET3D_MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from torch import Tensor, nn

from ddp_perception.checkpoints.coverage import coverage, describe_coverage
from ddp_perception.detectors.feature_grid import (
    FeatureLevel,
    complete_head,
    default_feature,
)
from ddp_perception.registry import MODELS, scope_of_parts
from ddp_perception.wording import refused_copies


@MODELS.register_module()
class WithMapHead(Base3DDetector):
    """A 3D detector and a map head that share one BEV feature map.

    The detector stays what it is: its losses, its predictions and the names
    of its parameters below ``detector.`` do not change. The map head reads the
    output of the detector's neck, which runs once per batch.

    Args:
        detector: config of a detector of mmdet3d, or of `ddp.BEVFusion`,
            whatever the default scope. Its ``data_preprocessor`` becomes that
            of the whole.
        seg_head: config of `MapSegHead`, `ConvMapHead` or any `BEVHead`.
            ``in_channels``, ``input_grid`` and ``bev_axes`` are derived from
            the detector's voxel size, range and strides; where they are given
            they are checked. ``classes`` and ``output_grid`` of maps default
            to those of nuScenes.
        feature: dotted name of the detector's part whose output is taken, by
            default its BEV neck, or its BEV backbone where it has no neck.
        levels: which level of several is taken: an index, ``'merge'`` for
            all of them, or a list of indices. Merged levels are resized to
            the finest and concatenated.
        freeze: ``'detector'`` trains the map head alone: no parameter and no
            norm statistics of the detector change, and its losses are not
            computed. ``'map'`` trains the detector alone. None trains both.
        detector_weight: factor of the detector's losses; the map head's loss
            has ``loss_weight``.
        train_cfg: None, which mmdet3d's inference API sets. The detector has
            its own.
        init_cfg: mmengine's initialisation config.

    A checkpoint of the bare detector loads into it too (``load_from``); what
    was filled is logged.

    Raises:
        ValueError: an option is unknown, the detector is monocular, or a grid is
            wrong or cannot be derived (when built); the part returns no single BEV
            map, losses collide, or augmented copies of a frame are given.

    Source: DDP, arXiv:2303.17559 (map head). The wrapper is this project's.
    """

    def __init__(self, detector: dict, seg_head: dict, *, feature: str | None = None,
                 levels: int | str | Sequence[int] | None = None,
                 freeze: str | None = None, detector_weight: float = 1.,
                 train_cfg: None = None,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if train_cfg is not None:
            raise ValueError('train_cfg is that of the detector, '
                             f'detector=dict(train_cfg=...), got {train_cfg!r} beside '
                             'it')
        if freeze not in (None, 'detector', 'map'):
            raise ValueError("freeze must be None, 'detector' or 'map', got "
                             f'{freeze!r}')
        with scope_of_parts('mmdet3d', detector):
            self.detector = MMDET3D_MODELS.build(ConfigDict(detector))
        if isinstance(self.detector, SingleStageMono3DDetector):
            raise ValueError(
                f"{type(self.detector).__name__} predicts from one camera's image and "
                "has no bird's-eye-view features that a map head could read. Take a "
                'detector with voxels or pillars; for cameras, ddp.BEVFusion with '
                'img_backbone and view_transform')
        self._extract_takes_metas = len(signature(
            self.detector.extract_feat).parameters) > 1
        # One module under two names; it has no persistent tensors.
        self.data_preprocessor = self.detector.data_preprocessor
        self.feature = feature or default_feature(self.detector)
        self._require_part(self.feature)
        self.levels = levels
        self.freeze = freeze
        self.detector_weight = detector_weight
        with scope_of_parts('mmdet3d', seg_head):
            self.seg_head = MMDET3D_MODELS.build(complete_head(
                ConfigDict(seg_head), self.detector, self.feature, self._choose,
                f'detector.{self.feature}'))
        frozen = self._frozen()
        if frozen is not None:
            frozen.requires_grad_(False)

    def _frozen(self) -> nn.Module | None:
        return {'detector': self.detector, 'map': self.seg_head,
                None: None}[self.freeze]

    def _require_part(self, name: str) -> None:
        try:
            self.detector.get_submodule(name)
        except AttributeError:
            raise ValueError(
                f'feature={name!r} is no part of {type(self.detector).__name__}; '
                'it has ' + ', '.join(key for key, part in
                                      self.detector.named_children())) from None

    def _choose(self, levels: Sequence) -> list:
        """Return the levels, or maps, that the option asks for."""
        count = len(levels)
        if self.levels is None:
            if count != 1:
                shown = '; '.join(
                    f'{index}: {level}' if isinstance(level, FeatureLevel) else
                    f'{index}: {tuple(level.shape)}'
                    for index, level in enumerate(levels))
                raise ValueError(
                    f'detector.{self.feature} returns {count} levels ({shown}); '
                    "choose one with levels=0, say, or merge with levels='merge'")
            return list(levels)
        if self.levels == 'merge' and count:
            return list(levels)
        indices = [self.levels] if isinstance(self.levels, int) else self.levels
        if isinstance(indices, str) or not len(indices) or not all(
                isinstance(index, int) and 0 <= index < count for index in indices):
            raise ValueError(
                f"levels must be 'merge', or indices of the {count} levels that "
                f'detector.{self.feature} returns, got {self.levels!r}')
        return [levels[index] for index in indices]

    def train(self, mode: bool = True) -> WithMapHead:
        """Set the training mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        frozen = self._frozen()
        if frozen is not None:
            frozen.eval()
        return self

    @contextmanager
    def _tap(self) -> Iterator[list]:
        """Note what the chosen part returns meanwhile."""
        outputs = []
        # Not kept: a hook that stays would hold maps, and this model, alive.
        handle = self.detector.get_submodule(self.feature).register_forward_hook(
            lambda module, args, output: outputs.append(output))
        try:
            yield outputs
        finally:
            handle.remove()

    def _bev_map(self, outputs: list) -> Tensor:
        """Make the (B, C, rows, columns) map of what was noted."""
        if len(outputs) != 1:
            raise ValueError(f'detector.{self.feature} ran {len(outputs)} times for '
                             'one batch, expected once; name another part with '
                             'feature=')
        output = outputs[0]
        levels = [output] if isinstance(output, Tensor) else output
        if not isinstance(levels, (list, tuple)) or not all(
                isinstance(level, Tensor) and level.dim() == 4 for level in levels):
            raise ValueError(
                f'detector.{self.feature} must return BEV maps (B, C, rows, columns), '
                f'got {_describe(output)}; name another part with feature=')
        chosen = self._choose(levels)
        size = max(tuple(level.shape[2:]) for level in chosen)
        maps = [level if tuple(level.shape[2:]) == size else F.interpolate(
            level, size, mode='bilinear', align_corners=False) for level in chosen]
        return maps[0] if len(maps) == 1 else torch.cat(maps, 1)

    def extract_feat(self, batch_inputs_dict: dict,
                     batch_input_metas: Sequence[dict] | None = None) -> Tensor:
        """Return the BEV map that the map head reads, and nothing else."""
        with self._tap() as outputs:
            if self._extract_takes_metas:
                self.detector.extract_feat(batch_inputs_dict, batch_input_metas)
            else:
                self.detector.extract_feat(batch_inputs_dict)
        return self._bev_map(outputs)

    def loss(self, batch_inputs_dict: dict,
             batch_data_samples: list[Det3DDataSample]) -> dict:
        """Return the detector's losses and, with the prefix ``map.``, ours."""
        if self.freeze == 'detector':
            losses = {}
            with torch.no_grad():
                feats = self.extract_feat(
                    batch_inputs_dict, [s.metainfo for s in batch_data_samples])
        else:
            with self._tap() as outputs:
                losses = dict(self.detector.loss(batch_inputs_dict, batch_data_samples))
            feats = self._bev_map(outputs)
            if self.detector_weight != 1:
                losses = {name: _scaled(value, self.detector_weight)
                          if 'loss' in name else value
                          for name, value in losses.items()}
        if self.freeze == 'map':
            return losses
        for name, value in self.seg_head.loss(feats, batch_data_samples).items():
            if f'map.{name}' in losses:
                raise ValueError(f'the detector has a loss map.{name} of its own; '
                                 'losses of the map head need that name')
            losses[f'map.{name}'] = value
        return losses

    def predict(self, batch_inputs_dict: dict,
                batch_data_samples: list[Det3DDataSample]) -> list[Det3DDataSample]:
        """Let the detector predict, then add the head's field to its samples."""
        with self._tap() as outputs:
            samples = self.detector.predict(batch_inputs_dict, batch_data_samples)
        self.seg_head.predict(self._bev_map(outputs), samples)
        return samples

    def aug_test(self, batch_inputs_dict: list, batch_data_samples: list) -> NoReturn:
        """Refuse augmented copies of a frame: maps are not merged."""
        _refuse_copies(len(batch_data_samples))

    def _run_forward(self, data: dict | list, mode: str) -> Any:
        """Run `forward` on a batch; augmented copies come as a list of them."""
        if isinstance(data, list):
            _refuse_copies(len(data))
        return super()._run_forward(data, mode)

    def _forward(self, batch_inputs_dict: dict,
                 batch_data_samples: list[Det3DDataSample] | None = None) -> dict:
        """Return the shared BEV map and the map head's probabilities."""
        metas = [sample.metainfo for sample in batch_data_samples or ()]
        feats = self.extract_feat(batch_inputs_dict, metas)
        return {'feats': feats, 'map': self.seg_head(feats)}

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any,
                              **kwargs: Any) -> None:
        """Take the names of a bare detector's checkpoint as well."""
        ours = f'{prefix}detector.'
        if not any(name.startswith(ours) for name in state_dict):
            known = self.detector.state_dict()
            moved = [name for name in state_dict if name.startswith(prefix)
                     and name[len(prefix):] in known]
            for name in moved:
                state_dict[ours + name[len(prefix):]] = state_dict.pop(name)
            # Versions of modules: spconv reads the order of its kernels' axes there.
            versions = getattr(state_dict, '_metadata', None)
            if moved and versions is not None:
                versions.update({f'{ours}{name[len(prefix):]}'.rstrip('.'): value
                                 for name, value in list(versions.items())
                                 if name.startswith(prefix)})
            if moved:
                counts = coverage(self, {name[len(prefix):]: tensor for name, tensor
                                         in state_dict.items()
                                         if name.startswith(prefix)})
                print_log('a checkpoint of the bare detector fills '
                          f'{describe_coverage(counts)} tensors; the others keep '
                          'their initial values', 'current')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _refuse_copies(count: int) -> NoReturn:
    raise ValueError(refused_copies(count))


def _scaled(value: Any, factor: float) -> Any:
    return [item * factor for item in value] if isinstance(
        value, (list, tuple)) else value * factor


def _describe(output: object) -> str:
    if isinstance(output, Tensor):
        return f'a tensor of shape {tuple(output.shape)}'
    if isinstance(output, Mapping):
        return f'a {type(output).__name__} with the keys {list(output)}'
    if isinstance(output, (list, tuple)):
        return f'{type(output).__name__} of ' + ', '.join(map(_describe, output))
    return type(output).__name__
