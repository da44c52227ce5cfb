//! The sites of a specimen: which there are, and of which kind.
//!
//! The kind is read off the projection. With `A` the area of a column (twice the median area of the Delaunay triangles of
//! the columns), neighbours are the columns within `1.55 sqrt(A)`: six for fcc along `[110]` and `[111]`, eight along
//! `[100]`. In sheets they are those within `1.35 sqrt(A)`, the three of the honeycomb. Inside the crystal a column has the
//! full number, which is the largest that a tenth of all columns have; otherwise the part of it that it has tells its kind, see
//! [`SiteKind`]. Columns at the border of the box have lost neighbours only by cropping and count as interior.
//!
//! The empty sites beside the surface follow the lattice: from a column `j` over its neighbour `i` at the surface to
//! the place as far beyond it, by the vector between nearest atoms of the two, which in a crystal of one atom a cell is a
//! lattice vector also along the beam. Places that are taken, or have fewer than two neighbours, are none; of the column that
//! would be there, the atoms that three atoms of the specimen support are kept.

use std::collections::BTreeMap;

use atomlens_core::glam::{DVec2, DVec3};
use atomlens_core::{Atom, ColumnRole, Element};
use delaunator::{Point, triangulate};
use serde::{Deserialize, Serialize};

use crate::Specimen;
use crate::layer::plane::PlaneGrid;

const REACH_IN_CRYSTALS: f64 = 1.55;
const REACH_IN_SHEETS: f64 = 1.35;
/// A column of the surface this near to one of a crystalline support is at the interface, in angstrom.
const INTERFACE_ANGSTROM: f64 = 4.5;
/// No adatom site is this near to a column of a crystalline support in projection: it would be in the gap of the interface,
/// or seem to be in the support. In angstrom.
const BESIDE_SUPPORT_ANGSTROM: f64 = 2.5;
/// No adatom comes nearer than this to an atom of a support, in angstrom.
const CLEARANCE_ANGSTROM: f64 = 2.0;

/// What a site is part of, by its neighbours in projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteKind {
    /// All neighbours, or nine tenths of them.
    Interior,
    /// At least six tenths: in a flat face (four of six along `[110]`).
    Facet,
    /// At least 45 hundredths: where two faces meet (three of six). In sheets: along an edge, a hole or a vacancy.
    Edge,
    /// Fewer: at a sharp corner, or at the end of a row on top of a face.
    Corner,
    /// Empty at the start, beside the surface; or with hardly a neighbour.
    Adatom,
    /// A site of the surface within 4.5 angstrom of a column of a crystalline support.
    Interface,
}

/// A site and its rates.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Mean place of its atoms in the first frame, along x, in angstrom.
    pub x_angstrom: f64,
    /// The same along y.
    pub y_angstrom: f64,
    /// What it is part of at the start.
    pub kind: SiteKind,
    /// Number of atoms of each element that it holds when it is filled.
    pub atoms: BTreeMap<Element, u32>,
    /// How often it empties when filled, per second.
    pub emptying_per_s: f64,
    /// How often it fills when empty, per second.
    pub filling_per_s: f64,
    /// Whether it is filled in the first frame.
    pub filled_at_start: bool,
}

impl Site {
    /// Number of atoms of all elements.
    pub fn atom_count(&self) -> u32 {
        self.atoms.values().sum()
    }
}

/// Sites, and the specimen with all of them filled.
pub(super) struct Found {
    pub(super) sites: Vec<Site>,
    pub(super) atoms: Vec<Atom>,
    pub(super) site_of_atom: Vec<Option<u32>>,
    pub(super) roles: Vec<ColumnRole>,
    /// Neighbouring adatom sites of each adatom site; none for the others.
    pub(super) adatom_neighbours: Vec<Vec<u32>>,
}

/// The specimen's columns, as the search for sites looks at them.
struct Projection<'a> {
    specimen: &'a Specimen,
    lengths: DVec3,
    /// Indices of the specimen's own columns, those of the support left out.
    own: Vec<usize>,
    grid: PlaneGrid,
    support: PlaneGrid,
    /// Square root of the area of a column.
    pitch: f64,
    reach: f64,
    full: usize,
}

/// Finds all sites; their rates are still 0.
pub(super) fn find(specimen: &Specimen, lengths: DVec3) -> Found {
    let projection = Projection::new(specimen, lengths);
    let kinds: Vec<SiteKind> = (0..projection.own.len()).map(|index| projection.kind(index)).collect();
    let mut atoms = specimen.structure.atoms.clone();
    let mut roles: Vec<ColumnRole> = specimen.columns.iter().map(|column| column.role).collect();
    let mut own_of_column = vec![None; roles.len()];
    for (index, &column) in projection.own.iter().enumerate() {
        own_of_column[column] = Some(index);
    }

    let mut groups: Vec<(SiteKind, bool, Vec<Atom>)> = Vec::new();
    let mut site_of_atom = vec![None; atoms.len()];
    let mut site_of_own = vec![None; projection.own.len()];
    for (atom, site) in atoms.iter().zip(&mut site_of_atom) {
        let Some(own) = atom.column.and_then(|column| own_of_column[column as usize]) else { continue };
        let group = match site_of_own[own] {
            Some(group) if !specimen.sheet => group,
            _ => {
                groups.push((kinds[own], true, Vec::new()));
                groups.len() - 1
            }
        };
        site_of_own[own] = Some(group);
        groups[group].2.push(*atom);
        *site = Some(group as u32);
    }
    if !specimen.sheet {
        for mut column in projection.adatoms(&kinds) {
            for atom in &mut column {
                atom.column = Some(roles.len() as u32);
            }
            roles.push(ColumnRole::Specimen);
            site_of_atom.extend(column.iter().map(|_| Some(groups.len() as u32)));
            atoms.extend_from_slice(&column);
            groups.push((SiteKind::Adatom, false, column));
        }
    }
    let sites: Vec<Site> = groups
        .into_iter()
        .map(|(kind, filled_at_start, atoms)| {
            let mean = atoms.iter().map(|atom| atom.position_angstrom).sum::<DVec3>() / atoms.len().max(1) as f64;
            let mut count = BTreeMap::new();
            for atom in &atoms {
                *count.entry(atom.element).or_insert(0) += 1;
            }
            Site {
                x_angstrom: mean.x,
                y_angstrom: mean.y,
                kind,
                atoms: count,
                emptying_per_s: 0.0,
                filling_per_s: 0.0,
                filled_at_start,
            }
        })
        .collect();
    let adatom_neighbours = neighbouring_adatoms(&sites, projection.reach);
    Found { sites, atoms, site_of_atom, roles, adatom_neighbours }
}

fn neighbouring_adatoms(sites: &[Site], reach: f64) -> Vec<Vec<u32>> {
    let places: Vec<DVec2> = sites.iter().map(|site| DVec2::new(site.x_angstrom, site.y_angstrom)).collect();
    let grid = PlaneGrid::from_places(&places, reach);
    let is_adatom = |site: usize| sites[site].kind == SiteKind::Adatom;
    (0..sites.len())
        .map(|site| {
            let near = grid.near(places[site], reach).filter(|&other| other != site && is_adatom(other));
            if is_adatom(site) { near.map(|other| other as u32).collect() } else { Vec::new() }
        })
        .collect()
}

impl Projection<'_> {
    fn new(specimen: &Specimen, lengths: DVec3) -> Projection<'_> {
        let columns = &specimen.columns;
        let place = |index: &usize| DVec2::new(columns[*index].x_angstrom, columns[*index].y_angstrom);
        let (own, support): (Vec<usize>, Vec<usize>) =
            (0..columns.len()).partition(|&index| columns[index].role == ColumnRole::Specimen);
        let places: Vec<DVec2> = own.iter().map(place).collect();
        let support: Vec<DVec2> = support.iter().map(place).collect();
        let pitch = pitch(&places);
        let reach = pitch * if specimen.sheet { REACH_IN_SHEETS } else { REACH_IN_CRYSTALS };
        let grid = PlaneGrid::from_places(&places, reach);
        let support = PlaneGrid::from_places(&support, INTERFACE_ANGSTROM);
        let mut projection = Projection { specimen, lengths, own, grid, support, pitch, reach, full: 0 };
        let mut counts: Vec<usize> = (0..places.len()).map(|index| projection.neighbours(index).count()).collect();
        counts.sort_unstable();
        // The tenth largest in a hundred.
        projection.full = counts.len().checked_sub(counts.len() / 10 + 1).map_or(0, |index| counts[index]);
        projection
    }

    fn place(&self, index: usize) -> DVec2 {
        self.grid.places()[index]
    }

    fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        self.grid.near(self.place(index), self.reach).filter(move |&other| other != index)
    }

    fn is_at_border(&self, place: DVec2) -> bool {
        place.min_element() < self.reach || (self.lengths.truncate() - place).min_element() < self.reach
    }

    fn kind(&self, index: usize) -> SiteKind {
        let count = self.neighbours(index).count();
        let part = count as f64 / self.full.max(1) as f64;
        let place = self.place(index);
        if part >= 0.9 || self.is_at_border(place) {
            SiteKind::Interior
        } else if self.support.near(place, INTERFACE_ANGSTROM).next().is_some() {
            SiteKind::Interface
        } else if part >= 0.6 {
            if self.specimen.sheet { SiteKind::Edge } else { SiteKind::Facet }
        } else if part >= 0.45 {
            SiteKind::Edge
        } else if part >= 0.2 {
            SiteKind::Corner
        } else {
            SiteKind::Adatom
        }
    }

    /// The columns that adatoms can make beside the surface.
    fn adatoms(&self, kinds: &[SiteKind]) -> Vec<Vec<Atom>> {
        let mut atoms_of: Vec<Vec<Atom>> = vec![Vec::new(); self.specimen.columns.len()];
        for atom in &self.specimen.structure.atoms {
            if let Some(column) = atom.column {
                atoms_of[column as usize].push(*atom);
            }
        }
        let everything: Vec<DVec2> =
            self.specimen.structure.atoms.iter().map(|atom| atom.position_angstrom.truncate()).collect();
        let everything = PlaneGrid::from_places(&everything, 3.0);
        let bond = self.bond(&atoms_of);
        let mut taken = PlaneGrid::from_places(self.grid.places(), self.pitch);
        let mut found = Vec::new();
        for index in (0..self.own.len()).filter(|&index| kinds[index] != SiteKind::Interior) {
            for other in self.neighbours(index) {
                let (here, there) = (&atoms_of[self.own[index]], &atoms_of[self.own[other]]);
                let Some(step) = shortest(there, here) else { continue };
                let place = self.place(index) + step.truncate();
                let free = !self.is_at_border(place)
                    && taken.near(place, 0.8 * self.pitch).next().is_none()
                    && self.support.near(place, BESIDE_SUPPORT_ANGSTROM).next().is_none();
                if !free || self.grid.near(place, self.reach).count() < 2 {
                    continue;
                }
                let moved = here.iter().map(|atom| Atom { position_angstrom: atom.position_angstrom + step, ..*atom });
                let column: Vec<Atom> = moved.filter(|atom| self.is_supported(atom, bond, &everything)).collect();
                if !column.is_empty() {
                    taken.insert(place);
                    found.push(column);
                }
            }
        }
        found
    }

    /// The commonest distance between an atom and its nearest one in a neighbouring column.
    fn bond(&self, atoms_of: &[Vec<Atom>]) -> f64 {
        let mut lengths: Vec<f64> = (0..self.own.len())
            .filter_map(|index| {
                let here = &atoms_of[self.own[index]];
                let lengths = self.neighbours(index).filter_map(|other| shortest(&atoms_of[self.own[other]], here));
                lengths.map(|step| step.length()).min_by(f64::total_cmp)
            })
            .collect();
        lengths.sort_unstable_by(f64::total_cmp);
        lengths.get(lengths.len() / 2).copied().unwrap_or(0.0)
    }

    /// Whether three atoms of the specimen hold an adatom, and nothing is in its way.
    fn is_supported(&self, adatom: &Atom, bond: f64, everything: &PlaneGrid) -> bool {
        let place = adatom.position_angstrom;
        if place.z < 0.0 || place.z >= self.lengths.z {
            return false;
        }
        let mut holding = 0;
        for index in everything.near(place.truncate(), 1.2 * bond) {
            let atom = &self.specimen.structure.atoms[index];
            let distance = atom.position_angstrom.distance(place);
            let role = atom.column.map(|column| self.specimen.columns[column as usize].role);
            if role == Some(ColumnRole::Specimen) {
                if distance < 0.8 * bond {
                    return false;
                }
                holding += usize::from(distance < 1.2 * bond);
            } else if role == Some(ColumnRole::Support) && distance < CLEARANCE_ANGSTROM {
                return false;
            }
        }
        holding >= 3
    }
}

/// The shortest vector from an atom of one column to one of another.
fn shortest(from: &[Atom], to: &[Atom]) -> Option<DVec3> {
    let pairs = from.iter().flat_map(|a| to.iter().map(|b| b.position_angstrom - a.position_angstrom));
    // Those that are equally long go by order, not by the last bit.
    pairs.reduce(|best, next| if next.length() < best.length() - 1e-6 { next } else { best })
}

/// Square root of the area that a column has.
fn pitch(places: &[DVec2]) -> f64 {
    let points: Vec<Point> = places.iter().map(|place| Point { x: place.x, y: place.y }).collect();
    let triangulation = triangulate(&points);
    let mut areas: Vec<f64> = triangulation
        .triangles
        .chunks_exact(3)
        .map(|corners| {
            (places[corners[1]] - places[corners[0]]).perp_dot(places[corners[2]] - places[corners[0]]).abs()
        })
        .filter(|&area| area > 1e-3)
        .collect();
    areas.sort_unstable_by(f64::total_cmp);
    // Twice a triangle's area is the parallelogram's. A few columns in a line have no triangle: 2.5 is that of most metals.
    areas.get(areas.len() / 2).map_or(2.5, |area| area.sqrt())
}
