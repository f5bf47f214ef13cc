import pytest
import torch

from ddp_perception.checkpoints import rename_diffusion_keys
from ddp_perception.decoder import MapDecoder, map_decoder, sine_position
from tests import golden


def published_decoder(weights, hyper, time_channels):
    decoder = MapDecoder(hyper['C'], hyper['layers'], hyper['heads'], 4, hyper['ffn'],
                         time_channels)
    prefix = 'denoiser.decoder.'
    decoder.load_state_dict({
        name[len(prefix):]: value
        for name, value in rename_diffusion_keys(weights).items()
        if name.startswith(prefix)})
    return decoder.eval()


@pytest.mark.parametrize(('name', 'weights', 'prefix', 'variant', 'time'), [
    ('map_decoder_seg', 'seg_weights', 'w/', '', 'in/time_embedding'),
    ('map_decoder_depth', 'depth_weights', 'w/', '', None),
    ('map_decoder_depth', 'depth_weights', 'wt/', 'timecond/',
     'in/time_embedding_timecond'),
    ('map_decoder_bev', 'bev_weights', 'w/', '', None),
    ('map_decoder_bev', 'bev_weights', 'wt/', 'timecond/',
     'in/time_embedding_timecond'),
])
@pytest.mark.parametrize('grad', [True, False])
def test_memory_equals_the_published_one(reference_dir, name, weights, prefix, variant,
                                         time, grad):
    reference = golden.load(name, reference_dir)
    loaded = golden.load(weights, reference_dir)
    decoder = published_decoder(loaded.under(prefix), loaded.meta['hyper'],
                                128 if time else None)
    feature = reference.get('out/grid_transformed_feature', reference['in/feature'])
    with torch.set_grad_enabled(grad):
        memory = decoder(feature, reference[time] if time else None)
    torch.testing.assert_close(memory, reference[f'out/{variant}memory'],
                               rtol=1e-5, atol=1e-4)


def test_position_terms_equal_the_published_ones(reference_dir):
    for name in ('map_decoder_seg', 'map_decoder_depth', 'map_decoder_bev'):
        expected = golden.load(name, reference_dir)['out/pos_encoding']
        position = sine_position(expected.shape[0], tuple(expected.shape[1:]))
        torch.testing.assert_close(position.mT.view_as(expected), expected,
                                   rtol=1e-5, atol=1e-5)


def test_chunks_do_not_change_the_result(monkeypatch):
    torch.manual_seed(0)
    decoder = MapDecoder(16, 2, 4, 4, time_channels=8).eval()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x, time = torch.randn(3, 16, 7, 11), torch.randn(3, 8)
    whole = decoder(x, time)
    monkeypatch.setattr(map_decoder, '_CPU_CHUNK', 10)
    with torch.no_grad():
        torch.testing.assert_close(decoder(x, time), whole)


@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize('autocast', [False, True])
def test_chunks_write_over_the_map_of_the_caller_if_they_may(monkeypatch, overwrite,
                                                             autocast):
    torch.manual_seed(0)
    decoder = MapDecoder(16, 2, 4, 4).eval()
    x = torch.randn(2, 16, 7, 11).contiguous(memory_format=torch.channels_last)
    given = x.clone()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        whole = decoder(x)
        monkeypatch.setattr(map_decoder, '_CPU_CHUNK', 10)
        chunks = decoder(x, overwrite=overwrite)
    assert chunks.dtype == whole.dtype
    torch.testing.assert_close(chunks, whole)
    assert torch.equal(x, given) != overwrite


@pytest.mark.parametrize('grad', [True, False])
def test_items_of_a_batch_stay_apart(grad):
    decoder = MapDecoder(16, 2, 4, 4, time_channels=8).eval()
    x, time = torch.randn(3, 16, 7, 11), torch.randn(3, 8)
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(decoder(x, time)[1:2], decoder(x[1:2], time[1:2]),
                                   rtol=1e-4, atol=1e-5)


def test_time_conditioning_is_explicit():
    x = torch.randn(1, 16, 4, 5)
    with pytest.raises(ValueError, match='time_channels=None'):
        MapDecoder(16, 1, 4)(x, torch.randn(1, 8))
    with pytest.raises(ValueError, match='time_channels=8'):
        MapDecoder(16, 1, 4, time_channels=8)(x)
    with pytest.raises(ValueError, match='18'):
        sine_position(18, (4, 5))


@pytest.mark.parametrize('autocast', [False, True])
def test_checkpointed_layers_have_the_same_gradients_and_keep_less(autocast):
    def trained(with_cp):
        torch.manual_seed(0)
        decoder = MapDecoder(16, 3, 2, 2, 32, time_channels=8, with_cp=with_cp)
        x = torch.randn(2, 16, 9, 8, requires_grad=True)
        kept = []

        def keep(tensor):
            kept.append(tensor.numel())
            return tensor
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), \
                torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            out = decoder(x, torch.randn(1, 8))
        out.float().square().sum().backward()
        return out, [x.grad, *(p.grad for p in decoder.parameters())], sum(kept)

    out, gradients, kept = trained(False)
    other, others, less = trained(True)
    torch.testing.assert_close(out, other, rtol=0, atol=0)
    for one, two in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, two)
    assert less < 0.25 * kept
