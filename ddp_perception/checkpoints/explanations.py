"""Say in words why a checkpoint does not fit a model, and what would help."""
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from ddp_perception.wording import few

_SHOWN = 3
_Shapes = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]


def explain(names: Mapping[str, str], missing: Sequence[str],
            unexpected: Sequence[str], conflicts: _Shapes) -> list[str]:
    """Describe what does not fit, causes first.

    Args:
        names: name in the model by name in the checkpoint.
        missing: parameters of the model that the checkpoint does not have.
        unexpected: parameters of the checkpoint that the model does not have.
        conflicts: (shape in the checkpoint, shape in the model) by name in the
            model.

    Returns:
        One sentence each; empty if everything fits.
    """
    causes = [*_time_weights(missing, unexpected), *_layers(names, missing, unexpected),
              *_shapes(conflicts)]
    details = []
    if conflicts:
        details.append(f'{len(conflicts)} tensors have another shape: ' + few(
            (f'{name} is {theirs} in the file, {ours} in the model'
             for name, (theirs, ours) in conflicts.items()), _SHOWN, '; '))
    if missing:
        details.append(f'{len(missing)} parameters of the model are not in the file: '
                       + few(missing, _SHOWN, '; '))
    if unexpected:
        details.append(f'{len(unexpected)} tensors of the file are not in the model: '
                       + few(unexpected, _SHOWN, '; '))
    return causes + details


def _time_weights(missing: Iterable[str], unexpected: Iterable[str]) -> list[str]:
    if any(name.endswith('.time.weight') for name in missing):
        return ['the file has no time weights in its layers, which therefore ignore '
                'the noise level: use the released configuration, or set '
                'time_conditioning=False of the head']
    if any(re.search(r'layers\.\d+\.time_mlp\.', name) for name in unexpected):
        return ['the layers of the file know the noise level, those of the model do '
                'not: set time_conditioning=True of the head']
    return []


def _layers(names: Mapping[str, str], missing: Iterable[str],
            unexpected: Collection[str]) -> list[str]:
    """Compare the numbers of layers of the decoder and of the backbone."""
    theirs = list(names.values())
    ours = [*missing, *(name for key, name in names.items() if key not in unexpected)]
    out = []
    for pattern, what in (
            (r'\.denoiser\.decoder\.layers\.(\d+)\.',
             'the map decoder has {} layers in the file, {} in the model: set '
             'num_layers of the head'),
            (r'^(?:img_)?backbone\.(?:model\.)?stages[._]2\.(?:blocks\.)?(\d+)\.',
             'the third stage of the backbone has {} blocks in the file, {} in the '
             'model: use the configuration of that backbone')):
        counts = [1 + max((int(match[1]) for match in (
            re.search(pattern, name) for name in side) if match), default=-1)
            for side in (theirs, ours)]
        if counts[0] != counts[1] and all(counts):
            out.append(what.format(*counts))
    return out


# (name, dimension that tells, sentence).
_SHAPES = [(re.compile(pattern), dim, text) for pattern, dim, text in (
    (r'(?:predictor|classifier\.6|auxiliary_head\.conv_seg)\.weight$', 0,
     'the file has {} classes, the model {}'),
    (r'denoiser\.fuse\.weight$', 1,
     'the decoder of the file is conditioned on features and a map of {} channels '
     'together, that of the model on {}'),
    (r'classifier\.0\.weight$', 0,
     'the hidden layers of the map head have {} channels in the file, {} in the '
     'model: set channels of the head'),
    (r'backbone\.(?:patch_embed\.projection|model\.stem_0)\.weight$', 0,
     'the backbone of the file is {} channels wide, that of the model {}: use the '
     'configuration of that backbone'),
    (r'stages\.0\.blocks\.0\.attn\.w_msa\.relative_position_bias_table$', 0,
     "the windows of the file's Swin have {} relative positions, those of the model "
     '{}: set window_size of the backbone'),
    (r'view_transform\.depthnet\.weight$', 0,
     'the view transform of the file gives {} depth bins and channels, that of the '
     'model {}'),
)]


def _shapes(conflicts: _Shapes) -> list[str]:
    out = []
    for pattern, dim, text in _SHAPES:
        for name, shapes in conflicts.items():
            if pattern.search(name) and all(len(shape) > dim for shape in shapes):
                theirs, ours = (shape[dim] for shape in shapes)
                if theirs != ours:
                    out.append(text.format(theirs, ours))
                    break
    return out
