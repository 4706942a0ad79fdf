"""What the README shows runs as it stands there."""

import re
import shutil
import sys

import pytest

from tests.e2e.azure.conftest import ROOT, word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.models]


@pytest.mark.parametrize("language", ["python", "js"])
def test_ten_lines_of_the_readme(node, recordings, tmp_path, language):
    pytest.importorskip("azure.cognitiveservices.speech")
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Programs written for Azure Speech")[2]
    program = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1]
    assert program.count("\n") <= 12
    assert node.host == "http://127.0.0.1:5000"
    path, said = next(clip for clip in recordings.clips("en") if clip[0].stem == "quick_brown_fox")
    shutil.copy(path, tmp_path / "talk.wav")
    command = [sys.executable, "-c", program] if language == "python" else ["node", "-e", program]
    told = node.output(*command, cwd=tmp_path, NODE_PATH=str(node.node))
    assert word_errors(said, told.split(".")[0]) <= 0.2, told
    assert "raposa" in told.lower()
