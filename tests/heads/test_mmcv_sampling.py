import pytest
import torch

from ddp_perception.heads import mmcv_sampling as module
from ddp_perception.ops import map_sampling, sample_map

SIZE = (4, 6)


@pytest.fixture
def problem():
    g = torch.Generator().manual_seed(0)
    shape = 2, 5, 2, 3
    return [torch.randn(2, 24, 2, 3, generator=g).requires_grad_(),
            *(torch.rand(shape, generator=g).mul(extent + 3).sub(2).requires_grad_()
              for extent in (6, 4)),
            torch.rand(shape, generator=g).requires_grad_()]


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_arguments_are_what_mmcvs_kernel_takes(problem, dtype):
    """By mmcv's own function of the same arguments, but for two, in plain torch."""
    plain = pytest.importorskip('mmcv.ops.multi_scale_deform_attn'
                                ).multi_scale_deformable_attn_pytorch

    def kernel(value, shapes, starts, places, attention, step):
        assert starts.tolist() == [0] and len(value) % step == 0
        assert all(part.is_contiguous() for part in (value, places, attention))
        assert value.dtype == places.dtype == attention.dtype == torch.float32
        return plain(value, shapes, places, attention)

    problem[0] = problem[0].detach().to(dtype).requires_grad_()
    ours = module._by_kernel(kernel, *problem, SIZE)
    expected = sample_map(*problem, SIZE)
    assert ours.dtype == dtype
    tolerance = dict(rtol=0, atol=16 * torch.finfo(dtype).eps)
    torch.testing.assert_close(ours, expected, **tolerance)
    for one, other in zip(
            torch.autograd.grad(ours.float().sum(), problem),
            torch.autograd.grad(expected.float().sum(), problem), strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def test_a_tensor_on_the_cpu_is_refused(problem):
    with pytest.raises(ValueError, match='CUDA.*cpu'), \
            map_sampling(module.mmcv_sampling):
        sample_map(*problem, SIZE)
