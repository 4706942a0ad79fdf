"""Lets a Kokoro network tell how long every phoneme lasts, and take a pace for each.

Kokoro (a StyleTTS 2 network, Li et al. 2023, arXiv:2306.07691) predicts the frames of each phoneme, divides them
by the one ``speed`` of the sentence, and rounds. The graph is written anew with these frames as a second output, and
with as many speeds as there are phonemes.
"""

from __future__ import annotations

from pathlib import Path

from device.errors import DragomanError

MODEL_FILE = "model.onnx"
TIMED_FILE = "timed.onnx"
DURATIONS = "durations"
FORMAT_VERSION = 1


def add_durations(folder: Path) -> None:
    """Write ``timed.onnx`` beside ``model.onnx``.

    Raises
    ------
    DragomanError
        The file is no Kokoro network.
    """
    import onnx

    path = folder / MODEL_FILE
    try:
        graph = (model := onnx.load(path)).graph
    except Exception as error:  # noqa: BLE001 - protobuf raises its own kinds
        raise DragomanError(f"{path} is not an ONNX model: {error}") from None
    speed = next((given for given in graph.input if given.name == "speed"), None)
    divided = [node.output[0] for node in graph.node if node.op_type == "Div" and "speed" in node.input]
    rounded = [node.output[0] for node in graph.node if node.op_type == "Round" and node.input[0] in divided]
    bounded = [node for node in graph.node if node.op_type in {"Clip", "Max"} and node.input[0] in rounded]
    if speed is None or len(bounded) != 1:
        raise DragomanError(f"{path} is not a Kokoro network: its durations are not found")
    speed.type.tensor_type.shape.dim[0].dim_param = "phonemes"
    told = onnx.helper.make_node("Identity", [bounded[0].output[0]], [DURATIONS], name=f"/{DURATIONS}")
    graph.node.insert(list(graph.node).index(bounded[0]) + 1, told)
    graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
    onnx.save(model, folder / TIMED_FILE)
