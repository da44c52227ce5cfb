#!/usr/bin/env bash
# Compares exported networks with onnxruntime (from PyPI): what they give, and how long they take.
#
#   benches/against_onnxruntime/run.sh check|time [PYTHON]
#
# check: the three families through the ONNX checker and onnxruntime; fails if a result differs by more than 1e-4.
# time: the ladder network on images of 256 and 1024 px, the programs in turn, three rounds, two threads each. Run it on a
#   machine that does nothing else; the results belong into docs/benchmarks.md with the machine.
# PYTHON: an interpreter that has onnx, onnxruntime and numpy; without it a virtual environment is made in
#   target/against_onnxruntime.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:?check or time}
work=target/against_onnxruntime
mkdir -p "$work"
python=${2:-}
if [[ -z $python ]]; then
    [[ -x $work/venv/bin/python ]] || python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet onnx onnxruntime numpy
    python=$work/venv/bin/python
fi
case $what in
check)
    cargo build --release --quiet --package atomlens-network --example export_onnx
    target/release/examples/export_onnx "$work/networks"
    "$python" benches/against_onnxruntime/compare.py "$work/networks"
    ;;
time)
    cargo build --release --quiet --package atomlens-network --example look_timings
    edges=(256 1024)
    for round in 1 2 3; do
        echo "round $round .." >&2
        RAYON_NUM_THREADS=2 target/release/examples/look_timings "$work" "${edges[@]}" >"$work/ours_$round.json"
        "$python" benches/against_onnxruntime/timings.py time "$work" "${edges[@]}" >"$work/theirs_$round.json"
    done
    "$python" benches/against_onnxruntime/timings.py table "$work"/ours_*.json -- "$work"/theirs_*.json
    ;;
*)
    echo "expected check or time, not $what" >&2
    exit 2
    ;;
esac
