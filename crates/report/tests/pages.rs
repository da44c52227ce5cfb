//! Pages stand by themselves, say what they are given whatever letters it has, and stay small.

use atomlens_core::DetectedColumn;
use atomlens_report::benchmark::{ReliabilityBin, reliability_plot};
use atomlens_report::html::{
    DetectionReport, DoseValidation, FileReport, FramePicture, FrameReport, ModelCard, ModelTable, SpacingCheck,
    TrainingCurves, TrainingState, TrainingStep, Validation,
};
use ndarray::Array2;
use serde_json::json;

use page_checks::{HOSTILE, assert_self_contained, assert_well_nested, data_of};

mod page_checks;

fn column(index: usize) -> DetectedColumn {
    let (i, j) = (index % 300, index / 300);
    DetectedColumn {
        x_angstrom: 2.5 + 2.8 * i as f64,
        y_angstrom: 3.5 + 2.8 * j as f64,
        position_sigma_angstrom: 0.03 + 0.001 * (index % 17) as f64,
        probability: 0.5 + 0.5 * ((index * 37 % 100) as f64 / 100.0).sqrt(),
        species: index % 2,
        species_probability: 0.9,
        atoms: 1.0 + (index % 9) as f64,
        atoms_sigma: 0.7,
    }
}

fn frame(index: usize, columns: usize, picture: bool) -> FrameReport {
    let counts = Array2::from_shape_fn((64, 96), |(y, x)| ((x * 7 + y * 13 + index) % 29) as f32);
    FrameReport {
        index,
        time_s: Some(0.25 * index as f64),
        columns: (0..columns).map(column).collect(),
        picture: picture.then(|| FramePicture::new(counts.view(), 0.5, 1024).unwrap()),
        warnings: Vec::new(),
    }
}

fn file(name: &str, frames: Vec<FrameReport>) -> FileReport {
    FileReport {
        name: name.to_owned(),
        frames_in_file: frames.len(),
        size_px: (96, 64),
        pixel_size_nm: 0.05,
        pixel_size_source: "from the file".to_owned(),
        species: vec!["Ce".to_owned(), "O".to_owned()],
        frames,
        ..FileReport::default()
    }
}

fn report(files: Vec<FileReport>) -> DetectionReport {
    DetectionReport { title: "Columns".to_owned(), program: "atomlens".to_owned(), files, ..DetectionReport::default() }
}

fn full() -> DetectionReport {
    let mut one = file("particle.dm4", (0..3).map(|index| frame(index, 20 + index, true)).collect());
    one.spacings = vec![
        SpacingCheck {
            name: "(111)".to_owned(),
            measured_nm: 0.3120,
            sigma_nm: Some(0.0011),
            expected_nm: Some(0.3124),
            expected_source: "CeO2".to_owned(),
            tolerance: 0.02,
        },
        SpacingCheck {
            name: "(200)".to_owned(),
            measured_nm: 0.30,
            sigma_nm: None,
            expected_nm: Some(0.2706),
            expected_source: String::new(),
            tolerance: 0.02,
        },
    ];
    one.frames[1].warnings.push("the frame is darker than all others".to_owned());
    let bins = [ReliabilityBin { mean_probability: 0.9, detections: 50, columns: 44 }];
    DetectionReport {
        warnings: vec!["the pixel size was given twice".to_owned()],
        settings: json!({ "model": "fcc", "minimum_probability": 0.5 }),
        model: Some(ModelCard {
            name: "fcc".to_owned(),
            paragraphs: vec!["For fcc metals.".to_owned()],
            facts: vec![("Pixel size".to_owned(), "0.2 Å".to_owned())],
            tables: vec![ModelTable {
                caption: "Scores".to_owned(),
                header: vec!["dose".to_owned(), "F1".to_owned()],
                rows: vec![vec!["100".to_owned(), "0.97".to_owned()]],
            }],
            figures: vec![("Reliability".to_owned(), reliability_plot(&bins))],
        }),
        ..report(vec![one])
    }
}

#[test]
fn a_full_report_says_all_and_asks_for_nothing() {
    let page = full().to_html().unwrap();
    assert_self_contained(&page);
    assert_well_nested(&page);
    for text in [
        "63 columns were found in 3 frames",
        "2 warnings",
        "particle.dm4, frame 1",
        "the frame is darker than all others",
        "0.3120 ± 0.0011 nm",
        "agrees",
        "differs",
        "+10.9 %",
        "For fcc metals.",
        "&quot;minimum_probability&quot;",
        "Reliability",
        "0.05 nm, from the file",
    ] {
        // The template engine writes quotation marks as numbers.
        let numeric = text.replace("&quot;", "&#34;");
        assert!(page.contains(text) || page.contains(&numeric), "{text} is missing");
    }
    let data = &data_of(&page)[0];
    assert_eq!(data["frames"].as_array().unwrap().len(), 3);
    assert_eq!(data["frames"][2]["x"].as_array().unwrap().len(), 22);
    assert!(data["frames"][1]["png"].as_str().unwrap().starts_with("data:image/png;base64,"));
    // 2.5 A and 3.5 A, as nm.
    assert_eq!((data["frames"][0]["x"][0].as_f64(), data["frames"][0]["y"][0].as_f64()), (Some(0.25), Some(0.35)));
}

#[test]
fn hostile_names_are_text_everywhere() {
    let mut report = full();
    report.title = HOSTILE.to_owned();
    report.program = HOSTILE.to_owned();
    report.created = HOSTILE.to_owned();
    report.warnings = vec![HOSTILE.to_owned()];
    report.settings = json!({ HOSTILE: HOSTILE });
    let file = &mut report.files[0];
    file.name = HOSTILE.to_owned();
    file.pixel_size_source = HOSTILE.to_owned();
    file.facts = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    file.species = vec![HOSTILE.to_owned(); 2];
    file.warnings = vec![HOSTILE.to_owned()];
    file.spacings[0].name = HOSTILE.to_owned();
    file.spacings[0].expected_source = HOSTILE.to_owned();
    let model = report.model.as_mut().unwrap();
    model.name = HOSTILE.to_owned();
    model.paragraphs = vec![HOSTILE.to_owned()];
    model.facts = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    model.tables[0].caption = HOSTILE.to_owned();
    model.tables[0].header = vec![HOSTILE.to_owned(); 2];
    model.tables[0].rows = vec![vec![HOSTILE.to_owned(); 2]];
    model.figures[0].0 = HOSTILE.to_owned();
    report.files.push(report.files[0].clone());
    let page = report.to_html().unwrap();
    assert_well_nested(&page);
    assert!(!page.contains("<img onerror"));
    assert_eq!(page.matches("<img ").count(), 2);
    // One script of ours and one of data for each file.
    assert_eq!(page.matches("</script>").count(), 3);
    for data in data_of(&page) {
        assert_eq!(data["species"][0], HOSTILE);
    }

    let curves = TrainingCurves {
        title: HOSTILE.to_owned(),
        facts: vec![(HOSTILE.to_owned(), HOSTILE.to_owned())],
        ..TrainingCurves::default()
    };
    let page = curves.to_html().unwrap();
    assert_well_nested(&page);
    assert!(!page.contains("<img"));
}

#[test]
fn nothing_found_and_one_column_are_reports_too() {
    let empty = report(vec![file("empty.tif", vec![frame(0, 0, true)])]).to_html().unwrap();
    assert!(empty.contains("No columns were found in 1 frame."));
    let one = report(vec![file("one.tif", vec![frame(0, 1, true)])]).to_html().unwrap();
    assert!(one.contains("1 column was found in 1 frame;"));
    let none = report(Vec::new()).to_html().unwrap();
    let mut broken = frame(0, 2, true);
    broken.columns[0].x_angstrom = f64::NAN;
    broken.columns[1].probability = f64::NAN;
    broken.columns[1].position_sigma_angstrom = f64::INFINITY;
    broken.columns[1].atoms = f64::NAN;
    let broken = report(vec![file("broken.tif", vec![broken])]).to_html().unwrap();
    assert_eq!(data_of(&broken)[0]["frames"][0]["probability"], json!([null]));
    for page in [empty, one, none, broken] {
        assert_self_contained(&page);
        assert_well_nested(&page);
    }
}

#[test]
fn a_hundred_thousand_columns_make_a_page_that_opens() {
    let started = std::time::Instant::now();
    let page = report(vec![file("large.mrc", vec![frame(0, 100_000, true)])]).to_html().unwrap();
    assert!(page.len() < 8_000_000, "{} bytes", page.len());
    assert!(started.elapsed().as_secs() < 20);
    assert_eq!(data_of(&page)[0]["frames"][0]["x"].as_array().unwrap().len(), 100_000);
}

#[test]
fn of_a_long_movie_every_nth_frame_is_shown_and_this_is_said() {
    let frames: Vec<FrameReport> = (0..200).map(|index| frame(index, 5, true)).collect();
    let page = report(vec![file("movie.tvips", frames)]).to_html().unwrap();
    assert_eq!(data_of(&page)[0]["frames"].as_array().unwrap().len(), 40);
    assert!(page.contains("Every 5th frame is shown, 40 of 200"), "the note is missing");
    assert!(page.contains("1000 columns were found in 200 frames"));
    // Frames without a picture are counted all the same.
    let frames: Vec<FrameReport> = (0..200).map(|index| frame(index, 5, index % 20 == 0)).collect();
    let page = report(vec![file("movie.tvips", frames)]).to_html().unwrap();
    assert!(page.contains("Every 20th frame is shown, 10 of 200"));
    // Many files: one picture each, and of very many files some.
    let files = (0..100).map(|i| file(&format!("{i}.tif"), vec![frame(0, 3, true), frame(1, 3, true)])).collect();
    let page = report(files).to_html().unwrap();
    assert_eq!(data_of(&page).len(), 34);
    assert!(page.contains("No frame of this file is shown"));
}

#[test]
fn a_training_page_renews_itself_while_the_training_runs() {
    let by_dose = |step: u64| -> Vec<DoseValidation> {
        [30.0, 300.0, 3000.0]
            .map(|dose_e_per_a2: f64| {
                let f1 = 1.0 - 1.0 / (1.0 + 0.001 * step as f64 * dose_e_per_a2.sqrt());
                DoseValidation {
                    dose_e_per_a2,
                    f1,
                    precision: f1,
                    recall: f1,
                    median_position_error_pm: (step > 0).then_some(300.0 / dose_e_per_a2.sqrt()),
                }
            })
            .to_vec()
    };
    let mut curves = TrainingCurves { title: "fcc metals".to_owned(), refresh_s: 30, ..TrainingCurves::default() };
    let page = curves.to_html().unwrap();
    assert!(page.contains("No step is done yet.") && page.contains("http-equiv=\"refresh\" content=\"30\""));
    curves.steps =
        (1..5000).map(|step| TrainingStep { step, loss: 5.0 / (step as f64).sqrt(), learning_rate: 1e-3 }).collect();
    curves.validation = (0..10)
        .map(|i| Validation {
            step: 500 * i,
            f1: 0.9,
            precision: 0.95,
            recall: 0.86,
            by_dose: by_dose(500 * i),
            loss: None,
        })
        .collect();
    curves.total_steps = Some(10_000);
    curves.elapsed_s = 600.0;
    curves.remaining_s = Some(601.0);
    let page = curves.to_html().unwrap();
    assert_self_contained(&page);
    assert_well_nested(&page);
    assert!(page.contains("Step 4999 of 10\u{202f}000, 10 min of training, about 10 min left"));
    assert_eq!(page.matches("<svg").count() - page.matches("<svg overflow").count(), 5);
    assert!(page.len() < 400_000, "{}", page.len());
    // A loss that falls below zero has no logarithm.
    curves.steps.iter_mut().for_each(|step| step.loss -= 1.0);
    curves.state = TrainingState::Finished;
    let page = curves.to_html().unwrap();
    assert!(!page.contains("http-equiv=\"refresh\"") && page.contains("Loss</figcaption>"));
}

#[test]
fn pages_are_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    full().write(&path).unwrap();
    full().write(&path).unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().trim_end().ends_with("</html>"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
