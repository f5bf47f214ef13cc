"""Which operations of a graph TensorRT does not have.

Source: docs/operators.md of onnx/onnx-tensorrt for TensorRT 10.15, opset 9 to 24.
"""
from __future__ import annotations

import onnx

SUPPORTED = frozenset("""
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool
    BatchNormalization BlackmanWindow Cast CastLike Ceil Celu Clip Concat Constant
    ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace
    DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor
    GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool
    GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow
    HannWindow HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsInf
    IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
    LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mish
    Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad ParametricSoftplus
    Pow QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike
    RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round
    STFT ScaledTanh Scan Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid
    Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze
    Sub Sum Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze
    Upsample Where Xor
    """.split())
MISCOMPILED = frozenset(['GridSample'])
"""Supported, and compiled wrongly by 10.14 and 11.1: NVIDIA/TensorRT#4813, #4646."""


def unsupported_operations(model: onnx.ModelProto) -> list[str]:
    """Return the operations of a graph that TensorRT lacks or gets wrong, sorted.

    A scatter that adds, or reduces otherwise, is not supported.
    """
    found = set()
    for node in _nodes(model.graph):
        if node.domain not in ('', 'ai.onnx'):
            found.add(f'{node.domain}.{node.op_type}')
        elif node.op_type not in SUPPORTED - MISCOMPILED:
            found.add(node.op_type)
        elif (kind := _text(node, 'reduction')) not in ('', 'none'):
            found.add(f'{node.op_type} ({kind})')
    return sorted(found)


def _nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes of a graph, and of those within."""
    inner = (attribute.g for node in graph.node for attribute in node.attribute
             if attribute.type == onnx.AttributeProto.GRAPH)
    return [*graph.node, *(node for one in inner for node in _nodes(one))]


def _text(node: onnx.NodeProto, name: str) -> str:
    return next((attribute.s.decode() for attribute in node.attribute
                 if attribute.name == name), '')
