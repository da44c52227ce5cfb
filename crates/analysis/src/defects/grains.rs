//! Grains by their direction: which columns lie in rows of one direction, before any lattice is known.
//!
//! The directions of the bonds of a honeycomb are multiples of 60 degrees from one another on both kinds of site, so
//! `mean exp(6 i angle)` over the bonds around a column is its local direction. A grain grows from the best ordered
//! column over bonds to all whose direction is that of the grain so far, within [`LARGEST_TURN_RAD`]. Grains
//! that differ by less are one: strain and ripples turn a lattice by a degree or two as well.

use std::f64::consts::PI;

use atomlens_core::glam::DVec2;

use super::graph::BondGraph;
use crate::neighbours::Neighbours;

/// By how much the direction around a column may differ from its grain's: 4 degrees.
const LARGEST_TURN_RAD: f64 = 4.0 * PI / 180.0;
/// Reach of the mean around a column, in bonds: 12 neighbours.
const REACH_BONDS: f64 = 2.3;
/// Least order of a column of a grain: bonds that scatter by 0.15 rad have 0.67.
const LEAST_ORDER: f64 = 0.45;
/// A grain has a column around which all within this reach are its own; a strip between two grains has not.
const CORE_BONDS: f64 = 2.8;

/// The grain of each column; none for columns between grains and in disorder.
pub(super) fn find(graph: &BondGraph) -> Vec<Option<usize>> {
    let bond = graph.bond_angstrom;
    let near = Neighbours::new(&graph.places, CORE_BONDS * bond);
    let own: Vec<DVec2> = (0..graph.places.len())
        .map(|column| {
            let bonds = graph.bonds[column].iter().map(|&other| graph.places[other] - graph.places[column]);
            bonds.map(|between| DVec2::from_angle(6.0 * between.to_angle())).sum()
        })
        .collect();
    let order: Vec<DVec2> = (0..graph.places.len())
        .map(|column| {
            let around = || near.within(graph.places[column], REACH_BONDS * bond);
            let bonds: usize = around().map(|(other, _)| graph.bonds[other].len()).sum();
            around().map(|(other, _)| own[other]).sum::<DVec2>() / bonds.max(1) as f64
        })
        .collect();
    let mut seeds: Vec<usize> = (0..order.len()).filter(|&column| order[column].length() > LEAST_ORDER).collect();
    seeds.sort_by(|&a, &b| order[b].length().total_cmp(&order[a].length()).then(a.cmp(&b)));
    let mut grain_of: Vec<Option<usize>> = vec![None; order.len()];
    let mut tried = vec![false; order.len()];
    let mut grains = 0;
    for seed in seeds {
        if grain_of[seed].is_some() || tried[seed] {
            continue;
        }
        let grain = grow(seed, grains, graph, &order, &mut grain_of);
        let has_core = |&&column: &&usize| {
            near.within(graph.places[column], CORE_BONDS * bond).all(|(other, _)| grain_of[other] == Some(grains))
                && graph.bonds[column].len() == 3
        };
        if grain.iter().any(|column| has_core(&column)) {
            grains += 1;
        } else {
            for column in grain {
                grain_of[column] = None;
                tried[column] = true;
            }
        }
    }
    grain_of
}

fn grow(seed: usize, grain: usize, graph: &BondGraph, order: &[DVec2], grain_of: &mut [Option<usize>]) -> Vec<usize> {
    let mut members = vec![seed];
    let mut sum = order[seed];
    grain_of[seed] = Some(grain);
    let mut next = 0;
    while next < members.len() {
        let at = members[next];
        next += 1;
        for &other in &graph.bonds[at] {
            let fits = order[other].length() > LEAST_ORDER && sum.angle_to(order[other]).abs() < 6.0 * LARGEST_TURN_RAD;
            if grain_of[other].is_none() && fits {
                grain_of[other] = Some(grain);
                sum += order[other];
                members.push(other);
            }
        }
    }
    members
}
