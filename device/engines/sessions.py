"""How every graph that runs on onnxruntime is opened."""

from __future__ import annotations

from pathlib import Path

import onnxruntime


def open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Open the graph in ``path`` on the processor, with ``threads`` threads a call.

    Raises
    ------
    Exception
        onnxruntime cannot load it; its exceptions share no other base.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning pool starves recognition and synthesis, which run at the same time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # On x86 without VNNI, uint8 times int8 saturates in 16 bits unless this is set.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
