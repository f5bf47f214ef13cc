"""Tiny models of the released format against the original's predictions."""
import pytest
import torch

from ddp_perception.checkpoints import convert_state, load_converted
from tests import golden
from tests.checkpoints.official import build_tiny

# Units of the outputs: logits, probabilities, encoded maps; metres of depth.
CLOSE, METRES = (dict(rtol=0, atol=tolerance) for tolerance in (1e-4, 1e-3))


def converted(name, reference_dir):
    reference = golden.load(f'tiny_official_{name}', reference_dir)
    model = build_tiny(reference.meta['model_config'])
    conversion = convert_state(reference.under('w/'), model)
    assert conversion.problems == []
    load_converted(model, conversion)
    return reference, model, conversion


def check_features(reference, model):
    """Compare backbone, FPN and neck, and return the neck's feature."""
    for ours, name in zip(model.backbone(reference['in/img']),
                          sorted(reference.under('out/backbone')), strict=True):
        torch.testing.assert_close(ours, reference[f'out/backbone{name}'], **CLOSE)
    levels = model.neck[0](model.backbone(reference['in/img']))
    for index, name in enumerate(sorted(reference.under('out/fpn'))):
        torch.testing.assert_close(levels[index], reference[f'out/fpn{name}'], **CLOSE)
    feats = model.extract_feat(reference['in/img'])
    torch.testing.assert_close(feats[0], reference['out/neck'], **CLOSE)
    return feats


@pytest.mark.parametrize('name', ['seg_convnext', 'seg_swin'])
@torch.no_grad()
def test_segmentation_equals_the_original(name, reference_dir):
    reference, model, conversion = converted(name, reference_dir)
    assert {row.action for row in conversion.rows} == {'kept', 'renamed'}
    feats = check_features(reference, model)
    head, noise = model.decode_head, reference['in/noise']
    steps = list(head.diffusion.sample_steps(feats[0], noise, 3))
    for index, step in enumerate(steps):
        torch.testing.assert_close(step.now.log_snr.reshape(-1),
                                   reference['out/step_log_snr'][index], **CLOSE)
        torch.testing.assert_close(step.prediction,
                                   reference['out/step_logits'][index], **CLOSE)
        if index + 1 < len(steps):
            torch.testing.assert_close(steps[index + 1].z,
                                       reference['out/step_mask_t'][index], **CLOSE)
    final = torch.nn.functional.interpolate(
        head(feats, noise), reference['in/img'].shape[-2:], mode='bilinear')
    torch.testing.assert_close(final[:, :4],
                               reference['out/encode_decode_classes_0_to_3'], **CLOSE)
    assert torch.equal(final.argmax(1), reference['out/encode_decode_argmax'].long())
    torch.testing.assert_close(model.auxiliary_head(feats),
                               reference['out/aux_logits'], **CLOSE)


@torch.no_grad()
def test_depth_equals_the_original(reference_dir):
    reference, model, conversion = converted('depth_swin', reference_dir)
    dropped = {row.source.split('.')[0] for row in conversion.rows
               if row.action == 'dropped'}
    assert dropped == {'time_mlp'}  # its layers ignore the time
    feats = check_features(reference, model)
    head, noise = model.decode_head, reference['in/noise']
    steps = list(head.diffusion.sample_steps(feats[0], noise, 3))
    for index, step in enumerate(steps):
        torch.testing.assert_close(step.prediction,
                                   reference['out/step_depth_pred'][index], **METRES)
        if index + 1 < len(steps):
            torch.testing.assert_close(steps[index + 1].z,
                                       reference['out/step_depth_t'][index], **CLOSE)
    depth = head(feats, noise)
    torch.testing.assert_close(depth, reference['out/encode_decode_norescale'],
                               **METRES)
    full = torch.nn.functional.interpolate(depth, reference['in/img'].shape[-2:],
                                           mode='bilinear')
    torch.testing.assert_close(full, reference['out/encode_decode_rescale'], **METRES)
