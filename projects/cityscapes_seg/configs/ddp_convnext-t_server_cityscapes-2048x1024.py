# Predicts the test images and writes them as the benchmark server wants them: one
# PNG of label ids per image. Needs cityscapesscripts.
_base_ = './ddp_convnext-t_4xb4-160k_cityscapes-512x1024.py'

test_dataloader = dict(dataset=dict(
    data_prefix=dict(img_path='leftImg8bit/test', seg_map_path=''),
    pipeline=[step for step in _base_.test_pipeline
              if step['type'] != 'LoadAnnotations']))
test_evaluator = dict(
    _delete_=True, type='CityscapesMetric', format_only=True, keep_results=True,
    output_dir='work_dirs/cityscapes_server')
