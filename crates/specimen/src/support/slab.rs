//! A slab cut from a crystal, seen in profile: its surface normal lies in the plane of the image.
//!
//! The zone axis `[uvw]` is turned to z and the outward normal of the surface `(hkl)` to -y, so that the slab fills
//! `y >= 0`, below its surface in an image whose first row is on top. Both can be had at once if the zone axis lies in the
//! surface, `hu + kv + lw = 0` (Weiss); in a cubic crystal the members of the family `{hkl}` are tried in turn, so that
//! `[110]` with `{111}` finds `(1 -1 1)`. Along the normal the atoms lie in planes; the crystal is cut where two planes are
//! farthest apart, which in ceria is between the oxygens of two `{111}` layers and leaves them whole.

use atomlens_core::glam::{DMat3, DVec2, DVec3};
use atomlens_core::{Atom, Element};

use super::crystal::CrystalCell;
use crate::{SpecimenError, zone};

/// The lattice is exact, so that atoms of a column are at the same place but for rounding; the tolerance is for zone axes
/// along which atoms zigzag a little.
const COLUMN_TOLERANCE_ANGSTROM: f64 = 0.3;

/// How a crystal is cut.
pub(super) struct Cut {
    /// From fractional coordinates to angstrom in the frame of the image.
    image_from_fraction: DMat3,
    /// Distance of the lattice planes `(hkl)`, in angstrom.
    spacing: f64,
    surface: DVec3,
    /// `h x + k y + l z` of the surface's outermost plane.
    outermost: f64,
    /// The period of the planes of atoms along the normal, as a fraction of the spacing.
    period: f64,
}

impl Cut {
    /// Cuts at the `termination`-th widest distance between planes.
    pub(super) fn new(
        crystal: &CrystalCell,
        zone_axis: [i32; 3],
        surface: [i32; 3],
        termination: usize,
    ) -> Result<Cut, SpecimenError> {
        let surface = surface_in_zone(crystal, zone_axis, surface)?;
        let vectors = crystal.cell().vectors_angstrom;
        let surface = DVec3::from_array(surface.map(f64::from));
        let reciprocal = vectors.inverse().transpose() * surface;
        let y = -reciprocal.normalize();
        let z = (vectors * DVec3::from_array(zone_axis.map(f64::from))).normalize();
        let image_from_crystal = DMat3::from_cols(y.cross(z), y, z).transpose();

        let planes = planes(crystal, surface);
        let mut gaps: Vec<(f64, f64)> = (0..planes.len())
            .map(|index| {
                let next = if index + 1 < planes.len() { planes[index + 1].0 } else { planes[0].0 + 1.0 };
                (next - planes[index].0, planes[index].0)
            })
            .collect();
        // Equal but for rounding counts as equal, or the choice would hang on the last bit.
        gaps.sort_by(|a, b| {
            ((b.0 * 1e6).round(), a.1).partial_cmp(&((a.0 * 1e6).round(), b.1)).unwrap_or(std::cmp::Ordering::Equal)
        });
        Ok(Cut {
            image_from_fraction: image_from_crystal * vectors,
            spacing: 1.0 / reciprocal.length(),
            surface,
            outermost: gaps[termination % gaps.len()].1,
            period: period(&planes),
        })
    }

    /// Height of the lowest step that leaves the same termination, in angstrom.
    pub(super) fn step_angstrom(&self) -> f64 {
        self.period * self.spacing
    }

    /// The atoms of the slab, in columns from 0 on, and the number of these: `|x| < half_width`, `0 <= y < depth`,
    /// `|z| < thickness / 2`, the crystal shifted by `shift` along x and z.
    pub(super) fn slab(
        &self,
        crystal: &CrystalCell,
        half_width: f64,
        depth: f64,
        thickness: f64,
        shift: DVec2,
    ) -> (Vec<Atom>, usize) {
        // The plane that is outermost comes to y = 0, whichever of its atoms the origin of the crystal is.
        let origin = DVec3::new(shift.x, self.outermost * self.spacing, shift.y);
        let fraction_from_image = self.image_from_fraction.inverse();
        let (low, high) = (
            DVec3::new(-half_width, 0.0, -thickness / 2.0) - origin,
            DVec3::new(half_width, depth, thickness / 2.0) - origin,
        );
        let corners = (0..8).map(|bits| {
            let pick = |axis: usize| if bits >> axis & 1 == 0 { low[axis] } else { high[axis] };
            fraction_from_image * DVec3::new(pick(0), pick(1), pick(2))
        });
        let (first, last) = corners.fold((DVec3::INFINITY, DVec3::NEG_INFINITY), |(first, last), corner| {
            (first.min(corner), last.max(corner))
        });
        let (first, last) = (first.floor() - 1.0, last.ceil() + 1.0);
        let mut atoms = Vec::new();
        let basis: Vec<(Element, DVec3)> = crystal.places().collect();
        for a in first.x as i64..=last.x as i64 {
            for b in first.y as i64..=last.y as i64 {
                for c in first.z as i64..=last.z as i64 {
                    for &(element, place) in &basis {
                        let fraction = place + DVec3::new(a as f64, b as f64, c as f64);
                        let mut place = self.image_from_fraction * fraction + origin;
                        // From the indices rather than the matrix: exact, so that the surface is not torn by rounding.
                        place.y = (self.outermost - self.surface.dot(fraction)) * self.spacing;
                        let inside = place.x.abs() < half_width
                            && (-1e-6..depth).contains(&place.y)
                            && place.z.abs() < thickness / 2.0;
                        if inside {
                            atoms.push(Atom::new(element, place));
                        }
                    }
                }
            }
        }
        let places: Vec<DVec2> = atoms.iter().map(|atom| atom.position_angstrom.truncate()).collect();
        let (columns, count) = zone::cluster(&places, COLUMN_TOLERANCE_ANGSTROM);
        for (atom, column) in atoms.iter_mut().zip(columns) {
            atom.column = Some(column);
        }
        (atoms, count)
    }
}

/// The member of the family of surfaces that contains the zone axis.
fn surface_in_zone(crystal: &CrystalCell, zone_axis: [i32; 3], surface: [i32; 3]) -> Result<[i32; 3], SpecimenError> {
    let in_range = |indices: [i32; 3]| indices != [0; 3] && indices.iter().all(|index| index.abs() <= 20);
    if !in_range(zone_axis) || !in_range(surface) {
        return Err(SpecimenError::OutOfRange {
            key: "zone_axis and surface",
            found: format!("{zone_axis:?} and {surface:?}"),
            expected: "three whole numbers each, up to 20 and not all 0",
        });
    }
    let [h, k, l] = surface;
    let orders = [[h, k, l], [k, l, h], [l, h, k], [h, l, k], [k, h, l], [l, k, h]];
    let family = orders.into_iter().flat_map(|indices| {
        (0..8)
            .map(move |signs| [0, 1, 2].map(|axis| if signs >> axis & 1 == 0 { indices[axis] } else { -indices[axis] }))
    });
    let tried = if crystal.is_cubic() { 48 } else { 1 };
    family.take(tried).find(|member| member.iter().zip(zone_axis).map(|(h, u)| h * u).sum::<i32>() == 0).ok_or_else(
        || SpecimenError::OutOfRange {
            key: "surface",
            found: format!("{surface:?} with the zone axis {zone_axis:?}"),
            expected: "a surface that contains the zone axis: h u + k v + l w = 0",
        },
    )
}

/// The planes of atoms along the normal: `h x + k y + l z` from 0 to 1, and the elements of each in order.
fn planes(crystal: &CrystalCell, surface: DVec3) -> Vec<(f64, Vec<Element>)> {
    let mut heights: Vec<(f64, Element)> = crystal
        .places()
        .map(|(element, place)| {
            let height = surface.dot(place).rem_euclid(1.0);
            (if height > 1.0 - 1e-6 { 0.0 } else { height }, element)
        })
        .collect();
    heights.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut planes: Vec<(f64, Vec<Element>)> = Vec::new();
    for (height, element) in heights {
        match planes.last_mut() {
            Some((last, elements)) if height - *last < 1e-4 => elements.push(element),
            _ => planes.push((height, vec![element])),
        }
    }
    for (_, elements) in &mut planes {
        elements.sort_unstable();
    }
    planes
}

/// The smallest shift, as 1 over a whole number, that brings the planes onto planes of the same elements.
fn period(planes: &[(f64, Vec<Element>)]) -> f64 {
    let repeats = |shift: f64| {
        planes.iter().all(|(height, elements)| {
            planes.iter().any(|(other, others)| {
                let apart = (height + shift - other).rem_euclid(1.0);
                apart.min(1.0 - apart) < 1e-4 && others == elements
            })
        })
    };
    (2..=12).rev().map(|parts| 1.0 / f64::from(parts)).find(|&shift| repeats(shift)).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::CrystalName;

    fn slab(name: CrystalName, zone_axis: [i32; 3], surface: [i32; 3]) -> (Cut, Vec<Atom>) {
        let cut = Cut::new(&name.cell(), zone_axis, surface, 0).unwrap();
        let (atoms, _) = cut.slab(&name.cell(), 30.0, 25.0, 40.0, DVec2::new(0.37, 1.1));
        (cut, atoms)
    }

    #[test]
    fn ceria_in_profile_ends_in_oxygen_and_is_whole_inside() {
        let (cut, atoms) = slab(CrystalName::CeO2, [1, 1, 0], [1, 1, 1]);
        let spacing = 5.411 / 3.0_f64.sqrt();
        assert!((cut.step_angstrom() - spacing).abs() < 1e-9);
        let top: Vec<&Atom> = atoms.iter().filter(|atom| atom.position_angstrom.y < 0.5).collect();
        assert!(!top.is_empty());
        assert!(top.iter().all(|atom| atom.element.symbol() == "O" && atom.position_angstrom.y.abs() < 1e-6));
        // 4 Ce and 8 O in each a^3, up to the planes that the faces cut.
        let density = atoms.len() as f64 / (60.0 * 25.0 * 40.0);
        assert!((density / (12.0 / 5.411_f64.powi(3)) - 1.0).abs() < 0.05, "{density}");
        for cerium in atoms.iter().filter(|atom| atom.element.symbol() == "Ce") {
            let place = cerium.position_angstrom;
            if place.x.abs() > 25.0 || place.z.abs() > 15.0 || place.y > 20.0 {
                continue;
            }
            let around = atoms.iter().filter(|atom| atom.position_angstrom.distance(place) < 2.5);
            let lengths: Vec<f64> = around
                .filter(|atom| atom.element.symbol() == "O")
                .map(|atom| atom.position_angstrom.distance(place))
                .collect();
            // At this surface every cerium atom keeps seven of its eight oxygens.
            assert_eq!(lengths.len(), if place.y < 2.0 { 7 } else { 8 });
            assert!(lengths.iter().all(|length| (length - 5.411 * 0.75_f64.sqrt() / 2.0).abs() < 1e-6));
        }
    }

    #[test]
    fn columns_are_of_one_element_and_as_tall_as_the_slab() {
        let (_, atoms) = slab(CrystalName::CeO2, [1, 1, 0], [1, 1, 1]);
        let count = atoms.iter().filter_map(|atom| atom.column).max().unwrap() as usize + 1;
        let mut columns: Vec<Vec<&Atom>> = vec![Vec::new(); count];
        for atom in &atoms {
            columns[atom.column.unwrap() as usize].push(atom);
        }
        // The period along [110] is a / sqrt(2): 40 hold ten or eleven of them.
        for column in columns {
            assert!(column.iter().all(|atom| atom.element == column[0].element));
            assert!((10..=11).contains(&column.len()), "{}", column.len());
        }
    }

    #[test]
    fn steps_have_the_height_of_a_layer() {
        for (name, zone_axis, surface, height) in [
            (CrystalName::CeO2, [1, 0, 0], [0, 0, 1], 5.411 / 2.0),
            (CrystalName::MgO, [1, 0, 0], [0, 0, 1], 4.212 / 2.0),
            (CrystalName::SrTiO3, [1, 0, 0], [0, 0, 1], 3.905),
            (CrystalName::Rutile, [0, 0, 1], [1, 1, 0], 4.5937 / 2.0_f64.sqrt()),
        ] {
            let (cut, atoms) = slab(name, zone_axis, surface);
            assert!((cut.step_angstrom() - height).abs() < 1e-6, "{name:?}: {}", cut.step_angstrom());
            let volume = name.cell().cell().volume_cubic_angstrom();
            let expected = name.cell().basis.len() as f64 / volume * 60.0 * 25.0 * 40.0;
            assert!((atoms.len() as f64 / expected - 1.0).abs() < 0.1, "{name:?}");
        }
    }

    #[test]
    fn a_surface_out_of_the_zone_is_refused() {
        let error =
            |name: CrystalName, zone, surface| Cut::new(&name.cell(), zone, surface, 0).err().unwrap().to_string();
        assert!(error(CrystalName::CeO2, [1, 1, 1], [1, 0, 0]).contains("h u + k v + l w"));
        assert!(error(CrystalName::Rutile, [1, 1, 0], [1, 1, 1]).contains("h u + k v + l w"));
        assert!(error(CrystalName::CeO2, [0, 0, 0], [1, 0, 0]).contains("not all 0"));
    }
}
