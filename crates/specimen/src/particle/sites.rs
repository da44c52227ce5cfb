//! The sites that a particle may fill: places, who neighbours whom, and which of them hold an atom.
//!
//! A shape hands over more sites than it fills, so that growth has somewhere to go. Two sites are neighbours within
//! 1.2 nearest-neighbour distances: in fcc, across twin planes and in the strained decahedron and icosahedron alike
//! that is the first shell (the second is at 1.41, or 1.36 where most compressed).

use atomlens_core::glam::DVec3;

/// Reach of a bond in units of the nearest-neighbour distance.
pub(crate) const BOND_REACH: f64 = 1.2;

/// Places with their neighbours.
#[derive(Debug, Clone)]
pub(crate) struct Sites {
    places_angstrom: Vec<DVec3>,
    /// Site `i` has the neighbours `neighbours[first[i]..first[i + 1]]`.
    first: Vec<u32>,
    neighbours: Vec<u32>,
}

impl Sites {
    /// Finds the neighbours within `reach_angstrom` of each place, with a list of cubes that wide.
    pub(crate) fn new(places_angstrom: Vec<DVec3>, reach_angstrom: f64) -> Sites {
        let low = places_angstrom.iter().copied().reduce(DVec3::min).unwrap_or_default();
        let cube = |place: DVec3| ((place - low) / reach_angstrom).to_array().map(|index| index.floor() as i64);
        let mut ordered: Vec<([i64; 3], u32)> =
            places_angstrom.iter().enumerate().map(|(index, &place)| (cube(place), index as u32)).collect();
        ordered.sort_unstable();
        let mut first = Vec::with_capacity(places_angstrom.len() + 1);
        let mut neighbours = Vec::with_capacity(places_angstrom.len() * 12);
        first.push(0);
        for (index, &place) in places_angstrom.iter().enumerate() {
            let [x, y, z] = cube(place);
            let begin = neighbours.len();
            for dx in -1..=1 {
                for dy in -1..=1 {
                    // Cubes that follow one another along z lie together in the ordered list.
                    let start = ordered.partition_point(|(key, _)| *key < [x + dx, y + dy, z - 1]);
                    for &(_, other) in ordered[start..].iter().take_while(|(key, _)| *key <= [x + dx, y + dy, z + 1]) {
                        let near = places_angstrom[other as usize].distance_squared(place) < reach_angstrom.powi(2);
                        if other as usize != index && near {
                            neighbours.push(other);
                        }
                    }
                }
            }
            neighbours[begin..].sort_unstable();
            first.push(neighbours.len() as u32);
        }
        Sites { places_angstrom, first, neighbours }
    }

    /// Number of sites.
    pub(crate) fn len(&self) -> usize {
        self.places_angstrom.len()
    }

    /// Places of the sites, in angstrom.
    pub(crate) fn places_angstrom(&self) -> &[DVec3] {
        &self.places_angstrom
    }

    /// Neighbours of a site, in rising order.
    pub(crate) fn neighbours(&self, site: usize) -> &[u32] {
        &self.neighbours[self.first[site] as usize..self.first[site + 1] as usize]
    }
}

/// Sites of which some hold an atom.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) sites: Sites,
    filled: Vec<bool>,
    /// Number of filled neighbours of each site, itself filled or not.
    coordination: Vec<u8>,
    count: usize,
}

impl Cluster {
    /// A cluster with the given sites filled.
    pub(crate) fn new(sites: Sites, filled: Vec<bool>) -> Cluster {
        let coordination = (0..sites.len())
            .map(|site| sites.neighbours(site).iter().filter(|&&other| filled[other as usize]).count() as u8)
            .collect();
        let count = filled.iter().filter(|filled| **filled).count();
        Cluster { sites, filled, coordination, count }
    }

    /// Number of atoms.
    pub(crate) fn atom_count(&self) -> usize {
        self.count
    }

    /// Whether a site holds an atom.
    pub(crate) fn is_filled(&self, site: usize) -> bool {
        self.filled[site]
    }

    /// Number of filled neighbours of a site.
    pub(crate) fn coordination(&self, site: usize) -> usize {
        usize::from(self.coordination[site])
    }

    /// Fills or empties a site.
    pub(crate) fn set(&mut self, site: usize, filled: bool) {
        if self.filled[site] == filled {
            return;
        }
        self.filled[site] = filled;
        self.count = if filled { self.count + 1 } else { self.count - 1 };
        for &other in self.sites.neighbours(site) {
            let coordination = &mut self.coordination[other as usize];
            *coordination = if filled { *coordination + 1 } else { *coordination - 1 };
        }
    }

    /// The filled sites, in rising order.
    pub(crate) fn filled_sites(&self) -> Vec<usize> {
        (0..self.sites.len()).filter(|&site| self.filled[site]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_agree_with_all_pairs() {
        let places: Vec<DVec3> = (0..300)
            .map(|i| {
                let t = f64::from(i);
                DVec3::new((t * 0.618).fract(), (t * 0.414).fract(), (t * 0.732).fract()) * 10.0
            })
            .collect();
        let sites = Sites::new(places.clone(), 1.7);
        for (i, place) in places.iter().enumerate() {
            let expected: Vec<u32> =
                (0..300).filter(|&j| j as usize != i && places[j as usize].distance(*place) < 1.7).collect();
            assert_eq!(sites.neighbours(i), expected);
        }
    }

    #[test]
    fn coordination_follows_the_filling() {
        let places = (0..5).map(|i| DVec3::X * f64::from(i)).collect();
        let mut cluster = Cluster::new(Sites::new(places, 1.2), vec![true, true, false, false, false]);
        assert_eq!(cluster.coordination(2), 1);
        cluster.set(3, true);
        assert_eq!((cluster.coordination(2), cluster.atom_count()), (2, 3));
        cluster.set(1, false);
        assert_eq!((cluster.coordination(2), cluster.coordination(0)), (1, 0));
        assert_eq!(cluster.filled_sites(), [0, 3]);
    }
}
