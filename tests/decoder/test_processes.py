"""What several processes of one training draw."""
import torch
from torch import distributed, multiprocessing, nn

from ddp_perception.decoder import Denoiser, LabelDiffusion, MapDecoder, label_diffusion
from ddp_perception.diffusion import ClassCodec, add_noise

SEED = 7


def _draw_in_process(rank, folder):
    """Save times and noise of three passes, seeded as OpenMMLab's tools do."""
    distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting',
                                   rank=rank, world_size=2)
    drawn = []

    def note(clean, noise, level):
        drawn.append((level.alpha.flatten(), noise))
        return add_noise(clean, noise, level)

    label_diffusion.add_noise = note
    denoiser = Denoiser(6, 8, decoder=MapDecoder(8, 1, 2, 2, time_channels=16),
                        predictor=nn.Conv2d(8, 3, 1))
    model = LabelDiffusion(ClassCodec(3, 8), denoiser)
    feats, labels = torch.ones(2, 6, 5, 7), torch.zeros(2, 5, 7).long()
    torch.manual_seed(SEED)
    for _ in range(2):
        model.training_prediction(feats, labels)
    torch.manual_seed(SEED)
    model.training_prediction(feats, labels)
    torch.save(drawn, f'{folder}/{rank}.pt')
    distributed.barrier()
    distributed.destroy_process_group()


def test_processes_with_one_seed_draw_different_times_and_noise(tmp_path):
    multiprocessing.spawn(_draw_in_process, (str(tmp_path),), nprocs=2)
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    for of_rank in ranks:
        first, second, again = of_rank
        for kind in range(2):
            assert torch.equal(first[kind], again[kind])
            assert not torch.equal(first[kind], second[kind])
    for one, other in zip(*ranks, strict=True):
        for kind in range(2):
            assert (one[kind] != other[kind]).float().mean() > 0.9


def test_one_process_draws_from_the_global_generator():
    denoiser = Denoiser(6, 8, decoder=MapDecoder(8, 1, 2, 2, time_channels=16),
                        predictor=nn.Conv2d(8, 3, 1))
    model = LabelDiffusion(ClassCodec(3, 8), denoiser)
    feats, labels = torch.ones(2, 6, 5, 7), torch.zeros(2, 5, 7).long()
    torch.manual_seed(SEED)
    got = model.training_prediction(feats, labels)
    torch.manual_seed(SEED)
    times, noise = 0.999 * torch.rand(2), torch.randn(2, 8, 5, 7)
    assert torch.equal(got, model.training_prediction(
        feats, labels, times=times, noise=noise))
