"""Times onnxruntime on the network that `look_timings` wrote, and prints both programs' times.

    timings.py time FOLDER EDGE_PX ..       milliseconds of every run, as JSON
    timings.py table OURS.json.. -- THEIRS.json..   a Markdown table, from several rounds each
"""

import json
import pathlib
import statistics
import sys
import time

THREADS = 2


def measure(folder, edges):
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(pathlib.Path(folder) / "timed.onnx"), options, providers=["CPUExecutionProvider"]
    )
    channels = session.get_inputs()[0].shape[1]
    results = []
    for edge in map(int, edges):
        image = np.random.default_rng(3).uniform(-2, 2, (1, channels, edge, edge)).astype(np.float32)
        session.run(None, {"image": image})
        times, start = [], time.perf_counter()
        while len(times) < 5 or (time.perf_counter() - start < 3 and len(times) < 200):
            one = time.perf_counter()
            session.run(None, {"image": image})
            times.append(1e3 * (time.perf_counter() - one))
        results.append({"edge_px": edge, "look_ms": times, "version": onnxruntime.__version__})
    print(json.dumps(results))


def pooled(paths, key):
    times = {}
    for path in paths:
        for entry in json.loads(pathlib.Path(path).read_text()):
            times.setdefault(entry["edge_px"], []).extend(entry[key])
    return {edge: statistics.median(values) for edge, values in times.items()}


def table(ours, theirs):
    run, look, other = pooled(ours, "run_ms"), pooled(ours, "look_ms"), pooled(theirs, "look_ms")
    about = json.loads(pathlib.Path(ours[0]).read_text())
    version = json.loads(pathlib.Path(theirs[0]).read_text())[0]["version"]
    print(f"| image, px | GFLOP | atomlens, network alone, ms | atomlens, look, ms | onnxruntime {version}, ms | ratio |")
    print("|---|---|---|---|---|---|")
    for entry in about:
        edge = entry["edge_px"]
        ratio = look[edge] / other[edge]
        times = f"{run[edge]:.1f} | {look[edge]:.1f} | {other[edge]:.1f}"
        print(f"| {edge} x {edge} | {entry['gflop']:.1f} | {times} | {ratio:.2f} |")


if __name__ == "__main__":
    if sys.argv[1] == "time":
        measure(sys.argv[2], sys.argv[3:])
    else:
        split = sys.argv.index("--")
        table(sys.argv[2:split], sys.argv[split + 1 :])
