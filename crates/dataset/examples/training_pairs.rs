//! Makes training pairs of a bundled mixture, says how fast, and draws the first of them on a contact sheet.
//!
//! ```text
//! cargo run --release -p atomlens-dataset --example training_pairs -- MIXTURE PAIRS THREADS SEED SHEET.png
//! ```
#![allow(clippy::print_stdout, reason = "an example is a program")]

use std::collections::BTreeMap;
use std::time::Instant;

use atomlens_dataset::{Mixture, StreamSettings, TrainingStream};
use atomlens_report::{ContactSheet, Panel};
use ndarray::s;

/// Pairs on the sheet.
const DRAWN: usize = 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (name, pairs, threads) = (next("metal-particles"), next("320").parse::<usize>()?, next("1").parse()?);
    let (seed, sheet_path) = (next("1").parse()?, next(""));

    let mixture = Mixture::bundled(&name)?;
    let species = mixture.labels.species();
    let mut sheet = ContactSheet::new(format!("{name}, seed {seed}"))
        .columns(if mixture.frames() > 1 { mixture.frames() } else { 8 })
        .panel_width_px(300);
    let mut recipes: BTreeMap<String, usize> = BTreeMap::new();
    let (mut columns, mut ignored, mut cells) = (0, 0, 0);
    // The first pairs need a specimen each, later ones every eighth: only those are counted that are like all that follow.
    let settings = StreamSettings::for_training(threads);
    let warm_up = settings.rotation as usize;
    let mut stream = TrainingStream::new(&mixture, seed, StreamSettings { look_ahead: 1, ..settings })?;
    let mut start = Instant::now();
    for number in 0..warm_up + pairs {
        if number == warm_up {
            start = Instant::now();
        }
        let pair = stream.next().ok_or("the stream ended")??;
        *recipes.entry(pair.drawn.recipe.to_string()).or_default() += 1;
        columns += pair.target.columns.len();
        ignored += pair.target.ignore.iter().filter(|ignore| **ignore).count();
        cells += pair.target.ignore.len();
        if sheet.len() < DRAWN {
            let drawn = &pair.drawn;
            let caption = format!(
                "{} {:.2} Å/px, {:.0} e/Å², {:.0} keV, df {:.0}, Cs {:.0} µm",
                drawn.recipe,
                drawn.native_pixel_angstrom,
                drawn.dose_e_per_a2,
                drawn.energy_kev,
                drawn.defocus_angstrom[0],
                drawn.cs_angstrom * 1e-4
            );
            // Of a window the frame that the columns are of comes first.
            let middle = mixture.frames() / 2;
            let mut panel = Panel::micrograph(pair.input.slice(s![middle, .., ..]), 0.2).caption(caption);
            // Half of the image without marks, so that it can be seen.
            for (index, name) in species.iter().enumerate() {
                let places = pair.target.columns.iter().filter(|column| column.species == index);
                let places: Vec<_> = places
                    .filter(|column| column.y_angstrom > 0.1 * mixture.field_px as f64)
                    .map(|column| (column.x_angstrom, column.y_angstrom))
                    .collect();
                if !places.is_empty() {
                    panel = panel.marks(name.clone(), places);
                }
            }
            sheet = sheet.push(panel);
            for beside in (0..mixture.frames()).filter(|frame| *frame != middle) {
                let caption = format!("frame {:+}", beside as i64 - middle as i64);
                sheet = sheet.push(Panel::micrograph(pair.input.slice(s![beside, .., ..]), 0.2).caption(caption));
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{:.1} pairs/s, {:.1} ms a pair on {threads} threads",
        pairs as f64 / seconds,
        1e3 * seconds / pairs as f64
    );
    let total = (warm_up + pairs) as f64;
    println!(
        "{:.0} columns a pair, {:.2} % of cells ignored",
        columns as f64 / total,
        100.0 * ignored as f64 / cells as f64
    );
    for (recipe, count) in recipes {
        println!("{:5.1} % {recipe}", 100.0 * count as f64 / total);
    }
    if !sheet_path.is_empty() {
        sheet.write_png(&sheet_path)?;
    }
    Ok(())
}
