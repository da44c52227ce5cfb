#!/usr/bin/env bash
# Times a training step of the ladder network, ours against PyTorch (from PyPI) on the same machine, in turn, three rounds,
# two threads each, and prints a table.
#
#   benches/against_pytorch/run.sh [PYTHON]
#
# PYTHON: an interpreter that has torch, onnx, onnxruntime and numpy; without it a virtual environment is made in
# target/against_pytorch. Run it on a machine that does nothing else; the results belong into docs/benchmarks.md with the
# machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=target/against_pytorch
mkdir -p "$work"
python=${1:-}
if [[ -z $python ]]; then
    [[ -x $work/venv/bin/python ]] || python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet torch onnx onnxruntime numpy
    python=$work/venv/bin/python
fi
cargo build --release --quiet --package atomlens-network --example training_timings --example look_timings
target/release/examples/look_timings "$work" >/dev/null
"$python" benches/against_pytorch/training_step.py check "$work"
for round in 1 2 3; do
    echo "round $round .." >&2
    RAYON_NUM_THREADS=2 target/release/examples/training_timings 32,64,96,128 192 8 >"$work/ours_$round.txt"
    "$python" benches/against_pytorch/training_step.py time 32,64,96,128 192 8 >"$work/theirs_$round.json"
done
"$python" benches/against_pytorch/training_step.py table "$work"/ours_*.txt -- "$work"/theirs_*.json
