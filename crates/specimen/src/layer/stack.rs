//! The honeycomb that every sheet is made of, the stacking of layers, and the last steps to a body.

use atomlens_core::glam::{DVec2, DVec3};
use atomlens_core::{Atom, ColumnRole, Element, Structure};
use rand::{Rng, RngExt};

use super::deformation::Deformation;
use crate::{Body, SpecimenError, zone};

/// Atoms of a sheet nearer than this in projection share a column, in angstrom. The bonds of graphene, 1.42, are the
/// shortest distance between neighbouring columns of a layer.
const COLUMN_TOLERANCE_ANGSTROM: f64 = 0.45;

/// One of the two sites of the honeycomb's cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sublattice {
    A,
    B,
}

/// A honeycomb with a row along x.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Honeycomb {
    /// Lattice constant in angstrom; bonds are `a / sqrt(3)` long.
    pub(crate) a_angstrom: f64,
    /// Place of one A site.
    pub(crate) origin: DVec2,
    /// Turn about the origin of the plane (not of the lattice), as a stack is twisted.
    pub(crate) twist_rad: f64,
    /// Whether A and B have changed places, which is a turn by 180 degrees.
    pub(crate) swapped: bool,
}

impl Honeycomb {
    /// Length of the bonds, in projection.
    pub(crate) fn bond_angstrom(&self) -> f64 {
        self.a_angstrom / 3.0_f64.sqrt()
    }

    /// A random origin within the cell.
    pub(crate) fn sample(a_angstrom: f64, random: &mut impl Rng) -> Honeycomb {
        let (u, v) = (random.random::<f64>(), random.random::<f64>());
        let origin = a_angstrom * DVec2::new(u + 0.5 * v, 0.75_f64.sqrt() * v);
        Honeycomb { a_angstrom, origin, twist_rad: 0.0, swapped: false }
    }

    /// All sites within `radius` of the origin of the plane.
    pub(crate) fn sites(&self, radius: f64) -> Vec<(DVec2, Sublattice)> {
        let height = 0.75_f64.sqrt() * self.a_angstrom;
        let rows = (radius / height).ceil() as i64 + 2;
        let turn = DVec2::from_angle(self.twist_rad);
        let basis = [Sublattice::A, Sublattice::B];
        let mut sites = Vec::new();
        for v in -rows..=rows {
            let y = v as f64 * height;
            let half_width = (radius / self.a_angstrom).ceil() + 2.0;
            let first = (-half_width - 0.5 * v as f64).floor() as i64;
            let last = (half_width - 0.5 * v as f64).ceil() as i64;
            for u in first..=last {
                let corner = DVec2::new(self.a_angstrom * (u as f64 + 0.5 * v as f64), y);
                for (index, &sublattice) in basis.iter().enumerate() {
                    let bond = DVec2::new(0.5 * self.a_angstrom, height / 3.0);
                    let place = turn.rotate(self.origin + corner + index as f64 * bond);
                    if place.length_squared() <= radius * radius {
                        let sublattice = if self.swapped { basis[1 - index] } else { sublattice };
                        sites.push((place, sublattice));
                    }
                }
            }
        }
        sites
    }
}

/// An atom of a flat sheet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlatAtom {
    pub(crate) element: Element,
    pub(crate) place: DVec3,
    /// Height above the middle of its own layer.
    pub(crate) above_middle: f64,
}

/// Tells the columns of a flat stack apart, deforms it, and centres it along the beam.
pub(crate) fn finish(mut atoms: Vec<FlatAtom>, deformation: &Deformation) -> Result<Body, SpecimenError> {
    let reason = "its edges, holes and vacancies leave nothing; ask for fewer or smaller ones";
    let first = atoms.first().ok_or(SpecimenError::Empty { reason })?.place.z;
    let (low, high) =
        atoms.iter().fold((first, first), |(low, high), atom| (low.min(atom.place.z), high.max(atom.place.z)));
    for atom in &mut atoms {
        atom.place.z -= (low + high) / 2.0;
    }
    let flat: Vec<DVec2> = atoms.iter().map(|atom| atom.place.truncate()).collect();
    let (columns, count) = zone::cluster(&flat, COLUMN_TOLERANCE_ANGSTROM);
    let atoms = atoms
        .iter()
        .zip(columns)
        .map(|(atom, column)| Atom {
            column: Some(column),
            ..Atom::new(atom.element, deformation.apply(atom.place, atom.above_middle))
        })
        .collect();
    Ok(Body {
        structure: Structure { atoms, cell: None },
        roles: vec![ColumnRole::Specimen; count],
        sheet: true,
        fills_field: true,
    })
}

/// The element of a symbol that is known to be one.
pub(crate) fn element(atomic_number: u8) -> Element {
    Element::from_atomic_number(atomic_number).expect("a number of the periodic table")
}
