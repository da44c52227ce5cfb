//! Defects of single layers: graphene, hexagonal boron nitride, and the dichalcogenides MX2, from their columns.
//!
//! All three are honeycombs seen along the beam, of one kind of site or of two. The steps:
//! 1. bonds between neighbours, with the length that the columns themselves show, and the faces of this planar graph:
//!    rings, holes, the outside (`graph`);
//! 2. crystals, grown from the best ordered places over a lattice that follows strain and ripples, and their sites, with
//!    a column or without (`crystals`, `sites`);
//! 3. what is wrong where (`kinds`), edges (`edges`) and grain boundaries (`boundaries`);
//! 4. how many there are per area, with what is known of missed columns and mistaken species (`counts`).
//!
//! A site without a column is a vacancy only if the sheet goes on all around it: at an edge it is part of the edge, at
//! the border of the field of view nobody knows. Counts leave both out, and so do the areas that they are divided by.

mod boundaries;
mod chemistry;
pub mod counts;
mod crystals;
mod edges;
mod grains;
mod graph;
mod honeycomb;
mod kinds;
mod rings;
mod scope;
mod sites;
pub mod species;
mod types;

use std::collections::BTreeMap;

use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use chemistry::Chemistry;
use crystals::Lattice;
use graph::{BondGraph, Face, bond_length_angstrom};
use kinds::PointDefects;
use rings::Rings;
use scope::Scope;
use sites::Survey;

pub use types::{
    Boundary, Crystal, Defect, DefectKind, Edge, EdgeKind, EdgeLength, KindCount, Region, Ring, SheetDefects,
    SheetSummary, Site, Sublattice,
};

/// What is known of an image of a sheet.
#[derive(Clone, Copy)]
pub struct SheetColumns<'a> {
    /// The columns that were found.
    pub columns: &'a [DetectedColumn],
    /// Names of the species that columns' indices point to: element symbols with a number of atoms where it is not one
    /// (`Mo`, `S2`, `SSe`, `C`), or `M`, `X2`, `X` for any metal and chalcogen.
    pub species: &'a [String],
    /// Probabilities of all species, `[column, species]`, each row given that there is a column. Without them what a
    /// column's own species leaves is shared among the others of its sublattice.
    pub species_probabilities: Option<ArrayView2<'a, f64>>,
    /// The field of view, x and y of its two corners in angstrom: lowest, highest. Pixel centres, so the first is
    /// usually `[0, 0]`.
    pub field_angstrom: [[f64; 2]; 2],
    /// Share of the columns that the detector misses in images of this kind: one minus its recall.
    pub missed_share: f64,
    /// The detector's calibrated probability that there is a column at a place (x, y in angstrom), if it can be asked.
    pub column_probability_at: Option<&'a dyn Fn(f64, f64) -> f64>,
}

/// How defects are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DefectSettings {
    /// Defects of a smaller probability are not listed; expected numbers have them all the same.
    pub probability_threshold: f64,
    /// Width of a strip along the border of the field in which columns may be missing for no reason of the specimen's.
    pub border_angstrom: f64,
    /// Enclosed gaps of more sites than this are holes, not clusters of vacancies.
    pub largest_cluster_sites: usize,
    /// Crystals of fewer columns are not counted as crystals.
    pub smallest_crystal_columns: usize,
}

impl Default for DefectSettings {
    fn default() -> Self {
        DefectSettings {
            probability_threshold: 0.5,
            border_angstrom: 1.0,
            largest_cluster_sites: 12,
            smallest_crystal_columns: 16,
        }
    }
}

/// Why nothing can be said of a sheet.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DefectError {
    /// There are hardly any columns.
    #[error(
        "{found} columns are too few for a lattice, at least {needed} are needed: lower the detection threshold or check the pixel size"
    )]
    TooFewColumns {
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The columns are no honeycomb.
    #[error(
        "{found} of {columns} columns have three neighbours at one distance and 120 degrees, a honeycomb has most: defects are found in single layers of graphene, hBN and MX2 seen from above"
    )]
    NoHoneycomb {
        /// Columns that look like those of a honeycomb.
        found: usize,
        /// All columns.
        columns: usize,
    },
    /// A species that no sheet has.
    #[error(
        "species {species:?} is not one of a sheet: expected C, B, N, a metal (Mo, W, ..., M) or chalcogens (S, S2, SSe, ..., X, X2)"
    )]
    UnknownSpecies {
        /// Its name.
        species: String,
    },
    /// A column points to a species that there is not.
    #[error("column {column} has species {species}, but there are {known} species")]
    SpeciesOutOfRange {
        /// Which column.
        column: usize,
        /// Its species.
        species: usize,
        /// How many there are.
        known: usize,
    },
    /// The table of probabilities does not fit.
    #[error(
        "probabilities of species are [{found_columns}, {found_species}], expected [{columns}, {species}] (column, species)"
    )]
    ProbabilityShape {
        /// Its first length.
        found_columns: usize,
        /// Its second length.
        found_species: usize,
        /// Number of columns.
        columns: usize,
        /// Number of species.
        species: usize,
    },
    /// A number that must be a fraction or finite is not.
    #[error("{what} is {found}, expected {expected}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: f64,
        /// What would do.
        expected: &'static str,
    },
}

/// Fewest columns that can be a crystal with a hexagon and what is around it.
const FEWEST_COLUMNS: usize = 13;

/// Smallest share of the columns that must be those of a honeycomb.
const SMALLEST_SHARE: f64 = 0.2;

/// Finds the defects of a sheet.
///
/// # Errors
/// [`DefectError`] where the columns are no sheet's, or what is known of them does not fit together.
pub fn find_defects(input: &SheetColumns<'_>, settings: &DefectSettings) -> Result<SheetDefects, DefectError> {
    let Sheet { chemistry, graph, lattices, survey } = Sheet::of(input, settings)?;
    let columns = input.columns;
    let bond_angstrom = graph.bond_angstrom;
    let places = graph.places.clone();
    let sites = survey.sites(&chemistry, input, settings);
    let hosts = kinds::hosts(&lattices, &chemistry);
    let off_site = kinds::off_site(&graph, columns, &survey);
    let graph = without(graph, &off_site);
    let faces = graph.faces();
    let rings = Rings::new(&graph, columns, &faces);
    let listed_rings = rings.list();

    let mut all = PointDefects { columns, chemistry: &chemistry, hosts: &hosts, survey: &survey, sites: &sites }.find();
    all.extend(off_site);
    all.extend(rings.defects(|column| !settings.sees(input, places[column])));
    for defect in &mut all {
        defect.crystal = defect.crystal.or_else(|| common_crystal(&defect.members, &survey));
    }
    let area_nm2 = covered_area_nm2(&faces, bond_angstrom, settings);
    let scope = Scope { lattices: &lattices, chemistry: &chemistry, hosts: &hosts, sites: &sites, area_nm2 };
    let counts = scope.counts(&all, settings.probability_threshold);
    let edges: Vec<Edge> = lattices
        .iter()
        .enumerate()
        .flat_map(|(crystal, lattice)| edges::find(crystal, lattice, &survey.crystals[crystal], &graph, &chemistry))
        .collect();

    all.retain(|defect| defect.probability >= settings.probability_threshold);
    let boundaries = boundaries::find(&lattices, &survey, &graph, &chemistry, &all);
    let place = |defect: &Defect| [defect.y_angstrom, defect.x_angstrom];
    all.sort_by(|a, b| {
        let [first, second] = [place(a), place(b)];
        a.kind.cmp(&b.kind).then(first[0].total_cmp(&second[0])).then(first[1].total_cmp(&second[1]))
    });
    let mut sizes = BTreeMap::new();
    for ring in &listed_rings {
        *sizes.entry(ring.columns.len()).or_insert(0) += 1;
    }
    let summary = SheetSummary {
        area_nm2,
        columns: columns.len(),
        sites: sites.len(),
        interior_sites: sites.iter().filter(|site| site.region == Region::Interior).count(),
        bond_angstrom,
        crystals: lattices.iter().zip(&hosts).map(|(lattice, hosts)| crystal(lattice, *hosts, &chemistry)).collect(),
        counts,
        rings: sizes.into_iter().collect(),
        edges: edges::lengths(&edges),
    };
    let bonds = graph.pairs();
    Ok(SheetDefects { summary, defects: all, edges, boundaries, sites, bonds, rings: listed_rings })
}

/// The columns of a sheet, sorted into crystals.
struct Sheet {
    chemistry: Chemistry,
    graph: BondGraph,
    lattices: Vec<Lattice>,
    survey: Survey,
}

impl Sheet {
    fn of(input: &SheetColumns<'_>, settings: &DefectSettings) -> Result<Sheet, DefectError> {
        check(input, settings)?;
        let columns = input.columns;
        let chemistry = Chemistry::of(input)?;
        let places: Vec<DVec2> =
            columns.iter().map(|column| DVec2::new(column.x_angstrom, column.y_angstrom)).collect();
        let too_few = DefectError::TooFewColumns { found: columns.len(), needed: FEWEST_COLUMNS };
        let bond_angstrom = bond_length_angstrom(&places)
            .filter(|&length| length > 0.0 && columns.len() >= FEWEST_COLUMNS)
            .ok_or(too_few)?;
        let graph = BondGraph::new(places, bond_angstrom, |_| true);
        let threefold =
            (0..columns.len()).filter(|&column| graph.threefold(column).is_some_and(|order| order.length() > 0.5));
        let found = threefold.count();
        if (found as f64) < SMALLEST_SHARE * columns.len() as f64 {
            return Err(DefectError::NoHoneycomb { found, columns: columns.len() });
        }
        let lattices = crystals::find(&graph, &chemistry, settings.smallest_crystal_columns);
        let survey = Survey::of(&lattices, &graph, input, settings);
        Ok(Sheet { chemistry, graph, lattices, survey })
    }
}

impl DefectSettings {
    /// Whether a place is in the field and not in the strip along its border.
    fn sees(&self, input: &SheetColumns<'_>, place: DVec2) -> bool {
        let [low, high] = input.field_angstrom.map(DVec2::from_array);
        place.cmpge(low + self.border_angstrom).all() && place.cmple(high - self.border_angstrom).all()
    }
}

fn check(input: &SheetColumns<'_>, settings: &DefectSettings) -> Result<(), DefectError> {
    let within = |what, found: f64, low: f64, high: f64, expected| {
        if (low..=high).contains(&found) { Ok(()) } else { Err(DefectError::OutOfRange { what, found, expected }) }
    };
    within("missed_share", input.missed_share, 0.0, 0.999, "a share from 0 to below 1")?;
    within("probability_threshold", settings.probability_threshold, 0.0, 1.0, "a probability from 0 to 1")?;
    within("border_angstrom", settings.border_angstrom, 0.0, f64::MAX, "a width of 0 or more")?;
    for column in input.columns {
        let finite = "a finite place in angstrom";
        within("x_angstrom of a column", column.x_angstrom, f64::MIN, f64::MAX, finite)?;
        within("y_angstrom of a column", column.y_angstrom, f64::MIN, f64::MAX, finite)?;
        within("probability of a column", column.probability, 0.0, 1.0, "a probability from 0 to 1")?;
    }
    Ok(())
}

/// The graph without columns that are on no site, so that they cut no ring.
fn without(graph: BondGraph, off_site: &[Defect]) -> BondGraph {
    if off_site.is_empty() {
        return graph;
    }
    let mut taken = vec![true; graph.places.len()];
    for &column in off_site.iter().flat_map(|defect| &defect.members) {
        taken[column] = false;
    }
    BondGraph::new(graph.places, graph.bond_angstrom, |column| taken[column])
}

fn common_crystal(members: &[usize], survey: &Survey) -> Option<usize> {
    let first = survey.crystal_of[*members.first()?]?;
    members.iter().all(|&column| survey.crystal_of[column] == Some(first)).then_some(first)
}

/// Rings, and gaps as large as a cluster of vacancies can leave.
fn covered_area_nm2(faces: &[Face], bond_angstrom: f64, settings: &DefectSettings) -> f64 {
    let hexagon = 1.5 * 3.0_f64.sqrt() * bond_angstrom * bond_angstrom;
    // A single site joins three hexagons, every other one at most one more.
    let largest = (2.0 + settings.largest_cluster_sites as f64) * hexagon;
    let areas = faces.iter().map(|face| face.area_angstrom2);
    areas.filter(|&area| area > 0.0 && area < largest.max(4.5 * hexagon)).sum::<f64>() / 100.0
}

fn crystal(lattice: &Lattice, hosts: [Option<usize>; 2], chemistry: &Chemistry) -> Crystal {
    let known = chemistry.sublattices.into_iter().zip(hosts).filter_map(|(sublattice, host)| Some((sublattice, host?)));
    Crystal {
        columns: lattice.sites.len(),
        orientation_rad: lattice.orientation_rad(chemistry.is_polar()),
        orientation_sigma_rad: lattice.turn_sigma_angstrom / lattice.turn_angstrom.length(),
        lattice_angstrom: lattice.lattice_angstrom(),
        lattice_sigma_angstrom: 3.0_f64.sqrt() * lattice.turn_sigma_angstrom,
        scatter_angstrom: lattice.scatter_angstrom,
        hosts: known.take(if chemistry.is_polar() { 2 } else { 1 }).collect(),
    }
}
