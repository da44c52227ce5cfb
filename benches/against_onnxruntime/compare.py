"""Checks exported networks with the ONNX checker and compares onnxruntime's results with ours.

    compare.py FOLDER

FOLDER: what `cargo run --release -p atomlens-network --example export_onnx -- FOLDER` wrote. Exits with 1 if a result
differs by more than 1e-4 of its array's largest value.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

LARGEST_DIFFERENCE = 1e-4


def array(folder, run, name, shape):
    return np.fromfile(folder / f"{run}.{name}.f32", "<f4").reshape(shape)


def main(folder):
    failed = False
    sessions = {}
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}: difference / largest value")
    for entry in json.loads((folder / "manifest.json").read_text()):
        name, run, shapes = entry["network"], entry["run"], entry["arrays"]
        if name not in sessions:
            path = folder / f"{name}.onnx"
            onnx.checker.check_model(str(path), full_check=True)
            # Fails if a shape that can be told without an image is not the one that is stated.
            onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
            sessions[name] = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        session = sessions[name]
        image = array(folder, run, "image", shapes["image"])
        outputs = [output.name for output in session.get_outputs()]
        assert set(outputs) == set(shapes) - {"image"}, f"{run}: {outputs}"
        # Twice the same image: a batch must not mix its images.
        results = session.run(None, {"image": np.stack([image[:, ::-1], image])})
        line = []
        for output, theirs in zip(outputs, results):
            ours = array(folder, run, output, shapes[output])
            assert theirs[1].shape == ours.shape, f"{run} {output}: {theirs[1].shape}, ours {ours.shape}"
            assert np.isfinite(theirs).all() and np.isfinite(ours).all()
            # An array of zeros must be met exactly.
            largest = max(np.abs(ours).max(), np.finfo(np.float32).tiny)
            difference = np.abs(theirs[1] - ours).max() / largest
            line.append(f"{output} {difference:.1e}")
            failed |= not difference < LARGEST_DIFFERENCE
        print(f"{run}: {', '.join(line)}")
    print("DIFFERENT" if failed else f"all within {LARGEST_DIFFERENCE}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
