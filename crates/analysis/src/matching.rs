//! Which detected column is which true one: optimal one-to-one assignment within a radius.
//!
//! Of all ways to pair detected with true places so that no place is in two pairs and no pair is further apart than
//! the radius, the one with the most pairs is taken, and among those the one with the smallest sum of distances.
//! Pairing greedily, or each detection with its nearest truth, counts duplicates twice or loses pairs where places
//! are crowded.
//!
//! Shortest augmenting paths with prices (R. Jonker and A. Volgenant, *Computing* 38, 325 (1987),
//! doi:10.1007/BF02278710), here over the sparse graph of candidates: each detection may also stay alone, at a price
//! that no saving in distance outweighs, so a path ends as soon as it meets a free place.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use atomlens_core::glam::DVec2;

use crate::neighbours::Neighbours;

/// Largest distance of a hit, in angstrom: 0.05 nm.
pub const HIT_RADIUS_ANGSTROM: f64 = 0.5;

/// A detected and a true column that are the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Index among the detected places.
    pub detected: usize,
    /// Index among the true places.
    pub truth: usize,
    /// Detected minus true place.
    pub error: DVec2,
}

/// Pairs detected with true places, at most `radius` apart (all three in the same unit), sorted by the detected index.
///
/// Places that are not finite are never paired.
pub fn pair(detected: &[DVec2], truth: &[DVec2], radius: f64) -> Vec<Pair> {
    let grid = Neighbours::new(truth, radius);
    let candidates: Vec<Vec<(usize, f64)>> = detected
        .iter()
        .map(|place| {
            let mut near: Vec<(usize, f64)> =
                grid.within(*place, radius).map(|(index, square)| (index, square.sqrt())).collect();
            near.sort_unstable_by_key(|(index, _)| *index);
            near
        })
        .collect();
    let most_pairs = detected.len().min(truth.len());
    let alone = (most_pairs + 1) as f64 * radius.max(f64::MIN_POSITIVE);
    assign(&candidates, truth.len(), alone)
        .into_iter()
        .enumerate()
        .filter_map(|(detected_index, partner)| {
            let truth_index = partner?;
            let error = detected[detected_index] - truth[truth_index];
            Some(Pair { detected: detected_index, truth: truth_index, error })
        })
        .collect()
}

/// A place that a path has reached; the heap gives the nearest first.
#[derive(PartialEq)]
struct Reached {
    distance: f64,
    column: usize,
}

impl Eq for Reached {}

impl Ord for Reached {
    fn cmp(&self, other: &Self) -> Ordering {
        other.distance.total_cmp(&self.distance).then_with(|| other.column.cmp(&self.column))
    }
}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The partner of each row in the cheapest assignment, where `candidates[row]` lists columns with their costs and a row
/// without partner costs `alone`.
pub fn assign(candidates: &[Vec<(usize, f64)>], columns: usize, alone: f64) -> Vec<Option<usize>> {
    let rows = candidates.len();
    // Reduced costs `cost + column_price - row_price` stay at least 0, and are 0 along the pairs. Column `columns + row`
    // stands for "row stays alone".
    let mut column_price = vec![0.0_f64; columns + rows];
    let mut row_price = vec![0.0_f64; rows];
    let mut row_of: Vec<Option<usize>> = vec![None; columns + rows];
    let mut partner: Vec<Option<usize>> = vec![None; rows];

    let mut distance = vec![f64::INFINITY; columns + rows];
    let mut came_from = vec![usize::MAX; columns + rows];
    let mut settled = vec![false; columns + rows];
    let mut touched = Vec::new();
    let mut scanned_rows = Vec::new();
    let mut heap = BinaryHeap::new();
    for start in 0..rows {
        heap.clear();
        let (mut row, mut so_far) = (start, 0.0);
        scanned_rows.push((start, 0.0));
        let end = loop {
            for (column, cost) in candidates[row].iter().copied().chain([(columns + row, alone)]) {
                let reach = so_far + (cost + column_price[column] - row_price[row]).max(0.0);
                if !settled[column] && reach < distance[column] {
                    if distance[column].is_infinite() {
                        touched.push(column);
                    }
                    distance[column] = reach;
                    came_from[column] = row;
                    heap.push(Reached { distance: reach, column });
                }
            }
            // The row's own way to stay alone is free, so there is always an entry that is not settled.
            let next = loop {
                let next: Reached = heap.pop().expect("a row can always stay alone");
                if !settled[next.column] {
                    break next;
                }
            };
            settled[next.column] = true;
            so_far = next.distance;
            match row_of[next.column] {
                None => break next.column,
                Some(owner) => {
                    row = owner;
                    scanned_rows.push((owner, so_far));
                }
            }
        };
        let total = distance[end];
        for (row, at) in scanned_rows.drain(..) {
            row_price[row] += total - at;
        }
        for &column in touched.iter().filter(|&&column| settled[column]) {
            column_price[column] += total - distance[column];
        }
        let mut column = end;
        loop {
            let row = came_from[column];
            let before = partner[row].replace(column);
            row_of[column] = Some(row);
            match before {
                Some(before) => column = before,
                None => break,
            }
        }
        for column in touched.drain(..) {
            distance[column] = f64::INFINITY;
            settled[column] = false;
        }
    }
    partner.into_iter().map(|column| column.filter(|&column| column < columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_places::scattered;

    /// Number of pairs and sum of distances of the best assignment, by trying all.
    fn best(detected: &[DVec2], truth: &[DVec2], radius: f64, used: &mut Vec<bool>) -> (usize, f64) {
        let Some((first, rest)) = detected.split_first() else { return (0, 0.0) };
        let mut result = best(rest, truth, radius, used);
        for index in 0..truth.len() {
            let distance = first.distance(truth[index]);
            if used[index] || distance > radius {
                continue;
            }
            used[index] = true;
            let (count, sum) = best(rest, truth, radius, used);
            used[index] = false;
            let (count, sum) = (count + 1, sum + distance);
            if count > result.0 || count == result.0 && sum < result.1 {
                result = (count, sum);
            }
        }
        result
    }

    #[test]
    fn as_good_as_trying_all() {
        for seed in 0..300 {
            let detected = scattered(2 + seed as usize % 6, 1.2, 2 * seed);
            let truth = scattered(1 + seed as usize % 7, 1.2, 2 * seed + 1);
            let pairs = pair(&detected, &truth, 0.5);
            let sum: f64 = pairs.iter().map(|pair| pair.error.length()).sum();
            let (count, smallest) = best(&detected, &truth, 0.5, &mut vec![false; truth.len()]);
            assert_eq!(pairs.len(), count, "seed {seed}");
            assert!((sum - smallest).abs() < 1e-9, "seed {seed}: {sum} against {smallest}");
            let mut used: Vec<usize> = pairs.iter().map(|pair| pair.truth).collect();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used.len(), count);
        }
    }

    #[test]
    fn more_pairs_before_shorter_ones_and_no_duplicates() {
        let at = |x: f64| DVec2::new(x, 0.0);
        // The nearest truth of both detections is the one at 0.4; only the long pairs make two.
        let pairs = pair(&[at(0.0), at(0.4)], &[at(0.4), at(0.85)], 0.5);
        assert_eq!(pairs.iter().map(|pair| (pair.detected, pair.truth)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
        // Three detections of one column are one hit.
        assert_eq!(pair(&[at(0.0), at(0.1), at(0.2)], &[at(0.1)], 0.5).len(), 1);
        assert_eq!(pair(&[at(0.0), at(0.1), at(0.2)], &[at(0.1)], 0.5)[0].detected, 1);
        assert!(pair(&[at(0.0)], &[at(0.51)], 0.5).is_empty());
        assert!(pair(&[], &[at(0.0)], 0.5).is_empty() && pair(&[at(f64::NAN)], &[at(0.0)], 0.5).is_empty());
    }

    #[test]
    fn a_hundred_thousand_columns_in_under_a_second() {
        let truth = scattered(100_000, 700.0, 7);
        let detected: Vec<DVec2> =
            truth.iter().zip(scattered(100_000, 0.6, 8)).map(|(place, jitter)| *place + jitter - 0.3).collect();
        let start = std::time::Instant::now();
        let pairs = pair(&detected, &truth, 0.5);
        assert!(pairs.len() > 95_000, "{}", pairs.len());
        assert!(start.elapsed().as_secs_f64() < 2.0, "{:?}", start.elapsed());
    }
}
