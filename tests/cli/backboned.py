"""A model with an image backbone that its predictions do not need."""
from mmengine.registry import MODELS

from tests.cli.tiny import TinyModel


@MODELS.register_module()
class BackbonedModel(TinyModel):

    def __init__(self, backbone, width=4):
        super().__init__(width)
        self.backbone = MODELS.build(backbone)
