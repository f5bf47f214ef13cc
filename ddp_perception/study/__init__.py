"""Whether the diffusion of a head earns its steps: claims, trainings, verdicts."""
from ddp_perception.study.course import run_jobs
from ddp_perception.study.declaration import (
    Comparison,
    Measure,
    Row,
    Study,
    Variant,
)
from ddp_perception.study.features import FeatureStore, Split
from ddp_perception.study.page import study_page
from ddp_perception.study.results import Results
from ddp_perception.study.settings import DamagedFile, OtherSettings
from ddp_perception.study.studies import STUDIES
from ddp_perception.study.training import Job
from ddp_perception.study.verdict import Spread, paired, verdict

__all__ = ['Comparison', 'DamagedFile', 'FeatureStore', 'Job', 'Measure',
           'OtherSettings', 'Results', 'Row', 'STUDIES', 'Split', 'Spread', 'Study',
           'Variant', 'paired', 'run_jobs', 'study_page', 'verdict']
