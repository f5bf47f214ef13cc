"""What the diffusion heads of all tasks share."""
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ddp_perception.decoder import Denoiser, LabelDiffusion, MapDecoder
from ddp_perception.diffusion import LabelCodec, NoiseSchedule
from ddp_perception.heads.sampler import Sampler


class DiffusionHead:
    """Mixin of a head: everything but the task and OpenMMLab's interface.

    A head names this class before its `torch.nn.Module` base, and calls
    :meth:`build_diffusion` with its codec and its last layer.

    Attributes:
        diffusion (LabelDiffusion): codec, denoiser and schedule.
        sampler (Sampler): how predictions are sampled.
    """

    diffusion: LabelDiffusion
    sampler: Sampler

    def build_diffusion(self, codec: LabelCodec, predictor: nn.Module, *,
                        in_channels: int, channels: int = 256, num_layers: int = 6,
                        num_heads: int = 8, num_points: int = 4,
                        feedforward_channels: int | None = None,
                        sample_range: tuple[float, float] = (0., 0.999),
                        time_difference: float = 1., schedule: str = 'cosine',
                        sampler: dict | None = None, self_aligned: bool = False,
                        time_conditioning: bool = True, time_input: str = 'log_snr',
                        resample: Callable[[Tensor], Tensor] | None = None):
        """Build the diffusion around a codec and a last layer.

        Args:
            codec: from label maps to continuous maps, and from predictions.
            predictor: from (N, channels, h, w) to a prediction.
            in_channels: of the features.
            channels, num_layers, num_heads, num_points, feedforward_channels:
                of :class:`MapDecoder`.
            sample_range, time_difference, self_aligned: of
                :class:`LabelDiffusion`.
            schedule: of :class:`NoiseSchedule`.
            sampler: settings of :class:`Sampler`.
            time_conditioning: False builds layers that ignore the noise
                level, as the released BEV and depth models do.
            time_input, resample: of :class:`Denoiser`.
        """
        self.sampler = Sampler(**(sampler or {}))
        decoder = MapDecoder(channels, num_layers, num_heads, num_points,
                             feedforward_channels,
                             time_channels=4 * channels if time_conditioning else None)
        denoiser = Denoiser(in_channels, codec.channels, decoder=decoder,
                            predictor=predictor, time_input=time_input,
                            resample=resample)
        self.diffusion = LabelDiffusion(
            codec, denoiser, schedule=NoiseSchedule(schedule),
            sample_range=sample_range, time_difference=time_difference,
            self_aligned=self_aligned)

    @property
    def passes(self) -> dict:
        """Seeds and steps of a prediction, and how many passes it averages."""
        return self.sampler.passes

    def prediction_steps(self, feats: Tensor, noise: Tensor | None = None,
                         step_noise: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Sample, and return what every step predicts.

        Args:
            feats: (B, in_channels, H, W) features.
            noise: to start from, and
            step_noise: of the steps of DDPM, as in
                :meth:`LabelDiffusion.sample_steps`; both drawn from the
                sampler's seed unless ``noise`` is given.

        Returns:
            One (B, seeds, ...) prediction per step.
        """
        if noise is None:
            noise, step_noise = self.sampler.noise(
                self.diffusion.codec.channels, tuple(feats.shape[-2:]), feats.device)
        return [step.prediction.unflatten(0, (feats.shape[0], -1))
                for step in self.diffusion.sample_steps(
                    feats, noise, self.sampler.num_steps, step_noise)]
