//! The ideal honeycomb with bonds of length 1, by whole numbers: cell `u`, `v` and site 0 or 1 of the cell.

use atomlens_core::glam::{DMat2, DVec2};

/// Cell and site of the cell.
pub(super) type Index = [i32; 3];

const ROOT_3: f64 = 1.732_050_807_568_877_2;
const CELL: DMat2 = DMat2::from_cols(DVec2::new(ROOT_3, 0.0), DVec2::new(0.5 * ROOT_3, 1.5));
/// From site 0 to site 1 of a cell: up and right, at 30 degrees.
const BOND: DVec2 = DVec2::new(0.5 * ROOT_3, 0.5);

/// The three bonded sites: from site 0 at 30, 150 and 270 degrees, from site 1 opposite.
pub(super) fn bonded([u, v, site]: Index) -> [Index; 3] {
    if site == 0 { [[u, v, 1], [u - 1, v, 1], [u, v - 1, 1]] } else { [[u, v, 0], [u + 1, v, 0], [u, v + 1, 0]] }
}

/// The six nearest sites of the same kind.
pub(super) fn second([u, v, site]: Index) -> [Index; 6] {
    [[u + 1, v, site], [u, v + 1, site], [u - 1, v + 1, site], [u - 1, v, site], [u, v - 1, site], [u + 1, v - 1, site]]
}

pub(super) fn place([u, v, site]: Index) -> DVec2 {
    CELL * DVec2::new(f64::from(u), f64::from(v)) + f64::from(site) * BOND
}

/// The site at a place, which must be near one.
pub(super) fn index_at(place: DVec2) -> Index {
    let nearest = |site: i32| {
        let cell = (CELL.inverse() * (place - f64::from(site) * BOND)).round();
        [cell.x as i32, cell.y as i32, site]
    };
    let (first, second) = (nearest(0), nearest(1));
    let far = |index: Index| self::place(index).distance_squared(place);
    if far(first) <= far(second) { first } else { second }
}

/// The lattice turned by 180 degrees about the middle of a bond: its sites change kind.
pub(super) fn turned([u, v, site]: Index) -> Index {
    [-u, -v, 1 - site]
}

/// Offsets to all sites within `reach` of a site 0, itself left out; for a site 1 see [`offset`].
pub(super) fn around(reach: f64) -> Vec<Index> {
    let cells = (reach / 1.5).ceil() as i32 + 1;
    let mut offsets: Vec<Index> = Vec::new();
    for u in -2 * cells..=2 * cells {
        for v in -cells..=cells {
            for site in 0..2 {
                let far = place([u, v, site]).length();
                if far > 0.0 && far <= reach + 1e-9 {
                    offsets.push([u, v, site]);
                }
            }
        }
    }
    offsets
}

/// The site at an offset of [`around`]: mirrored through the site for those of kind 1.
pub(super) fn offset([u, v, site]: Index, by: Index) -> Index {
    if site == 0 { [u + by[0], v + by[1], by[2]] } else { [u - by[0], v - by[1], 1 - by[2]] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_places_are_inverse_and_neighbours_near() {
        for index in [[0, 0, 0], [3, -2, 1], [-7, 5, 0], [-1, -1, 1]] {
            assert_eq!(index_at(place(index)), index);
            for other in bonded(index) {
                assert!((place(other).distance(place(index)) - 1.0).abs() < 1e-12);
                assert!(bonded(other).contains(&index));
            }
            for other in second(index) {
                assert!((place(other).distance(place(index)) - ROOT_3).abs() < 1e-12);
            }
            // Shells of the honeycomb: 3 at 1, 6 at 1.73, 3 at 2, 6 at 2.65, 6 at 3.
            for (reach, count) in [(1.0, 3), (1.8, 9), (2.0, 12), (2.7, 18), (3.0, 24)] {
                let all: Vec<Index> = around(reach).into_iter().map(|by| offset(index, by)).collect();
                assert_eq!(all.len(), count);
                assert!(all.iter().all(|&other| place(other).distance(place(index)) <= reach + 1e-6));
            }
            let moved = place(turned(index)) - place(turned([0, 0, 0]));
            assert!((moved + place(index)).length() < 1e-12);
        }
    }
}
