//! Drift of a movie of an independent simulator (`shared/reference/movie`, not in the repository): the same movie at 100,
//! 40 and 15 e/A^2 a frame. Columns are the true ones with the misses, false alarms and errors of position that a
//! detector has at these doses. Where the data are absent the tests say so and pass.
#![allow(clippy::print_stdout, reason = "figures, and which data are absent")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use atomlens_analysis::movie::drift::{DriftSettings, DriftTracker, FramePose};
use atomlens_core::glam::DVec2;
use atomlens_core::{DetectedColumn, SeedPath};
use ndarray::Array2;
use rand::RngExt;
use rand_distr::{Distribution, Normal};

const PIXEL_ANGSTROM: f64 = 0.21;
const DOSES: [&str; 3] = ["100", "040", "015"];

/// Errors of position along x and y, share of filled sites missed and of empty ones seen, and false columns a frame, at
/// each dose; those of a network trained on other particles.
const DETECTORS: [Detector; 3] = [
    Detector { sigma_angstrom: 0.08, missed: 0.05, false_at_empty: 0.2, strays: 6 },
    Detector { sigma_angstrom: 0.10, missed: 0.07, false_at_empty: 0.2, strays: 8 },
    Detector { sigma_angstrom: 0.14, missed: 0.12, false_at_empty: 0.25, strays: 13 },
];

#[derive(Clone, Copy)]
struct Detector {
    sigma_angstrom: f64,
    missed: f64,
    false_at_empty: f64,
    strays: usize,
}

struct Movie {
    frames: Vec<Array2<f32>>,
    drift: Vec<DVec2>,
    sites: Vec<DVec2>,
    filled: Vec<Vec<bool>>,
}

impl Movie {
    fn read(dose: &str) -> Option<Movie> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/movie");
        if !folder.exists() {
            println!("SKIPPED: {} is absent", folder.display());
            return None;
        }
        let numbers = |name: &str| -> Vec<Vec<f64>> {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            let lines =
                text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit() || first == '-'));
            lines.map(|line| line.split(',').map(|value| value.parse().unwrap()).collect()).collect()
        };
        Some(Movie {
            frames: frames(&folder.join(format!("movie_{dose}.npy"))),
            drift: numbers("drift_A.csv").iter().map(|row| DVec2::new(row[0], row[1])).collect(),
            sites: numbers("sites.csv").iter().map(|row| DVec2::new(row[1], row[2])).collect(),
            filled: numbers("occupancy.csv").iter().map(|row| row.iter().map(|&value| value > 0.5).collect()).collect(),
        })
    }

    /// Columns of a frame.
    fn detected(&self, frame: usize, detector: Detector, random: &mut impl rand::Rng) -> Vec<DetectedColumn> {
        let error = Normal::new(0.0, detector.sigma_angstrom).unwrap();
        let mut columns = Vec::new();
        for (site, filled) in self.sites.iter().zip(&self.filled[frame]) {
            let seen = if *filled { 1.0 - detector.missed } else { detector.false_at_empty };
            if random.random_range(0.0..1.0) < seen {
                let place = *site + self.drift[frame] + DVec2::new(error.sample(random), error.sample(random));
                let probability = if *filled { random.random_range(0.4..1.0) } else { random.random_range(0.2..0.7) };
                columns.push(column(place, detector.sigma_angstrom, probability));
            }
        }
        let far = 256.0 * PIXEL_ANGSTROM;
        for _ in 0..detector.strays {
            let place = DVec2::new(random.random_range(0.0..far), random.random_range(0.0..far));
            columns.push(column(place, 2.0 * detector.sigma_angstrom, random.random_range(0.2..0.5)));
        }
        columns
    }
}

/// What a detector says of a place; it thinks a little too well of itself.
fn column(place: DVec2, sigma_angstrom: f64, probability: f64) -> DetectedColumn {
    DetectedColumn {
        x_angstrom: place.x,
        y_angstrom: place.y,
        position_sigma_angstrom: 0.7 * sigma_angstrom,
        probability,
        species: 0,
        species_probability: 1.0,
        atoms: 5.0,
        atoms_sigma: 1.0,
    }
}

/// Just enough of the NPY format for these files: unsigned 16 bit, little-endian, C order, `[frame, y, x]`.
fn frames(path: &PathBuf) -> Vec<Array2<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.contains("'<u2'") && header.contains("(120, 256, 256)"), "{header}");
    let counts: Vec<f32> =
        bytes[10 + length..].chunks_exact(2).map(|pair| f32::from(u16::from_le_bytes([pair[0], pair[1]]))).collect();
    counts.chunks_exact(256 * 256).map(|frame| Array2::from_shape_vec((256, 256), frame.to_vec()).unwrap()).collect()
}

fn followed(images: Option<&[Array2<f32>]>, columns: &[Vec<DetectedColumn>]) -> Vec<FramePose> {
    let mut tracker = DriftTracker::new([256, 256], PIXEL_ANGSTROM, DriftSettings::default());
    let image = |frame: usize| images.map(|images| images[frame].view());
    let mut path: Vec<FramePose> =
        columns.iter().enumerate().map(|(frame, columns)| tracker.step(image(frame), columns)).collect();
    tracker.finish(&mut path);
    path
}

/// Root mean square and largest error of the drift at the particle; the first is of one direction.
fn errors<'a>(path: impl IntoIterator<Item = (&'a FramePose, &'a DVec2)>) -> (f64, f64) {
    let centre = DVec2::splat(27.0);
    let off: Vec<f64> =
        path.into_iter().map(|(found, drift)| (found.pose.to_frame(centre) - centre - *drift).length()).collect();
    let square = off.iter().map(|off| off * off).sum::<f64>() / (2 * off.len()) as f64;
    (square.sqrt(), off.into_iter().fold(0.0, f64::max))
}

#[test]
fn images_and_columns_together_and_alone() {
    for (dose, detector) in DOSES.into_iter().zip(DETECTORS) {
        let Some(movie) = Movie::read(dose) else { return };
        let mut random = SeedPath::new(1).stream();
        let columns: Vec<_> = (0..120).map(|frame| movie.detected(frame, detector, &mut random)).collect();
        let none = vec![Vec::new(); 120];
        let images = Some(movie.frames.as_slice());
        for (what, images, columns) in
            [("both", images, &columns), ("columns", None, &columns), ("images", images, &none)]
        {
            let start = Instant::now();
            let path = followed(images, columns);
            let milliseconds = start.elapsed().as_secs_f64() * 1e3 / 120.0;
            let (rms, worst) = errors(path.iter().zip(&movie.drift));
            let claimed = path.iter().map(|found| found.drift_sigma_angstrom).sum::<f64>() / 120.0;
            println!(
                "{dose} {what:8} {rms:.4} A, worst {worst:.3} A, claimed {claimed:.4} A; {milliseconds:.1} ms a frame"
            );
            assert!(path.iter().all(|found| found.trusted));
            assert!(rms < 0.035 && worst < 0.12, "{dose} {what}: {rms}, worst {worst}");
            // Part of the error is the first frame's own, which all poses share.
            assert!((0.4..2.5).contains(&(rms / claimed)), "{dose} {what}: {rms} where {claimed} is claimed");
        }
    }
}

#[test]
fn jumps_about_a_lattice_vector_and_frames_of_noise() {
    for (dose, detector) in DOSES.into_iter().zip(DETECTORS) {
        let Some(mut movie) = Movie::read(dose) else { return };
        let mut random = SeedPath::new(2).stream();
        // Both within half a pixel of vectors of the lattice, (2.64, 1.14) and (-2.13, 1.30) A: columns take the places of
        // their neighbours.
        let jumps = [(40, [13_usize, 5_usize]), (80, [246, 6])];
        for (from, [right, down]) in jumps {
            for frame in from..120 {
                let image = movie.frames[frame].clone();
                movie.frames[frame] = Array2::from_shape_fn((256, 256), |(y, x)| {
                    image[[(y + 256 - down) % 256, (x + 256 - right) % 256]]
                });
                let signed = |pixels: usize| if pixels > 128 { pixels as f64 - 256.0 } else { pixels as f64 };
                movie.drift[frame] += DVec2::new(signed(right), signed(down)) * PIXEL_ANGSTROM;
            }
        }
        let noise: Vec<usize> = (0..120).filter(|frame| frame % 17 == 9 || (60..66).contains(frame)).collect();
        let columns: Vec<_> = (0..120)
            .map(|frame| {
                if noise.contains(&frame) {
                    let pixels = movie.frames[frame].as_slice_mut().unwrap();
                    (1..pixels.len()).for_each(|last| pixels.swap(last, random.random_range(0..=last)));
                    movie.filled[frame].fill(false);
                    let blind = Detector { false_at_empty: 0.0, ..detector };
                    return movie.detected(frame, blind, &mut random);
                }
                movie.detected(frame, detector, &mut random)
            })
            .collect();
        let path = followed(Some(&movie.frames), &columns);
        for (frame, found) in path.iter().enumerate() {
            assert_eq!(found.trusted, !noise.contains(&frame), "{dose}, frame {frame}: {found:?}");
        }
        let (placed, lost): (Vec<_>, Vec<_>) = path.iter().zip(&movie.drift).partition(|(found, _)| found.trusted);
        let ((rms, worst), (between, _)) = (errors(placed), errors(lost));
        println!("{dose}: {rms:.4} A, worst {worst:.3} A; between frames {between:.3} A");
        assert!(rms < 0.035 && worst < 0.12, "{dose}: {rms}, worst {worst}");
        assert!(between < 0.3, "{dose}: {between}");
    }
}
