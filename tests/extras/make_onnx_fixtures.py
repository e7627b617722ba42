"""Tiny networks in ONNX: a blur, whose answer is log-odds; needs the package onnx.

python tests/extras/make_onnx_fixtures.py tests/core/engines/fixtures/onnx
"""

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save


def blur(height, width, channels=1):
    """Log-odds 4 times a Gaussian blur over 5 px, of images of this size; words stand for any."""
    line = np.exp(-(np.arange(-2, 3) ** 2) / 2)
    kernel = np.broadcast_to(np.outer(line, line) / line.sum() ** 2 * 4, (1, channels, 5, 5)).astype(np.float32)
    node = helper.make_node("Conv", ["image", "kernel"], ["odds"], pads=[2, 2, 2, 2])
    graph = helper.make_graph(
        [node],
        "blur",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, height, width])],
        [helper.make_tensor_value_info("odds", TensorProto.FLOAT, [1, 1, height, width])],
        [numpy_helper.from_array(np.ascontiguousarray(kernel), "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model


def main(target):
    target = Path(target)
    target.mkdir(parents=True, exist_ok=True)
    save(blur(64, 64), target / "fixed.onnx")
    save(blur("height", "width"), target / "any.onnx")
    save(blur("height", "width", channels=3), target / "colour.onnx")


if __name__ == "__main__":
    main(sys.argv[1])
