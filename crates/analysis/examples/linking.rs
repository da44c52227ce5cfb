//! Links the columns of a movie, for comparing with other programs: benches/movies/linking.py.
//!
//! ```text
//! cargo run --release -p atomlens-analysis --example linking -- COLUMNS.csv LINKED.csv LARGEST_STEP
//! ```
//!
//! COLUMNS.csv has a line `frame,x,y` a column, in angstrom, frames rising; LINKED.csv gets the number of the track of each.
//! Prints the seconds that linking alone took.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use atomlens_analysis::movie::tracks::{Linker, TrackSettings};
use atomlens_core::DetectedColumn;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [columns, linked, step] = &arguments[..] else {
        return Err("expected COLUMNS.csv LINKED.csv LARGEST_STEP".into());
    };
    let mut frames: Vec<Vec<DetectedColumn>> = Vec::new();
    for line in std::fs::read_to_string(columns)?.lines() {
        let mut fields = line.split(',');
        let mut next = || fields.next().ok_or("a line has three numbers");
        let (frame, x, y): (usize, f64, f64) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
        frames.resize_with(frames.len().max(frame + 1), Vec::new);
        frames[frame].push(DetectedColumn {
            x_angstrom: x,
            y_angstrom: y,
            position_sigma_angstrom: 0.1,
            probability: 1.0,
            species: 0,
            species_probability: 1.0,
            atoms: 1.0,
            atoms_sigma: 1.0,
        });
    }
    let settings = TrackSettings { largest_step_angstrom: step.parse()?, ..TrackSettings::default() };
    let begun = Instant::now();
    let mut linker = Linker::new(settings);
    let mut tracks = Vec::new();
    for (frame, columns) in frames.iter().enumerate() {
        tracks.extend(linker.add(frame, columns, |place| place).0);
    }
    linker.finish();
    println!("{:.4}", begun.elapsed().as_secs_f64());
    let mut file = std::io::BufWriter::new(std::fs::File::create(linked)?);
    for point in tracks {
        writeln!(file, "{}", point.track)?;
    }
    Ok(())
}
