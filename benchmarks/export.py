"""A whole frame through ONNX Runtime against PyTorch, on a CPU.

``python -m benchmarks.export`` exports the model of a configuration of maps
(``demo_fusion_cpu``: six cameras of 64x176, pillars, 3 steps; random weights without
``--checkpoint``) and predicts a made-up frame from its prepared images, points and
matrices. Voxels and geometry are computed in each call, by the same code everywhere.

* ``float32``: the graph as it is exported. Probabilities must agree to 1e-4.
* ``int8``: matrix products with weights quantised beforehand and activations in the
  run (`onnxruntime.quantization.quantize_dynamic`). Reported, not demanded: the share
  of cells whose classes are decided alike.
* ``compiled``: PyTorch with the head's decoder layers compiled. Agrees to 1e-4.

The baseline is always PyTorch as it is, in the same process and in turns.
"""
import argparse
import copy
import tempfile
from pathlib import Path

import torch
from mmdet3d.structures import Det3DDataSample
from onnxruntime.quantization import QuantType, quantize_dynamic

from benchmarks.timing import compare, report
from ddp_perception.apis import init_model
from ddp_perception.cli.compiled import compile_heads
from ddp_perception.export.frame_inputs import example_frame
from ddp_perception.export.runtime import LoadedGraph, run_in_onnx
from ddp_perception.export.writing import export_graph, graph_of, weights_digest


def predictor(model, frame):
    """Return a function that predicts the frame's probabilities."""
    images, points, meta = frame
    inputs = {key: value for key, value in (
        ('imgs', None if images is None else images[None]),
        ('points', None if points is None else [points])) if value is not None}

    def predict():
        sample = Det3DDataSample(metainfo=meta)
        with torch.no_grad():
            model.predict(inputs, [sample])
        return sample.pred_map_seg.data
    return predict


def attached(model, path, threads):
    """Return a copy of a model that predicts by a graph."""
    model = copy.deepcopy(model)
    run_in_onnx(model, LoadedGraph(path, threads))
    return model


def main(argv=None):
    """Run every case and print the report."""
    parser = argparse.ArgumentParser(description='Time exported models.')
    parser.add_argument('--config', default='demo_fusion_cpu')
    parser.add_argument('--checkpoint')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--no-compile', action='store_true',
                        help='leave out the compiled head, which takes a minute')
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = init_model(args.config, args.checkpoint, 'cpu')
    model.seg_head.keep_steps = False
    frame = example_frame(model)
    eager = predictor(model, frame)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'map.onnx')
        exported = export_graph(graph_of(model), path, weights=weights_digest(model))
        quantised = Path(folder, 'int8.onnx')
        quantize_dynamic(path, quantised, weight_type=QuantType.QInt8,
                         op_types_to_quantize=['MatMul', 'Gemm'])
        print(f'{args.config}: {path.stat().st_size / 2 ** 20:.1f} MiB as float32, '
              f'{quantised.stat().st_size / 2 ** 20:.1f} as int8; ONNX Runtime '
              f'differs by {exported.difference:.1e}')
        floats, integers = (predictor(attached(model, file, args.threads), frame)
                            for file in (path, quantised))
    results.append(compare('ONNX Runtime, float32, over PyTorch', floats, eager,
                           rounds=args.rounds))
    same = ((integers() >= 0.5) == (eager() >= 0.5)).float().mean().item()
    case = compare('ONNX Runtime, int8, over PyTorch', integers, eager,
                   rounds=args.rounds, check=lambda ours, baseline: None, dtype='int8')
    results.append({**case, 'same_decisions': same})
    print(f'int8 decides {same:.2%} of the cells and classes like float32')
    if not args.no_compile:
        compiled = copy.deepcopy(model)
        compile_heads(compiled)
        results.append(compare('compiled head over PyTorch', predictor(compiled, frame),
                               eager, rounds=args.rounds))
    return report(results)


if __name__ == '__main__':
    main()
