"""Which release a checkpoint comes from, by the names of its parameters."""
from collections.abc import Iterable
from dataclasses import dataclass

from ddp_perception.wording import few


@dataclass(frozen=True)
class Release:
    """A layout of checkpoints that other code writes.

    Args:
        name: what messages call it.
        task: ``'segmentation'``, ``'depth'`` or ``'map'``: of the model that
            takes its parameters.
        partial: its head has no counterpart here, so that it can initialise
            a model, not replace its training.
    """

    name: str
    task: str
    partial: bool = False


SEGMENTATION = Release('DDP segmentation', 'segmentation')
DEPTH = Release('DDP depth', 'depth')
MAP = Release('DDP map segmentation', 'map')
MIT_MAP = Release('MIT BEVFusion map segmentation', 'map')
MIT_DETECTION = Release('MIT BEVFusion detection', 'map', partial=True)
MMDET3D_DETECTION = Release('mmdet3d BEVFusion detection', 'map', partial=True)


class UnknownRelease(ValueError):
    """A checkpoint is of no release that is known here."""


def detect_release(keys: Iterable[str]) -> Release:
    """Tell which release a state dict comes from.

    Raises:
        UnknownRelease: none that is known; the message says what was looked
            for and found.
    """
    keys = list(keys)

    def holds(prefix: str) -> bool:
        return any(key.startswith(prefix) for key in keys)

    if any('.diffusion.denoiser.' in key for key in keys) or holds(
            'seg_head.classifier.'):
        raise UnknownRelease('it already has the names of this package; use it as '
                             'it is')
    if holds('encoders.camera.') or holds('encoders.lidar.'):
        if holds('heads.map.encoder.'):
            return MAP
        if holds('heads.map.classifier.'):
            return MIT_MAP
        if holds('heads.object.'):
            return MIT_DETECTION
    elif holds('decode_head.encoder.layers.'):
        if holds('decode_head.conv_depth.'):
            return DEPTH
        if holds('decode_head.conv_seg.'):
            return SEGMENTATION
    elif holds('bbox_head.') and (holds('img_backbone.')
                                  or holds('pts_middle_encoder.')):
        return MMDET3D_DETECTION
    parts = sorted({key.split('.')[0] for key in keys})
    raise UnknownRelease(
        'its parameters are of none of the known releases (DDP segmentation, depth '
        'and map segmentation; BEVFusion map segmentation and detection of MIT; '
        f'BEVFusion detection of mmdet3d); it has the parts {few(parts, 8)}')
