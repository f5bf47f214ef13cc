"""What becomes of a prediction: how each kind is packed, drawn and saved.

A head names the field of a data sample that it writes; the class registered
here under that name knows the rest. A task of your own registers its own class
into `FIELDS`, from any package that the configuration imports.
"""
from ddp_perception.fields.depth import DepthField
from ddp_perception.fields.field import Field, Setting, fields_of, values_of
from ddp_perception.fields.images import image_of, place_in_image
from ddp_perception.fields.labels import LabelField
from ddp_perception.fields.maps import MapField

__all__ = ['DepthField', 'Field', 'LabelField', 'MapField', 'Setting', 'fields_of',
           'image_of', 'place_in_image', 'values_of']
