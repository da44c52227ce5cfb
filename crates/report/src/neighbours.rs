//! Distances to the nearest neighbour, in a time that grows with the number of places alone.

/// The distance from every place to the nearest other one; `None` for a place without another. Places that are not
/// finite have no neighbour and are none.
pub(crate) fn nearest_distances(places: &[[f64; 2]]) -> Vec<Option<f64>> {
    let finite = |place: &&[f64; 2]| place.iter().all(|c| c.is_finite());
    let count = places.iter().filter(finite).count();
    let mut low = [f64::INFINITY; 2];
    let mut high = [f64::NEG_INFINITY; 2];
    for place in places.iter().filter(finite) {
        for axis in 0..2 {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis]);
        }
    }
    if count < 2 {
        return vec![None; places.len()];
    }
    // Boxes that hold about two places each; on a line the area is nothing and the length decides.
    let [width, height] = [high[0] - low[0], high[1] - low[1]];
    let edge = (2.0 * width * height / count as f64).sqrt().max(2.0 * width.max(height) / count as f64);
    let edge = if edge > 0.0 { edge } else { 1.0 };
    let boxes = [width, height].map(|length| (length / edge) as usize + 1);
    let box_of = |place: &[f64; 2]| [0, 1].map(|a| (((place[a] - low[a]) / edge) as usize).min(boxes[a] - 1));
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); boxes[0] * boxes[1]];
    for (index, place) in places.iter().enumerate().filter(|(_, place)| finite(place)) {
        let [i, j] = box_of(place);
        members[j * boxes[0] + i].push(index);
    }
    let nearest = |index: usize, place: &[f64; 2]| {
        let [i, j] = box_of(place).map(|b| b as isize);
        let mut best = f64::INFINITY;
        for reach in 0..=boxes[0].max(boxes[1]) as isize {
            // Whatever is in a ring of boxes `reach` away is at least that many edges less one away.
            if best <= ((reach - 1).max(0) as f64 * edge).powi(2) {
                break;
            }
            for y in j - reach..=j + reach {
                let inner = (y - j).abs() < reach;
                let step = if inner { (2 * reach).max(1) } else { 1 };
                for x in (i - reach..=i + reach).step_by(step as usize) {
                    if x < 0 || y < 0 || x >= boxes[0] as isize || y >= boxes[1] as isize {
                        continue;
                    }
                    for &other in members[y as usize * boxes[0] + x as usize].iter().filter(|o| **o != index) {
                        let (dx, dy) = (places[other][0] - place[0], places[other][1] - place[1]);
                        best = best.min(dx * dx + dy * dy);
                    }
                }
            }
        }
        best.sqrt()
    };
    places.iter().enumerate().map(|(index, place)| finite(&place).then(|| nearest(index, place))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_comparing_all_with_all() {
        // Places of a golden-ratio sequence, evenly spread, some of them far away or in the same spot.
        let mut places: Vec<[f64; 2]> = (0..300)
            .map(|i| [f64::from(i) * 0.618_033_988 % 1.0 * 70.0, f64::from(i) * 0.754_877_666 % 1.0 * 9.0])
            .collect();
        places.extend([[500.0, -80.0], [3.0, 3.0], [3.0, 3.0], [f64::NAN, 1.0]]);
        let found = nearest_distances(&places);
        for (index, place) in places.iter().enumerate().take(303) {
            let expected = places
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(_, p)| (p[0] - place[0]).hypot(p[1] - place[1]))
                .fold(f64::INFINITY, f64::min);
            assert!((found[index].unwrap() - expected).abs() < 1e-12, "{index}");
        }
        assert_eq!(found[303], None);
    }

    #[test]
    fn few_places_and_places_on_a_line() {
        assert_eq!(nearest_distances(&[]), []);
        assert_eq!(nearest_distances(&[[1.0, 2.0]]), [None]);
        assert_eq!(nearest_distances(&[[1.0, 2.0]; 2]), [Some(0.0); 2]);
        let line: Vec<[f64; 2]> = (0..50).map(|i| [f64::from(i) * 2.5, 7.0]).collect();
        assert!(nearest_distances(&line).iter().all(|d| (d.unwrap() - 2.5).abs() < 1e-12));
    }
}
