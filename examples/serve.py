"""Serve: a small HTTP server that classifies images, with the standard library.

    python examples/serve.py                    # train on digits, serve, send one request, stop
    python examples/serve.py model.skcnn        # serve a model that skcnn.save has written
    python examples/serve.py model.onnx         # serve a model that skcnn.onnx.to_onnx has returned

For an ONNX model, the server needs only NumPy and onnxruntime. A request is a POST with the images as JSON:

    curl -d '{"images": [[[0, 255], [255, 0]]]}' http://localhost:8000

The answer contains the label and the probabilities of each image. This server is for a network that you trust: it has
neither encryption nor authentication.
"""

import argparse
import json
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import numpy as np

LARGEST_BODY = 10_000_000  # bytes
DTYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(double)": np.float64}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    if args.model is None:
        demonstrate()
        return
    server = make_server(args.model, args.port)
    print(f"serving {args.model} on http://localhost:{server.server_port}, until Ctrl-C")
    server.serve_forever()


def make_server(model, port=0):
    """Return a server for a model file. Port 0 is any free port."""
    server = ThreadingHTTPServer(("localhost", port), Handler)
    server.predict = load_onnx(model) if model.suffix == ".onnx" else load_skcnn(model)
    return server


def load_skcnn(path):
    """Return a function from images to their labels and probabilities."""
    import skcnn

    clf = skcnn.load(path).set_params(n_jobs=1)  # each request has a thread of its own

    def predict(images):
        probabilities = clf.predict_proba(images)
        return clf.classes_[probabilities.argmax(axis=1)], probabilities

    return predict


def load_onnx(path):
    """Return a function from images to their labels and probabilities."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    dtype = DTYPES[session.get_inputs()[0].type]
    return lambda images: session.run(["label", "probabilities"], {"X": images.astype(dtype)})


class Handler(BaseHTTPRequestHandler):
    """Answers a POST. Requests run in threads of their own, which is safe: predictions change nothing."""

    def do_POST(self):
        n_bytes = int(self.headers.get("Content-Length", 0))
        if n_bytes > LARGEST_BODY:
            self.answer(413, {"error": f"the request has {n_bytes} bytes, but at most {LARGEST_BODY} are read"})
            return
        try:
            images = np.asarray(json.loads(self.rfile.read(n_bytes))["images"])
            labels, probabilities = self.server.predict(images)
        except Exception as error:  # the images do not fit the model, for example
            self.answer(400, {"error": f"{type(error).__name__}: {error}"})
            return
        self.answer(200, {"labels": labels.tolist(), "probabilities": probabilities.round(6).tolist()})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Do not print a line for each request."""


def demonstrate():
    """Train on scikit-learn's digits, serve the model, and send the image of a digit to the server."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    import skcnn

    digits = load_digits()
    X_train, X_test, y_train, y_test = train_test_split(digits.images, digits.target, random_state=0)
    clf = skcnn.NumpyCNNClassifier(random_state=0).fit(X_train, y_train)
    with tempfile.TemporaryDirectory() as folder:
        skcnn.save(clf, f"{folder}/digits.skcnn")
        server = make_server(Path(folder) / "digits.skcnn")
    request = json.dumps({"images": X_test[:1].tolist()}).encode()
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        with urlopen(f"http://localhost:{server.server_port}", request) as response:
            answer = json.load(response)
        server.shutdown()
    print(f"the server says {answer['labels'][0]}, with a probability of {max(answer['probabilities'][0]):.3f}")
    print(f"the right answer is {y_test[0]}")


if __name__ == "__main__":
    main()
