//! Times what `benches/against_abtem` compares, in one process: one exit wave, a stream of different ones, and
//! images of new optics from a ready wave. Prints JSON.
//!
//! `cargo run --release --example timings -- STRUCTURE.xyz [REPEATS]`
#![allow(clippy::print_stdout, reason = "its one line of JSON is what it is for")]

use std::time::Instant;

use atomlens_core::glam::{DMat3, DVec3};
use atomlens_core::{SeedPath, Structure};
use atomlens_simulate::optics::Coherence;
use atomlens_simulate::potential::Placement;
use atomlens_simulate::{ExitWave, FocalSpread, Multislice, Optics, PotentialSettings};

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn repeat(times: usize, mut work: impl FnMut(usize)) -> f64 {
    work(usize::MAX);
    median(
        (0..times)
            .map(|index| {
                let start = Instant::now();
                work(index);
                start.elapsed().as_secs_f64()
            })
            .collect(),
    )
}

/// The particle turned in the plane and moved by thermal motion: another specimen for every image.
fn another(structure: &Structure, index: usize) -> Structure {
    use rand::RngExt;
    let mut random = SeedPath::new(1).index(index as u64).stream();
    let mut other = structure.clone();
    let centre = structure.cell.map_or(DVec3::ZERO, |cell| 0.5 * (cell.vectors_angstrom * DVec3::ONE));
    other.rotate(DMat3::from_rotation_z(random.random::<f64>()), centre);
    for atom in &mut other.atoms {
        atom.position_angstrom.x += 0.1 * (random.random::<f64>() - 0.5);
        atom.position_angstrom.y += 0.1 * (random.random::<f64>() - 0.5);
    }
    other
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("usage: timings STRUCTURE.xyz [REPEATS]");
    let repeats: usize = arguments.next().map_or(7, |n| n.parse().expect("a number of repeats"));
    let structure = atomlens_formats::read_structure(std::path::Path::new(&path)).expect("a structure");
    // Like for like: atoms are shared among pixels as abTEM does. Exact placement is timed beside it.
    let exact = Multislice::new(300e3);
    let potential = PotentialSettings { placement: Placement::Bilinear, ..exact.potential };
    let multislice = Multislice { potential, ..exact };

    let one_exact = repeat(repeats, |_| {
        exact.exit_wave::<f32>(&structure, 1024, 1024).expect("an exit wave");
    });
    let one = repeat(repeats, |_| {
        multislice.exit_wave::<f32>(&structure, 1024, 1024).expect("an exit wave");
    });
    // Every wave on a thread of its own, as the stream of a trainer has it.
    let threads = rayon::current_num_threads();
    const EACH: usize = 5;
    let stream = repeat(3, |round| {
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (structure, multislice) = (&structure, &multislice);
                scope.spawn(move || {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
                    for index in 0..EACH {
                        let number = round.wrapping_mul(threads * EACH).wrapping_add(thread * EACH + index);
                        let other = another(structure, number);
                        pool.install(|| multislice.exit_wave::<f32>(&other, 1024, 1024).expect("an exit wave"));
                    }
                });
            }
        });
    }) / (threads * EACH) as f64;
    let wave = multislice.exit_wave::<f32>(&structure, 512, 512).expect("an exit wave");
    let image = repeat(10 * repeats, |index| {
        let mut optics = Optics::default().at_defocus_angstrom(40.0 + (index % 100) as f64);
        optics.aberrations.set("C30", -1e5 - (index % 7) as f64 * 1e3).expect("an aberration");
        optics.aberrations.set("C12", 20.0).expect("an aberration");
        optics.temporal = Coherence::Envelope(FocalSpread::from_one_over_e_half_width(30.0));
        wave.image(&optics).expect("an image");
    });
    // The floor: a forward and an inverse transform, which every slice needs at least.
    let full = multislice.exit_wave::<f32>(&structure, 1024, 1024).expect("an exit wave");
    let (array, grid) = (full.wave(), full.grid());
    let transforms = repeat(4 * repeats, |_| {
        rayon::scope(|_| ExitWave::from_wave(&array, grid, 300e3).expect("a wave").wave());
    });
    println!(
        "{}",
        serde_json::json!({
            "threads": threads,
            "atoms": structure.atoms.len(),
            "exit_wave_1024_s": one,
            "exit_wave_exact_1024_s": one_exact,
            "stream_1024_s_per_wave": stream,
            "image_512_s": image,
            "transform_pair_1024_s": transforms,
        })
    );
}
