"""Where files come from: a hub, web servers, folders; resumed, checked, and one source after the other."""

import gzip

import pytest

from device.errors import DragomanError, UsageError
from device.modelstore.progress import Lines
from tests.modelstore.support import file, model, random_bytes, sha256, store
from tests.modelstore.support import hub as on_hub

DATA = random_bytes(3_000_000)
CLOSED = "http://127.0.0.1:9/model.onnx"  # the discard port: nobody listens there


def test_a_model_comes_from_the_hub_and_is_ready(hub, tmp_path):
    hub.files = {"deep/model.onnx": DATA, "tokens.txt": b"a 0\n"}
    hub.plain = {"tokens.txt"}
    models = store(
        tmp_path,
        model(
            "one",
            file("model.onnx", DATA, on_hub("deep/model.onnx")),
            file("tokens.txt", b"a 0\n", on_hub("tokens.txt")),
        ),
    )
    models.pull(["one"])
    assert (models.path("one") / "model.onnx").read_bytes() == DATA
    assert models.installed() == ["one"]
    assert models.verify("one") == []


def test_nothing_is_fetched_twice(hub, tmp_path):
    hub.files = {"a": DATA, "b": b"b"}
    first, second = file("a", DATA, on_hub("a")), file("b", b"b", on_hub("b"))
    store(tmp_path, model("one", first)).pull(["one"])
    hub.requests.clear()
    store(tmp_path, model("one", first, second)).pull(["one", "one"])
    assert hub.gets("a") == []
    assert hub.gets("b") == [None]


def test_a_broken_connection_goes_on_where_it_broke(hub, tmp_path):
    hub.files = {"model": DATA}
    hub.cut = {"model": 1_700_000}
    models = store(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    models.pull(["one"])
    first, second = hub.gets("model")
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").rstrip("-")) > 0
    assert models.verify("one") == []


def test_a_pull_that_failed_half_way_is_gone_on_with(hub, tmp_path):
    hub.files = {"model": DATA}
    models = store(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    hub.cuts = {"model": 100_000}  # every connection breaks
    with pytest.raises(DragomanError, match="cannot be fetched"):
        models.pull(["one"])
    tried = len(hub.gets("model"))
    hub.cuts = {}
    models.pull(["one"])
    assert hub.gets("model")[tried:] == [f"bytes={100_000 * tried}-"]
    assert models.verify("one") == []


def test_a_leftover_of_other_bytes_is_fetched_anew(hub, tmp_path):
    hub.files = {"model": DATA}
    hub.hold = {}
    models = store(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    models.pull(["one"])
    origin = next((tmp_path / "one").glob(".manifest.json"))
    assert sha256(DATA) in origin.read_text()
    models.remove("one")
    # What a killed pull of another version left under the same temporary name:
    from device.modelstore.fetch import _slug

    work = tmp_path / ".partial"
    work.mkdir(exist_ok=True)
    (work / f"{sha256(DATA)}-{_slug(on_hub('model'))}").write_bytes(random_bytes(1_000_000, 9))
    models.pull(["one"])
    assert models.verify("one") == []


@pytest.mark.parametrize("wrong", [b"", DATA[:-1], DATA + b"x", random_bytes(len(DATA), 7)])
def test_wrong_bytes_are_never_installed(hub, tmp_path, wrong):
    hub.files = {"model": wrong}
    models = store(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    with pytest.raises(DragomanError, match=r"one: model cannot be fetched.*dragoman models import"):
        models.pull(["one"])
    assert models.installed() == []
    assert not (tmp_path / "one" / "model").exists()


def test_the_next_source_is_tried(hub, tmp_path):
    hub.files = {"wrong": random_bytes(len(DATA), 5)}
    other = tmp_path / "other.bin"
    other.write_bytes(DATA)
    sources = (CLOSED, on_hub("absent"), on_hub("wrong"), f"file:{other}")
    models = store(tmp_path / "store", model("one", file("model", DATA, *sources)))
    models.pull(["one"])
    assert models.verify("one") == []


def test_a_host_that_nobody_answers_at_is_tried_once_a_pull(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    asked = []
    monkeypatch.setattr("device.modelstore.fetch.hub_remote", lambda part: asked.append(part) or _unreachable())
    models = store(
        tmp_path,
        model("one", file("a", b"a", on_hub("a")), file("b", b"b", on_hub("b"))),
        model("two", file("c", b"c", on_hub("c"))),
    )
    with pytest.raises(DragomanError, match=r"does not answer.*\(nor two\)"):
        models.pull(["one", "two"])
    assert len(asked) == 1


def _unreachable():
    from device.modelstore.download import SourceError

    raise SourceError("127.0.0.1:9 does not answer", dead="127.0.0.1:9")


def test_no_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    models = store(tmp_path, model("one", file("model", DATA, on_hub("model"), CLOSED)))
    with pytest.raises(DragomanError) as caught:
        models.pull(["one"])
    message = str(caught.value)
    assert "127.0.0.1:9 cannot be reached" in message
    assert "dragoman models import FOLDER" in message
    assert "\n" not in message


def test_the_models_that_can_be_had_are_fetched_though_another_cannot(hub, tmp_path):
    hub.files = {"good": b"good"}
    models = store(
        tmp_path, model("bad", file("x", b"x", on_hub("absent"))), model("good", file("x", b"good", on_hub("good")))
    )
    with pytest.raises(DragomanError, match="bad: x cannot be fetched"):
        models.pull(["bad", "good"])
    assert models.installed() == ["good"]


class TestUnpinned:
    """Files whose hash the catalogue does not know: the hub's own is checked, then pinned."""

    def entry(self, name="model"):
        return model("one", file(name, b"", on_hub(name), pinned=False))

    def test_the_hub_s_hash_is_pinned(self, hub, tmp_path):
        hub.files = {"model": DATA}
        models = store(tmp_path, self.entry())
        models.pull(["one"])
        assert models.verify("one") == []
        (tmp_path / "one" / "model").write_bytes(random_bytes(len(DATA), 3))
        assert [problem.reason for problem in models.verify("one")] == ["does not have its SHA-256"]

    @pytest.mark.parametrize("plain", [False, True])
    def test_bytes_that_are_not_what_the_hub_promised_are_refused(self, hub, tmp_path, plain):
        hub.files = {"model": DATA}
        hub.plain = {"model"} if plain else set()
        hub.etags = {"model": "0" * (40 if plain else 64)}
        models = store(tmp_path, self.entry())
        with pytest.raises(DragomanError, match="that the server tells"):
            models.pull(["one"])
        assert models.installed() == []

    def test_a_changed_upstream_file_is_refused_until_the_model_is_removed(self, hub, tmp_path):
        hub.files = {"model": DATA}
        models = store(tmp_path, self.entry())
        models.pull(["one"])
        (tmp_path / "one" / "model").unlink()
        hub.files = {"model": b"another"}
        with pytest.raises(DragomanError, match="remove the model first"):
            models.pull(["one"])
        models.remove("one")
        models.pull(["one"])
        assert (models.path("one") / "model").read_bytes() == b"another"


def test_a_login_is_asked_for_in_one_line(hub, tmp_path, monkeypatch):
    from huggingface_hub import errors

    def gated(*_args, **_kwargs):
        raise errors.GatedRepoError.__new__(errors.GatedRepoError)

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", gated)
    models = store(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    with pytest.raises(DragomanError, match=r"owner/repo wants a login: accept its terms and set HF_TOKEN"):
        models.pull(["one"])


def test_a_packed_file_is_unpacked_and_its_own_hash_checked(hub, tmp_path):
    packed = gzip.compress(DATA)
    hub.files = {"model.gz": packed}
    good = f"{hub.url}/model.gz!/#sha256={sha256(packed)}"
    bad = f"{hub.url}/model.gz!/#sha256={'0' * 64}"
    models = store(tmp_path, model("one", file("model", DATA, bad, good)))
    models.pull(["one"])
    assert models.verify("one") == []


def test_parts_are_joined(hub, tmp_path):
    hub.files = {"p1": DATA[:1_000_000]}
    (tmp_path / "p2").write_bytes(DATA[1_000_000:])
    models = store(tmp_path / "store", model("one", file("model", DATA, f"{on_hub('p1')} + file:{tmp_path / 'p2'}")))
    models.pull(["one"])
    assert models.verify("one") == []


def test_an_offline_store_never_fetches(hub, tmp_path):
    hub.files = {"model": DATA}
    models = store(tmp_path, model("one", file("model", DATA, on_hub("model"))), offline=True)
    with pytest.raises(DragomanError, match="offline: one cannot be fetched; use `dragoman models import FOLDER`"):
        models.pull(["one"])
    with pytest.raises(DragomanError, match="one is not installed: use `dragoman models import FOLDER`"):
        models.path("one")
    assert hub.requests == []


def test_an_unknown_model_is_answered_with_the_nearest_name(tmp_path):
    models = store(tmp_path, model("asr-tiny-en", file("x", b"x", on_hub("x"))))
    with pytest.raises(UsageError, match="'asr-tiny-e' in the catalogue; did you mean 'asr-tiny-en'"):
        models.pull(["asr-tiny-e"])


def test_a_pipe_gets_plain_lines(hub, tmp_path, capsys):
    hub.files = {"model": DATA}
    store(tmp_path, model("one", file("model", DATA, on_hub("model")))).pull(["one"], Lines())
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "one (3.0 MB)"
    assert shown[1].startswith("one: done in ")
    assert "\x1b" not in "".join(shown)
