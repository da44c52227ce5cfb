#!/usr/bin/env bash
# Times atomlens against abTEM (from PyPI) on the same machine, one after the other, and prints a table.
#
#   benches/against_abtem/run.sh [PYTHON]
#
# PYTHON: an interpreter that has abtem and ase; without it a virtual environment is made in target/against_abtem.
# Run it on a machine that does nothing else; the results belong into docs/benchmarks.md with the machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=target/against_abtem
mkdir -p "$work"
python=${1:-}
if [[ -z $python ]]; then
    [[ -x $work/venv/bin/python ]] || python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet "abtem==1.0.11" ase
    python=$work/venv/bin/python
fi
cargo build --release --quiet --package atomlens --example timings --bin atomlens

"$python" benches/against_abtem/abtem_side.py structure "$work/gold_923.xyz"
echo "abTEM .." >&2
"$python" benches/against_abtem/abtem_side.py time "$work/gold_923.xyz" >"$work/abtem.json"
echo "atomlens .." >&2
target/release/examples/timings "$work/gold_923.xyz" >"$work/atomlens.json"
target/release/atomlens exit-wave "$work/gold_923.xyz" --energy-kev 300 --gpts 1024x1024 --out "$work/wave.npy" --quiet >/dev/null
"$python" benches/against_abtem/abtem_side.py table "$work/gold_923.xyz" "$work/abtem.json" "$work/atomlens.json" "$work/wave.npy"
