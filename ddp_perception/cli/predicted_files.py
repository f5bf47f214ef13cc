"""Write what a model predicts for one sample, whatever it is."""
from ddp_perception.cli.errors import UserError


def write_predictions(model, sample, stem, metainfo, what, pictures=True,
                      threshold=0.5, truth=True):
    """Save and draw every registered field that a sample predicts.

    Args:
        model (torch.nn.Module): That predicted.
        sample (BaseDataElement): With the prediction.
        stem (Path): Of the files, without their endings.
        metainfo (Mapping): Of the data set: classes, palettes.
        what (str): The sample, for messages.
        pictures (bool): Draw them too.
        threshold (float): Probability from which a picture shows a class.
        truth (bool): Draw the truth too where the sample has it.

    Returns:
        str: What was predicted, such as 'maps'.

    Raises:
        UserError: the sample predicts nothing that is registered, or it
            cannot be written; names it.
    """
    from ddp_perception.fields import Setting, fields_of
    from ddp_perception.prediction_heads import heads_of
    heads = {head.prediction_field: head for head in heads_of(model)}
    try:
        found = fields_of(sample)
        for field in found:
            setting = Setting(heads.get(field.prediction), metainfo, threshold)
            field.save(sample, stem, setting)
            if not truth:
                sample.pop(field.truth, None)
            if pictures:
                field.draw(sample, stem.with_name(stem.name + field.picture_ending),
                           setting)
    except ValueError as error:
        raise UserError(f'{what}: {error}') from error
    return ' and '.join(field.plural for field in found)
