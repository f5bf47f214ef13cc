"""What the heads' losses share."""
from torch import Tensor


def truth_per_prediction(truth: Tensor, prediction: Tensor) -> Tensor:
    """Repeat the truth where there are several predictions of an image.

    Args:
        truth: (B, ...).
        prediction: (B P, ...), those of an image one after another.

    Returns:
        (B P, ...); the truth itself where P is 1.
    """
    passes = len(prediction) // len(truth)
    return truth if passes == 1 else truth.repeat_interleave(passes, 0)
