"""Heads as graphs of torch.export and torch.compile, without a break."""
import pytest
import torch

from ddp_perception.registry import MODELS

DECODER = dict(channels=8, num_layers=1, num_heads=2, num_points=2)
HEADS = {
    'map': dict(type='ddp.MapSegHead', classes=['road', 'crossing'],
                input_grid=[[-8, 8, 2], [-10, 10, 2]],
                output_grid=[[-6, 6, 1], [-8, 8, 1]]),
    'segmentation': dict(type='ddp.SegHead', num_classes=5),
    'depth': dict(type='ddp.DepthHead', min_depth=1e-3, max_depth=80.),
}


@pytest.fixture(params=HEADS)
def case(request):
    """A head of which every part counts, features of 3 items, noise of 2 seeds."""
    torch.manual_seed(0)
    head = MODELS.build({**HEADS[request.param], 'in_channels': 6,
                         'decoder': DECODER}).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    feats = torch.randn(3, 6, 8, 10)
    noise = torch.randn(2, head.diffusion.codec.channels, 8, 10)
    return head, feats if request.param == 'map' else [feats], noise


def test_exported_head_takes_batches_of_any_size(case):
    head, feats, noise = case
    batch = {0: torch.export.Dim.DYNAMIC}
    free = (batch if isinstance(feats, torch.Tensor) else [batch], ({}, ))
    with torch.no_grad():
        program = torch.export.export(head, (feats, noise), strict=False,
                                      dynamic_shapes=free)
        one = feats[:1] if isinstance(feats, torch.Tensor) else [feats[0][:1]]
        for given in (feats, one):
            torch.testing.assert_close(program.module()(given, noise),
                                       head(given, noise), rtol=1e-5, atol=1e-5)


def test_compiled_head_is_one_graph(case):
    head, feats, noise = case
    with torch.no_grad():
        graph = torch.compile(head, fullgraph=True, backend='eager')
        torch.testing.assert_close(graph(feats, noise), head(feats, noise),
                                   rtol=1e-5, atol=1e-5)


def test_a_graph_refuses_to_stop_early(case):
    head, feats, noise = case
    head.sampler.until_stable = .1
    with torch.no_grad(), pytest.raises(ValueError, match='until_stable'):
        torch.export.export(head, (feats, noise), strict=False)
