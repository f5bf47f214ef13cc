import torch

from ddp_perception.ops import softmax_of_few


def test_values_and_gradients_are_those_of_softmax():
    logits = 100 * torch.randn(3, 5, 2, 12, generator=torch.Generator().manual_seed(0))
    few = logits[..., 2::3].requires_grad_()
    exact = few.detach().double().requires_grad_()
    out, expected = softmax_of_few(few), exact.softmax(-1)
    torch.testing.assert_close(out, expected.float())
    weight = torch.linspace(-1, 1, out.numel()).view(out.shape)
    grad, = torch.autograd.grad((out * weight).sum(), few)
    expected_grad, = torch.autograd.grad((expected * weight).sum(), exact)
    torch.testing.assert_close(grad, expected_grad.float())


def test_a_graph_that_leaves_torch_has_one_softmax():
    class Softmax(torch.nn.Module):
        def forward(self, logits):
            return softmax_of_few(logits)

    graph = torch.export.export(Softmax(), (torch.randn(2, 3, 4), )).graph
    assert [str(node.target) for node in graph.nodes
            if node.op == 'call_function'] == ['aten.softmax.int']
