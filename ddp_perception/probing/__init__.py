"""What the diffusion of a trained head contributes to its predictions."""
from ddp_perception.probing.effects import (
    Measured,
    ProbeResult,
    sentences,
)
from ddp_perception.probing.features import UnknownTruth
from ddp_perception.probing.figures import Figure, first_choice, rule_of
from ddp_perception.probing.probe import Probe
from ddp_perception.probing.table import probe_table
from ddp_perception.probing.variations import ProbeOptions, Variation, variations

__all__ = ['Figure', 'Measured', 'Probe', 'ProbeOptions', 'ProbeResult',
           'UnknownTruth', 'Variation', 'first_choice', 'probe_table', 'rule_of',
           'sentences', 'variations']
