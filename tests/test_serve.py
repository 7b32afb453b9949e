"""The server of examples/serve.py, with each format of a model."""

import importlib
import json
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

import skcnn
from skcnn.onnx import to_onnx

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("serve")


@pytest.fixture
def clf(make, uint8_images):
    X, y = uint8_images
    return make(batch_size=20).fit(X, np.array(["dark", "grey", "light"])[y])


@pytest.fixture(params=["skcnn", "onnx"])
def url(request, serve, clf, tmp_path):
    path = tmp_path / f"model.{request.param}"
    if request.param == "onnx":
        pytest.importorskip("onnxruntime")
        path.write_bytes(to_onnx(clf).SerializeToString())
    else:
        skcnn.save(clf, path)
    server = serve.make_server(path)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(url, content):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    with urlopen(url, body, timeout=60) as response:
        return json.load(response)


@pytest.mark.parametrize("n", [1, 20])
def test_the_server_predicts_as_the_classifier(n, url, clf, uint8_images):
    X = uint8_images[0][:n]
    answer = ask(url, {"images": X.tolist()})
    assert answer["labels"] == clf.predict(X).tolist()
    np.testing.assert_allclose(answer["probabilities"], clf.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("content", [{"images": [[1, 2], [3, 4]]}, {"image": []}, {"images": "cat"}, b"{", []])
def test_requests_that_cannot_be_read(content, url, clf, uint8_images):
    with pytest.raises(HTTPError) as raised:
        ask(url, content)
    with raised.value as response:
        assert response.code == 400
        assert "error" in json.load(response)
    assert ask(url, {"images": uint8_images[0][:1].tolist()})["labels"] == clf.predict(uint8_images[0][:1]).tolist()


def test_requests_that_are_too_large(url, serve):
    request = Request(url, b"{}", {"Content-Length": str(serve.LARGEST_BODY + 1)})
    with pytest.raises(HTTPError, match="413") as raised:
        urlopen(request, timeout=60)
    raised.value.close()
