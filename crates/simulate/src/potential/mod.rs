//! The potential of a structure, slice by slice.
//!
//! The transform of a slice's projected potential is `sum over elements of f(k) S(k)`, with the structure
//! factor `S(k) = sum_j exp(-2 pi i k.r_j)`. `S` is computed by spreading the atoms on a grid finer by a
//! quarter with a compact kernel, transforming, and dividing by the kernel's own transform: a non-uniform fast
//! Fourier transform of type 1 (A. H. Barnett, J. Magland, L. af Klinteberg, SIAM J. Sci. Comput. 41, C479
//! (2019), doi:10.1137/18M120885X, the "exponential of semicircle" kernel), exact to about 1e-6 at every frequency
//! of the grid, at a cost that hardly depends on the number of atoms.
//!
//! That is [`Placement::Exact`]. [`Placement::Bilinear`] is what abTEM 1.0 does and what its waves are compared with: every
//! atom is shared among the four nearest pixels, which smears it by up to half a pixel (docs/conventions.md has figures).
//!
//! *Infinite projection* puts the whole of an atom's projected potential into the slice that holds
//! the atom; *finite projection* gives every slice the part of the potential that lies within it.

mod builder;
mod spread;

use std::collections::BTreeMap;

use atomlens_core::glam::DVec3;
use atomlens_core::{Element, Grid, Structure};
use serde::{Deserialize, Serialize};

use crate::{Parametrization, SimulateError};

pub use builder::PotentialBuilder;
pub(crate) use builder::SliceSpace;

/// How an atom's potential is shared among slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Projection {
    /// All of it in the slice that holds the atom.
    #[default]
    Infinite,
    /// Every slice has what lies within it.
    Finite,
}

/// How an atom between pixels is put on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// Where it is: exact to about 1e-6 at every frequency of the grid.
    #[default]
    Exact,
    /// Shared among the four nearest pixels, and sharpened by `|k s| / sin |k s|` with the pixel size `s`, as abTEM 1.0
    /// does. Smears atoms by up to half a pixel, depending on where they lie between the pixels.
    Bilinear,
}

/// How a potential is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PotentialSettings {
    /// Coefficients of the scattering factors.
    pub parametrization: Parametrization,
    /// Infinite or finite projection.
    pub projection: Projection,
    /// How atoms between pixels are put on the grid.
    pub placement: Placement,
    /// Largest thickness of a slice in angstrom; slices are made equally thick.
    pub slice_thickness_angstrom: f64,
    /// Whether atoms with a root-mean-square displacement are smeared by its Debye-Waller factor
    /// `exp(-2 pi^2 u^2 k^2)`. Off when frozen phonons move the atoms instead.
    pub debye_waller: bool,
}

impl Default for PotentialSettings {
    fn default() -> Self {
        PotentialSettings {
            parametrization: Parametrization::Lobato,
            projection: Projection::Infinite,
            placement: Placement::Exact,
            slice_thickness_angstrom: 1.0,
            debye_waller: false,
        }
    }
}

/// Atoms that scatter alike: one element, one Debye-Waller factor.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Species {
    element: Element,
    rms_displacement_angstrom: f64,
}

/// One atom on the grid.
#[derive(Debug, Clone, Copy)]
struct PlacedAtom {
    species: usize,
    /// Place in fractions of the cell, 0 up to 1.
    x: f64,
    y: f64,
    z_angstrom: f64,
    weight: f64,
}

/// A structure cut into slices, ready to give the potential of each.
#[derive(Debug, Clone)]
pub struct SlicedStructure {
    settings: PotentialSettings,
    /// Cell edges in angstrom.
    cell_angstrom: DVec3,
    species: Vec<Species>,
    /// Atoms by the slice that holds them, in the order of the structure.
    slices: Vec<Vec<PlacedAtom>>,
}

/// Rounding of a coordinate that is not taken for an atom outside the cell, in angstrom.
const OUTSIDE_TOLERANCE_ANGSTROM: f64 = 1e-6;

impl SlicedStructure {
    /// Cuts a structure into slices of equal thickness.
    ///
    /// # Errors
    /// The structure must have atoms, a cell that is a box of positive edges, and all atoms within it.
    pub fn new(structure: &Structure, settings: PotentialSettings) -> Result<SlicedStructure, SimulateError> {
        let thickness = SimulateError::positive("slice thickness in angstrom", settings.slice_thickness_angstrom)?;
        let cell = structure.cell.ok_or(SimulateError::NoCell)?;
        if structure.atoms.is_empty() {
            return Err(SimulateError::NoAtoms);
        }
        let [x_angstrom, y_angstrom, z_angstrom] = cell.lengths_angstrom();
        if ![x_angstrom, y_angstrom, z_angstrom].iter().all(|edge| edge.is_finite() && *edge > 0.0) {
            return Err(SimulateError::ZeroThickness { x_angstrom, y_angstrom, z_angstrom });
        }
        let Some(edges) = cell.as_orthorhombic() else {
            let [alpha_degree, beta_degree, gamma_degree] = cell.angles_degree();
            return Err(SimulateError::CellNotABox { alpha_degree, beta_degree, gamma_degree });
        };
        check_inside(structure, edges)?;
        // A quotient that is whole but for rounding must not gain a slice.
        let count = ((edges.z / thickness - 1e-9).ceil() as usize).max(1);
        let mut slices: Vec<Vec<PlacedAtom>> = vec![Vec::new(); count];
        let mut species: Vec<Species> = Vec::new();
        for atom in &structure.atoms {
            let this = Species {
                element: atom.element,
                rms_displacement_angstrom: if settings.debye_waller {
                    atom.rms_displacement_angstrom.unwrap_or(0.0)
                } else {
                    0.0
                },
            };
            let index = species.iter().position(|known| *known == this).unwrap_or_else(|| {
                species.push(this);
                species.len() - 1
            });
            let place = atom.position_angstrom / edges;
            let slice = ((place.z * count as f64).floor().max(0.0) as usize).min(count - 1);
            slices[slice].push(PlacedAtom {
                species: index,
                x: place.x.rem_euclid(1.0),
                y: place.y.rem_euclid(1.0),
                z_angstrom: atom.position_angstrom.z.clamp(0.0, edges.z),
                weight: atom.occupancy,
            });
        }
        Ok(SlicedStructure { settings, cell_angstrom: edges, species, slices })
    }

    /// Number of slices.
    pub fn slice_count(&self) -> usize {
        self.slices.len()
    }

    /// Thickness of every slice in angstrom.
    pub fn slice_thickness_angstrom(&self) -> f64 {
        self.cell_angstrom.z / self.slices.len() as f64
    }

    /// Extent of the cell in the plane, x and y in angstrom.
    pub fn field_angstrom(&self) -> [f64; 2] {
        [self.cell_angstrom.x, self.cell_angstrom.y]
    }

    /// The grid of `nx` times `ny` pixels that covers the cell.
    pub fn grid(&self, nx: usize, ny: usize) -> Grid {
        Grid::covering(self.cell_angstrom.x, self.cell_angstrom.y, nx, ny)
    }

    /// The parts of which every slice's potential is made; slices without a potential have none.
    fn contributions(&self) -> Vec<Vec<Contribution>> {
        match self.settings.projection {
            Projection::Infinite => self
                .slices
                .iter()
                .map(|atoms| {
                    self.by_species(atoms.iter().copied())
                        .into_iter()
                        .map(|(species, atoms)| Contribution { species, heights: None, atoms })
                        .collect()
                })
                .collect(),
            Projection::Finite => self.finite_contributions(),
        }
    }

    fn by_species(&self, atoms: impl Iterator<Item = PlacedAtom>) -> BTreeMap<usize, Vec<PlacedAtom>> {
        let mut sorted: BTreeMap<usize, Vec<PlacedAtom>> = BTreeMap::new();
        for atom in atoms {
            sorted.entry(atom.species).or_default().push(atom);
        }
        sorted
    }

    /// Atoms are gathered on planes a tenth of a slice apart, each shared between the two nearest so
    /// that its mean height is kept; a plane gives every slice within reach its part.
    fn finite_contributions(&self) -> Vec<Vec<Contribution>> {
        let thickness = self.slice_thickness_angstrom();
        let spacing = thickness / PLANES_PER_SLICE;
        let mut planes: BTreeMap<(i64, usize), Vec<PlacedAtom>> = BTreeMap::new();
        for atom in self.slices.iter().flatten() {
            let height = atom.z_angstrom / spacing;
            let below = height.floor();
            let upper_share = height - below;
            for (plane, share) in [(below, 1.0 - upper_share), (below + 1.0, upper_share)] {
                if share > 1e-9 {
                    planes
                        .entry((plane as i64, atom.species))
                        .or_default()
                        .push(PlacedAtom { weight: atom.weight * share, ..*atom });
                }
            }
        }
        let count = self.slices.len();
        let mut slices: Vec<Vec<Contribution>> = (0..count).map(|_| Vec::new()).collect();
        for ((plane, species), atoms) in planes {
            let z = plane as f64 * spacing;
            let first = (((z - REACH_ANGSTROM) / thickness).floor().max(0.0)) as usize;
            let last = (((z + REACH_ANGSTROM) / thickness).floor().max(0.0) as usize).min(count - 1);
            for (slice, contributions) in slices.iter_mut().enumerate().take(last + 1).skip(first) {
                // The outermost slices also have what lies beyond the cell, so that nothing is lost.
                let low = if slice == 0 { f64::NEG_INFINITY } else { slice as f64 * thickness - z };
                let high = if slice + 1 == count { f64::INFINITY } else { (slice + 1) as f64 * thickness - z };
                contributions.push(Contribution { species, heights: Some((low, high)), atoms: atoms.clone() });
            }
        }
        slices
    }
}

/// Planes per slice on which finite projection gathers atoms.
const PLANES_PER_SLICE: f64 = 10.0;

/// Distance along the beam at which an atom's potential is neglected by finite projection, in angstrom.
const REACH_ANGSTROM: f64 = 4.0;

/// Atoms of one species and the part of their potential that counts.
#[derive(Debug, Clone)]
struct Contribution {
    species: usize,
    /// Heights above the atoms between which the potential counts, in angstrom; all if `None`.
    heights: Option<(f64, f64)>,
    atoms: Vec<PlacedAtom>,
}

fn check_inside(structure: &Structure, edges: DVec3) -> Result<(), SimulateError> {
    let outside = |index: usize| -> Option<(char, f64, f64)> {
        let place = structure.atoms[index].position_angstrom;
        [('x', place.x, edges.x), ('y', place.y, edges.y), ('z', place.z, edges.z)]
            .into_iter()
            .find(|(_, value, edge)| !(-OUTSIDE_TOLERANCE_ANGSTROM..=edge + OUTSIDE_TOLERANCE_ANGSTROM).contains(value))
    };
    let mut offenders = (0..structure.atoms.len()).filter_map(|index| outside(index).map(|found| (index, found)));
    match offenders.next() {
        None => Ok(()),
        Some((index, (axis, found_angstrom, cell_angstrom))) => Err(SimulateError::AtomOutsideCell {
            index,
            element: structure.atoms[index].element,
            axis,
            found_angstrom,
            cell_angstrom,
            others: offenders.count(),
        }),
    }
}
