"""Names that a release's parameters have in a model of this package."""
from collections.abc import Collection

from ddp_perception.checkpoints.backbone_keys import rename_backbone_keys
from ddp_perception.checkpoints.diffusion_keys import rename_diffusion_key
from ddp_perception.checkpoints.releases import Release

# MIT BEVFusion: theirs, and those of ddp.BEVFusion.
_BEV_PARTS = {
    'encoders.camera.backbone.': 'img_backbone.',
    'encoders.camera.neck.': 'img_neck.',
    'encoders.camera.vtransform.': 'view_transform.',
    'encoders.lidar.backbone.': 'pts_middle_encoder.',
    'fuser.': 'fusion_layer.',
    'decoder.backbone.': 'pts_backbone.',
    'decoder.neck.': 'pts_neck.',
    'heads.map.classifier.': 'seg_head.classifier.',
}
_DIFFUSION = ('embedding_table.', 'transform.conv.', 'down.conv.', 'time_mlp.',
              'decode_head.encoder.', 'decode_head.conv_', 'heads.map.encoder.',
              'heads.map.conv_')


def target_names(keys: Collection[str], model_keys: Collection[str],
                 release: Release) -> dict[str, str]:
    """Map a release's names to this package's.

    Args:
        keys: names in the checkpoint.
        model_keys: names in the model that the configuration builds.
        release: what the checkpoint is.

    Returns:
        New name by old name, for every key; whether the model has a parameter
        of that name is another question.
    """
    head = 'seg_head' if release.task == 'map' else 'decode_head'
    names = {key: f'{head}.diffusion.{rename_diffusion_key(key)}'
             if key.startswith(_DIFFUSION) else key for key in keys}
    if release.task == 'map':
        for key in keys:
            for theirs, ours in _BEV_PARTS.items():
                if key.startswith(theirs):
                    names[key] = ours + key[len(theirs):]
    else:
        backbone = [key for key in keys if key.startswith('backbone.')]
        names.update(rename_backbone_keys(backbone, model_keys))
    return names


def drop_reason(key: str, name: str, model_keys: Collection[str],
                release: Release) -> str | None:
    """Say why a parameter without counterpart may be left out.

    Args:
        key: name in the checkpoint.
        name: name that it would have in the model.
        model_keys: names in the model.
        release: what the checkpoint is.

    Returns:
        The reason, or None where it must not be left out.
    """
    if key.endswith(('.dx', '.bx', '.nx', '.frustum')) and 'view_transform.' in name:
        return 'geometry, computed from the configuration'
    timed = any('.time_embedding.' in own for own in model_keys)
    if '.time_embedding.' in name and not timed:
        return 'the layers of this model ignore the noise level'
    if name.endswith(('.time.weight', '.time.bias')) and not timed \
            and release.task != 'segmentation':
        return ('the released code does not use it either; '
                'time_conditioning=True keeps it')
    if key.startswith('auxiliary_head.') and not any(
            own.startswith('auxiliary_head.') for own in model_keys):
        return 'for training alone, and the configuration has none'
    if key.startswith(('heads.object.', 'bbox_head.')):
        return 'detection head'
    if release.partial:
        return 'this model has no such part'
    return None
