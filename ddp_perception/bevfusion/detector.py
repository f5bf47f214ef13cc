"""BEVFusion with a map segmentation head."""
from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

from mmcv.ops import Voxelization
from mmdet3d.models import Base3DDetector
from mmdet3d.registry import MODELS as MMDET3D_MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from torch import Tensor

from ddp_perception.bevfusion.calibration import stack_matrices
from ddp_perception.bevfusion.checks import check_parts
from ddp_perception.bevfusion.view_transforms import ViewTransform
from ddp_perception.bevfusion.voxelize import (
    Voxels,
    check_points,
    frozen_norms,
    placeholder,
    voxelize,
)
from ddp_perception.checkpoints.coverage import coverage, describe_coverage
from ddp_perception.detectors.axis_order import coordinate_order
from ddp_perception.detectors.feature_grid import complete_head, default_feature
from ddp_perception.registry import MODELS, scope_of_parts


@MODELS.register_module()
class BEVFusion(Base3DDetector):
    """Camera and LiDAR fused in bird's-eye view, for maps and boxes.

    Takes the configuration keys of the BEVFusion detector in mmdet3d's
    projects and names its parts alike, so that a detection checkpoint
    initialises it; ``seg_head`` is new. Every part is optional: the parts
    given decide which of camera and LiDAR the model needs. View transforms and
    middle encoders of mmdet3d's project can be used as well as ours. Voxels
    reach a middle encoder as z, y, x or x, y, z (see `coordinate_order`);
    every BEV map in the model is (B, C, X, Y). Types without a prefix are those
    of mmdet3d, whatever the default scope.

    Args:
        data_preprocessor: mmdet3d's, with ``voxelize_cfg`` (the arguments of
            mmcv's `Voxelization`, and ``voxelize_reduce``) for LiDAR models.
        pts_voxel_encoder: not called under ``voxelize_reduce``, which takes
            the mean point of each voxel.
        pts_middle_encoder: voxel features to a BEV map.
        fusion_layer: needed where both camera and LiDAR are present.
        img_backbone: images to an image pyramid.
        img_neck: its first output is lifted.
        view_transform: image features to a BEV map.
        pts_backbone: the BEV decoder's first part.
        pts_neck: its second part.
        bbox_head: a 3D box head of mmdet3d.
        bbox_axes: ``'xy'`` hands the box head maps (B, C, X, Y), which the
            heads of BEVFusion projects expect; ``'yx'`` hands it (B, C, Y, X),
            which mmdet3d's own `CenterHead` and `Anchor3DHead` expect.
        seg_head: `MapSegHead`, `ConvMapHead` or any `BEVHead`. Its
            ``in_channels`` and ``input_grid`` are derived; where they are
            given they are checked.
        train_cfg: handed to ``bbox_head`` where it has none of its own.
        test_cfg: handed to ``bbox_head`` in the same way.
        allow_missing_modality: where a fusion model gets a batch without
            images or without points, let zeros of the right shape stand for
            that branch's BEV map instead of raising. The branch then has no
            part in the graph, so training with DistributedDataParallel needs
            ``find_unused_parameters=True``. A batch with neither always
            raises. (An empty point cloud is no missing one: it always gives
            zeros, and the LiDAR branch zero gradients.)
        init_cfg: mmengine's initialisation config.

    Shape:
        imgs: (B, N, 3, H, W) after the data preprocessor.
        points: one (n, F) float per sample, x, y, z first, metres, LiDAR
            frame after augmentation.

    Raises:
        ValueError: parts do not fit each other; a batch misses a modality;
            images have another size than the view transform was configured
            for; points are not finite.
        KeyError: a sample's metainfo misses a calibration matrix.

    Source: BEVFusion, arXiv:2205.13542; DDP, arXiv:2303.17559.
    """

    bev_axes = 'xy'

    def __init__(self, data_preprocessor: dict | None = None,
                 pts_voxel_encoder: dict | None = None,
                 pts_middle_encoder: dict | None = None,
                 fusion_layer: dict | None = None, img_backbone: dict | None = None,
                 pts_backbone: dict | None = None, view_transform: dict | None = None,
                 img_neck: dict | None = None, pts_neck: dict | None = None,
                 bbox_head: dict | None = None, bbox_axes: str = 'xy',
                 seg_head: dict | None = None, train_cfg: dict | None = None,
                 test_cfg: dict | None = None, allow_missing_modality: bool = False,
                 init_cfg: dict | list | None = None) -> None:
        """Build the parts that are configured."""
        voxelize_cfg = None
        if isinstance(data_preprocessor, dict):
            data_preprocessor = data_preprocessor.copy()
            voxelize_cfg = data_preprocessor.pop('voxelize_cfg', None)
        with scope_of_parts('mmdet3d', data_preprocessor):
            super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        check_parts(dict(
            img_backbone=img_backbone, img_neck=img_neck,
            view_transform=view_transform, voxelize_cfg=voxelize_cfg,
            pts_voxel_encoder=pts_voxel_encoder,
            pts_middle_encoder=pts_middle_encoder, fusion_layer=fusion_layer))
        if bbox_axes not in ('xy', 'yx'):
            raise ValueError(f"bbox_axes must be 'xy' or 'yx', got {bbox_axes!r}")
        self.bbox_axes = bbox_axes
        self.allow_missing_modality = allow_missing_modality
        self.voxelize_reduce = False
        if voxelize_cfg is not None:
            voxelize_cfg = dict(voxelize_cfg)
            self.voxelize_reduce = voxelize_cfg.pop('voxelize_reduce', False)
            self.pts_voxel_layer = Voxelization(**voxelize_cfg)
        if bbox_head is not None:
            bbox_head = bbox_head.copy()
            for key, cfg in (('train_cfg', train_cfg), ('test_cfg', test_cfg)):
                if cfg is not None and bbox_head.get(key) is None:
                    bbox_head[key] = cfg
        self.img_backbone = _build(img_backbone)
        self.img_neck = _build(img_neck)
        self.view_transform = _build(view_transform)
        self.pts_voxel_encoder = _build(pts_voxel_encoder)
        self.pts_middle_encoder = _build(pts_middle_encoder)
        self.fusion_layer = _build(fusion_layer)
        self.pts_backbone = _build(pts_backbone)
        self.pts_neck = _build(pts_neck)
        self.bbox_head = _build(bbox_head)
        if self.bbox_head is not None:
            # mmdet3d's own heads take samples, those of its projects metainfo.
            self._boxes_predict_takes_samples = 'batch_data_samples' in signature(
                self.bbox_head.predict).parameters
            self._boxes_forward_takes_metas = len(signature(
                self.bbox_head.forward).parameters) > 1
        self.seg_head = _build(None if seg_head is None else self._complete(seg_head))
        if self.voxelize_reduce and self.pts_voxel_encoder is not None and any(
                True for _ in self.pts_voxel_encoder.parameters()):
            raise ValueError(
                f'{type(self.pts_voxel_encoder).__name__} would never be '
                'called: voxelize_reduce takes the mean point of each voxel; '
                'set voxelize_reduce=False in voxelize_cfg')

    def _complete(self, seg_head: dict) -> ConfigDict:
        """Add to the map head's configuration what follows from the parts."""
        try:
            feature = default_feature(self)
        except ValueError:  # the head reads the fused map itself
            feature = 'fusion_layer'

        def only(levels: Sequence) -> Sequence:
            if len(levels) != 1:
                raise ValueError(f'{feature} must return one BEV map for seg_head, it '
                                 f'returns {len(levels)}')
            return levels
        return complete_head(ConfigDict(seg_head), self, feature, only, feature)

    @property
    def with_camera(self) -> bool:
        """Whether the model needs images."""
        return self.view_transform is not None

    @property
    def with_lidar(self) -> bool:
        """Whether the model needs points for a BEV map of their own."""
        return self.pts_middle_encoder is not None

    @property
    def with_bbox_head(self) -> bool:
        """Whether the model predicts boxes."""
        return self.bbox_head is not None

    @property
    def with_seg_head(self) -> bool:
        """Whether the model predicts a map."""
        return self.seg_head is not None

    @property
    def _lifting_needs_points(self) -> bool:
        return getattr(self.view_transform, 'needs_points', True)

    def extract_feat(self, batch_inputs_dict: dict,
                     batch_input_metas: Sequence[dict]
                     ) -> Tensor | Sequence[Tensor]:
        """Return the BEV features that the heads read.

        Args:
            batch_inputs_dict: ``imgs`` and ``points``, see the class.
            batch_input_metas: metainfo of each sample.

        Returns:
            What ``pts_neck`` returns: (B, C, X, Y) or a sequence of them.
        """
        imgs = batch_inputs_dict.get('imgs')
        points = batch_inputs_dict.get('points')
        self._check_modalities(imgs, points)
        if points is not None and (self.with_lidar
                                   or self._lifting_needs_points):
            check_points(points, batch_input_metas)
        bev_maps: list[Tensor | None] = []
        if self.with_camera:
            bev_maps.append(None if imgs is None else self.extract_img_feat(
                imgs, points, batch_input_metas))
        if self.with_lidar:
            bev_maps.append(None if points is None
                            else self.extract_pts_feat(points))
        complete = self._zeros_for_missing(bev_maps, len(batch_input_metas))
        if self.fusion_layer is None:
            x = complete[0]
        else:
            x = self.fusion_layer(complete)
        if self.pts_backbone is not None:
            x = self.pts_backbone(x)
        if self.pts_neck is not None:
            x = self.pts_neck(x)
        return x

    def extract_img_feat(self, imgs: Tensor, points: list[Tensor] | None,
                         metas: Sequence[dict]) -> Tensor:
        """Return the camera's BEV map (B, C, X, Y)."""
        if imgs.dim() != 5:
            raise ValueError('imgs must be (batch, cameras, channels, height, '
                             f'width), got shape {tuple(imgs.shape)}')
        size = tuple(self.view_transform.image_size)
        if tuple(imgs.shape[-2:]) != size:
            raise ValueError(
                f'the view transform was configured for images of {size} '
                f'(height, width), got {tuple(imgs.shape[-2:])}; its image_size '
                "must be that of the pipeline's image augmentation, padding "
                'included')
        batch, cameras = imgs.shape[:2]
        keys = ['cam2img', 'cam2lidar', 'img_aug_matrix']
        if self._lifting_needs_points:
            keys.append('lidar2img')
        matrices = {key: stack_matrices(metas, key, cameras) for key in keys}
        x = self.img_backbone(imgs.flatten(0, 1))
        if self.img_neck is not None:
            x = self.img_neck(x)
        if not isinstance(x, Tensor):
            x = x[0]
        if points is None and self._lifting_needs_points:
            points = [imgs.new_zeros(0, 3)] * batch
        matrices['lidar_aug_matrix'] = stack_matrices(metas, 'lidar_aug_matrix')
        if not isinstance(self.view_transform, ViewTransform):
            # One of mmdet3d's project: wants its matrices beside the images,
            # and writes to the points.
            matrices = {key: m.to(imgs) for key, m in matrices.items()}
            points = [cloud.clone() for cloud in points or []]
        return self.view_transform(
            x.unflatten(0, (batch, cameras)), points,
            matrices.get('lidar2img'), matrices['cam2img'],
            matrices['cam2lidar'], matrices['img_aug_matrix'],
            matrices['lidar_aug_matrix'], metas)

    def extract_pts_feat(self, points: Sequence[Tensor]) -> Tensor:
        """Return the LiDAR's BEV map (B, C, X, Y)."""
        voxels = voxelize(self.pts_voxel_layer, points)
        if len(voxels.coors) > 1:
            return self._encode_voxels(voxels, len(points))
        # Too few for batch statistics. The graph still runs through the
        # branch, so every parameter has a gradient on every rank.
        present = len(voxels.coors)
        with frozen_norms(self.pts_middle_encoder,
                          *([self.pts_voxel_encoder]
                            if self.pts_voxel_encoder is not None else [])):
            return present * self._encode_voxels(
                voxels if present else placeholder(voxels), len(points))

    def _encode_voxels(self, voxels: Voxels, batch: int) -> Tensor:
        if self.voxelize_reduce or self.pts_voxel_encoder is None:
            features = voxels.mean()
        else:
            features = self.pts_voxel_encoder(*voxels)
        if coordinate_order(self.pts_middle_encoder,
                            self.pts_voxel_layer.grid_size) == 'xyz':
            coors = voxels.coors[:, [0, 3, 2, 1]].contiguous()
            return self.pts_middle_encoder(features, coors, batch)
        return self.pts_middle_encoder(
            features, voxels.coors, batch).transpose(2, 3).contiguous()

    def _for_boxes(self, feats: Tensor | Sequence[Tensor]
                   ) -> Tensor | Sequence[Tensor]:
        """Bring BEV features into the axis order of the box head."""
        if self.bbox_axes == 'xy':
            return feats
        if isinstance(feats, Tensor):
            return feats.mT.contiguous()
        return [level.mT.contiguous() for level in feats]

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any,
                              **kwargs: Any) -> None:
        """Say what each part gets of a checkpoint that does not hold all."""
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        counts = coverage(self, {name[len(prefix):]: tensor for name, tensor
                                 in state_dict.items() if name.startswith(prefix)})
        if any(filled < total for filled, total in counts.values()):
            print_log(f'the checkpoint fills {describe_coverage(counts)} tensors; '
                      'the others keep their initial values', 'current')

    def _check_modalities(self, imgs: Tensor | None,
                          points: Sequence[Tensor] | None) -> None:
        for name, needed, value in (
                ('imgs', self.with_camera, imgs),
                ('points', self.with_lidar or (
                    self.with_camera and self._lifting_needs_points),
                 points)):
            if needed and value is None and not self.allow_missing_modality:
                raise ValueError(
                    f"the model needs '{name}' and the batch has none; load "
                    'them in the pipeline, or set allow_missing_modality=True '
                    'to let zeros stand for that branch')
        if not ((self.with_camera and imgs is not None)
                or (self.with_lidar and points is not None)):
            raise ValueError("the batch has neither 'imgs' nor 'points' that "
                             'the model could use')

    def _zeros_for_missing(self, bev_maps: list[Tensor | None],
                           batch: int) -> list[Tensor]:
        present = next(x for x in bev_maps if x is not None)
        complete = []
        for index, bev_map in enumerate(bev_maps):
            if bev_map is None:
                channels = (self.view_transform.output_shape[0] if index == 0
                            else self.fusion_layer.in_channels[index])
                bev_map = present.new_zeros(batch, channels, *present.shape[2:])
            complete.append(bev_map)
        return complete

    def loss(self, batch_inputs_dict: dict,
             batch_data_samples: list[Det3DDataSample]) -> dict[str, Tensor]:
        """Return the losses of all heads.

        Where there are two heads the map head's carry the prefix ``map.``.
        """
        feats = self.extract_feat(batch_inputs_dict,
                                  [s.metainfo for s in batch_data_samples])
        losses = {}
        if self.with_bbox_head:
            losses.update(self.bbox_head.loss(self._for_boxes(feats),
                                              batch_data_samples))
        if self.with_seg_head:
            prefix = 'map.' if self.with_bbox_head else ''
            losses.update({prefix + name: loss for name, loss in
                           self.seg_head.loss(feats, batch_data_samples).items()})
        return losses

    def predict(self, batch_inputs_dict: dict,
                batch_data_samples: list[Det3DDataSample]
                ) -> list[Det3DDataSample]:
        """Add boxes and what the map head predicts to the samples."""
        metas = [sample.metainfo for sample in batch_data_samples]
        feats = self.extract_feat(batch_inputs_dict, metas)
        if self.with_bbox_head:
            self.add_pred_to_datasample(batch_data_samples, self.bbox_head.predict(
                self._for_boxes(feats),
                batch_data_samples if self._boxes_predict_takes_samples else metas))
        if self.with_seg_head:
            self.seg_head.predict(feats, batch_data_samples)
        return batch_data_samples

    def _forward(self, batch_inputs_dict: dict,
                 batch_data_samples: list[Det3DDataSample]) -> dict:
        """Return the BEV features and what each head makes of them."""
        metas = [sample.metainfo for sample in batch_data_samples]
        outputs = {'feats': self.extract_feat(batch_inputs_dict, metas)}
        if self.with_bbox_head:
            feats = self._for_boxes(outputs['feats'])
            outputs['boxes'] = (self.bbox_head(feats, metas)
                                if self._boxes_forward_takes_metas
                                else self.bbox_head(feats))
        if self.with_seg_head:
            outputs['map'] = self.seg_head(outputs['feats'])
        return outputs


def _build(cfg: dict | None) -> Any:
    if cfg is None:
        return None
    with scope_of_parts('mmdet3d', cfg):
        return MMDET3D_MODELS.build(cfg)
