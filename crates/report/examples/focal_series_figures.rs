//! Makes all pictures and pages of a focal series, to see how they look:
//! `cargo run --release -p atomlens-report --example focal_series_figures FOLDER [SERIES_FOLDER NUMBER]`.
//! SERIES_FOLDER holds `series_NUMBER.npy` [focus, y, x], `exit_wave_NUMBER.npy` (complex64 [y, x]),
//! `columns_NUMBER.csv` with x_A, y_A and species, and `meta.json`; their truth is shown as if it had been found, and
//! what is not in them is made up. Without them all is made up.

use std::path::Path;

use atomlens_core::DetectedColumn;
use atomlens_report::benchmark::ReliabilityBin;
use atomlens_report::html::{
    CameraFacts, Confusion, DefectCount, FocalSeriesReport, FocusImage, OpticsValue, ReconstructionReport, Residual,
    SeriesFacts, SpacingCheck, SpeciesAccuracy, Warning,
};
use atomlens_report::{
    Defects, Edge, EdgeDirection, Estimate, GrainBoundary, RingDefect, SiteDefect, SiteKind, SpeciesMap,
    SpectrumFigure, wave,
};
use ndarray::{Array2, Array3, Axis};

type Failure = Box<dyn std::error::Error>;

const SPECIES: [&str; 3] = ["Mo", "S2", "S"];
const LATTICE_ANGSTROM: f64 = 3.18;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().map_or(".", String::as_str));
    std::fs::create_dir_all(folder)?;
    let found = match &arguments[..] {
        [_, series, number] => Found::read(Path::new(series), number.parse()?)?,
        _ => Found::made_up(),
    };
    let species = SPECIES.map(str::to_owned);
    let pixel = found.pixel_angstrom;
    let defects = found.defects();
    let sharpest = found.images.index_axis(Axis(0), 0);

    let map = SpeciesMap::new(sharpest, pixel, &found.columns, &species).defects(&defects);
    map.clone().caption("Columns of image 0 by species").write_png(folder.join("species_map.png"))?;
    map.write_svg(folder.join("species_map.svg"))?;
    let window = map.busiest_window(30.0);
    map.window(window).write_png(folder.join("species_close_up.png"))?;

    let (phase, amplitude) = found.phase_and_amplitude();
    let residuals = found.residuals();
    wave::phase_map(phase.view(), pixel).write_png(folder.join("phase.png"))?;
    wave::amplitude_map(amplitude.view(), pixel).write_png(folder.join("amplitude.png"))?;
    wave::wave_drawing(phase.view(), amplitude.view(), pixel)?.write_png(folder.join("wave.png"))?;
    wave::residual_map(residuals[0].view(), pixel).write_png(folder.join("residual_000.png"))?;
    wave::residual_plot(residuals[0].view()).write_png(folder.join("residual_histogram.png"), 720)?;

    let power = power();
    let spectra: Vec<SpectrumFigure<'_>> = vec![spectrum(&power)];
    spectra[0].drawing()?.write_png(folder.join("spectrum.png"))?;
    spectra[0].profile_plot().write_png(folder.join("spectrum_profile.png"), 720)?;

    found.detection(&species, &defects, &spectra).write(folder.join("detect.html"))?;
    found.reconstruction(&phase, &amplitude, &residuals, &spectra).write(folder.join("reconstruct.html"))?;
    Ok(())
}

/// What is taken for found in a series.
struct Found {
    name: String,
    images: Array3<f32>,
    /// Real and imaginary part.
    wave: [Array2<f32>; 2],
    columns: Vec<DetectedColumn>,
    pixel_angstrom: f64,
    defocus_angstrom: Vec<f64>,
    dose_e_per_a2: f64,
}

impl Found {
    fn read(folder: &Path, number: usize) -> Result<Found, Failure> {
        let images: Array3<f32> = ndarray_npy::read_npy(folder.join(format!("series_{number:03}.npy")))?;
        let meta: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("meta.json"))?)?;
        let meta = &meta[number];
        let value = |name: &str| meta[name].as_f64().ok_or(format!("no {name} in meta.json"));
        let table = std::fs::read_to_string(folder.join(format!("columns_{number:03}.csv")))?;
        let columns = table.lines().skip(1).map(|line| {
            let mut cells = line.split(',');
            let mut next = || cells.next().ok_or("too few cells");
            let (x, y): (f64, f64) = (next()?.parse()?, next()?.parse()?);
            let name = next()?;
            Ok(column(x, y, SPECIES.iter().position(|s| *s == name).unwrap_or(0)))
        });
        let defocus = meta["defocus_A"].as_array().ok_or("no defocus_A in meta.json")?;
        Ok(Found {
            name: format!("series_{number:03}.npy"),
            wave: read_complex(&folder.join(format!("exit_wave_{number:03}.npy")))?,
            columns: columns.collect::<Result<_, Failure>>()?,
            pixel_angstrom: value("sampling_A")?,
            defocus_angstrom: defocus.iter().filter_map(serde_json::Value::as_f64).collect(),
            dose_e_per_a2: value("dose_e_per_A2")?,
            images,
        })
    }

    /// A sheet with an edge, 256 x 256 pixels of 0.125 A.
    fn made_up() -> Found {
        let (side, pixel_angstrom) = (256, 0.125);
        let [a, h] = [LATTICE_ANGSTROM, LATTICE_ANGSTROM * 0.75_f64.sqrt()];
        let mut columns = Vec::new();
        for j in 0..14_u32 {
            for i in 0..14_u32 {
                let [x, y] = [a * (f64::from(i) + 0.5 * f64::from(j % 2)), h * f64::from(j)];
                for (kind, dy) in [(0_u32, 0.0), (1, a / 3.0_f64.sqrt())] {
                    let at = [x + 0.7, y + dy + 0.9];
                    let whim = random(&mut u64::from(i * 131 + j * 17 + kind + 5));
                    if at[0] < 28.0 && at[1] < 31.0 && whim > 0.03 {
                        columns.push(column(at[0], at[1], if kind == 1 && whim < 0.12 { 2 } else { kind as usize }));
                    }
                }
            }
        }
        let phase = Array2::from_shape_fn((side, side), |(j, i)| {
            let [x, y] = [i, j].map(|n| n as f64 * pixel_angstrom);
            let bumps = columns.iter().map(|c| {
                let squared = (c.x_angstrom - x).powi(2) + (c.y_angstrom - y).powi(2);
                [0.9, 0.6, 0.3][c.species] * (-squared / 0.4).exp()
            });
            bumps.sum::<f64>() as f32
        });
        let mut state = 7;
        let mut image =
            |strength: f32| -> Array2<f32> { phase.mapv(|p| 1.0 + strength * p + 0.15 * normal(&mut state)) };
        let images = [-0.5_f32, -0.1, 0.4].map(&mut image);
        let images = ndarray::stack(Axis(0), &images.each_ref().map(|image| image.view())).expect("of one shape");
        let wave = [phase.mapv(f32::cos), phase.mapv(f32::sin)];
        Found {
            name: "made_up.npy".to_owned(),
            images,
            wave,
            columns,
            pixel_angstrom,
            defocus_angstrom: vec![32.0, 82.0, 132.0],
            dose_e_per_a2: 9000.0,
        }
    }

    fn phase_and_amplitude(&self) -> (Array2<f32>, Array2<f32>) {
        let [re, im] = &self.wave;
        let mean = im.mean().unwrap_or(0.0).atan2(re.mean().unwrap_or(1.0));
        let phase = ndarray::Zip::from(re).and(im).map_collect(|re, im| {
            let phase = im.atan2(*re) - mean;
            phase - std::f32::consts::TAU * (phase / std::f32::consts::TAU).round()
        });
        (phase, ndarray::Zip::from(re).and(im).map_collect(|re, im| re.hypot(*im)))
    }

    /// Noise, and a little of the columns.
    fn residuals(&self) -> Vec<Array2<f32>> {
        let (phase, _) = self.phase_and_amplitude();
        let mut state = 11;
        let images = 0..self.images.len_of(Axis(0));
        images.map(|image| phase.mapv(|p| normal(&mut state) + 0.15 * image as f32 * (p - 0.4))).collect()
    }

    /// Single sulphurs; sites of each sublattice without a column; an edge; and one of each of the other kinds.
    fn defects(&self) -> Defects {
        let mut defects = Defects::default();
        let site = |kind, name: &str, at: [f64; 2], probability, note: &str| SiteDefect {
            kind,
            name: name.to_owned(),
            x_angstrom: at[0],
            y_angstrom: at[1],
            probability,
            note: note.to_owned(),
        };
        let place = |c: &DetectedColumn| [c.x_angstrom, c.y_angstrom];
        let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        for c in self.columns.iter().filter(|c| c.species == 2) {
            defects.sites.push(site(SiteKind::PartialVacancy, "S vacancy", place(c), c.species_probability, ""));
        }
        for metal in [true, false] {
            let own: Vec<[f64; 2]> = self.columns.iter().filter(|c| (c.species == 0) == metal).map(place).collect();
            let mut empty: Vec<[f64; 2]> = Vec::new();
            for &a in &own {
                for &b in own.iter().filter(|b| (2.8..3.6).contains(&distance(a, **b))) {
                    let candidate = [2.0 * b[0] - a[0], 2.0 * b[1] - a[1]];
                    let around = own.iter().filter(|c| distance(candidate, **c) < 3.6).count();
                    let free = self.columns.iter().all(|c| distance(candidate, place(c)) > 1.0)
                        && empty.iter().all(|e| distance(candidate, *e) > 1.0);
                    if free && around >= 5 {
                        empty.push(candidate);
                    }
                }
            }
            let (kind, name) =
                if metal { (SiteKind::MetalVacancy, "Mo vacancy") } else { (SiteKind::EmptySite, "S2 vacancy") };
            defects.sites.extend(empty.into_iter().map(|at| site(kind, name, at, 0.97, "")));
        }
        let own: Vec<[f64; 2]> = self.columns.iter().filter(|c| c.species == 0).map(place).collect();
        let middle = own[own.len() / 2];
        let near = |angle: f64, away: f64| [middle[0] + away * angle.cos(), middle[1] + away * angle.sin()];
        defects.sites.push(site(SiteKind::Substitution, "W on Mo", own[own.len() / 3], 0.71, "W, expected Mo"));
        defects.sites.push(site(SiteKind::Antisite, "Mo on S2", own[own.len() / 4], 0.55, "Mo, expected S2"));
        let ring = |at: [f64; 2], members: usize| {
            let angles = (0..members).map(|k| std::f64::consts::TAU * k as f64 / members as f64);
            let radius = 0.3 * members as f64;
            let corners_angstrom = angles.map(|t| [at[0] + radius * t.cos(), at[1] + radius * t.sin()]).collect();
            RingDefect { corners_angstrom, probability: 0.93, note: "dislocation (5-7)".to_owned() }
        };
        defects.rings = vec![ring(near(0.4, 4.0), 5), ring(near(0.4, 7.4), 7)];
        defects.boundaries.push(GrainBoundary {
            points_angstrom: (-5..=5).map(|k| near(1.9 + 0.02 * f64::from(k * k), 2.0 * f64::from(k))).collect(),
            angle_deg: Estimate::new(21.8, 20.9, 22.7),
            note: "5 pairs of pentagon and heptagon".to_owned(),
        });
        // The lowest columns along x, and the furthest to the right along y, as two edges.
        let edge = |along: usize, direction, termination: &str| {
            let mut ends = std::collections::BTreeMap::<i64, [f64; 2]>::new();
            for at in self.columns.iter().map(place) {
                let furthest = ends.entry((at[along] / 3.0) as i64).or_insert(at);
                if at[1 - along] > furthest[1 - along] {
                    *furthest = at;
                }
            }
            Edge { direction, termination: termination.to_owned(), points_angstrom: ends.into_values().collect() }
        };
        defects.edges = vec![edge(0, EdgeDirection::Zigzag, "Mo"), edge(1, EdgeDirection::Armchair, "S2")];
        defects
    }

    fn images(&self) -> Vec<FocusImage<'_>> {
        let image = |index: usize| {
            let nominal = 0.1 * self.defocus_angstrom[index];
            FocusImage {
                name: format!("image {index}"),
                counts: self.images.index_axis(Axis(0), index),
                nominal_defocus_nm: Some(nominal),
                defocus_nm: Some(nominal + [0.11, -0.06, 0.02][index % 3]),
                defocus_sigma_nm: Some([0.08, 0.07, 0.12][index % 3]),
                shift_nm: Some([[0.0, 0.0], [0.021, -0.034], [-0.052, 0.011]][index % 3]),
                left_out: String::new(),
            }
        };
        (0..self.images.len_of(Axis(0))).map(image).collect()
    }

    fn series(&self) -> SeriesFacts {
        let (_, ny, nx) = self.images.dim();
        SeriesFacts {
            name: self.name.clone(),
            size_px: (nx, ny),
            pixel_size_nm: 0.1 * self.pixel_angstrom,
            pixel_size_source: "from the file".to_owned(),
            focus_source: "steps from the file".to_owned(),
            facts: vec![
                ("Voltage".to_owned(), "80 kV".to_owned()),
                ("Dose of an image".to_owned(), format!("{:.0} e/Å²", self.dose_e_per_a2)),
            ],
        }
    }

    fn detection<'a>(
        &'a self,
        species: &'a [String],
        defects: &'a Defects,
        spectra: &[SpectrumFigure<'a>],
    ) -> FocalSeriesReport<'a> {
        let count = |name: &str, sites: usize| {
            let listed = defects.sites.iter().filter(|site| site.name == name).count();
            let n = listed as f64;
            let expected = Estimate::new(n + 0.4, (n - 2.0 * n.sqrt()).max(0.0), n + 2.0 * n.sqrt() + 2.0);
            DefectCount {
                name: name.to_owned(),
                listed,
                expected,
                per_nm2: expected.scaled(1.0 / 11.2),
                share_of_sites: expected.scaled(1.0 / sites as f64),
            }
        };
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let bin = |i: usize| {
            let mean_probability = 0.35 + 0.065 * i as f64;
            let detections = 60 + 40 * i * i;
            ReliabilityBin {
                mean_probability,
                detections,
                columns: (detections as f64 * (mean_probability + 0.02 * (3.0 * i as f64).sin())).round() as usize,
            }
        };
        FocalSeriesReport {
            title: "Species of MoS2 on graphene".to_owned(),
            program: "atomlens, with numbers made up for this example".to_owned(),
            created: "2026-01-31 12:00".to_owned(),
            series: self.series(),
            images: self.images(),
            background: self.images.index_axis(Axis(0), 0),
            background_name: "image 0".to_owned(),
            columns: &self.columns,
            species,
            defects,
            defect_counts: vec![
                count("S vacancy", 170),
                count("S2 vacancy", 170),
                count("Mo vacancy", 172),
                count("W on Mo", 172),
                count("Mo on S2", 170),
            ],
            area_nm2: 11.2,
            spacings: vec![SpacingCheck {
                name: "Mo-Mo".to_owned(),
                measured_nm: 0.3179,
                sigma_nm: Some(0.0004),
                expected_nm: Some(0.3160),
                expected_source: "MoS2, a = 0.3160 nm".to_owned(),
                tolerance: 0.02,
            }],
            accuracy: Some(SpeciesAccuracy {
                measured_on: "400 simulated series at 3000 e/Å² and more".to_owned(),
                reliability: (0..10).map(bin).collect(),
                confusion: Some(Confusion {
                    rows: names(&["Mo", "S2", "S", "none"]),
                    columns: names(&["Mo", "S2", "S", "missed"]),
                    counts: vec![
                        vec![52_010, 31, 204, 12],
                        vec![18, 46_870, 811, 6],
                        vec![95, 402, 4911, 61],
                        vec![12, 4, 88, 0],
                    ],
                }),
            }),
            spectra: spectra.to_vec(),
            can_conclude: vec!["Single sulphur vacancies are told from pairs at this dose.".to_owned()],
            cannot_conclude: vec!["Which of the two layers a vacancy is in.".to_owned()],
            warnings: vec![Warning {
                place: "image 2".to_owned(),
                text: "The focus found is 0.6 nm from what was stated, three times its uncertainty.".to_owned(),
            }],
            settings: serde_json::json!({ "model": "mx2", "defocus_step_angstrom": 50.0 }),
            model: None,
        }
    }

    fn reconstruction<'a>(
        &'a self,
        phase: &'a Array2<f32>,
        amplitude: &'a Array2<f32>,
        residuals: &'a [Array2<f32>],
        spectra: &[SpectrumFigure<'a>],
    ) -> ReconstructionReport<'a> {
        let value = |name: &str, value: f64, sigma: Option<f64>, unit: &str, source: &str| OpticsValue {
            name: name.to_owned(),
            value,
            sigma,
            unit: unit.to_owned(),
            source: source.to_owned(),
        };
        let rms = |r: &Array2<f32>| f64::from(r.mapv(|v| v * v).mean().unwrap_or(0.0)).sqrt();
        let mtf: Vec<(f64, f64)> =
            (0..=60).map(|i| f64::from(i) / 40.0).map(|k| (k, 1.0 / (1.0 + (k / 0.9).powf(2.4)))).collect();
        ReconstructionReport {
            title: "Exit wave of MoS2".to_owned(),
            program: "atomlens, with numbers made up for this example".to_owned(),
            created: "2026-01-31 12:00".to_owned(),
            series: self.series(),
            images: self.images(),
            phase_rad: phase.view(),
            amplitude: amplitude.view(),
            phase_sigma_rad: Some(0.021),
            amplitude_sigma: Some(0.018),
            residuals: residuals.iter().map(|r| Residual { sigmas: r.view(), rms: rms(r) }).collect(),
            optics: vec![
                value("Defocus of image 0", 3.37, Some(0.08), "nm", "refined"),
                value("Twofold astigmatism", 0.62, Some(0.11), "nm", "refined"),
                value("Its direction", 34.0, Some(5.2), "°", "refined"),
                value("Spherical aberration", -6.4, Some(1.9), "µm", "refined"),
                value("Focal spread (1/e)", 1.3, None, "nm", "held at the value of the settings"),
            ],
            camera: Some(CameraFacts {
                facts: vec![("Gain".to_owned(), "1.02 ± 0.03 counts per electron".to_owned())],
                mtf_interval: mtf.iter().map(|(_, m)| (m - 0.04, m + 0.04)).collect(),
                mtf_measured: mtf.iter().step_by(6).map(|(k, m)| (*k, m + 0.02 * (9.0 * k).sin())).collect(),
                mtf,
            }),
            method: vec![
                "Maximum likelihood over the three images, started from the network's wave; 24 iterations, stopped \
                 where the residual no longer fell."
                    .to_owned(),
            ],
            convergence: (0..25).map(|i| (f64::from(i), 1.02 + 1.9 * (-0.35 * f64::from(i)).exp())).collect(),
            spectra: spectra.to_vec(),
            can_conclude: vec!["Columns of one and of two sulphurs differ in phase by 14 σ.".to_owned()],
            cannot_conclude: vec!["The mean phase: intensities do not tell it.".to_owned()],
            warnings: Vec::new(),
            settings: serde_json::json!({ "method": "both", "iterations": 200 }),
            model: None,
        }
    }
}

/// Power with rings, 256 x 256 elements of 0.05 1/nm.
fn power() -> Array2<f32> {
    let mut state = 3;
    Array2::from_shape_fn((256, 256), |(y, x)| {
        let [kx, ky] = [x, y].map(|n| 0.05 * (n as f64 - 128.0));
        let noise = -(random(&mut state).max(1e-6)).ln();
        (ring_power(kx, ky) * noise) as f32
    })
}

/// Transfer of an underfocus of 300 nm with 20 nm of astigmatism at 80 kV, squared, on a background.
fn ring_power(kx: f64, ky: f64) -> f64 {
    let (k2, angle) = (kx * kx + ky * ky, ky.atan2(kx));
    let chi = std::f64::consts::PI * 0.00418 * k2 * (300.0 + 20.0 * (2.0 * (angle - 0.6)).cos());
    (1.0 + 8.0 * chi.sin().powi(2) * (-k2 / 6.0).exp()) * (1.0 + 20.0 * (-k2 / 0.5).exp())
}

fn spectrum(power: &Array2<f32>) -> SpectrumFigure<'_> {
    let ring = |order: f64| {
        let point = |t: f64| {
            let k = (order / 0.00418 / (300.0 + 20.0 * (2.0 * (t - 0.6)).cos())).sqrt();
            [k * t.cos(), k * t.sin()]
        };
        (0..=120).map(|i| point(std::f64::consts::TAU * f64::from(i) / 120.0)).collect()
    };
    let at = |k: f64, power: &dyn Fn(f64, f64) -> f64| {
        let angles = (0..90).map(|i| std::f64::consts::TAU * f64::from(i) / 90.0);
        angles.map(|t| power(k * t.cos(), k * t.sin())).sum::<f64>() / 90.0
    };
    let measured = |kx: f64, ky: f64| {
        let [x, y] = [kx, ky].map(|k| (k / 0.05 + 128.0).round().clamp(0.0, 255.0) as usize);
        f64::from(power[[y, x]])
    };
    let frequencies: Vec<f64> = (4..90).map(|i| 0.05 * f64::from(i)).collect();
    SpectrumFigure {
        name: "image 0".to_owned(),
        power: power.view(),
        step_per_nm: 0.05,
        rings_per_nm: (1..=9).map(|order| ring(f64::from(order))).collect(),
        profile: frequencies.iter().map(|k| (*k, at(*k, &measured))).collect(),
        fitted: frequencies.iter().map(|k| (*k, at(*k, &ring_power))).collect(),
        caption: "Defocus 300.2 ± 1.1 nm, astigmatism 20.1 ± 0.9 nm at 34°".to_owned(),
    }
}

/// What is not known of a column is made up from its place.
fn column(x: f64, y: f64, species: usize) -> DetectedColumn {
    let whim = (x * 12.9898 + y * 78.233).sin().abs();
    DetectedColumn {
        x_angstrom: x,
        y_angstrom: y,
        position_sigma_angstrom: 0.03 + 0.03 * whim,
        probability: 1.0 - 0.1 * whim.powi(8),
        species,
        species_probability: 1.0 - [0.05, 0.3, 0.6][species] * whim.powi(4),
        atoms: [1.0, 2.0, 1.0][species],
        atoms_sigma: 0.1,
    }
}

/// The real and the imaginary part of a file of complex64 `[y, x]`.
fn read_complex(path: &Path) -> Result<[Array2<f32>; 2], Failure> {
    let bytes = std::fs::read(path)?;
    let header = bytes.get(8..10).ok_or("no header")?;
    let start = 10 + usize::from(u16::from_le_bytes([header[0], header[1]]));
    let numbers: Vec<f32> =
        bytes[start..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let side = ((numbers.len() / 2) as f64).sqrt() as usize;
    let part =
        |offset: usize| Array2::from_shape_vec((side, side), numbers.iter().skip(offset).step_by(2).copied().collect());
    Ok([part(0)?, part(1)?])
}

/// A number from 0 to 1 that looks random.
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f64 / (1_u64 << 24) as f64
}

/// About normal: the sum of twelve.
fn normal(state: &mut u64) -> f32 {
    ((0..12).map(|_| random(state)).sum::<f64>() - 6.0) as f32
}
