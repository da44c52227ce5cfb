//! Defects of a crystal as a map and a page show them: sites that are not as they should be, rings of another number of
//! members, edges and grain boundaries.
//!
//! Places are in angstrom from the centre of the image's first pixel, x to the right and y down.

use crate::estimate::Estimate;

/// What is wrong with a site, which decides how it is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SiteKind {
    /// A column that lacks some of its atoms, such as one sulphur of two.
    PartialVacancy,
    /// A column of the non-metal that is not there, such as both sulphurs.
    EmptySite,
    /// A column of the metal that is not there.
    MetalVacancy,
    /// An atom of an element that does not belong to the crystal, or of an alloy's other element.
    Substitution,
    /// An atom on a site of the crystal's other element.
    Antisite,
    /// Any other.
    #[default]
    Other,
}

/// A site that is not as it should be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SiteDefect {
    /// How it is marked.
    pub kind: SiteKind,
    /// What it is called, such as `S vacancy` or `Se on S2`; those of one name are one entry of the legend.
    pub name: String,
    /// Place in the image.
    pub x_angstrom: f64,
    /// Place in the image.
    pub y_angstrom: f64,
    /// Probability that it is what it is called; not finite where unknown. Marks are fainter where it is low.
    pub probability: f64,
    /// More about it; may be empty.
    pub note: String,
}

/// A ring of the lattice that has another number of members than those of the crystal, or that a page is to show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RingDefect {
    /// Places of its members in order, `[x, y]`.
    pub corners_angstrom: Vec<[f64; 2]>,
    /// Probability that it is there; not finite where unknown.
    pub probability: f64,
    /// More about it; may be empty.
    pub note: String,
}

/// Which way an edge runs in the lattice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum EdgeDirection {
    /// Along a row of one sublattice.
    Zigzag,
    /// Half way between two zigzag directions.
    Armchair,
    /// Neither, or both within a few sites.
    #[default]
    Mixed,
}

impl EdgeDirection {
    /// Its name.
    pub fn label(self) -> &'static str {
        match self {
            EdgeDirection::Zigzag => "zigzag",
            EdgeDirection::Armchair => "armchair",
            EdgeDirection::Mixed => "mixed",
        }
    }
}

/// A piece of the crystal's edge of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edge {
    /// Which way it runs.
    pub direction: EdgeDirection,
    /// The species that it ends with, such as `Mo` or `S2`; empty where several do.
    pub termination: String,
    /// Places along it, `[x, y]`.
    pub points_angstrom: Vec<[f64; 2]>,
}

impl Edge {
    /// Its direction and termination, such as `zigzag, Mo`.
    pub fn name(&self) -> String {
        match self.termination.as_str() {
            "" => self.direction.label().to_owned(),
            termination => format!("{}, {termination}", self.direction.label()),
        }
    }

    /// Its length, in nm.
    pub fn length_nm(&self) -> f64 {
        length_nm(&self.points_angstrom)
    }
}

/// A line between two grains.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GrainBoundary {
    /// Places along it, `[x, y]`.
    pub points_angstrom: Vec<[f64; 2]>,
    /// Angle between the two lattices, in degrees.
    pub angle_deg: Estimate,
    /// More about it, such as the rings that it is made of; may be empty.
    pub note: String,
}

impl GrainBoundary {
    /// Its length, in nm.
    pub fn length_nm(&self) -> f64 {
        length_nm(&self.points_angstrom)
    }
}

/// All defects of an image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defects {
    /// Sites that are not as they should be.
    pub sites: Vec<SiteDefect>,
    /// Rings of another number of members.
    pub rings: Vec<RingDefect>,
    /// Pieces of the crystal's edges.
    pub edges: Vec<Edge>,
    /// Lines between grains.
    pub boundaries: Vec<GrainBoundary>,
}

impl Defects {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.rings.is_empty() && self.edges.is_empty() && self.boundaries.is_empty()
    }
}

fn length_nm(points: &[[f64; 2]]) -> f64 {
    0.1 * points.windows(2).map(|pair| (pair[1][0] - pair[0][0]).hypot(pair[1][1] - pair[0][1])).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_as_long_as_its_pieces() {
        let points_angstrom = vec![[0.0, 0.0], [3.0, 4.0], [3.0, 10.0]];
        let edge = Edge { direction: EdgeDirection::Zigzag, termination: "Mo".to_owned(), points_angstrom };
        assert!((edge.length_nm() - 1.1).abs() < 1e-12);
        assert_eq!(edge.name(), "zigzag, Mo");
        assert_eq!(Edge::default().length_nm(), 0.0);
    }
}
