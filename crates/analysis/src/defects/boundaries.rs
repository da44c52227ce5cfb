//! Grain boundaries: where two crystals meet, at what angle, over what length, with which dislocations.
//!
//! Each point of the sheet belongs to the crystal that most columns around it belong to (weighed by a Gaussian). The length of
//! the line between two crystals follows from how often straight lines in four directions cross it (Cauchy and Crofton;
//! L. A. Santalo, *Integral Geometry and Geometric Probability* (1976), doi:10.1017/CBO9780511617331): with `n_i`
//! crossings of parallel lines `d_i` apart it is `pi / 2` times the mean of `n_i d_i`, within 5 % whatever its shape and
//! direction.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::{FRAC_PI_3, PI};

use atomlens_core::glam::DVec2;
use ndarray::Array2;

use super::chemistry::Chemistry;
use super::crystals::Lattice;
use super::graph::BondGraph;
use super::sites::Survey;
use super::{Boundary, Defect, DefectKind};
use crate::neighbours::Neighbours;

/// Step of the grid of points, in bonds; wider where there would be too many points.
const STEP_BONDS: f64 = 0.5;
const MOST_POINTS: f64 = 4e6;
/// Standard deviation and reach of the weights of columns, in bonds.
const WEIGHT_BONDS: f64 = 1.2;
const REACH_BONDS: f64 = 2.5;
/// How near to the line columns and dislocations count as on it, in bonds.
const BESIDE_BONDS: f64 = 2.5;
/// Distance between the points of a drawn line, in bonds.
const DRAWN_BONDS: f64 = 1.5;
/// Boundaries shorter than this, in bonds, are where corners of crystals touch.
const SHORTEST_BONDS: f64 = 3.0;
/// How far from 60 degrees the turn between the parts of one lattice may be.
const INVERSION_RAD: f64 = 0.05;

/// Crossings of lines along x, y and the two diagonals, and the points in their middle.
#[derive(Debug, Default)]
struct Crossings {
    straight: usize,
    diagonal: usize,
    points: Vec<DVec2>,
}

pub(super) fn find(
    lattices: &[Lattice],
    survey: &Survey,
    graph: &BondGraph,
    chemistry: &Chemistry,
    defects: &[Defect],
) -> Vec<Boundary> {
    if lattices.len() < 2 {
        return Vec::new();
    }
    let (crossings, step) = crossings(survey, graph);
    let bond = graph.bond_angstrom;
    let near = Neighbours::new(&graph.places, BESIDE_BONDS * bond);
    let mut owner: BTreeMap<usize, ([usize; 2], f64)> = BTreeMap::new();
    let dislocations: Vec<(usize, DVec2)> = defects
        .iter()
        .enumerate()
        .filter(|(_, defect)| defect.kind == DefectKind::PentagonHeptagon)
        .map(|(number, defect)| (number, DVec2::new(defect.x_angstrom, defect.y_angstrom)))
        .collect();
    for (&pair, crossed) in &crossings {
        for &(number, place) in &dislocations {
            let far = crossed.points.iter().map(|point| point.distance(place)).fold(f64::INFINITY, f64::min);
            // Where three crystals meet, the nearest line has it.
            if far < BESIDE_BONDS * bond && owner.get(&number).is_none_or(|(_, before)| far < *before) {
                owner.insert(number, (pair, far));
            }
        }
    }
    let polar = chemistry.is_polar();
    let boundary = |(pair, crossed): (&[usize; 2], &Crossings)| {
        let [one, other] = pair.map(|crystal| &lattices[crystal]);
        let length = PI / 8.0 * step * (crossed.straight as f64 + crossed.diagonal as f64 / 2.0_f64.sqrt());
        if length < SHORTEST_BONDS * bond {
            return None;
        }
        let turn = misorientation_rad(one, other, polar);
        let sigma = |lattice: &Lattice| lattice.turn_sigma_angstrom / lattice.turn_angstrom.length();
        let beside = |column: &usize| survey.crystal_of[*column].is_none_or(|crystal| pair.contains(&crystal));
        let columns: BTreeSet<usize> = crossed
            .points
            .iter()
            .flat_map(|&point| near.within(point, BESIDE_BONDS / 2.0 * bond).map(|(column, _)| column))
            .filter(beside)
            .collect();
        Some(Boundary {
            crystals: *pair,
            misorientation_rad: turn,
            misorientation_sigma_rad: sigma(one).hypot(sigma(other)),
            length_nm: length / 10.0,
            inversion: polar && (turn - FRAC_PI_3).abs() < INVERSION_RAD,
            dislocations: owner.values().filter(|(of, _)| of == pair).count(),
            columns: columns.into_iter().collect(),
            path_angstrom: path(&crossed.points, DRAWN_BONDS * bond),
        })
    };
    crossings.iter().filter_map(boundary).collect()
}

fn misorientation_rad(one: &Lattice, other: &Lattice, polar: bool) -> f64 {
    let period = if polar { 2.0 * FRAC_PI_3 } else { FRAC_PI_3 };
    let turn = one.turn_angstrom.angle_to(other.turn_angstrom);
    (turn - period * (turn / period).round()).abs()
}

fn crossings(survey: &Survey, graph: &BondGraph) -> (BTreeMap<[usize; 2], Crossings>, f64) {
    let bond = graph.bond_angstrom;
    let (low, high) = graph
        .places
        .iter()
        .fold((DVec2::INFINITY, DVec2::NEG_INFINITY), |(low, high), &place| (low.min(place), high.max(place)));
    let size = high - low;
    let step = (STEP_BONDS * bond).max((size.x * size.y / MOST_POINTS).sqrt());
    let (nx, ny) = ((size.x / step) as usize + 1, (size.y / step) as usize + 1);
    let near = Neighbours::new(&graph.places, REACH_BONDS * bond);
    let place = |j: usize, i: usize| low + step * DVec2::new(i as f64, j as f64);
    let labels = Array2::from_shape_fn((ny, nx), |(j, i)| {
        let mut weights: Vec<(usize, f64)> = Vec::new();
        for (column, square) in near.within(place(j, i), REACH_BONDS * bond) {
            let Some(crystal) = survey.crystal_of[column] else { continue };
            let weight = (-0.5 * square / (WEIGHT_BONDS * bond).powi(2)).exp();
            match weights.iter_mut().find(|(of, _)| *of == crystal) {
                Some((_, sum)) => *sum += weight,
                None => weights.push((crystal, weight)),
            }
        }
        weights.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(crystal, _)| crystal)
    });
    let mut found: BTreeMap<[usize; 2], Crossings> = BTreeMap::new();
    for ((j, i), &label) in labels.indexed_iter() {
        let Some(label) = label else { continue };
        for (dj, di) in [(0, 1), (1, 0), (1, 1), (1, -1)] {
            let Some(i_next) = i.checked_add_signed(di) else { continue };
            let Some(&Some(other)) = labels.get([j + dj, i_next]) else { continue };
            if other != label {
                let crossed = found.entry([label.min(other), label.max(other)]).or_default();
                if dj == 0 || di == 0 {
                    crossed.straight += 1;
                    crossed.points.push(0.5 * (place(j, i) + place(j + dj, i_next)));
                } else {
                    crossed.diagonal += 1;
                }
            }
        }
    }
    (found, step)
}

/// Points thinned out to a distance, in order of the nearest next one from an end.
fn path(points: &[DVec2], distance: f64) -> Vec<[f64; 2]> {
    let mut kept: Vec<DVec2> = Vec::new();
    for &point in points {
        if kept.iter().all(|other| other.distance(point) > distance) {
            kept.push(point);
        }
    }
    let farthest = |from: DVec2, among: &[DVec2]| {
        (0..among.len()).max_by(|&a, &b| among[a].distance(from).total_cmp(&among[b].distance(from)).then(b.cmp(&a)))
    };
    let mut path = Vec::new();
    let Some(mut next) = kept.first().and_then(|&first| farthest(first, &kept)) else { return path };
    while !kept.is_empty() {
        let at = kept.swap_remove(next);
        path.push(at.to_array());
        let nearest =
            (0..kept.len()).min_by(|&a, &b| kept[a].distance(at).total_cmp(&kept[b].distance(at)).then(a.cmp(&b)));
        match nearest {
            Some(nearest) => next = nearest,
            None => break,
        }
    }
    path
}
