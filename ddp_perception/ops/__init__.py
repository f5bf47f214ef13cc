"""Operations that several rooms share; torch only."""
from ddp_perception.ops.gather_sum import gather_sum

__all__ = ['gather_sum']
