import pytest
import torch

from ddp_perception.checkpoints import rename_diffusion_keys
from ddp_perception.decoder import TimeEmbedding
from tests import golden


def _published():
    reference = golden.load('time_embedding')
    embedding = TimeEmbedding(channels=128)
    prefix = 'denoiser.time_embedding.'
    embedding.load_state_dict({
        name[len(prefix):]: value
        for name, value in rename_diffusion_keys(reference.under('w/')).items()})
    return embedding, reference


@pytest.mark.parametrize(('kind', 'source'), [('log_snr', 'in/log_snr'), ('t', 'in/t')])
def test_stages_equal_the_published_ones(kind, source):
    embedding, reference = _published()
    value = reference[source]
    fourier = embedding.fourier(value)
    hidden = torch.nn.functional.gelu(embedding.hidden(fourier))
    # The fixtures' own two-thread rerun differs by 4.3e-6.
    for stage, got in (('fourier', fourier), ('hidden', hidden),
                       ('embedding', embedding(value))):
        torch.testing.assert_close(got, reference[f'out/{kind}/{stage}_f32'],
                                   rtol=1e-5, atol=1e-5)


def test_embedding_tells_times_apart():
    embedding = TimeEmbedding(channels=16)
    out = embedding(torch.tensor([-18.9, 0., 11.5]))
    assert out.shape == (3, 16)
    assert (out[0] - out[1]).abs().max() > 1e-3
