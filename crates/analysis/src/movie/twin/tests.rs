use atomlens_core::SeedPath;
use atomlens_core::glam::DVec2;
use ndarray::Array2;

use super::*;
use crate::movie::drift::Pose;
use crate::movie::mean_image::MeanImage;

const PIXEL: f64 = 0.25;

fn places() -> Vec<DVec2> {
    (0..16).map(|n| DVec2::new(4.0 + 2.7 * f64::from(n % 4), 4.0 + 2.7 * f64::from(n / 4))).collect()
}

fn pose(frame: usize) -> Pose {
    let mut pose = Pose::at_rest(DVec2::splat(8.0));
    pose.drift_angstrom = DVec2::new(0.03 * frame as f64, 0.4 * (0.2 * frame as f64).sin());
    pose.rotation_rad = 2e-4 * frame as f64;
    pose
}

/// Gaussian columns, the second row at 0.6 of the others' strength.
fn ideal(filled: &[bool], pose: &Pose) -> Array2<f32> {
    Array2::from_shape_fn((64, 64), |(y, x)| {
        let place = pose.to_reference(DVec2::new(x as f64, y as f64) * PIXEL);
        let columns: f64 = places()
            .iter()
            .zip(filled)
            .enumerate()
            .filter(|(_, (_, filled))| **filled)
            .map(|(site, (at, _))| strength(site) * (-0.5 * place.distance_squared(*at) / 0.36).exp())
            .sum();
        (100.0 + 40.0 * columns) as f32
    })
}

fn strength(site: usize) -> f64 {
    if (4..8).contains(&site) { 0.6 } else { 1.0 }
}

#[test]
fn a_twin_is_made_as_the_movie_was() {
    let frames = 150;
    let rates = vec![Switching { fill: 0.2, empty: 0.1 }; 16];
    let intervals = FrameIntervals::even(frames);
    let filled = states(&rates, &[0.7; 16], &intervals, SeedPath::new(1));
    let share = filled.iter().filter(|filled| **filled).count() as f64 / filled.len() as f64;
    // 0.2 / 0.3 in the long run; 2400 site-frames that remember for about 3 frames.
    assert!((share - 0.667).abs() < 0.06, "{share}");
    let mut single = vec![vec![0.0; 9]; 9];
    single[4][4] = 1.0;
    let camera = noise::Noise { gain: 4.0, offset: 20.0, constant_variance: 0.0, kernel: single };
    let movie: Vec<Array2<f32>> = (0..frames)
        .map(|frame| {
            let column: Vec<bool> = filled.column(frame).to_vec();
            camera.counted(ideal(&column, &pose(frame)).view(), &mut SeedPath::new(2).index(frame as u64).stream())
        })
        .collect();
    let mut mean = MeanImage::new((64, 64));
    movie.iter().enumerate().for_each(|(frame, image)| mean.add(image.view(), PIXEL, &pose(frame)));
    let sites = TwinSites {
        places_angstrom: places(),
        probability: filled.mapv(|filled| f32::from(u8::from(filled))),
        neighbour_angstrom: 2.7,
    };
    let mut learner = TwinLearner::new(mean.finish(), PIXEL, sites);
    movie.iter().enumerate().for_each(|(frame, image)| learner.add(frame, image.view(), &pose(frame)));
    let twin = learner.finish();
    // A column of strength 0.9, the mean, is 36 counts high; interpolation takes 1 or 2 %.
    let half = twin.template.nrows() / 2;
    let mean_strength = (0..16).map(strength).sum::<f64>() / 16.0;
    assert!(
        (twin.template[[half, half]] / (40.0 * mean_strength) as f32 - 1.0).abs() < 0.06,
        "{}",
        twin.template[[half, half]]
    );
    for (site, amplitude) in twin.amplitude.iter().enumerate() {
        assert!((amplitude - strength(site) / mean_strength).abs() < 0.12, "{site}: {amplitude}");
    }
    // Pixels away from the sites are few here, and all at the level of the background.
    assert!((twin.noise.variance_at(100.0) / (4.0 * 80.0) - 1.0).abs() < 0.1, "{}", twin.noise.variance_at(100.0));
    let column: Vec<bool> = (0..16).map(|site| site % 3 != 0).collect();
    let (mut sum, repeats) = (Array2::<f64>::zeros((64, 64)), 200);
    for repeat in 0..repeats {
        sum += &twin.frame(&column, &pose(40), SeedPath::new(5).index(repeat)).mapv(f64::from);
    }
    let expected = ideal(&column, &pose(40)).mapv(f64::from);
    let off: f64 = sum
        .indexed_iter()
        .filter(|((y, x), _)| (8..56).contains(y) && (8..56).contains(x))
        .map(|(at, sum)| (sum / repeats as f64 - expected[at]).powi(2))
        .sum::<f64>()
        / (48.0 * 48.0);
    // Noise of 200 twins and of the 150 frames learned from: about 2.2 counts; columns are 40 high.
    assert!(off.sqrt() < 3.5, "{}", off.sqrt());
    assert_eq!(twin.frame(&column, &pose(3), SeedPath::new(5)), twin.frame(&column, &pose(3), SeedPath::new(5)));
}
