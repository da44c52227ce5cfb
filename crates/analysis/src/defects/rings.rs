//! Rings of the bond graph, and the defects that are made of rings that are no hexagons.
//!
//! A turned bond (A. J. Stone and D. J. Wales, *Chem. Phys. Lett.* 128, 501 (1986), doi:10.1016/0009-2614(86)80661-3)
//! is shared by two heptagons, and each of its ends belongs to a pentagon. A pentagon beside a heptagon is the core of
//! a dislocation of one lattice vector (O. V. Yazyev and S. G. Louie, *Phys. Rev. B* 81, 195420 (2010),
//! doi:10.1103/PhysRevB.81.195420); an octagon between two pentagons is a divacancy that has closed. A ring
//! is a part of one defect at most, and is given to them in this order; what is left is listed alone.

use std::collections::{BTreeMap, BTreeSet};

use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;

use super::graph::{BondGraph, Face};
use super::{Defect, DefectKind, Region, Ring};

/// Rings and what they border on.
pub(super) struct Rings<'a> {
    graph: &'a BondGraph,
    columns: &'a [DetectedColumn],
    faces: Vec<Face>,
    /// The rings on both sides of each bond.
    beside: BTreeMap<[usize; 2], Vec<usize>>,
    used: Vec<bool>,
}

impl<'a> Rings<'a> {
    pub(super) fn new(graph: &'a BondGraph, columns: &'a [DetectedColumn], faces: &[Face]) -> Rings<'a> {
        let faces: Vec<Face> = faces.iter().filter(|face| face.is_ring()).cloned().collect();
        let mut beside: BTreeMap<[usize; 2], Vec<usize>> = BTreeMap::new();
        for (ring, face) in faces.iter().enumerate() {
            for bond in bonds_of(face) {
                beside.entry(bond).or_default().push(ring);
            }
        }
        let used = vec![false; faces.len()];
        Rings { graph, columns, faces, beside, used }
    }

    /// The rings as they are listed.
    pub(super) fn list(&self) -> Vec<Ring> {
        let listed = self.faces.iter().map(|face| {
            let first = (0..face.columns.len()).min_by_key(|&at| face.columns[at]).unwrap_or(0);
            let mut columns = face.columns.clone();
            columns.rotate_left(first);
            Ring {
                columns,
                x_angstrom: face.middle.x,
                y_angstrom: face.middle.y,
                area_nm2: face.area_angstrom2 / 100.0,
                probability: self.probability(face.columns.iter().copied()),
            }
        });
        let mut rings: Vec<Ring> = listed.collect();
        rings.sort_by(|a, b| a.columns.cmp(&b.columns));
        rings
    }

    fn probability(&self, columns: impl Iterator<Item = usize>) -> f64 {
        columns.map(|column| self.columns[column].probability).product()
    }

    /// The defects made of rings. `at_border` says which columns are too near the border to count.
    pub(super) fn defects(mut self, at_border: impl Fn(usize) -> bool) -> Vec<Defect> {
        let mut found = Vec::new();
        self.stone_wales(&mut found);
        self.closed_divacancies(&mut found);
        self.pairs(5, 7, DefectKind::PentagonHeptagon, &mut found);
        self.pairs(4, 8, DefectKind::SquareOctagon, &mut found);
        let alone = [
            (3, DefectKind::Square),
            (4, DefectKind::Square),
            (5, DefectKind::Pentagon),
            (7, DefectKind::Heptagon),
            (8, DefectKind::Octagon),
        ];
        for ring in 0..self.faces.len() {
            let kind = alone.iter().find(|(size, _)| *size == self.size(ring)).map(|(_, kind)| *kind);
            if let Some(kind) = kind.filter(|_| !self.used[ring]) {
                found.push(self.defect(kind, &[ring], self.faces[ring].middle, None));
            }
        }
        for defect in &mut found {
            if defect.members.iter().any(|&column| at_border(column)) {
                defect.region = Region::Border;
            }
        }
        found
    }

    fn size(&self, ring: usize) -> usize {
        self.faces[ring].columns.len()
    }

    fn is_free(&self, ring: usize, size: usize) -> bool {
        self.size(ring) == size && !self.used[ring]
    }

    /// Rings of a size that share a bond with a ring and are not used yet, ascending.
    fn neighbours(&self, ring: usize, size: usize) -> BTreeSet<usize> {
        let across = bonds_of(&self.faces[ring]).flat_map(|bond| self.beside[&bond].iter().copied());
        across.filter(|&other| other != ring && self.is_free(other, size)).collect()
    }

    fn defect(&mut self, kind: DefectKind, rings: &[usize], place: DVec2, angle_rad: Option<f64>) -> Defect {
        let members: BTreeSet<usize> =
            rings.iter().flat_map(|&ring| self.faces[ring].columns.iter().copied()).collect();
        for &ring in rings {
            self.used[ring] = true;
        }
        Defect {
            kind,
            x_angstrom: place.x,
            y_angstrom: place.y,
            probability: self.probability(members.iter().copied()),
            region: Region::Interior,
            crystal: None,
            members: members.into_iter().collect(),
            empty_sites: Vec::new(),
            species: None,
            expected_species: None,
            angle_rad,
            length_angstrom: None,
        }
    }

    fn stone_wales(&mut self, found: &mut Vec<Defect>) {
        let bonds: Vec<([usize; 2], [usize; 2])> = self
            .beside
            .iter()
            .filter_map(|(&bond, rings)| <[usize; 2]>::try_from(rings.as_slice()).ok().map(|rings| (bond, rings)))
            .filter(|(_, rings)| rings.iter().all(|&ring| self.size(ring) == 7))
            .collect();
        for (bond, heptagons) in bonds {
            let third = |column: usize| {
                let around = self.graph.bonds[column].iter().flat_map(|&other| self.beside.get(&pair(column, other)));
                around.flatten().copied().find(|&ring| !heptagons.contains(&ring) && self.is_free(ring, 5))
            };
            let (Some(one), Some(other)) = (third(bond[0]), third(bond[1])) else { continue };
            if one == other || heptagons.iter().any(|&ring| self.used[ring]) {
                continue;
            }
            let [from, to] = bond.map(|column| self.graph.places[column]);
            let rings = [heptagons[0], heptagons[1], one, other];
            found.push(self.defect(DefectKind::StoneWales, &rings, 0.5 * (from + to), Some(axis_rad(to - from))));
        }
    }

    fn closed_divacancies(&mut self, found: &mut Vec<Defect>) {
        for octagon in (0..self.faces.len()).filter(|&ring| self.size(ring) == 8).collect::<Vec<_>>() {
            let pentagons: Vec<usize> = self.neighbours(octagon, 5).into_iter().collect();
            let [one, other] = pentagons[..] else { continue };
            let axis = self.faces[other].middle - self.faces[one].middle;
            let middle = self.faces[octagon].middle;
            let rings = [octagon, one, other];
            found.push(self.defect(DefectKind::PentagonOctagonPentagon, &rings, middle, Some(axis_rad(axis))));
        }
    }

    /// Pairs of rings that share a bond; those with the fewest partners first, so that few stay alone.
    fn pairs(&mut self, small: usize, large: usize, kind: DefectKind, found: &mut Vec<Defect>) {
        loop {
            let next = (0..self.faces.len())
                .filter(|&ring| self.is_free(ring, small))
                .map(|ring| (self.neighbours(ring, large), ring))
                .filter(|(partners, _)| !partners.is_empty())
                .min_by_key(|(partners, ring)| (partners.len(), *ring));
            let Some((partners, ring)) = next else { break };
            let fewest = partners.into_iter().min_by_key(|&partner| (self.neighbours(partner, small).len(), partner));
            let Some(partner) = fewest else { break };
            let (to, from) = (self.faces[ring].middle, self.faces[partner].middle);
            found.push(self.defect(kind, &[ring, partner], 0.5 * (from + to), Some((to - from).to_angle())));
        }
    }
}

/// Direction of an axis without a sense, from -pi/2 to pi/2.
pub(super) fn axis_rad(axis: DVec2) -> f64 {
    let angle = axis.to_angle();
    angle - std::f64::consts::PI * (angle / std::f64::consts::PI).round()
}

fn pair(a: usize, b: usize) -> [usize; 2] {
    [a.min(b), a.max(b)]
}

fn bonds_of(face: &Face) -> impl Iterator<Item = [usize; 2]> {
    let count = face.columns.len();
    (0..count).map(move |at| pair(face.columns[at], face.columns[(at + 1) % count]))
}
