"""Any timm model as an image backbone."""
from collections.abc import Sequence

import timm
from mmengine.model import BaseModule
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ddp_perception.backbones.packaged_weights import (
    load_efficientnet,
    read_package,
    require_package_of,
)
from ddp_perception.registry import MODELS


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """A feature pyramid of a timm model.

    Args:
        model_name: as in ``timm.list_models()``.
        out_indices: indices of the returned feature levels, finest first. Level i of
            ConvNeXt and Swin has stride 4 * 2**i, of ResNet 2 * 2**i.
        pretrained: start from the model's published weights, loaded by
            `init_weights`, that is before a training and not before a test;
            timm downloads what is not in its cache. The name of a package
            with weights in it (`packaged_weights.PACKAGES`) takes those.
        drop_path_rate: stochastic depth rate; None keeps the model's own.
        frozen_stages: feature levels, counted from the finest, whose modules
            (and all before them) are frozen and stay in evaluation mode.
        norm_eval: keep every batch norm in evaluation mode.
        img_size: height and width that a window-based model (Swin) is built
            for. Swin takes other sizes as well, which it pads to its windows.
        model_options: further arguments of the timm model.
        out_norms: put a layer norm over the channels of every level returned,
            as mmpretrain's and mmdet's ConvNeXt and Swin do; ``norm<i>`` for
            level i.
        downsample_eps: epsilon of ConvNeXt's layer norms before it
            downsamples, 1e-6 in timm and the paper. Models that were trained
            with mmpretrain's (mmcls's) ConvNeXt need 1e-5.
        init_cfg: mmengine's initialisation config.

    Shape:
        x: (B, 3, H, W).
        returns: tuple of (B, C_i, H / stride_i, W / stride_i), one per out
            index, NCHW also for models that keep NHWC inside.

    Raises:
        ValueError: no such model, level or package, or levels that cannot be
            frozen.

    Source: timm (huggingface/pytorch-image-models).
    """

    def __init__(self, model_name: str, out_indices: Sequence[int] = (1, 2, 3),
                 pretrained: bool | str = False, drop_path_rate: float | None = None,
                 frozen_stages: int = 0, norm_eval: bool = False,
                 img_size: Sequence[int] | None = None,
                 model_options: dict | None = None, out_norms: bool = False,
                 downsample_eps: float | None = None,
                 init_cfg: dict | None = None) -> None:
        """Build the model and freeze its first levels."""
        super().__init__(init_cfg)
        architecture = model_name.split('.')[0]  # a tag of weights may follow
        if not timm.is_model(architecture):
            similar = timm.list_models(f'*{architecture.split("_")[0]}*')[:8]
            raise ValueError(f"timm {timm.__version__} has no model "
                             f"'{model_name}'; similar ones: {similar}")
        if isinstance(pretrained, str):
            require_package_of(pretrained, model_name)
        options = dict(model_options or {})
        if drop_path_rate is not None:
            options['drop_path_rate'] = drop_path_rate
        if img_size is not None:
            options['img_size'] = tuple(img_size)
        if architecture.startswith(('swin_', 'swinv2_tiny', 'swinv2_small',
                                    'swinv2_base', 'swinv2_large')):
            options.setdefault('strict_img_size', False)
        try:
            self.model = timm.create_model(
                model_name, features_only=True, pretrained=False,
                out_indices=tuple(out_indices), **options)
        except (AssertionError, IndexError) as error:
            raise ValueError(f"out_indices {tuple(out_indices)} ask for levels "
                             f"that '{model_name}' does not have") from error
        self.model_name = model_name
        self.pretrained = pretrained
        self._options = dict(out_indices=tuple(out_indices), **options)
        self.out_channels = tuple(self.model.feature_info.channels())
        self.strides = tuple(self.model.feature_info.reduction())
        output = getattr(self.model, 'output_fmt', 'NCHW')
        self._channels_last = getattr(output, 'value', output) == 'NHWC'
        if downsample_eps is not None:
            self._set_downsample_eps(model_name, downsample_eps)
        self._norms = []
        for level, channels in zip(out_indices, self.out_channels, strict=True):
            if out_norms:
                self._norms.append(f'norm{level}')
                self.add_module(self._norms[-1], LayerNorm2d(channels))
        self.norm_eval = norm_eval
        self._frozen = self._modules_up_to(model_name, frozen_stages)
        for module in self._frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def init_weights(self) -> None:
        """Load the published weights if they are asked for.

        Raises:
            MissingPackage: the package with the weights is not installed.
        """
        super().init_weights()
        if isinstance(self.pretrained, str):
            load_efficientnet(self.model, read_package(self.pretrained))
        elif self.pretrained:
            self.model.load_state_dict(timm.create_model(
                self.model_name, features_only=True, pretrained=True,
                **self._options).state_dict())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the feature pyramid of images."""
        levels = self.model(x)
        if self._channels_last:
            levels = [level.permute(0, 3, 1, 2).contiguous() for level in levels]
        if self._norms:
            levels = [getattr(self, name)(level)
                      for name, level in zip(self._norms, levels, strict=True)]
        return tuple(levels)

    def train(self, mode: bool = True) -> 'TimmBackbone':
        """Set the mode of all parts that are not frozen."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _set_downsample_eps(self, model_name: str, eps: float) -> None:
        norms = [module[0] for name, module in self.model.named_modules()
                 if name.endswith('.downsample') and isinstance(module, nn.Sequential)
                 and len(module) and isinstance(module[0], nn.LayerNorm)]
        if not norms:
            raise ValueError(f"'{model_name}' has no norm before it downsamples, so "
                             f'downsample_eps={eps} has nothing to set')
        for norm in norms:
            norm.eps = eps

    def _modules_up_to(self, model_name: str, levels: int) -> list[nn.Module]:
        if levels == 0:
            return []
        info = self.model.feature_info.info
        children = dict(self.model.named_children())
        last = (info[levels - 1].get('module', '').replace('.', '_')
                if 0 < levels <= len(info) else None)
        if last not in children:
            raise ValueError(f"'{model_name}' has {len(info)} levels, built of "
                             f'{list(children)}: cannot freeze {levels} of them')
        names = list(children)
        return [children[name] for name in names[:names.index(last) + 1]]
