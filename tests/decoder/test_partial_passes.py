"""Steps that compute some of the cells anew."""
import pytest
import torch
from torch import nn

from ddp_perception.decoder import Denoiser, LabelDiffusion, MapDecoder
from ddp_perception.decoder.map_decoder import DecoderMemory
from ddp_perception.diffusion import ClassCodec, Classes, NoiseSchedule, cells_to_refine

SIZE, CHANNELS = (6, 7), 16


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    decoder = MapDecoder(CHANNELS, num_layers=3, num_heads=2, num_points=2,
                         feedforward_channels=24, time_channels=8)
    for layer in decoder.layers:  # as after training, not as initialised
        nn.init.normal_(layer.attn.sampling_offsets.weight, std=0.3)
        nn.init.normal_(layer.attn.attention_weights.weight, std=0.3)
        nn.init.normal_(layer.time.weight, std=0.3)
    return decoder.eval()


def inputs(seed, batch=2):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, CHANNELS, *SIZE, generator=generator),
            torch.randn(1, 8, generator=generator))


def mixed_pass(decoder, before, after, time, cells):
    """The same by whole layers, whose inputs are new in some of the cells."""
    chosen = torch.zeros(len(after), SIZE[0] * SIZE[1], 1, dtype=torch.bool)
    chosen.scatter_(1, cells[..., None], True)
    terms = decoder.position_terms(SIZE)
    x, olds = after.flatten(2).mT, before
    for layer, term, old in zip(decoder.layers, terms, olds, strict=False):
        x = layer(torch.where(chosen, x, old), term, SIZE, layer.scale_shift(time))
    return torch.where(chosen, x, olds[-1]).mT.unflatten(2, SIZE)


def layer_maps(decoder, x, time):
    """Input of every layer, and the output of the last."""
    maps, terms = [x.flatten(2).mT], decoder.position_terms(SIZE)
    for layer, term in zip(decoder.layers, terms, strict=True):
        maps.append(layer(maps[-1], term, SIZE, layer.scale_shift(time)))
    return maps


@pytest.mark.parametrize('chunk', [2048, 4])
def test_chosen_cells_read_new_values_of_each_other_and_old_ones_of_the_rest(
        decoder, chunk, monkeypatch):
    monkeypatch.setattr('ddp_perception.decoder.map_decoder._CPU_CHUNK', chunk)
    (first, early), (second, late) = inputs(1), inputs(2)
    cells = torch.stack([torch.randperm(42)[:11].sort().values for _ in range(2)])
    memory = DecoderMemory()
    with torch.no_grad():
        whole = decoder(first, early, memory=memory)
        torch.testing.assert_close(whole, decoder(first, early))
        partly = decoder(second, late, memory=memory, cells=cells)
        before = layer_maps(decoder, first, early)
        torch.testing.assert_close(
            partly, mixed_pass(decoder, before, second, late, cells))
    kept = torch.ones(2, 42, dtype=torch.bool).scatter_(1, cells, False)
    torch.testing.assert_close(partly.flatten(2).mT[kept], whole.flatten(2).mT[kept],
                               rtol=0, atol=0)
    assert (partly != whole).flatten(2).any(1).sum() == cells.numel()


@torch.no_grad()
def test_all_cells_are_a_whole_pass(decoder):
    (first, early), (second, late) = inputs(1), inputs(2)
    memory = DecoderMemory()
    decoder(first, early, memory=memory)
    everything = torch.arange(42).expand(2, -1)
    torch.testing.assert_close(decoder(second, late, memory=memory, cells=everything),
                               decoder(second, late))


@pytest.fixture
def diffusion():
    torch.manual_seed(0)
    return LabelDiffusion(
        ClassCodec(5, 8, scale=1.),
        Denoiser(6, 8, decoder=MapDecoder(16, 2, 2, 2, 24, time_channels=8),
                 predictor=nn.Conv2d(16, 5, 1)), schedule=NoiseSchedule()).eval()


def sampled(diffusion, feats, noise, choose, **limits):
    with torch.no_grad():
        return list(diffusion.sample_steps(feats, noise, 4, choose=choose, **limits))


def test_sampling_with_every_cell_chosen_is_sampling(diffusion):
    feats, noise = torch.randn(2, 6, *SIZE), torch.randn(3, 8, *SIZE)
    plain = sampled(diffusion, feats, noise, None)
    for choose in (lambda *_: None, lambda last, *_: torch.arange(42).expand(
            len(last), -1)):
        for one, other in zip(plain, sampled(diffusion, feats, noise, choose),
                              strict=True):
            torch.testing.assert_close(one.prediction, other.prediction)


def test_cells_are_chosen_by_the_last_two_predictions(diffusion):
    feats, noise, seen = torch.randn(2, 6, *SIZE), torch.randn(3, 8, *SIZE), []

    def choose(last, before, size):
        assert size == SIZE
        seen.append((last, before))
        return cells_to_refine(0.3, last, before, Classes(), size)

    steps = sampled(diffusion, feats, noise, choose)
    assert len(steps) == 4 and len(seen) == 3
    assert seen[0][1] is None and seen[0][0] is steps[0].prediction
    for step, (last, before) in zip(steps[1:], seen[1:], strict=False):
        assert before is not None and last is step.prediction
    changed = (steps[1].prediction != steps[0].prediction).any(1).flatten(1).sum(1)
    assert changed.tolist() == [13] * 6  # 0.3 of 42, rounded up, in each map


def test_an_image_is_refined_alike_whoever_ends_beside_it(diffusion):
    feats, noise = torch.randn(3, 6, *SIZE), torch.randn(2, 8, *SIZE)

    def choose(last, before, size):
        return cells_to_refine(0.3, last, before, Classes(), size)

    alone = sampled(diffusion, feats[2:], noise, choose)
    # The first image ends after one step, the second after two.
    ends = iter([torch.tensor([False, True, True]), torch.tensor([False, True]),
                 torch.tensor([True])])
    steps = sampled(diffusion, feats, noise, choose, going_on=lambda _: next(ends))
    for one, other in zip(alone, steps, strict=True):
        torch.testing.assert_close(one.prediction, other.prediction[-2:])
