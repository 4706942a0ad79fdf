"""Azure's client of fast transcription, a dropped connection, and programs that know only a key and a region."""

import shutil
import subprocess
import sys

import pytest

from device.server.certificates import make_certificates
from tests.e2e.azure.conftest import HERE, word_errors
from tests.engines.speech import TWO_CITIES

pytestmark = [pytest.mark.e2e, pytest.mark.models]


@pytest.mark.parametrize("locales", [["en-US"], ["en-US", "pt-BR"]], ids=["named", "identified"])
def test_fast_transcription_with_its_official_client(served, recordings, locales):
    pytest.importorskip("azure.ai.transcription")
    for path, said in recordings.clips("en"):
        (told,) = served.run(sys.executable, str(HERE / "rest.py"), served.host, str(path), *locales)
        assert word_errors(said, told["text"]) <= 0.2, told["text"]
        assert told["phrases"][0][3] == "en-US"
        assert told["duration"] > told["phrases"][0][1] > 0
        times = [time for _, time in told["words"]]
        assert word_errors(told["text"], " ".join(word for word, _ in told["words"])) == 0
        assert times == sorted(times)
        assert told["phrases"][0][0] <= times[0] < times[-1] < told["duration"]


def test_nothing_is_lost_when_the_connection_drops(served, recordings):
    pytest.importorskip("azure.cognitiveservices.speech")
    path = str(recordings / "two_cities.wav")
    (told,) = served.run(sys.executable, str(HERE / "drop.py"), served.host, path, "2.5")
    assert told["ends"] == ["EndOfStream"]
    assert word_errors(TWO_CITIES, " ".join(told["texts"])) <= 0.2, told["texts"]


REGION = """
import json, sys
import azure.cognitiveservices.speech as speech
config = speech.SpeechConfig(subscription=sys.argv[1], region="westus")
result = speech.SpeechRecognizer(config, speech.audio.AudioConfig(filename=sys.argv[2])).recognize_once()
error = result.cancellation_details.error_details if result.reason == speech.ResultReason.Canceled else ""
print(json.dumps({"text": result.text, "error": error}))
"""


def test_a_program_that_knows_only_key_and_region(start_server, recordings, tmp_path):
    """The region's names lead to the device by the hosts file, and the device's own authority is trusted."""
    pytest.importorskip("azure.cognitiveservices.speech")
    state = tmp_path / "state"
    files = make_certificates(state / "tls", ["westus.stt.speech.microsoft.com"])
    key = tmp_path / "key"
    key.write_text("the-owners-key")
    key.chmod(0o600)
    served = start_server(state=state, tls_port=443, key_file=str(key))
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost westus.stt.speech.microsoft.com\n")
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    program = tmp_path / "program.py"
    program.write_text(REGION)
    path, said = recordings.clips("en")[0]
    script = f"mount --bind {hosts} /etc/hosts && exec {sys.executable} {program} the-owners-key {path}"
    alone = ["unshare", "--mount", "sh", "-c", script]
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("this machine allows no mount namespaces")
    (told,) = served.run(*alone, SSL_CERT_FILE=str(files.ca))
    assert word_errors(said, told["text"]) <= 0.2, told
