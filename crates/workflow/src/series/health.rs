//! Whether an image can be used, judged by itself.

use ndarray::Array2;

/// More of an image than this must be numbers.
const MOST_NOT_FINITE: f64 = 0.1;
/// An image is saturated if at least this share of its pixels has the largest value,
const SATURATED_SHARE: f64 = 0.01;
/// and so many times as many pixels have it as have the next smaller one: the highest counts of an image that is not cut off are
/// rare.
const SATURATED_PILE: usize = 8;

/// Why an image is of no use; `None` if it is. `not_finite` pixels of it are no numbers and have been replaced.
pub(super) fn fault(image: &Array2<f32>, not_finite: usize) -> Option<String> {
    let share = not_finite as f64 / image.len().max(1) as f64;
    if share > MOST_NOT_FINITE {
        return Some(format!("{:.0} % of its pixels are not finite numbers", 100.0 * share));
    }
    let lowest = image.iter().copied().fold(f32::INFINITY, f32::min);
    let highest = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if lowest >= highest {
        return Some(format!("all its pixels have the value {highest}"));
    }
    let at_top = image.iter().filter(|value| **value == highest).count();
    if at_top as f64 >= SATURATED_SHARE * image.len() as f64 {
        let next = image.iter().copied().filter(|value| *value < highest).fold(f32::NEG_INFINITY, f32::max);
        let below = image.iter().filter(|value| **value == next).count();
        // An image of two values counts electrons one by one.
        if next > lowest && at_top > SATURATED_PILE * below {
            let share = 100.0 * at_top as f64 / image.len() as f64;
            return Some(format!("{share:.0} % of its pixels are saturated at {highest}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand::RngExt;

    use super::*;

    #[test]
    fn useless_images_are_told_from_good_ones() {
        let mut random = SeedPath::new(3).stream();
        let good = Array2::from_shape_simple_fn((64, 64), || random.random_range(0.0..100.0_f32).floor());
        assert_eq!(fault(&good, 5), None);
        assert!(fault(&good, 1000).unwrap().contains("24 %"));
        assert!(fault(&Array2::from_elem((8, 8), 7.0), 0).unwrap().contains("value 7"));
        let saturated = good.mapv(|value| value.min(90.0));
        assert!(fault(&saturated, 0).unwrap().contains("saturated at 90"));
        // Single electrons on a camera that counts them.
        let counted = good.mapv(|value| if value > 80.0 { 1.0 } else { 0.0 });
        assert_eq!(fault(&counted, 0), None);
        let few = good.mapv(|value| {
            if value > 98.0 {
                2.0
            } else if value > 85.0 {
                1.0
            } else {
                0.0
            }
        });
        assert_eq!(fault(&few, 0), None);
    }
}
