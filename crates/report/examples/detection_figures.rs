//! Makes the figures of a detection from numbers that are made up here, to see how they look:
//! `cargo run --release -p atomlens-report --example detection_figures FOLDER [IMAGE.png COLUMNS.csv PIXEL_ANGSTROM]`.
//! The table has the columns x_A, y_A and atoms.

use std::path::Path;

use atomlens_core::DetectedColumn;
use atomlens_report::benchmark::{self, DoseScore, ReliabilityBin, SigmaBin};
use atomlens_report::html::{
    DetectionReport, DoseValidation, FileReport, FramePicture, FrameReport, ModelCard, SpacingCheck, TrainingCurves,
    TrainingStep, Validation,
};
use atomlens_report::{ColourBy, Mark, Overlay};
use ndarray::Array2;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().map_or(".", String::as_str));
    let (counts, pixel, columns) = match &arguments[..] {
        [_, image, table, pixel] => (read_image(image)?, pixel.parse()?, read_columns(table)?),
        _ => lattice(),
    };
    let species = ["Pt".to_owned(), "O".to_owned()];
    for (name, quantity, mark) in [
        ("probability", ColourBy::Probability, Mark::Ring),
        ("species", ColourBy::Species, Mark::Ring),
        ("atoms", ColourBy::Atoms, Mark::Dot),
        ("sigma", ColourBy::PositionSigma, Mark::Ring),
    ] {
        let overlay = Overlay::new(counts.view(), pixel).columns(&columns, &species).colour_by(quantity).mark(mark);
        let overlay = overlay.caption(format!("{} columns; frame 0 of particle_<1>.tif", columns.len()));
        overlay.write_png(folder.join(format!("overlay_{name}.png")))?;
        overlay.write_svg(folder.join(format!("overlay_{name}.svg")))?;
    }
    let scores = scores();
    for (name, plot) in [
        ("score", benchmark::score_plot(&scores).title("Detector of fcc metals, 0.1 Å a pixel")),
        ("position_error", benchmark::position_error_plot(&scores)),
        ("reliability", benchmark::reliability_plot(&reliability())),
        ("sigma_calibration", benchmark::sigma_plot(&sigmas())),
    ] {
        plot.write_png(folder.join(format!("{name}.png")), 720)?;
        plot.write_svg(folder.join(format!("{name}.svg")), 720)?;
    }
    report(&counts, pixel, &columns, &species)?.write(folder.join("report.html"))?;
    training().write(folder.join("training.html"))?;
    Ok(())
}

/// Three frames, in each of which some columns are missing.
fn report(
    counts: &Array2<f32>,
    pixel: f64,
    columns: &[DetectedColumn],
    species: &[String],
) -> Result<DetectionReport, Failure> {
    let frames = (0..3)
        .map(|index| {
            let kept = columns.iter().enumerate().filter(|(i, _)| index == 0 || i % (index + 4) != 0);
            Ok(FrameReport {
                index,
                time_s: Some(0.4 * index as f64),
                columns: kept.map(|(_, column)| column.clone()).collect(),
                picture: Some(FramePicture::new(counts.view(), pixel, 1024)?),
                warnings: Vec::new(),
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let spacing = |name: &str, measured_nm, expected_nm| SpacingCheck {
        name: name.to_owned(),
        measured_nm,
        sigma_nm: Some(0.0009),
        expected_nm,
        expected_source: "Pt, a = 0.3924 nm".to_owned(),
        tolerance: 0.02,
    };
    let (ny, nx) = counts.dim();
    Ok(DetectionReport {
        title: "Columns of particle_<1>.tif".to_owned(),
        program: "atomlens, with numbers made up for this example".to_owned(),
        created: "2026-01-31 12:00".to_owned(),
        files: vec![FileReport {
            name: "particle_<1>.tif".to_owned(),
            frames_in_file: 30,
            size_px: (nx, ny),
            pixel_size_nm: 0.1 * pixel,
            pixel_size_source: "from the file".to_owned(),
            facts: vec![("Voltage".to_owned(), "300 kV".to_owned())],
            spacings: vec![spacing("(111)", 0.2271, Some(0.2266)), spacing("(200)", 0.1880, Some(0.1962))],
            species: species.to_vec(),
            warnings: vec![
                "The mean of the image lies outside of the range of the training: 3.1, trained on 5 to 400 \
                            counts a pixel."
                    .to_owned(),
            ],
            frames,
        }],
        warnings: Vec::new(),
        settings: serde_json::json!({ "model": "fcc", "minimum_probability": 0.5, "pixel_size_nm": null }),
        model: Some(ModelCard {
            name: "fcc metals".to_owned(),
            paragraphs: vec!["Metal nanoparticles in any zone axis, bare and on carbon or oxide.".to_owned()],
            facts: vec![
                ("Pixel size".to_owned(), "0.05 to 0.3 Å".to_owned()),
                ("Dose".to_owned(), "30 to 10000 e/Å²".to_owned()),
            ],
            tables: Vec::new(),
            figures: vec![
                ("Scores on simulated images by dose".to_owned(), benchmark::score_plot(&scores())),
                ("Position error by dose".to_owned(), benchmark::position_error_plot(&scores())),
                ("Probabilities given and found".to_owned(), benchmark::reliability_plot(&reliability())),
                ("Position uncertainties given and found".to_owned(), benchmark::sigma_plot(&sigmas())),
            ],
        }),
    })
}

/// A training that has done half of its steps.
fn training() -> TrainingCurves {
    let steps = (1..=6000_u64).map(|step| {
        let grain = 1.0 + 0.3 * (step as f64 * 12.9898).sin();
        TrainingStep {
            step,
            loss: grain * (0.02 + 1.0 / (step as f64).sqrt()),
            learning_rate: 1e-3 * (1.0 - step as f64 / 12_500.0),
        }
    });
    let validation = (1..=12_u64).map(|i| {
        let by_dose: Vec<DoseValidation> = [20.0, 100.0, 500.0, 5000.0]
            .map(|dose_e_per_a2: f64| {
                let f1 = 1.0 - 1.0 / (1.0 + 0.2 * i as f64 * dose_e_per_a2.powf(0.6));
                let error = 4.0 + 150.0 / dose_e_per_a2.sqrt() / (i as f64).sqrt();
                DoseValidation { dose_e_per_a2, f1, precision: f1, recall: f1, median_position_error_pm: Some(error) }
            })
            .to_vec();
        let f1 = by_dose.iter().map(|dose| dose.f1).sum::<f64>() / 4.0;
        let loss = Some(0.02 + 0.8 / (500.0 * i as f64).sqrt());
        Validation { step: 500 * i, loss, f1, precision: f1 + 0.01, recall: f1 - 0.01, by_dose }
    });
    TrainingCurves {
        title: "Training: fcc metals".to_owned(),
        facts: vec![("Network".to_owned(), "residual encoder-decoder, 1.2 million weights".to_owned())],
        steps: steps.collect(),
        validation: validation.collect(),
        total_steps: Some(12_000),
        elapsed_s: 2400.0,
        remaining_s: Some(2400.0),
        refresh_s: 30,
        ..TrainingCurves::default()
    }
}

fn read_image(path: &str) -> Result<Array2<f32>, Failure> {
    let image = image::open(path)?.into_luma16();
    let (width, height) = image.dimensions();
    Ok(Array2::from_shape_fn((height as usize, width as usize), |(y, x)| {
        f32::from(image.get_pixel(x as u32, y as u32).0[0])
    }))
}

fn read_columns(path: &str) -> Result<Vec<DetectedColumn>, Failure> {
    let text = std::fs::read_to_string(path)?;
    let rows = text.lines().skip(1).map(|line| {
        let numbers = line.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [x, y, atoms] = numbers[..] else { return Err("expected three numbers in a row".into()) };
        Ok(column(x, y, atoms))
    });
    rows.collect()
}

/// What is not known of a column is made up from its place.
fn column(x: f64, y: f64, atoms: f64) -> DetectedColumn {
    let whim = (x * 12.9898 + y * 78.233).sin().abs();
    DetectedColumn {
        x_angstrom: x,
        y_angstrom: y,
        position_sigma_angstrom: 0.03 + 0.1 * whim * whim / atoms.max(1.0).sqrt(),
        probability: 1.0 - 0.5 * whim.powi(6),
        species: usize::from(whim > 0.93),
        species_probability: 0.9,
        atoms,
        atoms_sigma: 0.8,
    }
}

/// A square lattice of dark spots in 180 x 180 pixels of 0.2 A.
fn lattice() -> (Array2<f32>, f64, Vec<DetectedColumn>) {
    let places = (0..9).flat_map(|j| (0..9).map(move |i| (6.0 + 2.8 * f64::from(i), 7.0 + 2.6 * f64::from(j))));
    let columns: Vec<DetectedColumn> = places.map(|(x, y)| column(x, y, 3.0 + (x / 6.0).floor())).collect();
    let counts = Array2::from_shape_fn((180, 180), |(j, i)| {
        let (x, y) = (0.2 * i as f64, 0.2 * j as f64);
        let dips = columns.iter().map(|c| {
            let squared = (c.x_angstrom - x).powi(2) + (c.y_angstrom - y).powi(2);
            0.1 * c.atoms * (-squared / 0.5).exp()
        });
        let grain = ((i * 7919 + j * 104_729) % 101) as f64 / 101.0 - 0.5;
        (10.0 - 6.0 * dips.sum::<f64>() + 1.5 * grain) as f32
    });
    (counts, 0.2, columns)
}

fn scores() -> Vec<DoseScore> {
    let doses = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0, 10_000.0];
    doses
        .map(|dose: f64| {
            let found = 1.0 - 0.6 / (1.0 + (dose / 20.0).powf(1.4));
            let (columns, true_positives) = (400, (400.0 * found) as usize);
            DoseScore {
                dose_e_per_a2: dose,
                true_positives,
                false_positives: (30.0 / (1.0 + dose / 20.0)) as usize,
                false_negatives: columns - true_positives,
                median_position_error_pm: Some(2.0 + 80.0 / dose.sqrt()),
                rms_position_error_pm: Some(2.5 + 105.0 / dose.sqrt()),
                cramer_rao_pm: Some(70.0 / dose.sqrt()),
            }
        })
        .to_vec()
}

fn reliability() -> Vec<ReliabilityBin> {
    (0..10)
        .map(|i| {
            let mean_probability = 0.05 + 0.1 * f64::from(i);
            let detections = 20 + 15 * (i * i) as usize;
            ReliabilityBin {
                mean_probability,
                detections,
                columns: (detections as f64 * mean_probability.powf(1.1)) as usize,
            }
        })
        .collect()
}

fn sigmas() -> Vec<SigmaBin> {
    let bins = [(2.1, 2.4, 400), (3.2, 3.3, 700), (5.0, 5.6, 300), (8.1, 8.0, 120), (14.0, 19.0, 14)];
    bins.map(|(stated_pm, observed_pm, columns)| SigmaBin { stated_pm, observed_pm, columns }).to_vec()
}
