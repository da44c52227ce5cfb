//! Points in the plane, sorted into squares so that those near a place are found at once.

use atomlens_core::glam::DVec2;

/// Points that can be added to and asked for by place.
#[derive(Debug, Clone)]
pub(crate) struct PlaneGrid {
    low: DVec2,
    edge: f64,
    across: usize,
    down: usize,
    squares: Vec<Vec<u32>>,
    places: Vec<DVec2>,
}

impl PlaneGrid {
    /// An empty grid over a rectangle, with squares of about the distance that will be asked for. Points outside the
    /// rectangle are allowed and kept in its outermost squares.
    pub(crate) fn new(low: DVec2, high: DVec2, edge: f64) -> PlaneGrid {
        let count = |length: f64| ((length / edge).ceil().max(1.0) as usize).min(4096);
        let (across, down) = (count(high.x - low.x), count(high.y - low.y));
        PlaneGrid { low, edge, across, down, squares: vec![Vec::new(); across * down], places: Vec::new() }
    }

    /// A grid that holds `places`, in this order.
    pub(crate) fn from_places(places: &[DVec2], edge: f64) -> PlaneGrid {
        let low = places.iter().copied().reduce(DVec2::min).unwrap_or_default();
        let high = places.iter().copied().reduce(DVec2::max).unwrap_or_default();
        let mut grid = PlaneGrid::new(low, high, edge);
        for &place in places {
            grid.insert(place);
        }
        grid
    }

    /// Adds a point and returns its index.
    pub(crate) fn insert(&mut self, place: DVec2) -> usize {
        let (x, y) = self.square(place);
        let index = self.places.len();
        self.squares[y * self.across + x].push(index as u32);
        self.places.push(place);
        index
    }

    /// All points in the order in which they came.
    pub(crate) fn places(&self) -> &[DVec2] {
        &self.places
    }

    /// Indices of the points within `radius` of `place`, by square and then in the order in which they came.
    pub(crate) fn near(&self, place: DVec2, radius: f64) -> impl Iterator<Item = usize> + '_ {
        let (x_low, y_low) = self.square(place - DVec2::splat(radius));
        let (x_high, y_high) = self.square(place + DVec2::splat(radius));
        (y_low..=y_high)
            .flat_map(move |y| (x_low..=x_high).map(move |x| y * self.across + x))
            .flat_map(|square| self.squares[square].iter())
            .map(|&index| index as usize)
            .filter(move |&index| self.places[index].distance_squared(place) <= radius * radius)
    }

    fn square(&self, place: DVec2) -> (usize, usize) {
        // `as` saturates: what lies below the rectangle goes into its first square.
        let x = ((place.x - self.low.x) / self.edge) as usize;
        let y = ((place.y - self.low.y) / self.edge) as usize;
        (x.min(self.across - 1), y.min(self.down - 1))
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand::RngExt;

    use super::*;

    #[test]
    fn near_points_are_those_of_a_plain_search() {
        let mut random = SeedPath::new(5).stream();
        let mut point = || DVec2::new(20.0 * random.random::<f64>() - 12.0, 20.0 * random.random::<f64>() - 6.0);
        // A rectangle smaller than the points' spread, so that its outermost squares overflow.
        let mut grid = PlaneGrid::new(DVec2::splat(-5.0), DVec2::splat(5.0), 1.5);
        let places: Vec<DVec2> = (0..300).map(|_| point()).collect();
        for &place in &places {
            grid.insert(place);
        }
        for _ in 0..100 {
            let (place, radius) = (point(), 2.3);
            let mut found: Vec<usize> = grid.near(place, radius).collect();
            found.sort_unstable();
            let expected: Vec<usize> = (0..300).filter(|&i| places[i].distance(place) <= radius).collect();
            assert_eq!(found, expected);
        }
    }
}
