//! Which of many places lie near a given one: a uniform grid of buckets.
//!
//! Columns are spread nearly evenly over an image, so buckets as wide as the reach of the question hold a few places
//! each, and a question looks into nine of them. Places that are not finite are in no bucket.

use atomlens_core::glam::DVec2;

/// Places in the plane, sorted into square buckets.
#[derive(Debug, Clone)]
pub struct Neighbours {
    low: DVec2,
    bucket: f64,
    nx: usize,
    ny: usize,
    /// Where each bucket begins in `members`, one more than there are buckets.
    starts: Vec<u32>,
    members: Vec<u32>,
    places: Vec<DVec2>,
}

impl Neighbours {
    /// Sorts places into buckets for questions of about the given reach. Questions of any reach are answered rightly.
    ///
    /// # Panics
    /// If there are more than 2^32 places.
    pub fn new(places: &[DVec2], reach: f64) -> Neighbours {
        assert!(u32::try_from(places.len()).is_ok(), "more places than can be numbered");
        let finite = || places.iter().filter(|place| place.is_finite());
        let low = finite().fold(DVec2::INFINITY, |low, place| low.min(*place));
        let high = finite().fold(DVec2::NEG_INFINITY, |high, place| high.max(*place));
        let extent = if low.is_finite() { (high - low).max(DVec2::ZERO) } else { DVec2::ZERO };
        // Far outliers must not ask for more buckets than there are places, by more than a small factor.
        let most = (4 * places.len() + 64) as f64;
        let mut bucket = if reach > 0.0 { reach } else { 1.0 };
        while ((extent.x / bucket).floor() + 1.0) * ((extent.y / bucket).floor() + 1.0) > most {
            bucket *= 2.0;
        }
        let nx = (extent.x / bucket) as usize + 1;
        let ny = (extent.y / bucket) as usize + 1;
        let mut grid = Neighbours {
            low,
            bucket,
            nx,
            ny,
            starts: vec![0; nx * ny + 1],
            members: Vec::new(),
            places: places.to_vec(),
        };
        for place in finite() {
            let bucket = grid.bucket_of(*place);
            grid.starts[bucket + 1] += 1;
        }
        for bucket in 0..nx * ny {
            grid.starts[bucket + 1] += grid.starts[bucket];
        }
        let mut next = grid.starts.clone();
        grid.members = vec![0; grid.starts[nx * ny] as usize];
        for (index, place) in places.iter().enumerate().filter(|(_, place)| place.is_finite()) {
            let bucket = grid.bucket_of(*place);
            grid.members[next[bucket] as usize] = index as u32;
            next[bucket] += 1;
        }
        grid
    }

    fn bucket_of(&self, place: DVec2) -> usize {
        let at = (place - self.low) / self.bucket;
        (at.y as usize).min(self.ny - 1) * self.nx + (at.x as usize).min(self.nx - 1)
    }

    /// The places within `reach` of `centre`, borders included: index and squared distance, bucket by bucket.
    pub fn within(&self, centre: DVec2, reach: f64) -> impl Iterator<Item = (usize, f64)> {
        let range = |low: f64, high: f64, n: usize| {
            // Also right for an empty grid, whose corner is at infinity, and for a centre that is not a number.
            if high >= 0.0 && low < n as f64 { low.max(0.0) as usize..(high as usize).min(n - 1) + 1 } else { 0..0 }
        };
        let (low, high) = ((centre - reach - self.low) / self.bucket, (centre + reach - self.low) / self.bucket);
        let (columns, rows) = (range(low.x, high.x, self.nx), range(low.y, high.y, self.ny));
        let square = reach * reach;
        rows.flat_map(move |row| columns.clone().map(move |column| row * self.nx + column))
            .flat_map(|bucket| &self.members[self.starts[bucket] as usize..self.starts[bucket + 1] as usize])
            .map(move |&index| (index as usize, self.places[index as usize].distance_squared(centre)))
            .filter(move |(_, distance)| *distance <= square)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_places::scattered;

    #[test]
    fn the_same_as_looking_at_all() {
        let mut places = scattered(400, 30.0, 1);
        places.push(DVec2::new(f64::NAN, 0.0));
        places.push(DVec2::new(1e7, -1e7));
        for reach in [0.3, 1.0, 7.0] {
            let grid = Neighbours::new(&places, 1.0);
            for centre in scattered(50, 34.0, 2) {
                let mut found: Vec<usize> = grid.within(centre, reach).map(|(index, _)| index).collect();
                found.sort_unstable();
                let all: Vec<usize> =
                    (0..places.len()).filter(|&index| places[index].distance(centre) <= reach).collect();
                assert_eq!(found, all);
            }
        }
    }

    #[test]
    fn nothing_and_nowhere() {
        assert_eq!(Neighbours::new(&[], 1.0).within(DVec2::ZERO, 10.0).count(), 0);
        assert_eq!(Neighbours::new(&[DVec2::NAN], 1.0).within(DVec2::ZERO, 10.0).count(), 0);
        assert_eq!(Neighbours::new(&[DVec2::ONE], 1.0).within(DVec2::NAN, 10.0).count(), 0);
        assert_eq!(Neighbours::new(&[DVec2::ONE], 0.0).within(DVec2::ONE, 0.0).count(), 1);
    }
}
