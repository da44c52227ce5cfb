//! Pages of focal series and of reconstructions say what they are given whatever letters it has, and stay small.

use atomlens_core::DetectedColumn;
use atomlens_report::benchmark::ReliabilityBin;
use atomlens_report::html::{
    CameraFacts, Confusion, DefectCount, FocalSeriesReport, FocusImage, ModelCard, OpticsValue, ReconstructionReport,
    Residual, SeriesFacts, SpeciesAccuracy, Warning,
};
use atomlens_report::{
    Defects, Edge, EdgeDirection, Estimate, GrainBoundary, ReportError, RingDefect, SiteDefect, SiteKind,
    SpectrumFigure,
};
use ndarray::{Array2, Array3, Axis};
use page_checks::{HOSTILE, assert_self_contained, assert_well_nested, data_of};
use serde_json::json;

mod page_checks;

/// What a series is made of, made up.
struct Made {
    images: Array3<f32>,
    columns: Vec<DetectedColumn>,
    species: Vec<String>,
    defects: Defects,
    power: Array2<f32>,
}

impl Made {
    /// Images of `side` pixels of 0.1 A with noise, and columns 2 A apart.
    fn new(side: usize, columns: usize) -> Made {
        let mut state = 1_u64;
        let images = Array3::from_shape_fn((3, side, side), |(focus, y, x)| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let wave = (0.3 * x as f32).sin() + (0.25 * y as f32 + focus as f32).cos();
            wave + (state >> 40) as f32 / 1e7
        });
        let row = ((side as f64 * 0.1 / 2.0) as usize).max(1);
        let column = |index: usize| DetectedColumn {
            x_angstrom: 1.0 + 2.0 * (index % row) as f64,
            y_angstrom: 1.0 + 2.0 * (index / row) as f64,
            position_sigma_angstrom: 0.04,
            probability: 0.99,
            species: index % 3,
            species_probability: [0.99, 0.85, 0.55][index % 3],
            atoms: 1.0,
            atoms_sigma: 0.1,
        };
        let site = |kind, name: &str, x| SiteDefect {
            kind,
            name: name.to_owned(),
            x_angstrom: x,
            y_angstrom: 5.0,
            probability: 0.8,
            note: "seen twice".to_owned(),
        };
        let defects = Defects {
            sites: vec![
                site(SiteKind::PartialVacancy, "S vacancy", 3.0),
                site(SiteKind::PartialVacancy, "S vacancy", 7.0),
                site(SiteKind::MetalVacancy, "Mo vacancy", 9.0),
            ],
            rings: vec![RingDefect {
                corners_angstrom: vec![[4.0, 4.0], [6.0, 4.0], [5.0, 6.0]],
                ..Default::default()
            }],
            edges: vec![
                Edge {
                    direction: EdgeDirection::Zigzag,
                    termination: "Mo".to_owned(),
                    points_angstrom: vec![[0.0, 0.0], [20.0, 0.0]],
                },
                Edge { points_angstrom: vec![[0.0, 0.0], [0.0, 10.0]], ..Default::default() },
            ],
            boundaries: vec![GrainBoundary {
                points_angstrom: vec![[2.0, 2.0], [2.0, 9.0]],
                angle_deg: Estimate::new(21.8, 20.1, 23.0),
                note: "5-7".to_owned(),
            }],
        };
        Made {
            images,
            columns: (0..columns).map(column).collect(),
            species: ["Mo", "S2", "S"].map(str::to_owned).to_vec(),
            defects,
            power: Array2::from_shape_fn((64, 64), |(y, x)| 1.0 + ((x * 7 + y) % 5) as f32),
        }
    }

    fn series(&self) -> SeriesFacts {
        SeriesFacts {
            name: "series.dm4".to_owned(),
            size_px: (self.images.len_of(Axis(2)), self.images.len_of(Axis(1))),
            pixel_size_nm: 0.01,
            pixel_size_source: "from the file".to_owned(),
            focus_source: "steps of 5 nm, given by the user".to_owned(),
            facts: vec![("Voltage".to_owned(), "80 kV".to_owned())],
        }
    }

    fn focus_images(&self) -> Vec<FocusImage<'_>> {
        let image = |index: usize| FocusImage {
            name: String::new(),
            counts: self.images.index_axis(Axis(0), index),
            nominal_defocus_nm: Some(3.0 + 5.0 * index as f64),
            defocus_nm: Some(3.1 + 5.0 * index as f64),
            defocus_sigma_nm: Some(0.12),
            shift_nm: Some([0.01, -0.02]),
            left_out: String::new(),
        };
        (0..self.images.len_of(Axis(0))).map(image).collect()
    }

    fn spectrum(&self) -> SpectrumFigure<'_> {
        SpectrumFigure {
            name: "image 1".to_owned(),
            power: self.power.view(),
            step_per_nm: 0.2,
            rings_per_nm: vec![vec![[2.0, 0.0], [0.0, 2.0]]],
            profile: (1..30).map(|i| (0.2 * f64::from(i), 3.0)).collect(),
            fitted: Vec::new(),
            caption: "defocus 41.2 ± 0.6 nm".to_owned(),
        }
    }

    fn detection(&self) -> FocalSeriesReport<'_> {
        let expected = Estimate::new(2.3, 0.6, 6.1);
        FocalSeriesReport {
            title: "Species".to_owned(),
            program: "atomlens".to_owned(),
            created: String::new(),
            series: self.series(),
            images: self.focus_images(),
            background: self.images.index_axis(Axis(0), 0),
            background_name: "Image 1".to_owned(),
            columns: &self.columns,
            species: &self.species,
            defects: &self.defects,
            defect_counts: vec![DefectCount {
                name: "S vacancy".to_owned(),
                listed: 2,
                expected,
                per_nm2: expected.scaled(0.1),
                share_of_sites: expected.scaled(0.01),
            }],
            area_nm2: 10.0,
            spacings: Vec::new(),
            accuracy: Some(SpeciesAccuracy {
                measured_on: "400 simulated series".to_owned(),
                reliability: vec![ReliabilityBin { mean_probability: 0.9, detections: 50, columns: 44 }],
                confusion: Some(Confusion {
                    rows: vec!["Mo".to_owned(), "S2".to_owned()],
                    columns: vec!["Mo".to_owned(), "S2".to_owned(), "missed".to_owned()],
                    counts: vec![vec![198, 1, 1], vec![3, 96, 1]],
                }),
            }),
            spectra: vec![self.spectrum()],
            can_conclude: vec!["Vacancies are told.".to_owned()],
            cannot_conclude: vec!["Layers are not.".to_owned()],
            warnings: vec![Warning { place: "Image 2".to_owned(), text: "it is dark".to_owned() }],
            settings: json!({ "model": "mx2" }),
            model: Some(ModelCard { name: "mx2".to_owned(), ..ModelCard::default() }),
        }
    }

    fn reconstruction(&self) -> ReconstructionReport<'_> {
        let layer = |index| self.images.index_axis(Axis(0), index);
        ReconstructionReport {
            title: "Exit wave".to_owned(),
            program: "atomlens".to_owned(),
            created: String::new(),
            series: self.series(),
            images: self.focus_images(),
            phase_rad: layer(0),
            amplitude: layer(1),
            phase_sigma_rad: Some(0.0213),
            amplitude_sigma: Some(f64::NAN),
            residuals: (0..3).map(|i| Residual { sigmas: layer(i), rms: 1.04 }).collect(),
            optics: vec![OpticsValue {
                name: "Twofold astigmatism".to_owned(),
                value: 0.62,
                sigma: Some(0.11),
                unit: "nm".to_owned(),
                source: "refined".to_owned(),
            }],
            camera: Some(CameraFacts {
                facts: vec![("Gain".to_owned(), "1.02 ± 0.03".to_owned())],
                mtf: vec![(0.0, 1.0), (1.0, 0.4)],
                ..CameraFacts::default()
            }),
            method: vec!["Maximum likelihood.".to_owned()],
            convergence: vec![(0.0, 3.0), (1.0, 1.1), (2.0, 1.04)],
            spectra: vec![self.spectrum()],
            can_conclude: Vec::new(),
            cannot_conclude: vec!["The mean phase.".to_owned()],
            warnings: Vec::new(),
            settings: json!({ "method": "both" }),
            model: None,
        }
    }
}

fn assert_sound(page: &str) {
    assert_self_contained(page);
    assert_well_nested(page);
}

#[test]
fn a_page_of_species_says_all() {
    let made = Made::new(96, 24);
    let page = made.detection().to_html().unwrap();
    assert_sound(&page);
    for text in [
        "24 columns in 3 images: 8 Mo, 8 S2, 8 S. The species of 33 % of them is at least 90 % sure.",
        "Defects: S vacancy 2, 0.23 (0.06 to 0.61) per nm².",
        "1 warning",
        "it is dark",
        "Image 2: defocus 8.0 nm stated, 8.10 ± 0.12 nm found",
        "0.010, −0.020",
        "S vacancy: 2",
        "ring of 3: 1",
        "seen twice",
        "zigzag",
        "21.8",
        "Vacancies are told.",
        "Layers are not.",
        "defocus 41.2 ± 0.6 nm",
        "steps of 5 nm, given by the user",
        "99.0",
        "measured on 400 simulated series",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    let data = &data_of(&page)[0];
    assert_eq!((data["x"][1].as_f64(), data["kind"][1].as_u64()), (Some(0.3), Some(1)));
    assert_eq!(data["sites"][2]["mark"], "metal");
    assert_eq!(data["lines"].as_array().unwrap().len(), 3);
    // The first image is what the columns are shown on, and is not there twice.
    assert_eq!(data["frames"].as_array().unwrap().len(), 3);
}

#[test]
fn a_page_of_a_wave_says_all() {
    let made = Made::new(96, 24);
    let page = made.reconstruction().to_html().unwrap();
    assert_sound(&page);
    for text in [
        "from 3 images. Standard deviations from the noise of the images: phase 0.0213 rad.",
        "1.04 times their noise",
        "0.62 ± 0.11",
        "1.02 ± 0.03",
        "Maximum likelihood.",
        "The mean phase.",
        "Residual after every iteration",
        "noise alone",
        "Phase (rad)",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    let data = &data_of(&page)[0];
    assert_eq!(data["frames"][1]["label"], "Amplitude");
    assert_eq!(data["frames"][0]["bar"]["colours"].as_array().unwrap().len(), 17);
    let mut short = made.reconstruction();
    short.residuals.pop();
    assert!(matches!(short.to_html(), Err(ReportError::Count { found: 2, expected: 3, .. })));
}

#[test]
fn hostile_names_are_text_on_pages_of_series() {
    let mut made = Made::new(64, 12);
    made.species = vec![HOSTILE.to_owned(); 3];
    made.defects.sites[0].name = HOSTILE.to_owned();
    made.defects.sites[0].note = HOSTILE.to_owned();
    made.defects.rings[0].note = HOSTILE.to_owned();
    made.defects.edges[0].termination = HOSTILE.to_owned();
    made.defects.boundaries[0].note = HOSTILE.to_owned();
    let facts = SeriesFacts {
        name: HOSTILE.to_owned(),
        pixel_size_source: HOSTILE.to_owned(),
        focus_source: HOSTILE.to_owned(),
        facts: vec![(HOSTILE.to_owned(), HOSTILE.to_owned())],
        ..made.series()
    };
    let mut report = made.detection();
    report.series = facts.clone();
    (report.title, report.created, report.background_name) =
        (HOSTILE.to_owned(), HOSTILE.to_owned(), HOSTILE.to_owned());
    report.images[1].left_out = HOSTILE.to_owned();
    report.defect_counts[0].name = HOSTILE.to_owned();
    report.can_conclude = vec![HOSTILE.to_owned()];
    report.warnings[0].place = HOSTILE.to_owned();
    report.spectra[0].caption = HOSTILE.to_owned();
    let accuracy = report.accuracy.as_mut().unwrap();
    accuracy.measured_on = HOSTILE.to_owned();
    accuracy.confusion.as_mut().unwrap().rows[0] = HOSTILE.to_owned();
    accuracy.confusion.as_mut().unwrap().columns[0] = HOSTILE.to_owned();
    let species = report.to_html().unwrap();
    assert_eq!(data_of(&species)[0]["sites"][0]["name"], HOSTILE);

    let mut report = made.reconstruction();
    report.series = facts;
    report.optics[0].name = HOSTILE.to_owned();
    report.optics[0].unit = HOSTILE.to_owned();
    report.method = vec![HOSTILE.to_owned()];
    report.camera.as_mut().unwrap().facts[0].0 = HOSTILE.to_owned();
    for page in [species, report.to_html().unwrap()] {
        assert_sound(&page);
        assert!(!page.contains("<img onerror"));
        assert_eq!(page.matches("<img ").count(), 1);
        assert_eq!(page.matches("</script>").count(), 2);
    }
}

#[test]
fn series_without_columns_and_with_broken_ones_are_reports_too() {
    let mut made = Made::new(64, 0);
    made.defects = Defects::default();
    let mut report = made.detection();
    report.accuracy = None;
    report.defect_counts.clear();
    let empty = report.to_html().unwrap();
    assert!(empty.contains("No columns were found in 3 images of series.dm4."));
    let mut made = Made::new(64, 9);
    made.columns[0].x_angstrom = f64::NAN;
    made.columns[1].species_probability = f64::NAN;
    made.columns[2].species = 7;
    made.defects.sites[0].x_angstrom = f64::INFINITY;
    made.defects.boundaries[0].angle_deg = Estimate::UNKNOWN;
    made.images.fill(f32::NAN);
    let mut wave = made.reconstruction();
    wave.images.iter_mut().for_each(|image| image.defocus_nm = None);
    wave.convergence.clear();
    for page in [empty, made.detection().to_html().unwrap(), wave.to_html().unwrap()] {
        assert_sound(&page);
    }
}

#[test]
fn pages_of_large_images_stay_small() {
    let made = Made::new(1024, 2600);
    for page in [made.detection().to_html().unwrap(), made.reconstruction().to_html().unwrap()] {
        assert!(page.len() < 3_000_000, "{} bytes", page.len());
    }
}
