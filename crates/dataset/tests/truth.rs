//! Truth and image share one coordinate system: columns are where the image has its extrema.

use atomlens_dataset::{Recipe, Resources, Sample, Simulator};
use ndarray::{Array2, ArrayView2, s};

/// An upright particle, in a focus where its columns are bright (`C30 = 0`, a little overfocus) or dark.
const PARTICLE: &str = r#"
name = "particle"
[image]
pixels = [101, 83]
pixel_size_angstrom = 0.21
margin_angstrom = 3
[wave]
energy_kev = 300
sampling_angstrom = 0.15
slice_thickness_angstrom = 2
[specimen.body]
kind = "nanoparticle"
element = "Au"
radius_angstrom = 5.5
shape = "truncated"
zone_axis = [1, 0, 0]
[specimen.stage]
tilt_degree = 0
margin_angstrom = 1
[optics]
defocus_angstrom = -30
focal_spread = { one_over_e_angstrom = 20 }
[camera]
dose_e_per_a2 = 1e6
"#;

fn sample(changes: &[(&str, &str)], seed: u64) -> Sample {
    let mut text = PARTICLE.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let recipe = Recipe::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    Simulator::new(recipe, Resources::default(), seed).unwrap().sample(0).unwrap()
}

/// The extremum nearest to a place in pixels: uphill over the eight neighbours, then a parabola along x and y. `None` where the
/// climb leads out of the image.
fn extremum(image: ArrayView2<'_, f32>, place: [f64; 2], sign: f32) -> Option<[f64; 2]> {
    let (ny, nx) = image.dim();
    let (mut x, mut y) = (place[0].round() as usize, place[1].round() as usize);
    loop {
        if x < 1 || y < 1 || x + 1 >= nx || y + 1 >= ny {
            return None;
        }
        let around = (y - 1..=y + 1).flat_map(|j| (x - 1..=x + 1).map(move |i| (j, i)));
        let best = around.max_by(|a, b| (sign * image[*a]).total_cmp(&(sign * image[*b])))?;
        if image[best] == image[[y, x]] {
            break;
        }
        (y, x) = best;
    }
    let vertex = |low: f32, middle: f32, high: f32| f64::from(0.5 * (low - high) / (low - 2.0 * middle + high));
    Some([
        x as f64 + vertex(image[[y, x - 1]], image[[y, x]], image[[y, x + 1]]),
        y as f64 + vertex(image[[y - 1, x]], image[[y, x]], image[[y + 1, x]]),
    ])
}

/// Mean shift along x and y and mean distance from the truth to the extrema, in angstrom; and the number of columns.
fn compare(image: ArrayView2<'_, f32>, places_px: &[[f64; 2]], pixel: f64, sign: f32) -> ([f64; 2], f64, usize) {
    let mut shift = [0.0; 2];
    let (mut distance, mut count) = (0.0, 0);
    for place in places_px {
        let Some(found) = extremum(image, *place, sign) else { continue };
        let (dx, dy) = (pixel * (found[0] - place[0]), pixel * (found[1] - place[1]));
        shift[0] += dx;
        shift[1] += dy;
        distance += dx.hypot(dy);
        count += 1;
    }
    let n = count as f64;
    ([shift[0] / n, shift[1] / n], distance / n, count)
}

fn places_px(sample: &Sample) -> Vec<[f64; 2]> {
    let grid = sample.micrograph.grid;
    sample
        .columns
        .iter()
        .filter(|column| column.atom_count() >= 3)
        .map(|column| [column.x_angstrom / grid.pixel_x_angstrom, column.y_angstrom / grid.pixel_y_angstrom])
        .collect()
}

/// A name, changes to the recipe, and the sign of the columns' contrast.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], f32);

#[test]
fn columns_are_where_the_image_has_them() {
    let bright = ("defocus_angstrom = -30", "defocus_angstrom = -30");
    let dark = ("defocus_angstrom = -30", "defocus_angstrom = 30");
    let cases: [Case<'_>; 7] = [
        ("bright", &[bright], 1.0),
        ("dark", &[dark], -1.0),
        ("no margin", &[("margin_angstrom = 3", "margin_angstrom = 0")], 1.0),
        ("wide margin", &[("margin_angstrom = 3", "margin_angstrom = 9.3"), ("[101, 83]", "[96, 90]")], 1.0),
        ("binning 2", &[("dose_e_per_a2 = 1e6", "dose_e_per_a2 = 1e6\nbinning = 2")], 1.0),
        ("binning 5", &[("dose_e_per_a2 = 1e6", "dose_e_per_a2 = 1e6\nbinning = 5")], 1.0),
        (
            "fine pixels",
            &[("pixel_size_angstrom = 0.21", "pixel_size_angstrom = 0.107"), ("[101, 83]", "[171, 203]")],
            1.0,
        ),
    ];
    for (name, changes, sign) in cases {
        let mut sums = ([0.0; 2], 0.0, 0);
        for seed in 0..3 {
            let sample = sample(changes, seed);
            let image = sample.micrograph.counts.slice(s![0, 0, .., ..]);
            let (shift, distance, count) =
                compare(image, &places_px(&sample), sample.micrograph.grid.pixel_x_angstrom, sign);
            sums.0[0] += shift[0] * count as f64;
            sums.0[1] += shift[1] * count as f64;
            sums.1 += distance * count as f64;
            sums.2 += count;
        }
        let n = sums.2 as f64;
        let (shift, distance) = ([sums.0[0] / n, sums.0[1] / n], sums.1 / n);
        assert!(sums.2 >= 30, "{name}: only {} columns", sums.2);
        assert!(distance < if sign > 0.0 { 0.03 } else { 0.15 }, "{name}: {distance}");
        // A systematic shift would be a fraction of a pixel in one of the conventions.
        assert!(shift[0].abs() < 0.02 && shift[1].abs() < 0.02, "{name}: {shift:?}");
    }
}

#[test]
fn images_of_a_focal_series_are_shifted_as_the_record_says() {
    let series =
        "focal_series = { images = 3, step_angstrom = -5, shift_angstrom = { uniform = [0.5, 0.8] } }\n[camera]";
    let sample = sample(&[("[camera]", series)], 1);
    let pixel = sample.micrograph.grid.pixel_x_angstrom;
    assert_eq!(sample.micrograph.counts.dim(), (1, 3, 83, 101));
    for (image, shift) in sample.drawn.series_shift_angstrom.iter().enumerate() {
        let moved: Vec<[f64; 2]> =
            places_px(&sample).iter().map(|[x, y]| [x + shift[0] / pixel, y + shift[1] / pixel]).collect();
        let counts = sample.micrograph.counts.slice(s![0, image, .., ..]);
        let (mean, distance, _) = compare(counts, &moved, pixel, 1.0);
        assert!(distance < 0.15 && mean[0].hypot(mean[1]) < 0.03, "image {image}: {mean:?} {distance}");
    }
    assert!(sample.drawn.series_shift_angstrom[2][0] > 0.9);
}

#[test]
fn a_film_of_no_thickness_is_no_film() {
    let film = |thickness: &str| {
        let support =
            format!("[specimen.support]\nkind = \"amorphous_carbon\"\nthickness_angstrom = {thickness}\n[optics]");
        sample(&[("[optics]", &support)], 0)
    };
    let is_gold = |sample: &Sample| sample.structure.atoms.iter().all(|atom| atom.element.symbol() == "Au");
    assert!(is_gold(&film("0")) && !is_gold(&film("10")));
    let choice: Vec<bool> = (0..12)
        .map(|seed| {
            let support =
                "[specimen.support]\nkind = \"amorphous_carbon\"\nthickness_angstrom = { choice = [0, 5] }\n[optics]";
            is_gold(&sample(&[("[optics]", support)], seed))
        })
        .collect();
    assert!(choice.contains(&true) && choice.contains(&false));
}

/// A turning, drifting particle whose surface switches fast.
const MOVIE: &str = r#"
[dynamics]
frames = 6
frame_time_s = 1
[dynamics.rates]
facet = { emptying_per_s = 0.3, filling_per_s = 0.5 }
edge = { emptying_per_s = 0.5, filling_per_s = 0.5 }
corner = { emptying_per_s = 0.5, filling_per_s = 0.5 }
[dynamics.drift]
x_angstrom_per_frame = 0.8
y_angstrom_per_frame = -0.5
rotation_degree_per_frame = 1.5
[camera]
"#;

#[test]
fn frames_of_a_movie_show_what_its_truth_says() {
    let centre = ("margin_angstrom = 1", "margin_angstrom = 1\nplacement = \"centre\"");
    let sample = sample(&[("[camera]\n", MOVIE), centre], 2);
    let movie = sample.movie.as_ref().unwrap();
    let pixel = sample.micrograph.grid.pixel_x_angstrom;
    let frames = sample.micrograph.counts.dim().0;
    assert_eq!((frames, movie.occupancy.len(), movie.drift.len()), (6, 6, 6));
    let (mut filled_contrast, mut empty_contrast) = (Vec::new(), Vec::new());
    let mut switched = 0;
    for frame in 0..frames {
        let image = sample.micrograph.counts.slice(s![frame, 0, .., ..]);
        let vacuum = vacuum_level(image);
        let place = |site: usize| movie.site_place_angstrom(frame, site).map(|length| length / pixel);
        let filled: Vec<usize> = (0..movie.sites.len()).filter(|site| movie.occupancy[frame][*site]).collect();
        let tall: Vec<[f64; 2]> =
            filled.iter().filter(|site| movie.sites[**site].atom_count() >= 3).map(|site| place(*site)).collect();
        let (shift, distance, count) = compare(image, &tall, pixel, 1.0);
        assert!(count >= 10, "frame {frame}: {count}");
        assert!(distance < 0.2 && shift[0].hypot(shift[1]) < 0.05, "frame {frame}: {shift:?}, {distance}");
        for site in (0..movie.sites.len()).filter(|site| movie.sites[*site].atom_count() >= 2) {
            let [x, y] = place(site).map(|place| place.round() as usize);
            let Some(value) = image.get([y, x]) else { continue };
            let contrast = value / vacuum - 1.0;
            if movie.occupancy[frame][site] { filled_contrast.push(contrast) } else { empty_contrast.push(contrast) }
        }
        if frame > 0 {
            switched += (0..movie.sites.len())
                .filter(|site| movie.occupancy[frame][*site] != movie.occupancy[frame - 1][*site])
                .count();
        }
    }
    assert!(switched > 10 && empty_contrast.len() > 6, "{switched} switches, {} empty", empty_contrast.len());
    filled_contrast.sort_by(f32::total_cmp);
    empty_contrast.sort_by(f32::total_cmp);
    let (dimmest, brightest) =
        (filled_contrast[filled_contrast.len() / 10], empty_contrast[empty_contrast.len() * 9 / 10]);
    assert!(dimmest > brightest + 0.05, "filled {dimmest}, empty {brightest}");
    // The truth of the first frame is the table of columns.
    assert_eq!(
        sample.columns.len(),
        movie.occupancy[0].iter().filter(|filled| **filled).count(),
        "all sites are in the image"
    );
}

fn vacuum_level(image: ArrayView2<'_, f32>) -> f32 {
    let corner: Array2<f32> = image.slice(s![..8, ..8]).to_owned();
    corner.mean().unwrap()
}

#[test]
fn a_preview_is_the_first_frame() {
    let text = PARTICLE.replace("[camera]\n", MOVIE);
    let simulator = Simulator::new(Recipe::parse(&text).unwrap(), Resources::default(), 9).unwrap();
    let (whole, preview) = (simulator.sample(1).unwrap(), simulator.preview(1).unwrap());
    assert_eq!(preview.micrograph.counts.dim().0, 1);
    assert_eq!(preview.micrograph.counts.slice(s![0, .., .., ..]), whole.micrograph.counts.slice(s![0, .., .., ..]));
    assert_eq!(Sample { micrograph: whole.micrograph.clone(), ..preview }, whole);
}
