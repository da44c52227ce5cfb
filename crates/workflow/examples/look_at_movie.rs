//! Columns of every frame of a movie whose drift is known, by a model of one frame or of several.
//!
//! ```text
//! cargo run --release -p atomlens-workflow --example look_at_movie -- MOVIE MODEL PIXEL_NM DRIFT.csv COLUMNS.csv [PROBABILITY]
//! ```
//!
//! DRIFT.csv has x and y in angstrom, a line a frame, `#` before comments. COLUMNS.csv gets frame, place in nm and probability,
//! from PROBABILITY on (0.02 if left out). For judging with the true drift, as benches/detection/judge.py does.
#![allow(clippy::print_stderr, reason = "a program that prints")]

use std::error::Error;
use std::path::Path;

use atomlens_analysis::columns::ColumnSettings;
use atomlens_analysis::movie::drift::Pose;
use atomlens_core::glam::DVec2;
use atomlens_formats::signal;
use atomlens_workflow::detect::look::{Eye, Framed};
use atomlens_workflow::model::Model;
use ndarray::Array2;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (movie, model, pixel, drift, out, probability) = match &arguments[..] {
        [movie, model, pixel, drift, out] => (movie, model, pixel, drift, out, "0.02"),
        [movie, model, pixel, drift, out, probability] => (movie, model, pixel, drift, out, probability.as_str()),
        _ => return Err("expected MOVIE MODEL PIXEL_NM DRIFT.csv COLUMNS.csv [PROBABILITY]".into()),
    };
    let model = Model::find(model)?;
    let pixel_angstrom = 10.0 * pixel.parse::<f64>()?;
    let columns = ColumnSettings { probability_threshold: probability.parse()?, ..model.card.columns.clone() };
    let eye = Eye { model: &model, onnx: None, pixel_angstrom: (pixel_angstrom, pixel_angstrom), columns };
    let file = signal::open(Path::new(movie))?;
    let signal = file.image()?;
    let frames: Vec<Array2<f32>> = (0..signal.frames()).map(|index| signal.frame(index)).collect::<Result<_, _>>()?;
    let poses = poses(&std::fs::read_to_string(drift)?)?;
    if poses.len() != frames.len() {
        return Err(format!("{} lines in {drift}, where {movie} has {} frames", poses.len(), frames.len()).into());
    }
    let mut table = String::from("frame,x_nm,y_nm,probability\n");
    let count = model.card.frames;
    for index in 0..frames.len() {
        let look = if count == 1 {
            eye.look(&frames[index])?
        } else {
            let of_window = |place: usize| {
                let frame = (index + place).checked_sub(count / 2).filter(|frame| *frame < frames.len())?;
                Some(Framed { image: &frames[frame], pose: poses[frame] })
            };
            eye.look_window(&(0..count).map(of_window).collect::<Vec<_>>())?
        };
        for column in &look.columns {
            let (x, y) = (0.1 * column.x_angstrom, 0.1 * column.y_angstrom);
            table += &format!("{index},{x:.5},{y:.5},{:.4}\n", column.probability);
        }
    }
    std::fs::write(out, table)?;
    Ok(())
}

fn poses(text: &str) -> Result<Vec<Pose>, Box<dyn Error>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (x, y) = line.split_once(',').ok_or("expected x,y")?;
            let drift_angstrom = DVec2::new(x.trim().parse()?, y.trim().parse()?);
            Ok(Pose { drift_angstrom, ..Pose::at_rest(DVec2::ZERO) })
        })
        .collect()
}
