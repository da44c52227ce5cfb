//! Prints structures as tables, to compare what was read with what another program reads:
//! `cargo run --release -p atomlens-formats --example dump_structure FILE..`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for path in std::env::args_os().skip(1) {
        writeln!(out, "file {}", path.display())?;
        match atomlens_formats::read_structure(path.as_ref()) {
            Err(error) => writeln!(out, "error {error}")?,
            Ok(structure) => {
                if let Some(cell) = structure.cell {
                    let [a, b, c] = cell.periodic.map(u8::from);
                    writeln!(out, "cell {a} {b} {c} {:?}", cell.vectors_angstrom.to_cols_array())?;
                }
                for atom in &structure.atoms {
                    let place = atom.position_angstrom;
                    let rms = atom.rms_displacement_angstrom.unwrap_or(-1.0);
                    writeln!(
                        out,
                        "atom {} {:?} {:?} {:?} {:?} {rms:?}",
                        atom.element, place.x, place.y, place.z, atom.occupancy
                    )?;
                }
            }
        }
    }
    out.flush()
}
