//! Edges of crystals towards vacuum: zigzag, armchair, and what is outermost.
//!
//! Between a filled site and a bonded one in the vacuum runs one step of the edge, from the middle of one hexagon
//! of the lattice to that of the next: a step of one lattice vector, perpendicular to the lost bond. Steps
//! of one direction are a zigzag edge, whose lost bonds are all on sites of one kind; steps in two directions 60 degrees
//! apart, in turn, are an armchair edge. The steps are followed with the sheet on the left, around corners of
//! filled sites, until they close or leave the field of view.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::FRAC_PI_3;

use atomlens_core::glam::DVec2;

use super::chemistry::Chemistry;
use super::crystals::Lattice;
use super::graph::BondGraph;
use super::honeycomb::{self, Index};
use super::sites::{State, Surveyed};
use super::{Edge, EdgeKind, EdgeLength};

/// Fewest steps of a piece that is called zigzag or armchair.
const STRAIGHT_STEPS: usize = 3;

/// A step of the edge: the filled site that lost a bond, and the site in the vacuum that the bond would go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    inside: Index,
    outside: Index,
}

impl Step {
    fn outwards(self) -> DVec2 {
        honeycomb::place(self.outside) - honeycomb::place(self.inside)
    }

    /// From the middle of one hexagon to the next, the sheet on the left.
    fn along(self) -> DVec2 {
        3.0_f64.sqrt() * self.outwards().perp()
    }

    fn end(self) -> DVec2 {
        0.5 * (honeycomb::place(self.inside) + honeycomb::place(self.outside) + self.along())
    }

    /// Direction in units of 60 degrees, 0 to 5.
    fn sixth(self) -> i32 {
        (self.along().to_angle() / FRAC_PI_3).round().rem_euclid(6.0) as i32
    }

    /// The step that follows, if the edge goes on within what is seen.
    fn next(self, states: &BTreeMap<Index, State>) -> Option<Step> {
        let middle = self.end();
        let mut spoke = honeycomb::place(self.inside) - middle;
        let mut inside = self.inside;
        for _ in 0..5 {
            // Clockwise around the hexagon, away from the site in the vacuum.
            spoke = DVec2::from_angle(-FRAC_PI_3).rotate(spoke);
            let corner = honeycomb::index_at(middle + spoke);
            match states.get(&corner) {
                Some(State::Vacuum) => return Some(Step { inside, outside: corner }),
                Some(State::Filled(_) | State::Gap(_)) => inside = corner,
                Some(State::Foreign | State::Unseen) | None => return None,
            }
        }
        None
    }
}

/// The edges of one crystal.
pub(super) fn find(
    crystal: usize,
    lattice: &Lattice,
    surveyed: &Surveyed,
    graph: &BondGraph,
    chemistry: &Chemistry,
) -> Vec<Edge> {
    let states = &surveyed.states;
    let mut rest: BTreeSet<Step> = states
        .iter()
        .filter(|(_, state)| matches!(state, State::Filled(_) | State::Gap(_)))
        .flat_map(|(&inside, _)| honeycomb::bonded(inside).map(|outside| Step { inside, outside }))
        .filter(|step| states.get(&step.outside) == Some(&State::Vacuum))
        .collect();
    let followed: BTreeSet<Step> = rest.iter().filter_map(|step| step.next(states)).collect();
    let begins: Vec<Step> = rest.iter().filter(|step| !followed.contains(step)).copied().collect();
    let drawing = Drawing { crystal, lattice, surveyed, graph, chemistry };
    let mut edges = Vec::new();
    // Edges that come in over the border first, then those that close.
    for begin in begins {
        let chain = follow(begin, states, &mut rest);
        edges.extend(pieces(&chain, false).into_iter().map(|piece| drawing.edge(&piece, false)));
    }
    while let Some(&begin) = rest.first() {
        let chain = follow(begin, states, &mut rest);
        let hole = turn_of(&chain) < 0;
        edges.extend(pieces(&chain, true).into_iter().map(|piece| drawing.edge(&piece, hole)));
    }
    edges
}

fn follow(begin: Step, states: &BTreeMap<Index, State>, rest: &mut BTreeSet<Step>) -> Vec<Step> {
    let mut chain = Vec::new();
    let mut at = Some(begin);
    while let Some(step) = at.filter(|step| rest.remove(step)) {
        chain.push(step);
        at = step.next(states);
    }
    chain
}

/// Turns of a closed chain in units of 60 degrees: 6 around a sheet, -6 around a hole.
fn turn_of(chain: &[Step]) -> i32 {
    (0..chain.len()).map(|at| turn(chain[at], chain[(at + 1) % chain.len()])).sum()
}

/// From -2 to 3, units of 60 degrees.
fn turn(from: Step, to: Step) -> i32 {
    (to.sixth() - from.sixth() + 2).rem_euclid(6) - 2
}

/// A run of steps of one kind.
struct Piece {
    kind: EdgeKind,
    steps: Vec<Step>,
}

/// Cuts a chain into straight pieces: zigzag first, then armchair in what is left, then the rest.
fn pieces(chain: &[Step], closed: bool) -> Vec<Piece> {
    let mut chain = chain.to_vec();
    if closed {
        // Begin at a corner, so that no piece is cut by where the chain happens to begin.
        let last = chain.len() - 1;
        let corner =
            (0..chain.len()).find(|&at| chain[at].sixth() != chain[if at == 0 { last } else { at - 1 }].sixth());
        chain.rotate_left(corner.unwrap_or(0));
    }
    let sixths: Vec<i32> = chain.iter().map(|step| step.sixth()).collect();
    let mut kinds = vec![None; chain.len()];
    let mut number = 0;
    let mut mark = |kinds: &mut Vec<Option<(EdgeKind, usize)>>, range: std::ops::Range<usize>, kind| {
        number += 1;
        kinds[range].fill(Some((kind, number)));
    };
    let mut at = 0;
    while at < chain.len() {
        let end = (at..chain.len()).find(|&next| sixths[next] != sixths[at]).unwrap_or(chain.len());
        if end - at >= STRAIGHT_STEPS {
            mark(&mut kinds, at..end, EdgeKind::Zigzag);
        }
        at = end;
    }
    let mut at = 0;
    while at < chain.len() {
        let alternates = |next: usize| {
            let turned = turn(chain[next - 1], chain[next]).abs() == 1;
            kinds[next].is_none() && turned && (next < at + 2 || sixths[next] == sixths[next - 2])
        };
        let end = (at + 1..chain.len()).find(|&next| !alternates(next)).unwrap_or(chain.len());
        if kinds[at].is_none() && end - at >= STRAIGHT_STEPS {
            mark(&mut kinds, at..end, EdgeKind::Armchair);
            at = end;
        } else {
            at += 1;
        }
    }
    let mut pieces: Vec<(Option<(EdgeKind, usize)>, Piece)> = Vec::new();
    for (step, mark) in chain.into_iter().zip(kinds) {
        match pieces.last_mut() {
            Some((before, piece)) if *before == mark => piece.steps.push(step),
            _ => {
                let kind = mark.map_or(EdgeKind::Mixed, |(kind, _)| kind);
                pieces.push((mark, Piece { kind, steps: vec![step] }));
            }
        }
    }
    pieces.into_iter().map(|(_, piece)| piece).collect()
}

/// From steps on the lattice to places in the image.
struct Drawing<'a> {
    crystal: usize,
    lattice: &'a Lattice,
    surveyed: &'a Surveyed,
    graph: &'a BondGraph,
    chemistry: &'a Chemistry,
}

impl Drawing<'_> {
    fn edge(&self, piece: &Piece, hole: bool) -> Edge {
        let (first, last) = (piece.steps[0], piece.steps[piece.steps.len() - 1]);
        let start = self.near(first, first.end() - first.along());
        let end = self.near(last, last.end());
        let steps = piece.steps.len() as f64;
        let lattice_nm = self.lattice.lattice_angstrom() / 10.0;
        let length_nm = match piece.kind {
            EdgeKind::Zigzag => steps * lattice_nm,
            // Two steps that point 30 degrees to either side of the edge.
            EdgeKind::Armchair => steps * lattice_nm * 0.75_f64.sqrt(),
            EdgeKind::Mixed => {
                let way: DVec2 = piece.steps.iter().map(|step| step.along()).sum();
                way.length().max(3.0_f64.sqrt()) * lattice_nm / 3.0_f64.sqrt()
            }
        };
        let column = |step: &Step| match self.surveyed.states.get(&step.inside) {
            Some(&State::Filled(column)) => Some(column),
            _ => None,
        };
        let mut columns: Vec<usize> = piece.steps.iter().filter_map(column).collect();
        columns.dedup();
        // Straight pieces have the direction of the lattice; their ends may lie half a step beside it.
        let direction = match piece.kind {
            EdgeKind::Mixed => end - start,
            _ => self.lattice.turn_angstrom.rotate(first.along() + piece.steps[1].along()),
        };
        let zigzag = piece.kind == EdgeKind::Zigzag && self.chemistry.is_polar();
        Edge {
            kind: piece.kind,
            termination: zigzag.then(|| self.chemistry.sublattices[first.inside[2] as usize]),
            crystal: self.crystal,
            hole,
            start_angstrom: start.to_array(),
            end_angstrom: end.to_array(),
            length_nm,
            direction_rad: direction.to_angle(),
            columns,
        }
    }

    /// The image of a point of the ideal lattice, by the column of a step near it.
    fn near(&self, step: Step, ideal: DVec2) -> DVec2 {
        let from = match self.surveyed.states.get(&step.inside) {
            Some(&State::Filled(column)) => self.graph.places[column],
            _ => self.lattice.foretold(step.inside, &self.graph.places),
        };
        from + self.lattice.turn_angstrom.rotate(ideal - honeycomb::place(step.inside))
    }
}

/// Lengths by kind and termination.
pub(super) fn lengths(edges: &[Edge]) -> Vec<EdgeLength> {
    let mut sums: BTreeMap<_, (f64, usize)> = BTreeMap::new();
    for edge in edges {
        let sum = sums.entry((edge.kind, edge.termination)).or_default();
        *sum = (sum.0 + edge.length_nm, sum.1 + 1);
    }
    sums.into_iter()
        .map(|((kind, termination), (length_nm, pieces))| EdgeLength { kind, termination, length_nm, pieces })
        .collect()
}
