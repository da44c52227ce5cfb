//! The camera as told by the noise, against the camera that an independent simulator used.
#![allow(clippy::print_stdout, reason = "figures, and which data are absent")]

use atomlens_reconstruct::estimate_camera;

mod reference;

/// Gain 1, and `c3` and `c4` as drawn. The curve is what matters: it is right to 0.03 up to Nyquist's frequency.
#[test]
fn gain_and_transfer_function_of_the_reference() {
    let Some(all) = reference::load() else { return };
    let (mut pulls, mut count) = ([0.0; 3], 0.0);
    for (known, [c3, c4]) in all.iter().zip(reference::MTF) {
        let found = estimate_camera(&known.series).unwrap();
        let difference = [
            (found.gain_counts_per_electron - 1.0, found.gain_sigma, 0.10),
            (found.c3 - c3, found.c3_sigma, 0.025),
            (found.c4 - c4, found.c4_sigma, 0.30),
        ];
        println!(
            "gain {:.3} +- {:.3}, c3 {:.3} ({c3}) +- {:.3}, c4 {:.2} ({c4}) +- {:.2}, misfit {:.2}",
            found.gain_counts_per_electron,
            found.gain_sigma,
            found.c3,
            found.c3_sigma,
            found.c4,
            found.c4_sigma,
            found.misfit
        );
        for (pull, (difference, sigma, tolerance)) in pulls.iter_mut().zip(difference) {
            assert!(difference.abs() < tolerance, "{difference} {sigma}");
            *pull += (difference / sigma).powi(2);
        }
        count += 1.0;
        for step in 0..=20 {
            let q = f64::from(step) / 20.0;
            let truth = 1.0 / (1.0 + (q / (2.0 * c3)).powf(c4));
            assert!((found.mtf(q) - truth).abs() < 0.03, "{q}: {} {truth}", found.mtf(q));
        }
        assert!(found.misfit > 0.5 && found.misfit < 2.0, "{}", found.misfit);
    }
    // The stated standard deviations hold: root-mean-square errors in units of them.
    for pull in pulls {
        let rms = (pull / count).sqrt();
        println!("rms pull {rms:.2}");
        assert!(rms < 1.8, "{rms}");
    }
}

/// Counts in another unit change the gain and nothing else.
#[test]
fn gain_scales_with_the_counts() {
    let Some(mut all) = reference::load() else { return };
    let mut series = all.swap_remove(3).series;
    let one = estimate_camera(&series).unwrap();
    series.images.mapv_inplace(|value| 16.0 * value);
    let sixteen = estimate_camera(&series).unwrap();
    assert!((sixteen.gain_counts_per_electron / one.gain_counts_per_electron - 16.0).abs() < 1e-3);
    assert!((sixteen.c3 - one.c3).abs() < 1e-4);
}
